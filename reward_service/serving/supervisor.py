"""Keeps several HTTP processes running on one listening socket.

One that dies is replaced, with a back-off; one that cannot start, before any has, ends the service with the
reason, because starting it again and again would not mend a setting. They end when their supervisor does.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import structlog
from prometheus_client import multiprocess

from reward_service.errors import ConfigurationError, ServiceError
from reward_service.observability.logs import described

log = structlog.get_logger("reward_service.serving.supervisor")

_BACKOFF_S = (0.5, 10.0)
_HEALTHY_S = 30.0  # one that lived this long is replaced without a longer pause
_CANNOT_START = 3


class Job(NamedTuple):
    """What each process runs: ``function(*arguments, report)``, with ``report("up")`` and ``report("ready")``."""

    function: Callable[..., None]
    arguments: tuple[Any, ...]


class _Child(NamedTuple):
    process: Any
    channel: Connection
    began: float


def supervise(count: int, job: Job, *, grace_s: float, on_up: Callable[[], None], on_stop: Callable[[], None]) -> int:
    """Run until SIGTERM or SIGINT. Returns 0 when every process ended well by itself, else 1.

    Raises `ConfigurationError` when a process cannot start. `on_up` is called when the first one serves,
    `on_stop` when the end begins.
    """
    with _wake_on_signals() as (signals, received):
        keeper = _Keeper(count, job)
        try:
            while not received:
                keeper.tend(signals)
                if keeper.up and on_up is not None:
                    on_up()
                    on_up = lambda: None  # noqa: E731
        except ConfigurationError:
            on_stop()
            keeper.stop(signal.SIGTERM, 5.0)
            raise
        on_stop()
        return keeper.stop(received[0], grace_s + 5.0)


class _Keeper:
    def __init__(self, count: int, job: Job) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._job = job
        self._children: list[_Child] = []
        self._due = [0.0] * count  # when each missing process is to be started
        self._pause = _BACKOFF_S[0]
        self.up = self._ready = False

    def tend(self, signals: socket.socket) -> None:
        """Start what is due, wait for news, replace who has died. Raises `ConfigurationError`."""
        now = time.monotonic()
        due = [at for at in self._due if at <= now]
        self._due = [at for at in self._due if at > now]
        self._children += [self._start() for _ in due]
        waited = max(0.0, min(self._due) - now) if self._due else None
        channels = {child.channel: child for child in self._children}
        for news in multiprocessing.connection.wait([signals, *channels], waited):
            if child := channels.get(news):  # type: ignore[call-overload]
                self._hear(child)

    def _hear(self, child: _Child) -> None:
        try:
            event, detail = child.channel.recv()
        except (EOFError, OSError):  # it is gone, however it went: the other end was its own
            self._bury(child)
            return
        if event == "failed" and not self._ready:
            raise ConfigurationError(detail)
        self.up = self.up or event == "up"
        self._ready = self._ready or event == "ready"

    def _bury(self, child: _Child) -> None:
        child.process.join()
        child.channel.close()
        self._children.remove(child)
        multiprocess.mark_process_dead(child.process.pid)  # type: ignore[no-untyped-call]
        lived = time.monotonic() - child.began
        self._pause = _BACKOFF_S[0] if lived > _HEALTHY_S else min(2 * self._pause, _BACKOFF_S[1])
        log.error("http_process_died", pid=child.process.pid, status=child.process.exitcode, again_in_s=self._pause)
        self._due.append(time.monotonic() + self._pause)

    def _start(self) -> _Child:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_child, args=(self._job, theirs), name="reward-http")
        process.start()
        theirs.close()
        return _Child(process, ours, time.monotonic())

    def stop(self, number: int, within_s: float) -> int:
        """Pass the signal on and wait; who has not ended by then is killed."""
        end = time.monotonic() + within_s
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.process.pid, number)
        status = 0
        for child in self._children:
            child.process.join(max(0.0, end - time.monotonic()))
            if child.process.exitcode is None:
                log.error("http_process_killed", pid=child.process.pid, after_s=within_s)
                child.process.kill()
                child.process.join()
            if child.process.exitcode not in (0, -number):  # the latter: it had not begun to serve
                status = 1
        return status


@contextlib.contextmanager
def _wake_on_signals() -> Iterator[tuple[socket.socket, list[int]]]:
    """A socket that becomes readable on SIGTERM and SIGINT, and the list of those that came."""
    received: list[int] = []
    readable, writable = socket.socketpair()
    writable.setblocking(False)
    handlers = {n: signal.signal(n, lambda n, _: received.append(n)) for n in (signal.SIGTERM, signal.SIGINT)}
    before = signal.set_wakeup_fd(writable.fileno(), warn_on_full_buffer=False)
    try:
        yield readable, received
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        readable.close()
        writable.close()


def _child(job: Job, channel: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()  # Ctrl-C in a terminal reaches the supervisor alone, which passes it on
    threading.Thread(target=_end_with_supervisor, daemon=True).start()

    def report(event: str, detail: str = "") -> None:
        with contextlib.suppress(OSError):
            channel.send((event, detail))

    try:
        job.function(*job.arguments, report)
    except ServiceError as error:
        report("failed", error.message)
        sys.exit(_CANNOT_START)
    except Exception as error:
        log.error("http_process_failed", **described(error))
        sys.exit(1)


def _end_with_supervisor() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
