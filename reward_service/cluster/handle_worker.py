"""A `Runner` for a model component whose replicas Ray Serve keeps: it sends pairs through a deployment's handle."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from reward_service.contracts import ComponentError, ComponentScore, Pair, WorkFuture
from reward_service.tasks import end
from reward_service.workers.batcher import Observe, fail, settle
from reward_service.workers.pair_computer import ScoreOrError
from reward_service.workers.remote_process import WorkerConfig

_START_S = 1800.0
_LATE_S = 5.0
"""What a replica may take over the deadline, by which it fails what it has not begun: then nobody waits any longer."""


class Scored(NamedTuple):
    """A replica's answer."""

    results: list[ScoreOrError]
    observed: list[tuple[str, float]]
    """What its worker has observed since it last told somebody: batch sizes, times."""


Explain = Callable[[BaseException], ComponentError]


class HandleWorker:
    """Pairs of one reference go to one replica together, at most a batch of pairs in one call.

    A call that has left cannot be taken back: what nobody awaits any more is scored and cached. The replica of a call
    is Serve's choice; whichever it is, it must have this process's component.
    """

    def __init__(
        self, handle: Any, config: WorkerConfig, *, component_digest: str, observe: Observe, explain: Explain
    ) -> None:
        """`handle` is the deployment's; `explain` says what an exception of Ray's means for the pairs of a call."""
        self._handle = handle
        self._most = config.limits.pairs
        self._limit = config.limits.queue
        self._digest = component_digest
        self._observe = observe
        self._explain = explain
        self._calls: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._started = self._stopping = False

    async def start(self) -> None:
        """Wait until a replica is ready. Raises `ComponentError` if it has another component than this process."""
        try:
            async with asyncio.timeout(_START_S):
                found = await self._handle.digest.remote()
        except TimeoutError:
            raise ComponentError("load_failed", f"no replica after {_START_S:g} s") from None
        if found != self._digest:
            raise ComponentError("wrong_component", "the model's replicas have another component than this one")
        self._started = True

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        if self._calls:
            await asyncio.wait(list(self._calls), timeout=grace_s)
        await end(list(self._calls))

    async def set_asleep(self, asleep: bool) -> None:
        """Refused: replicas that Ray starts meanwhile would not sleep, and no ingress would know of another's wish."""
        raise ComponentError("not_lent", "models on Ray Serve keep their memory; scale them down instead")

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[ComponentScore]] = [WorkFuture(loop=loop) for _ in pairs]
        if refusal := self._refusal(len(pairs)):
            for future in futures:
                fail(future, refusal)
            return futures
        self._waiting += len(pairs)
        for part in parts(pairs, self._most):
            call = asyncio.create_task(self._call([pairs[i] for i in part], [futures[i] for i in part], deadline))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        return futures

    def health(self) -> Mapping[str, object]:
        """Ready once a replica has been; Serve replaces those that die, and calls wait for that."""
        detail = "ready" if self._started else "waiting for a replica"
        return {"ready": self._started and not self._stopping, "detail": detail, "queue": self._waiting}

    def _refusal(self, count: int) -> ComponentError | None:
        if self._stopping:
            return ComponentError("shutting_down", "the service is shutting down", retryable=True)
        if self._waiting + count > self._limit:
            return ComponentError("queue_full", "too many pairs are waiting; retry", retryable=True)
        return None

    async def _call(self, pairs: list[Pair], futures: list[asyncio.Future[ComponentScore]], deadline: float) -> None:
        for future in futures:
            future.started = True  # type: ignore[attr-defined]
        left = deadline - time.monotonic()
        try:
            async with asyncio.timeout(None if left == math.inf else left + _LATE_S):
                scored: Scored = await self._handle.score.remote(self._digest, pairs, left)
            results, observed = scored
            for name, value in observed:
                self._observe(name, value)
            for future, result in zip(futures, results, strict=True):
                settle(future, result)
        except TimeoutError:
            self._fail(futures, ComponentError("deadline", "no answer from a replica in time", retryable=True))
        except asyncio.CancelledError:
            self._fail(futures, ComponentError("shutting_down", "the service is shutting down", retryable=True))
        except Exception as error:
            self._fail(futures, self._explain(error))
        finally:
            self._waiting -= len(pairs)

    def _fail(self, futures: Sequence[asyncio.Future[ComponentScore]], error: ComponentError) -> None:
        for future in futures:
            fail(future, error)


def parts(pairs: Sequence[Pair], most: int) -> list[list[int]]:
    """Positions of the pairs in calls of at most `most`, references one after the other in the order they come."""
    by_reference: dict[str, list[int]] = {}
    for position, pair in enumerate(pairs):
        by_reference.setdefault(pair.reference, []).append(position)
    found: list[list[int]] = []
    for positions in by_reference.values():
        if not found or len(found[-1]) + len(positions) > most:
            found.append([])
        for position in positions:
            if len(found[-1]) == most:
                found.append([])
            found[-1].append(position)
    return found
