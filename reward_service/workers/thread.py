"""Runners that live in this process: text metrics inline, models on a thread of their own.

Both are a micro-batcher in front of one compute thread; the inline runner answers small submissions
without it. A model shared by several processes runs the same `ThreadWorker` in `worker_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from reward_service.contracts import ComponentError, Outcome, Pair, PairMetric
from reward_service.workers.batcher import BatchLimits, MicroBatcher, Observe, settle
from reward_service.workers.pair_computer import ArtefactCache, PairComputer, Result

log = logging.getLogger(__name__)

T = TypeVar("T")

Factory = Callable[[], PairMetric]

HANG_S = 600.0
"""A batch takes less on the slowest machine: a component that has not answered by then never will."""


class ThreadDied(Exception):
    """Something that is not an `Exception` (``SystemExit``, say) ended the compute thread."""


class ComputeThread:
    """One daemon thread that runs jobs in order; a daemon, so that a hung component cannot block the exit."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, future))
        return future

    def close(self) -> None:
        """End the thread after the jobs it has."""
        self._jobs.put(None)

    def _main(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            result, error = None, None
            try:
                result = job()
            except Exception as exception:
                error = exception
            except BaseException as exception:  # raised in the event loop it would end the service
                error = ThreadDied(type(exception).__name__)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_hand_over, future, result, error)
            if isinstance(error, ThreadDied):
                return


def _hand_over(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class ThreadWorker:
    """A `Runner` with one component on one thread, fed by a micro-batcher."""

    def __init__(
        self,
        factory: Factory,
        cache: ArtefactCache,
        *,
        limits: BatchLimits | None = None,
        observe: Observe | None = None,
        hang_s: float = HANG_S,
        on_hang: Callable[[], None] = lambda: None,
    ) -> None:
        """`factory` builds the component, on the thread that will run it, again after that thread died.

        A thread whose batch takes `hang_s` counts as dead: `on_hang` is called, and where that returns, the thread
        is left behind.
        """
        self._factory = factory
        self._cache = cache
        self._hang_s = hang_s
        self._on_hang = on_hang
        self._thread: ComputeThread | None = None
        self._computer: PairComputer | None = None
        self._stage = "not started"
        self._batcher = MicroBatcher(self._execute, limits or BatchLimits(), restart=self._load, observe=observe)

    async def start(self) -> None:
        """Build the component and warm it up. Raises `ComponentError`, as `load_error` makes it."""
        try:
            await self._load()
        except Exception as error:
            raise load_error(error) from error
        self._batcher.start()

    async def stop(self, grace_s: float) -> None:
        await self._batcher.stop(grace_s)
        if self._thread:
            self._thread.close()

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[Outcome]]:
        return self._batcher.submit(pairs, deadline)

    def health(self) -> Mapping[str, object]:
        """Readiness and its detail (also the progress of loading), queue, batches, artefact cache, restarts."""
        health = self._batcher.health()
        if not health["ready"]:
            health["detail"] = f"{health['detail']}: {self._stage}"
        return {**health, "artefacts": self._cache.stats()}

    @property
    def metric(self) -> PairMetric | None:
        """The component, once loaded."""
        return self._computer.metric if self._computer else None

    async def _load(self) -> None:
        if self._thread:
            self._thread.close()
        self._thread = ComputeThread("component")
        began = time.monotonic()
        self._stage = "loading the component"
        metric = await self._thread.run(self._factory)
        warm_up = getattr(metric, "warm_up", None)
        if warm_up is not None:
            self._stage = f"warming up (loaded in {time.monotonic() - began:.1f} s)"
            await self._thread.run(warm_up)
        self._computer = PairComputer(metric, self._cache)
        self._stage = f"loaded and warmed up in {time.monotonic() - began:.1f} s"

    async def _execute(self, pairs: list[Pair]) -> list[Result]:
        assert self._thread is not None
        assert self._computer is not None
        computer = self._computer
        job = self._thread.run(lambda: computer.run(pairs))
        done, _ = await asyncio.wait([job], timeout=self._hang_s)
        if not done:
            log.error("the component has not finished a batch of %d pairs in %g s", len(pairs), self._hang_s)
            self._on_hang()
            raise ThreadDied("it hangs")
        return job.result()


class InlineRunner(ThreadWorker):
    """A `Runner` for components of cost ``inline``: small submissions are answered before `submit` returns.

    Larger ones run on the thread in slices. The component is built twice, so that neither copy is ever
    used by two threads at once.
    """

    def __init__(
        self,
        factory: Factory,
        cache: ArtefactCache,
        *,
        inline_characters: int = 16_000,
        limits: BatchLimits | None = None,
        observe: Observe | None = None,
    ) -> None:
        """`inline_characters`: the most a submission may have in all and still run on the event loop.

        The default keeps BLEU and ROUGE under 10 ms.
        """
        super().__init__(factory, cache, limits=limits or BatchLimits(pairs=32, characters=50_000), observe=observe)
        self._inline_characters = inline_characters
        self._inline: PairComputer | None = None

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[Outcome]]:
        small = characters(pairs, self._inline_characters) <= self._inline_characters
        if small and self._inline and self._batcher.state == "ready" and time.monotonic() < deadline:
            return settled(self._inline.run(pairs))
        return super().submit(pairs, deadline)

    async def _load(self) -> None:
        await super()._load()
        assert self._thread is not None
        self._inline = PairComputer(await self._thread.run(self._factory), self._cache)


def load_error(error: Exception) -> ComponentError:
    """Why a component could not be loaded, in the words of what failed: no report has been seen yet."""
    if isinstance(error, ComponentError):
        return error
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    return ComponentError(
        code if isinstance(code, str) else "load_failed", str(message or f"{type(error).__name__}: {error}")
    )


def characters(pairs: Sequence[Pair], limit: int) -> int:
    """Characters of all texts; stops counting once above `limit`."""
    total = 0
    for pair in pairs:
        total += len(pair.candidate) + len(pair.reference) + len(pair.prior or "")
        if total > limit:
            break
    return total


def settled(results: Sequence[Result]) -> list[asyncio.Future[Outcome]]:
    """Futures that are done already."""
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[Outcome]] = [loop.create_future() for _ in results]
    for future, result in zip(futures, results, strict=True):
        settle(future, result)
    return futures
