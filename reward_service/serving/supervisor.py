"""Keeps the HTTP processes, all on one listening socket, and the model workers running until a signal.

An HTTP process that cannot start, before any has, ends the service with the reason, because starting it again and
again would not mend a setting. Model workers end last, because HTTP processes need them while they drain.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence

from prometheus_client import multiprocess

from reward_service.errors import ConfigurationError
from reward_service.supervision import Job, KeptProcess

MORE_S = 5.0
"""What an HTTP process has to end in, on top of its grace time."""

_LAST_WORDS_S = 1.5  # for a model worker, whose callers have all been served


async def supervise(
    http: Sequence[Job],
    models: Sequence[Job],
    *,
    grace_s: float,
    on_up: Callable[[], None],
    on_stop: Callable[[], None],
) -> int:
    """Run until SIGTERM or SIGINT. Returns 0 when every HTTP process ended well by itself, else 1.

    HTTP processes report ``up``, ``ready``, or ``failed`` with a reason; raises `ConfigurationError` when that comes
    before any was ready. `on_up` is called when the first one serves, `on_stop` when the end begins.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[signal.Signals] = loop.create_future()
    seen: set[str] = set()

    def on_signal(number: signal.Signals) -> None:
        if not told.done():
            told.set_result(number)

    def on_event(event: str, detail: str) -> None:
        if event == "failed" and "ready" not in seen and not told.done():
            told.set_exception(ConfigurationError(detail))
        if event == "ended" and len(http) > 1:
            multiprocess.mark_process_dead(detail)  # type: ignore[no-untyped-call]
        if event == "up" and "up" not in seen:
            on_up()
        seen.add(event)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    workers = [KeptProcess(job) for job in models]
    servers = [KeptProcess(job, on_event) for job in http]

    def pass_on(number: signal.Signals) -> None:
        for server in servers:
            server.send(number)

    loop.add_signal_handler(signal.SIGHUP, pass_on, signal.SIGHUP)
    number = signal.SIGTERM
    try:
        number = await told
    except ConfigurationError:
        grace_s = 0.0
        raise
    finally:
        on_stop()
        well = await asyncio.gather(*(server.stop(grace_s + MORE_S, number) for server in servers))
        await asyncio.gather(*(worker.stop(_LAST_WORDS_S) for worker in workers))
    return 0 if all(well) else 1
