"""The runner that lives in this process: a micro-batcher in front of one compute thread.

A model shared by several processes runs the same `ThreadWorker` in `remote_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from reward_service.contracts import ComponentError, ComponentScore, Pair, PairMetric
from reward_service.workers.batcher import BatchLimits, MicroBatcher, Observe
from reward_service.workers.pair_computer import ArtefactCache, PairComputer, ScoreOrError

log = logging.getLogger(__name__)

T = TypeVar("T")

Factory = Callable[[], PairMetric]


class ThreadDied(Exception):
    """Something that is not an `Exception` (``SystemExit``, say) ended the compute thread."""


class ComputeThread:
    """One daemon thread that runs jobs in order; a daemon, so that a hung component cannot block the exit."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def run(self, job: Callable[[], T]) -> asyncio.Future[T]:
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """End the thread after the jobs it has."""
        self._jobs.put(None)

    def _main(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except Exception as error:
                future.set_exception(error)
            except BaseException as error:  # raised in the event loop it would end the service
                future.set_exception(ThreadDied(type(error).__name__))
                return
            del item, job, future  # else the thread would keep the component that it ran last


class ThreadWorker:
    """A `Runner` with one component on one thread, fed by a micro-batcher.

    With `BatchLimits.inline_characters` it builds the component a second time, for the event loop to answer small
    submissions with, so that neither copy is ever used by two threads at once.
    """

    def __init__(
        self,
        factory: Factory,
        cache: ArtefactCache,
        *,
        limits: BatchLimits | None = None,
        observe: Observe | None = None,
    ) -> None:
        """`factory` builds the component, on the thread that will run it, again after that thread died or hung."""
        self._factory = factory
        self._cache = cache
        self._limits = limits or BatchLimits()
        self._thread: ComputeThread | None = None
        self._computer: PairComputer | None = None
        self._stage = "not started"
        self._asleep = False
        self._switching = asyncio.Lock()
        self._batcher = MicroBatcher(self._execute, self._limits, restart=self._revive, observe=observe)

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

    async def set_asleep(self, asleep: bool) -> None:
        """Asleep, the component and its artefacts take no memory and pairs wait; awake, it is loaded as at the start.

        Batches that have begun are finished first. Raises `ComponentError` when it cannot be loaded: it still sleeps.
        """
        async with self._switching:
            if asleep == self._asleep:
                return
            if asleep:
                await self._batcher.pause()
                self._computer = None
                self._cache.clear()
                self._stage = "asleep"
                await asyncio.to_thread(release_memory)  # the component's own thread may have died
            else:
                try:
                    await self._load()
                except Exception as error:
                    self._stage = "asleep"
                    raise load_error(error) from error
                self._batcher.resume()
            self._asleep = asleep

    async def _revive(self) -> None:
        """After the thread has died: load again, unless the component sleeps, which loads it when it wakes."""
        async with self._switching:
            if not self._asleep:
                await self._load()

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        return self._batcher.submit(pairs, deadline)

    def health(self) -> Mapping[str, object]:
        """Readiness and its detail (also the progress of loading), queue, batches, artefact cache, restarts."""
        health = self._batcher.health()
        if not health["ready"]:
            health["detail"] = f"{health['detail']}: {self._stage}"
        return {**health, "asleep": self._asleep, "artefacts": self._cache.stats()}

    @property
    def metric(self) -> PairMetric | None:
        """The component, once loaded."""
        return self._computer.metric if self._computer else None

    def abandon_thread(self) -> None:
        """The thread hangs: leave it behind, and its component with it."""

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
        if self._limits.inline_characters:
            self._batcher.inline = PairComputer(await self._thread.run(self._factory), self._cache).run
        self._stage = f"loaded and warmed up in {time.monotonic() - began:.1f} s"

    async def _execute(self, pairs: list[Pair]) -> list[ScoreOrError]:
        assert self._thread is not None
        assert self._computer is not None
        computer = self._computer
        job = self._thread.run(lambda: computer.run(pairs))
        done, _ = await asyncio.wait([job], timeout=self._limits.hang_s)
        if not done:
            log.error("the component has not finished a batch of %d pairs in %g s", len(pairs), self._limits.hang_s)
            self.abandon_thread()
            raise ThreadDied("it hangs")
        return job.result()


def release_memory() -> None:
    """Give back what nothing refers to any more: to the device, and to the operating system."""
    gc.collect()
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with contextlib.suppress(OSError, AttributeError):  # another C library keeps it
        ctypes.CDLL(None).malloc_trim(0)


def load_error(error: Exception) -> ComponentError:
    """Why a component could not be loaded, in the words of what failed: no report has been seen yet."""
    if isinstance(error, ComponentError):
        return error
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    return ComponentError(
        code if isinstance(code, str) else "load_failed", str(message or f"{type(error).__name__}: {error}")
    )
