"""Single-flight: a pair that is being computed is never computed a second time beside it.

Requests that need the same key share one flight, also with a retry after a hang-up and, through the
cache's claims, with other processes. A flight that nobody awaits any more is dropped after a grace time
if its work has not started; started work finishes and is cached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from reward_service.caching.base import CacheKey, ScoreCache
from reward_service.contracts import ComponentError, ComponentScore, Pair, Runner
from reward_service.tasks import end

_DEADLINE = "deadline"
_NO_ROOM = (
    "A verdict that cannot be kept is not given out: memory for verdicts is used up. Set REWARD_CACHE_URL to a Redis, "
    "or raise REWARD_CACHE_MEMORY_BYTES."
)


class WantedScore(NamedTuple):
    """One pair that one component is to score."""

    key: CacheKey
    pair: Pair
    runner: Runner
    permanent: bool = False
    """Whether its score never expires from the cache."""


class FinishedScore(NamedTuple):
    """What became of it, and when (`time.perf_counter()`)."""

    score: ComponentScore | ComponentError
    at: float


class _Flight:
    """One key being computed: who waits for it, and what will resolve it."""

    __slots__ = ("deadline", "ended", "future", "grace", "key", "pair", "permanent", "runner", "waiters", "work")

    def __init__(self, wanted: WantedScore, deadline: float) -> None:
        self.key, self.pair, self.runner, self.permanent = wanted
        self.deadline = deadline
        self.ended = 0.0
        self.future: asyncio.Future[ComponentScore] = asyncio.get_running_loop().create_future()
        self.waiters = 0
        self.grace: asyncio.TimerHandle | None = None
        self.work: asyncio.Future[Any] | None = None
        """The runner's future, or the task that waits for another process; None while claiming."""


class SingleFlight:
    """All flights of one process, over all components (a key names its component)."""

    def __init__(self, cache: ScoreCache, *, orphan_grace_s: float) -> None:
        self._cache = cache
        self._grace_s = orphan_grace_s
        self._flights: dict[CacheKey, _Flight] = {}
        self._finished: list[tuple[_Flight, ComponentScore]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = {"started": 0, "joined": 0, "orphaned": 0}

    async def run(self, wanted: Sequence[WantedScore], deadline: float) -> list[FinishedScore]:
        """The score, or why there is none, of each; new scores are cached.

        Look the keys up in the cache before, this computes. Never later than `deadline`
        (`time.monotonic()`): what is unfinished then fails with code ``deadline``. Cancelling this
        coroutine gives up its interest in all of them.
        """
        results: list[FinishedScore | None] = [None] * len(wanted)
        todo: Sequence[int] = range(len(wanted))
        while todo:
            flights = self._join([wanted[i] for i in todo], deadline)
            try:
                await asyncio.wait({f.future for f in flights}, timeout=max(0.0, deadline - time.monotonic()))
            finally:
                for flight in flights:
                    self._leave(flight)
            again = []
            for i, flight in zip(todo, flights, strict=True):
                if flight.future.done():
                    score = _settled(flight.future)
                    results[i] = FinishedScore(score, flight.ended)
                    # We had joined a more impatient request's flight, and still have time.
                    if _is_late(score, flight) and flight.deadline < deadline:
                        again.append(i)
            todo = again if time.monotonic() < deadline else ()
        return [finished or FinishedScore(_late(), time.perf_counter()) for finished in results]

    def stats(self) -> dict[str, int]:
        """Flights `running` now; ever `started`, `joined` (work saved) and `orphaned` (dropped unstarted)."""
        return {"running": len(self._flights), **self._counts}

    async def aclose(self) -> None:
        """Fail what is left. Drain requests and stop the runners first."""
        for flight in list(self._flights.values()):
            if flight.work is not None:
                flight.work.cancel()
            self._fail(flight, ComponentError("shutting_down", "the service is shutting down", retryable=True))
        await end(self._tasks)

    # -- waiters ---------------------------------------------------------------------------------

    def _join(self, wanted: Sequence[WantedScore], deadline: float) -> list[_Flight]:
        joined, new = [], []
        for one in wanted:
            flight = self._flights.get(one.key)
            if flight is None:
                flight = self._flights[one.key] = _Flight(one, deadline)
                new.append(flight)
            else:
                self._counts["joined"] += 1
                if flight.grace is not None:
                    flight.grace.cancel()
                    flight.grace = None
            flight.waiters += 1
            joined.append(flight)
        if new:
            self._counts["started"] += len(new)
            self._spawn(self._claim_and_start(new))
        return joined

    def _leave(self, flight: _Flight) -> None:
        flight.waiters -= 1
        if flight.waiters == 0 and not flight.future.done():
            flight.grace = asyncio.get_running_loop().call_later(self._grace_s, self._abandon, flight)

    def _abandon(self, flight: _Flight) -> None:
        flight.grace = None
        if flight.future.done():
            return
        if flight.work is None:  # still claiming: look again later
            flight.grace = asyncio.get_running_loop().call_later(self._grace_s + 0.1, self._abandon, flight)
        elif flight.work.cancel():
            self._counts["orphaned"] += 1
            self._fail(flight, ComponentError("cancelled", "nobody waited for this score any more", retryable=True))

    # -- work ------------------------------------------------------------------------------------

    async def _claim_and_start(self, flights: list[_Flight]) -> None:
        """Compute what this process may claim; wait for the other processes with the rest."""
        try:
            mine = await self._cache.claim([flight.key for flight in flights])
        except Exception as error:
            for flight in flights:
                self._fail(flight, _component_error(error))
            raise
        for flight in flights:
            if flight.key not in mine and not flight.future.done():
                flight.work = self._spawn(self._await_other_process(flight))
        self._submit([flight for flight in flights if flight.key in mine])

    async def _await_other_process(self, flight: _Flight) -> None:
        try:
            while (score := await self._cache.wait(flight.key, flight.deadline)) is None:
                if time.monotonic() >= flight.deadline:
                    self._fail(flight, _late())
                    return
                if await self._cache.claim([flight.key]):  # the other process failed or died
                    self._submit([flight])
                    return
        except Exception as error:
            self._fail(flight, _component_error(error))
            raise
        self._deliver(flight, score)

    def _submit(self, flights: list[_Flight]) -> None:
        """To each runner, its pairs at once."""
        by_runner: dict[int, list[_Flight]] = {}
        for flight in flights:
            if not flight.future.done():
                by_runner.setdefault(id(flight.runner), []).append(flight)
        for share in by_runner.values():
            runner = share[0].runner
            try:
                futures = runner.submit([flight.pair for flight in share], max(flight.deadline for flight in share))
                for flight, work in zip(share, futures, strict=True):
                    flight.work = work
                    work.add_done_callback(self._when_done(flight))
            except Exception as error:
                for flight in share:
                    self._fail(flight, _component_error(error))

    def _when_done(self, flight: _Flight) -> Callable[[asyncio.Future[ComponentScore]], None]:
        def done(work: asyncio.Future[ComponentScore]) -> None:
            score = _settled(work)
            if isinstance(score, ComponentError):
                if not flight.future.done():
                    self._fail(flight, score)
                return
            self._finished.append((flight, score))
            if len(self._finished) == 1:  # one write for all that land in this turn of the event loop
                self._spawn(self._store())

        return done

    async def _store(self) -> None:
        """Cache what has finished, then deliver it: in between, the flight still catches newcomers."""
        finished, self._finished = self._finished, []
        try:
            for permanent in (False, True):
                part = [entry for entry in finished if entry[0].permanent is permanent]
                for flight, score in await self._stored(part, permanent):
                    self._deliver(flight, score)
        finally:
            for flight, score in finished:  # a cache that fails may cost the memory of a score, never the score
                if not flight.future.done():
                    self._deliver(flight, score)

    async def _stored(
        self, part: list[tuple[_Flight, ComponentScore]], permanent: bool
    ) -> list[tuple[_Flight, ComponentScore]]:
        """`part` with the scores that stay: of a permanent one, another process's if that was first."""
        if not part:
            return []
        refused = await self._cache.put_many([(flight.key, score) for flight, score in part], permanent=permanent)
        for flight in [flight for flight, _ in part if flight.key in refused]:
            self._fail(flight, ComponentError("no_room_for_verdict", _NO_ROOM))
        part = [(flight, score) for flight, score in part if flight.key not in refused]
        if not permanent:
            return part
        kept = await self._cache.get_many([flight.key for flight, _ in part])
        return [(flight, stored or own) for (flight, own), stored in zip(part, kept, strict=True)]

    def _deliver(self, flight: _Flight, score: ComponentScore) -> None:
        self._forget(flight)
        if not flight.future.done():
            flight.future.set_result(score)

    def _fail(self, flight: _Flight, error: ComponentError) -> None:
        self._forget(flight)
        self._spawn(self._cache.release([flight.key]))  # a claim that is not ours is left alone
        if not flight.future.done():
            flight.future.set_exception(error)
            flight.future.exception()  # retrieved: it is data, also when every waiter has left

    def _forget(self, flight: _Flight) -> None:
        flight.ended = time.perf_counter()
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if flight.grace is not None:
            flight.grace.cancel()

    def _spawn(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _late() -> ComponentError:
    return ComponentError(_DEADLINE, "not finished by the request's deadline", retryable=True)


def _is_late(score: ComponentScore | ComponentError, flight: _Flight) -> bool:
    """Whether it failed for want of time: a judge has its own words for that."""
    if not isinstance(score, ComponentError):
        return False
    return score.code == _DEADLINE or (score.retryable and time.monotonic() >= flight.deadline)


def _settled(future: asyncio.Future[ComponentScore]) -> ComponentScore | ComponentError:
    """The result of a finished future; any failure as a `ComponentError` (and marked as retrieved)."""
    if future.cancelled():
        return ComponentError("cancelled", "the computation was cancelled", retryable=True)
    error = future.exception()
    return future.result() if error is None else _component_error(error)


def _component_error(error: BaseException) -> ComponentError:
    if isinstance(error, ComponentError):
        return error
    # Only the type: a foreign exception's message may quote the texts.
    return ComponentError("internal_error", f"the component raised {type(error).__name__}")
