"""The micro-batcher: turns many small submissions into few full batches, without letting one harm another.

An idle worker starts at once and a busy one lets the next batch fill, so there is no waiting time to
tune. The same code batches over the requests of one process and, in the model worker, over all of them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from reward_service.contracts import ComponentError, ComponentScore, Pair, WorkFuture
from reward_service.supervision import Backoff, KeptTask
from reward_service.tasks import end
from reward_service.workers.pair_computer import ScoreOrError

log = logging.getLogger(__name__)

Execute = Callable[[list[Pair]], Awaitable[list[ScoreOrError]]]
Observe = Callable[[str, float], None]
"""Receives ``batch_size`` (pairs), ``queue_s`` (per pair) and ``compute_s`` (per batch)."""

_BACKOFF_S = (0.1, 10.0)
_RESTART_S = 600.0
_PURGE_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of one batch, of the queue before it and of what needs neither. Impossible ones raise `ValueError`."""

    pairs: int = 64
    characters: int = 200_000
    """Of all texts of a batch; a single pair above it still runs, alone."""
    queue: int = 8192
    """Pairs that may wait; the ones beyond fail with ``queue_full``."""
    inline_characters: int = 0
    """Of all texts of a submission that is answered at once, on the event loop; 0: none is."""
    hang_s: float = 600.0
    """A batch that takes longer has hung. The default is more than the slowest machine needs."""

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.characters < self.pairs:
            raise ValueError(f"impossible batch limits: {self.pairs} pairs of {self.characters} characters in all")
        if self.queue < self.pairs:
            raise ValueError(f"a queue of {self.queue} pairs can never fill a batch of {self.pairs}")


@dataclass(slots=True, eq=False)
class _Entry:
    """One distinct pair in flight, with everyone who waits for it."""

    pair: Pair
    since: float
    waiters: list[WorkFuture]
    tickets: int = 0
    """How many submissions still have it queued."""
    started: bool = False


@dataclass(slots=True, eq=False)
class _Submission:
    tickets: deque[tuple[_Entry, WorkFuture]]
    timer: asyncio.TimerHandle | None = None


class MicroBatcher:
    """Queues pairs on one event loop and gives batches of them to `execute`.

    Submissions take turns (round robin), so a large one cannot hold up a small one for longer than
    about a batch. Identical pairs in flight are one entry. When `execute` raises, the worker is dead:
    all waiters fail with ``worker_died``, and after a back-off `restart` is awaited and batches are made anew.
    """

    def __init__(
        self,
        execute: Execute,
        limits: BatchLimits,
        *,
        concurrency: int = 1,
        restart: Callable[[], Awaitable[None]] | None = None,
        observe: Observe | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        self._execute = execute
        self._limits = limits
        self._quantum = max(1, limits.pairs // 4)
        self._concurrency = concurrency
        self._restart = restart
        self._observe = observe or (lambda name, value: None)
        self._ring: deque[_Submission] = deque()
        self._inflight: dict[Pair, _Entry] = {}
        self._queued = self._batches = self._pairs = 0
        self._purged = 0.0
        self._backoff = Backoff(*_BACKOFF_S)
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._awake = asyncio.Event()
        self._awake.set()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._life: KeptTask | None = None
        self.inline: Callable[[Sequence[Pair]], Sequence[ScoreOrError]] | None = None
        """Answers submissions of up to `BatchLimits.inline_characters`, once there is one."""
        self.state: Literal["starting", "ready", "restarting", "stopping", "stopped"] = "starting"

    def start(self) -> None:
        self.state = "ready"
        self._life = KeptTask("micro-batcher", self._live, self._backoff)

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, finish what is there within `grace_s`, fail the rest with ``shutting_down``."""
        if self.state == "ready":
            self.state = "stopping"
            self._work.set()
            grace_s = grace_s if self._awake.is_set() else 0.0
            if self._inflight:
                self._empty.clear()
                try:
                    async with asyncio.timeout(grace_s):
                        await self._empty.wait()
                except TimeoutError:
                    if grace_s:
                        log.warning("%d pairs unfinished after the grace time", len(self._inflight))
        self.state = "stopped"
        if self._life:
            await self._life.stop()
        self._fail_all("shutting_down", "the service is shutting down")

    async def pause(self) -> None:
        """Begin no further batch; returns when those that have begun are done. What is submitted waits."""
        self._awake.clear()
        await self._idle.wait()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._awake.set()

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        """As `Runner.submit`. What does not fit in the queue fails, the rest of the submission runs."""
        loop = asyncio.get_running_loop()
        futures = [WorkFuture(loop=loop) for _ in pairs]
        now = time.monotonic()
        refusal = self._refusal(deadline - now)
        if refusal:
            for future in futures:
                fail(future, refusal)
            return list(futures)
        if self.inline and characters(pairs, self._limits.inline_characters) <= self._limits.inline_characters:
            for future, result in zip(futures, self.inline(pairs), strict=True):
                settle(future, result)
            return list(futures)
        submission = _Submission(deque())
        # Same reference together and like lengths together: fewer artefacts in use, less padding.
        order = sorted(range(len(pairs)), key=lambda i: (len(p := pairs[i].reference), p, len(pairs[i].candidate)))
        for i in order:
            pair, future = pairs[i], futures[i]
            full = self._full(now)  # first: it may forget the very entry
            entry = self._inflight.get(pair)
            if entry is None or not entry.started:
                if full:
                    fail(future, ComponentError("queue_full", "too many pairs are waiting; retry", retryable=True))
                    continue
                if entry is None:
                    entry = self._inflight[pair] = _Entry(pair, now, [])
                entry.tickets += 1
                self._queued += 1
                submission.tickets.append((entry, future))
            future.started = entry.started
            entry.waiters.append(future)
        if submission.tickets:
            if deadline < math.inf:
                submission.timer = loop.call_later(deadline - now, self._expire, submission)
            self._ring.append(submission)
            self._work.set()
        return list(futures)

    def health(self) -> dict[str, object]:
        return {
            "ready": self.state == "ready",
            "detail": self.state,
            "queue": self._queued,
            "batches": self._batches,
            "mean_batch": self._pairs / self._batches if self._batches else 0.0,
            "restarts": self._life.restarts if self._life else 0,
        }

    def _refusal(self, seconds_left: float) -> ComponentError | None:
        if self.state in ("stopping", "stopped"):
            return ComponentError("shutting_down", "the service is shutting down", retryable=True)
        if self.state != "ready":
            return ComponentError("worker_unavailable", f"the worker is {self.state}", retryable=True)
        if seconds_left <= 0:
            return ComponentError("deadline", "the deadline had passed on arrival", retryable=True)
        return None

    def _full(self, now: float) -> bool:
        if self._queued < self._limits.queue:
            return False
        if now - self._purged > _PURGE_EVERY_S:  # callers that went away must not keep others out
            self._purged = now
            for submission in self._ring:
                live = deque(t for t in submission.tickets if not (t[1].done() and self._drop(t[0])))
                submission.tickets = live
        return self._queued >= self._limits.queue

    def _drop(self, entry: _Entry) -> bool:
        """Account for one ticket leaving the queue; an entry nobody else has queued is forgotten."""
        self._queued -= 1
        entry.tickets -= 1
        if not entry.started and not entry.tickets:
            del self._inflight[entry.pair]
        return True

    def _expire(self, submission: _Submission) -> None:
        for entry, future in submission.tickets:
            if not entry.started:
                fail(future, ComponentError("deadline", "not started before its deadline", retryable=True))
            self._drop(entry)
        submission.tickets.clear()

    def _take(self) -> list[_Entry]:
        """The next batch: from each submission in turn a quantum, or two while the reference stays the same.

        The batch after it begins with the next submission, so that a large group of one reference keeps nobody out.
        """
        batch: list[_Entry] = []
        characters = 0
        while self._ring:
            submission, taken = self._ring[0], 0
            while submission.tickets:
                entry, future = submission.tickets[0]
                if not entry.started and not future.done():
                    size = sum(len(text) for text in entry.pair if text)
                    if batch and (len(batch) == self._limits.pairs or characters + size > self._limits.characters):
                        if taken:
                            self._ring.rotate(-1)
                        return batch
                    same = taken and entry.pair.reference == batch[-1].pair.reference
                    if taken >= (2 * self._quantum if same else self._quantum):
                        break
                    entry.started = True
                    for waiter in entry.waiters:
                        waiter.started = True
                    batch.append(entry)
                    taken += 1
                    characters += size
                submission.tickets.popleft()
                self._drop(entry)
            if submission.tickets:
                self._ring.rotate(-1)
            else:
                self._ring.popleft()
                if submission.timer:
                    submission.timer.cancel()
        return batch

    async def _consume(self) -> None:
        while True:
            await self._awake.wait()
            batch = self._take()
            if not batch:
                if not self._inflight:
                    self._empty.set()
                self._work.clear()
                await self._work.wait()
                continue
            started = time.monotonic()
            self._begin()
            try:
                results = await self._execute([entry.pair for entry in batch])
            finally:
                self._end()
            self._batches += 1
            self._pairs += len(batch)
            self._backoff.reset()
            self._settle(batch, results)
            self._observe("batch_size", len(batch))
            self._observe("compute_s", time.monotonic() - started)
            for entry in batch:
                self._observe("queue_s", started - entry.since)

    def _begin(self) -> None:
        self._busy += 1
        self._idle.clear()

    def _end(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    def _settle(self, batch: list[_Entry], results: Sequence[ScoreOrError]) -> None:
        if len(results) != len(batch):
            wrong = ComponentError("wrong_length", f"{len(results)} results for a batch of {len(batch)}")
            results = [wrong] * len(batch)
        for entry, result in zip(batch, results, strict=True):
            del self._inflight[entry.pair]
            for future in entry.waiters:
                settle(future, result)

    async def _live(self) -> str:
        """One life of the worker: batches, until making one raises; says what."""
        if self.state == "restarting" and self._restart:
            async with asyncio.timeout(_RESTART_S):
                await self._restart()
        self.state = "ready"
        consumers = [asyncio.create_task(self._consume()) for _ in range(self._concurrency)]
        try:
            done, _ = await asyncio.wait(consumers, return_when=asyncio.FIRST_COMPLETED)
            self.state = "restarting"
        finally:
            await end(consumers)
        self._fail_all("worker_died", "the worker died while this pair waited for it")
        return ", ".join("cancellation" if c.cancelled() else type(c.exception()).__name__ for c in done)

    def _fail_all(self, code: str, message: str) -> None:
        for entry in self._inflight.values():
            for future in entry.waiters:
                fail(future, ComponentError(code, message, retryable=True))
        for submission in self._ring:
            if submission.timer:
                submission.timer.cancel()
        self._ring.clear()
        self._inflight.clear()
        self._queued = 0
        self._empty.set()


def settle(future: asyncio.Future[ComponentScore], result: ScoreOrError) -> None:
    """Hand `result` to a waiter that is still there."""
    if isinstance(result, ComponentError):
        fail(future, result)
    elif not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[ComponentScore], error: ComponentError) -> None:
    """Fail a waiter that is still there, each with an exception object of its own."""
    if not future.done():
        future.set_exception(ComponentError(error.code, error.message, retryable=error.retryable))
        future.exception()  # a caller that went away is no news for the log


def characters(pairs: Sequence[Pair], limit: int) -> int:
    """Characters of all texts; stops counting once above `limit`."""
    total = 0
    for pair in pairs:
        total += sum(len(text) for text in pair if text)
        if total > limit:
            break
    return total
