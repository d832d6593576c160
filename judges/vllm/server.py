"""One replica of the judge's model: how much it can take, whether it is well, and which references it has seen."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

_REMEMBERED_GROUPS: Final = 4096
_SECONDS_BETWEEN_CUTS: Final = 1.0


class AdaptiveLimit:
    """A semaphore whose size follows the server: halved when it says "too much", raised by one per round of successes.

    First come, first served. Halved at most once a second: one overload answers many requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self.value = float(most)
        self.busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = float("-inf")

    async def __aenter__(self) -> None:
        if self.busy < int(self.value) and not self._waiting:
            self.busy += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()  # the turn came in the very moment of the cancellation
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        self.busy -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.busy < int(self.value):
            turn = self._waiting.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)

    def lower(self) -> None:
        now = time.monotonic()
        if now - self._cut_at >= _SECONDS_BETWEEN_CUTS:
            self._cut_at = now
            self.value = max(1.0, self.value / 2)

    def raise_(self) -> None:
        self.value = min(self._most, self.value + 1.0 / self.value)
        self._admit()


class Server:
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
        self.down = asyncio.Event()
        """Set while the breaker is open; whoever probes waits for it."""
        self.down.set()
        self._failures_allowed = failures
        self._failures = 0
        self._groups: OrderedDict[str, asyncio.Event] = OrderedDict()

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

    @asynccontextmanager
    async def turn(self, group: str) -> AsyncIterator[None]:
        """Lets the first request of a group go alone; the others follow when it is done, on a warm prefix."""
        gate = self._groups.get(group)
        if gate is None:
            gate = self._groups[group] = asyncio.Event()
            if len(self._groups) > _REMEMBERED_GROUPS:
                self._groups.popitem(last=False)
            try:
                yield
            finally:
                gate.set()  # also after a failure: sixteen failures in a row would take sixteen times as long
        else:
            await gate.wait()
            yield


def by_preference(servers: Iterable[Server], group: str) -> list[Server]:
    """Rendezvous hashing: every group has its own order, and a server that leaves moves only its own groups."""
    return sorted(servers, key=lambda s: hashlib.blake2b(f"{group} {s.url}".encode(), digest_size=8).digest())
