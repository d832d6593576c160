"""One replica of the judge's model: how much it can take, whether it is well, and which references it has seen."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from judges.vllm.ways import Way

_REMEMBERED_GROUPS: Final = 4096
_SECONDS_BETWEEN_CUTS: Final = 1.0


class Slots:
    """How many may be inside at once. Of those that wait the lowest rank goes first, then who came first."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def hold(self, rank: int) -> AsyncIterator[None]:
        if self.taken < self.total:  # then nobody waits
            self.taken += 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._left()

    def resize(self, total: int) -> None:
        self.total = total
        self._admit()

    async def _wait(self, rank: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._numbers), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was let in before it could give up
                self._left()
            raise

    def _left(self) -> None:
        self.taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.taken < self.total:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():  # else who waited has given up
                self.taken += 1
                turn.set_result(None)


@dataclass(slots=True)
class _Group:
    """Requests that share a prefix."""

    rank: int
    """When it came, among the groups; anew whenever none of its requests is left."""
    warm: asyncio.Event
    """Set once its first request is done."""
    here: int = 0
    """Requests that wait or run."""


class AdaptiveLimit:
    """How many requests at once, following the server: halved when it says "too much", one more per round of successes.

    Halved at most once a second: one overload answers many requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._cut_at = float("-inf")
        self.value = float(most)
        self.slots = Slots(most)

    def lower(self) -> None:
        now = time.monotonic()
        if now - self._cut_at >= _SECONDS_BETWEEN_CUTS:
            self._cut_at = now
            self._set(max(1.0, self.value / 2))

    def raise_(self) -> None:
        self._set(min(self._most, self.value + 1.0 / self.value))

    def _set(self, value: float) -> None:
        self.value = value
        self.slots.resize(int(value))


class JudgeServer:
    """A replica behind one base URL, with its limit, its circuit breaker and the groups whose prefix it holds.

    The breaker is closed while `well`. After `failures` failures in a row it opens, and only a passed self-test
    closes it: a server that was restarted may have come back with other flags or another model.
    """

    def __init__(self, url: str, *, concurrency: int, failures: int) -> None:
        url = url.rstrip("/")
        self.url = url if url.endswith("/v1") else f"{url}/v1"
        self.limit = AdaptiveLimit(concurrency)
        self.well = False
        self.problem = "not tested yet"
        self.misconfigured = False
        self.way: Way | None = None
        """How it is told to keep to a schema; the self-test finds out, where the protocol has a schema."""
        self.down = asyncio.Event()
        """Set while the breaker is open; whoever probes waits for it."""
        self.down.set()
        self._failures_allowed = failures
        self._failures = 0
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._ranks = itertools.count()

    def succeeded(self) -> None:
        self._failures = 0
        self.limit.raise_()

    def failed(self, problem: str) -> None:
        self._failures += 1
        if self.well and self._failures >= self._failures_allowed:
            self.open(problem)

    def open(self, problem: str, *, misconfigured: bool = False) -> None:
        """Opens the breaker: no request until a self-test has passed."""
        self.well, self.problem, self.misconfigured = False, problem, misconfigured
        self.down.set()

    def close(self) -> None:
        """Closes the breaker. What the server's prefix cache held may be gone."""
        self.well, self.problem, self.misconfigured, self._failures = True, "", False, 0
        self._groups.clear()
        self.down.clear()

    def worded(self, body: bytes) -> bytes:
        """A request as this server understands it."""
        return self.way.word(body) if self.way else body

    @asynccontextmanager
    async def turn(self, group: str) -> AsyncIterator[int]:
        """Lets the first request of a group go alone; the others follow when it is done, on a warm prefix.

        Gives the group's rank for `Slots`. A group that has begun comes before those that have not: else, with more
        groups than slots, all first requests would go before the others, and push their prefix out of the cache.
        """
        known = self._groups.get(group)
        one = known or self._groups.setdefault(group, _Group(next(self._ranks), asyncio.Event()))
        if not one.here:
            one.rank = next(self._ranks)
        one.here += 1
        try:
            if known:
                await one.warm.wait()
                yield one.rank
            else:
                if len(self._groups) > _REMEMBERED_GROUPS:
                    self._groups.popitem(last=False)
                yield one.rank
        finally:
            one.here -= 1
            one.warm.set()  # also after a failure: sixteen failures in a row would take sixteen times as long


def by_preference(servers: Iterable[JudgeServer], group: str) -> list[JudgeServer]:
    """Rendezvous hashing: every group has its own order, and a server that leaves moves only its own groups."""
    return sorted(servers, key=lambda s: hashlib.blake2b(f"{group} {s.url}".encode(), digest_size=8).digest())
