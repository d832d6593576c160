"""Keeps running what may die, tasks and processes alike: one back-off, one count, one log line.

Whatever is kept lives, ends for some reason, and after a pause lives again, until it is stopped. Pauses double
while lives are short of being well, and begin anew after one that was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog

from reward_service.tasks import end

log = structlog.get_logger("reward_service.supervision")

ALIVE = "alive"
"""What a process with `Job.hang_s` reports again and again."""

_HELD = {signal.SIGINT, signal.SIGHUP}
"""What a process gets only once it has said what is to become of it."""
_BACKOFF_S = (0.5, 10.0)
_WELL_S = 30.0  # a process that lived this long was well
_FIRST_SIGN_S = 600.0  # for starting and loading


class Backoff:
    """Pauses between attempts: the first one, then twice the last one up to the most, until `reset`."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s = first_s

    def pause_s(self) -> float:
        """Seconds to wait before the next attempt."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self._most_s)
        return pause_s

    def reset(self) -> None:
        """An attempt went well: the next pause is the first again."""
        self._next_s = self._first_s


class KeptTask:
    """Runs `life` on this event loop, again whenever it has ended, until `stop`."""

    def __init__(self, name: str, life: Callable[[], Awaitable[str | None]], backoff: Backoff) -> None:
        """`life` says why it ended, or None where that is no news. An exception is a reason, named by its type.

        `backoff` is for `life` to reset.
        """
        self._name = name
        self._life = life
        self._backoff = backoff
        self.restarts = 0
        """Ends for a reason, so far."""
        self._last = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def stop(self, within_s: float = 0.0) -> None:
        """Give the life that is being lived `within_s` to end by itself; none follows it."""
        self._last = True
        if within_s:
            await asyncio.wait([self._task], timeout=within_s)
        await end([self._task])

    async def _run(self) -> None:
        while True:
            try:
                reason = await self._life()
            except Exception as error:
                reason = type(error).__name__
            if self._last:
                return
            pause_s = self._backoff.pause_s()
            if reason:
                self.restarts += 1
                log.error("restarting", what=self._name, reason=reason, again_in_s=pause_s)
            await asyncio.sleep(pause_s)


class Job(NamedTuple):
    """What a process runs: ``function(*arguments, report)``. ``report(event, detail="")`` tells its supervisor."""

    name: str
    """Of the process, as `ps` and `top` show it; 15 characters at most."""
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    descriptors: tuple[int, ...] = ()
    """Files that the process gets under the same numbers."""
    stop_signal: int = signal.SIGTERM
    """Ends the process well. It is also what the process gets when its supervisor is gone."""
    hang_s: float | None = None
    """A process that has not reported `ALIVE` for so long is killed; ten minutes are allowed before its first."""


class KeptProcess:
    """Keeps a process of `job` running. It ends when this process does, however that ends."""

    def __init__(self, job: Job, on_event: Callable[[str, str], None] = lambda event, detail: None) -> None:
        """`on_event` gets what the process reports, and ``ended`` with its id."""
        self._job = job
        self._on_event = on_event
        self._backoff = Backoff(*_BACKOFF_S)
        self._process: Process | None = None
        self._kept = KeptTask(job.name, self._live, self._backoff)

    @property
    def restarts(self) -> int:
        """How often the process has been replaced."""
        return self._kept.restarts

    def send(self, number: int) -> None:
        """Pass on a signal that does not end the process."""
        if self._process is not None:
            _send(self._process, number)

    async def stop(self, within_s: float, number: int | None = None) -> bool:
        """End the process with its stop signal, or signal `number`; one that has not ended in time is killed.

        Returns whether it ended well by itself.
        """
        number = number or self._job.stop_signal
        process = self._process
        if process is None:
            await self._kept.stop()
            return True
        _send(process, number)
        await self._kept.stop(within_s)
        if process.returncode == -signal.SIGKILL:
            log.error("process_killed", process=self._job.name, pid=process.pid, after_s=within_s)
        return process.returncode in (0, -number)  # the latter: before it listened to that signal

    async def _live(self) -> str:
        """One process, from its start to its end; says how it ended."""
        began, patience_s = time.monotonic(), self._job.hang_s and _FIRST_SIGN_S
        program = f"import sys; sys.path[:] = {sys.path!r}; from reward_service.supervision import main; main()"
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)  # the process begins with the same mask
        try:
            start = asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", program, stdin=PIPE, stdout=PIPE, pass_fds=self._job.descriptors,
                process_group=0,  # Ctrl-C in a terminal reaches the supervisor alone, which passes it on
            )  # fmt: skip
            self._process = process = await start
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert process.stdin is not None
        assert process.stdout is not None
        reason = "it died"
        try:
            process.stdin.write(pickle.dumps(self._job))
            while True:
                async with asyncio.timeout(patience_s):
                    line = await process.stdout.readline()
                if not line:
                    break
                event, detail = orjson.loads(line)
                if event == ALIVE:
                    patience_s = self._job.hang_s
                else:
                    self._on_event(event, detail)
        except TimeoutError:
            reason = "it shows no sign of life"
        finally:
            _send(process, signal.SIGKILL)
            await process.wait()
            self._process = None
            self._on_event("ended", str(process.pid))
        if time.monotonic() - began > _WELL_S:
            self._backoff.reset()
        return f"{reason} (process {process.pid}, status {process.returncode})"


def _send(process: Process, number: int) -> None:
    """Not with `Process.send_signal`, which asks for the status of a process that is ending and so takes it away."""
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            os.kill(process.pid, number)


def main() -> None:
    """Entry point of each process: the pickled `Job` on standard input, events on what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    reports = os.dup(1)
    os.set_blocking(reports, False)
    os.dup2(2, 1)  # what libraries print must not look like an event
    job: Job = pickle.load(sys.stdin.buffer)
    with contextlib.suppress(OSError):  # where there is no /proc
        Path("/proc/self/comm").write_text(job.name)

    def end_with_supervisor() -> None:
        os.read(0, 1)  # nothing more is ever sent
        os.kill(os.getpid(), job.stop_signal)

    def report(event: str, detail: str = "") -> None:
        with contextlib.suppress(OSError):
            os.write(reports, orjson.dumps((event, detail), option=orjson.OPT_APPEND_NEWLINE))

    threading.Thread(target=end_with_supervisor, daemon=True).start()
    job.function(*job.arguments, report)
