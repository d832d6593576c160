"""How many pairs may be in work at once, and in which order those who wait come in."""

from __future__ import annotations

import asyncio
from collections import deque


class Admission:
    """Room for `limit` pairs, first come, first served.

    A request larger than the limit is let in when nothing else is.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.admitted = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def fits(self, count: int) -> bool:
        """Whether there is room now, and nobody before in the queue."""
        return not self.admitted or (not self._waiting and self.admitted + count <= self.limit)

    async def enter(self, count: int) -> None:
        """Take the room, once there is some: whoever leaves gives it on, so nobody wakes up for nothing."""
        if self.fits(count):
            self.admitted += count
            return
        turn = asyncio.get_running_loop().create_future()
        entry = count, turn
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            came = not turn.cancelled()  # in the very moment of the cancellation
            if entry in self._waiting:
                self._waiting.remove(entry)  # else it would keep out who comes after it
            self.leave(count if came else 0)
            raise

    def leave(self, count: int) -> None:
        """Give the room back, and on to those whose turn it is."""
        self.admitted -= count
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and self.admitted and self.admitted + wanted > self.limit:
                return
            self._waiting.popleft()
            if not turn.done():
                self.admitted += wanted
                turn.set_result(None)
