"""One replica of the judge's model: how much it can take, whether it is well, and which references it has seen."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from anyio import CapacityLimiter

from judges.vllm.ways import Way

_REMEMBERED_GROUPS: Final = 4096
_SECONDS_BETWEEN_CUTS: Final = 1.0


class AdaptiveLimit:
    """How many requests at once, following the server: halved when it says "too much", one more per round of successes.

    Halved at most once a second: one overload answers many requests at once.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._cut_at = float("-inf")
        self.value = float(most)
        self.slots = CapacityLimiter(most)
        """First come, first served."""

    def lower(self) -> None:
        now = time.monotonic()
        if now - self._cut_at >= _SECONDS_BETWEEN_CUTS:
            self._cut_at = now
            self._set(max(1.0, self.value / 2))

    def raise_(self) -> None:
        self._set(min(self._most, self.value + 1.0 / self.value))

    def _set(self, value: float) -> None:
        self.value = value
        self.slots.total_tokens = int(value)


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

    def worded(self, body: bytes) -> bytes:
        """A request as this server understands it."""
        return self.way.word(body) if self.way else body

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


def by_preference(servers: Iterable[JudgeServer], group: str) -> list[JudgeServer]:
    """Rendezvous hashing: every group has its own order, and a server that leaves moves only its own groups."""
    return sorted(servers, key=lambda s: hashlib.blake2b(f"{group} {s.url}".encode(), digest_size=8).digest())
