"""What processes do that are kept running in tests. Each first reports ``up`` and its process id."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from reward_service.supervision import ALIVE

Report = Callable[..., None]


def wait(detail: str, report: Report) -> None:
    report("up", detail)
    report("id", str(os.getpid()))
    while True:
        signal.pause()


def write(descriptor: int, data: bytes, report: Report) -> None:
    os.write(descriptor, data)
    print("what a library prints is no event", flush=True)
    wait("", report)


def end_with_signal(detail: str, report: Report) -> None:
    """Its end is a failure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    wait(detail, report)


def ignore_signals(detail: str, report: Report) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(detail, report)


def fall_silent(report: Report) -> None:
    report("id", str(os.getpid()))
    report(ALIVE)
    signal.pause()


def end_at_once(report: Report) -> None:
    report("id", str(os.getpid()))
