"""Keeps running what may die: one back-off, one count and one log line for tasks and for processes.

Whatever is kept lives, ends for some reason, and after a pause lives again, until it is stopped. Pauses double
while lives are short of being well, and begin anew after one that was.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from reward_service.tasks import end

log = structlog.get_logger("reward_service.supervision")

ALIVE = "alive"
"""What a process with `Job.hang_s` reports again and again."""

_BACKOFF_S = (0.5, 10.0)
_WELL_S = 30.0  # a process that lived this long was well
_FIRST_SIGN_S = 600.0  # for starting and loading
_EXIT_S = 5.0  # between a process's last word and its end


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
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def stop(self) -> None:
        await end([self._task])

    async def _run(self) -> None:
        while True:
            try:
                reason = await self._life()
            except Exception as error:
                reason = type(error).__name__
            pause_s = self._backoff.pause_s()
            if reason:
                self.restarts += 1
                log.error("restarting", task=self._name, reason=reason, again_in_s=pause_s)
            await asyncio.sleep(pause_s)


class Job(NamedTuple):
    """What a process runs: ``function(*arguments, report)``. ``report(event, detail="")`` tells its supervisor."""

    name: str
    """Of the process, as `ps` and `top` show it; 15 characters at most."""
    function: Callable[..., None]
    arguments: tuple[Any, ...]
    stop_signal: int = signal.SIGTERM
    """Ends the process well. It is also what the process gets when its supervisor is gone."""
    hang_s: float = math.inf
    """A process that has not reported `ALIVE` for so long is killed; ten minutes are allowed before its first."""


class ProcessSupervisor:
    """Keeps one process of each job running. All of them end when this process does, however it ends.

    It has no thread of its own: whoever owns it calls `tend` in a loop.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._kept = [_KeptProcess(job) for job in jobs]

    @property
    def restarts(self) -> int:
        """How often a process has been replaced."""
        return sum(kept.restarts for kept in self._kept)

    def tend(self, *wakers: Any, within_s: float = math.inf) -> list[tuple[str, str]]:
        """Start what is due, kill what hangs, and wait for news: events with details, as processes report them.

        That a process has ended is the event ``ended`` with its id. Returns after `within_s` at the latest, and when
        one of `wakers` (sockets) can be read.
        """
        now = time.monotonic()
        for kept in self._kept:
            if kept.due <= now:
                kept.act()
        timeout_s = max(0.0, min(within_s, *(kept.due - now for kept in self._kept)))
        channels = {kept.channel: kept for kept in self._kept if kept.process}
        readable = connection.wait([*wakers, *channels], None if timeout_s == math.inf else timeout_s)
        return [news for channel in readable if channel in channels for news in channels[channel].hear()]

    def stop(self, name: str, within_s: float, number: int | None = None) -> bool:
        """End the processes of that name with their stop signal, or signal `number`; the others are kept meanwhile.

        Who has not ended in time is killed. Returns whether all ended well by themselves.
        """
        leaving = [kept for kept in self._kept if kept.job.name == name]
        for kept in leaving:
            kept.leave(number or kept.job.stop_signal)
        by = time.monotonic() + within_s
        while any(kept.process for kept in leaving) and (left_s := by - time.monotonic()) > 0:
            self.tend(within_s=left_s)
        for kept in leaving:
            if kept.process:
                log.error("process_killed", process=name, pid=kept.process.pid, after_s=within_s)
                kept.bury()
        return all(kept.ended_well for kept in leaving)


class _KeptProcess:
    """The process of one job, and those that replace it."""

    process: SpawnProcess | None = None
    channel: connection.Connection
    restarts = 0
    due = 0.0
    """When to `act`: to start a process where there is none, to kill the one that is not heard of."""
    ended_well = True
    _began = 0.0
    _told: int | None = None

    def __init__(self, job: Job) -> None:
        self.job = job
        self._backoff = Backoff(*_BACKOFF_S)

    def act(self) -> None:
        """Do what is due."""
        if self.process:
            log.error("process_hangs", process=self.job.name, pid=self.process.pid)
            self.bury()
            return
        context = multiprocessing.get_context("spawn")
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=_run_job, args=(self.job, theirs))
        self.process.start()
        theirs.close()
        self._began = time.monotonic()
        self.due = math.inf if self.job.hang_s == math.inf else self._began + _FIRST_SIGN_S

    def hear(self) -> list[tuple[str, str]]:
        """What the process says, or that it has ended."""
        assert self.process is not None
        try:
            event, detail = self.channel.recv()
        except (EOFError, OSError):  # it is gone, however it went: the other end was its own
            pid = self.process.pid
            self.process.join(_EXIT_S)
            self.bury()
            return [("ended", str(pid))]
        if event != ALIVE:
            return [(event, detail)]
        if self._told is None:
            self.due = time.monotonic() + self.job.hang_s
        return []

    def leave(self, number: int) -> None:
        """Send the signal `number`; nothing follows this process."""
        self._told = number
        self.due = math.inf
        if self.process and self.process.exitcode is None:
            os.kill(self.process.pid or 0, number)

    def bury(self) -> None:
        """Kill the process if it still runs, and have another one started unless it was told to leave."""
        assert self.process is not None
        process, self.process = self.process, None
        process.kill()
        process.join(_EXIT_S)
        self.channel.close()
        if self._told is not None:
            self.ended_well = process.exitcode in (0, -self._told)  # the latter: before it listened to that signal
            return
        if time.monotonic() - self._began > _WELL_S:
            self._backoff.reset()
        pause_s = self._backoff.pause_s()
        self.due = time.monotonic() + pause_s
        self.restarts += 1
        log.error("process_died", process=self.job.name, pid=process.pid, status=process.exitcode, again_in_s=pause_s)


def _run_job(job: Job, channel: connection.Connection) -> None:
    """The body of each process."""
    with contextlib.suppress(OSError):  # where there is no /proc
        Path("/proc/self/comm").write_text(job.name)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()  # Ctrl-C in a terminal reaches the supervisor alone, which passes it on
    end_with_parent(job.stop_signal)

    def report(event: str, detail: str = "") -> None:
        with contextlib.suppress(OSError):
            channel.send((event, detail))

    job.function(*job.arguments, report)


def end_with_parent(number: int) -> None:
    """Send the signal `number` to this process, one that `multiprocessing` started, when its parent is gone."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()
