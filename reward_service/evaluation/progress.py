"""How far a long command is: rows, rows per second, time left, nulls."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

_EVERY_S = 0.5
_SIGN_S = 1.0


class Waiting:
    """A sign of life on a terminal while something takes long and cannot say how long: what it is, and the seconds.

    It comes from a thread, for the import of a library holds up an event loop. Nothing is written where stderr is no
    terminal.
    """

    def __init__(self, what: str, out: TextIO | None = None) -> None:
        self._what, self._out = what, out or sys.stderr
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="reward-service-waiting", daemon=True)
        self._started = time.monotonic()
        if self._out.isatty():
            self._thread.start()

    def _tell(self) -> None:
        while not self._ended.wait(_SIGN_S):
            self._out.write(f"\r\x1b[K{self._what}, {time.monotonic() - self._started:.0f} s")
            self._out.flush()

    def end(self) -> None:
        """Take the sign away; may be called again."""
        if self._thread.is_alive() and not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            self._out.write("\r\x1b[K")
            self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Progress:
    """Keeps one line of a terminal up to date; writes nothing where stderr is no terminal.

    Until the first rows are done it says that models are loaded. Use it as a context manager.
    """

    def __init__(self, total: int, done: int = 0, out: TextIO | None = None, until: str = "loading models") -> None:
        self._out = out or sys.stderr
        self._shown = self._out.isatty()
        self._total, self._first = total, done
        self._started = self._last = time.monotonic()
        self._waiting = Waiting(until, self._out)

    def update(self, done: int, nulls: int) -> None:
        """Called as often as one likes."""
        self._waiting.end()
        now = time.monotonic()
        if self._shown and (now - self._last >= _EVERY_S or done == self._total):
            self._last = now
            self._out.write(f"\r\x1b[K{text(done, self._total, nulls, done - self._first, now - self._started)}")
            self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the line."""
        self._waiting.end()
        if self._shown and kind is None:
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
