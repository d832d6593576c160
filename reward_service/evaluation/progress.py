"""How far a long command is: rows, rows per second, time left, nulls."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_EVERY_S = 0.5


class Progress:
    """Keeps one line of a terminal up to date; writes nothing where stderr is no terminal."""

    def __init__(self, total: int, done: int = 0, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._shown = self._out.isatty()
        self._total, self._first = total, done
        self._started = self._last = time.monotonic()

    def update(self, done: int, nulls: int) -> None:
        """Called as often as one likes."""
        now = time.monotonic()
        if self._shown and (now - self._last >= _EVERY_S or done == self._total):
            self._last = now
            self._out.write(f"\r\x1b[K{text(done, self._total, nulls, done - self._first, now - self._started)}")
            self._out.flush()

    def close(self) -> None:
        """End the line."""
        if self._shown:
            self._out.write("\n")


def text(done: int, total: int, nulls: int, scored: int, seconds: float) -> str:
    """One line of progress; `scored` of the rows were done in `seconds`, the others in an earlier run."""
    speed = scored / seconds if seconds > 0 else 0.0
    left = f"{_clock((total - done) / speed)} left" if speed else "time left unknown"
    return f"{done:,}/{total:,} rows, {speed:,.0f} rows/s, {left}, {nulls:,} null"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
