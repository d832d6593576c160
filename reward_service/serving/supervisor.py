"""Keeps the HTTP processes, all on one listening socket, and the model workers running until a signal.

An HTTP process that cannot start, before any has, ends the service with the reason, because starting it again and
again would not mend a setting. Model workers end last, because HTTP processes need them while they drain.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import multiprocess

from reward_service.errors import ConfigurationError
from reward_service.supervision import Job, ProcessSupervisor

_MORE_S = 5.0  # than its grace time for an HTTP process to end
_LAST_WORDS_S = 1.5  # for a model worker, whose callers have all been served


def supervise(
    http: Job,
    count: int,
    models: Sequence[Job],
    *,
    grace_s: float,
    on_up: Callable[[], None],
    on_stop: Callable[[], None],
) -> int:
    """Run until SIGTERM or SIGINT. Returns 0 when every HTTP process ended well by itself, else 1.

    `http` reports ``up``, ``ready``, or ``failed`` with a reason; raises `ConfigurationError` when that comes before
    any was ready. `on_up` is called when the first one serves, `on_stop` when the end begins.
    """
    supervisor = ProcessSupervisor([*models, *[http] * count])
    seen: set[str] = set()
    grace_s += _MORE_S
    with _wake_on_signals() as (signals, received):
        try:
            while not received:
                for event, detail in supervisor.tend(signals):
                    if event == "failed" and "ready" not in seen:
                        raise ConfigurationError(detail)
                    if event == "ended":
                        multiprocess.mark_process_dead(detail)  # type: ignore[no-untyped-call]
                    if event == "up" and "up" not in seen:
                        on_up()
                    seen.add(event)
        except ConfigurationError:
            received.append(signal.SIGTERM)
            grace_s = _MORE_S
            raise
        finally:
            on_stop()
            well = supervisor.stop(http.name, grace_s, received[0])
            for name in {job.name for job in models}:
                supervisor.stop(name, _LAST_WORDS_S)
        return 0 if well else 1


@contextlib.contextmanager
def _wake_on_signals() -> Iterator[tuple[Any, list[int]]]:
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
