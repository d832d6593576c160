"""What each process of the service begins with: logs and limits, and an end that says why.

Apart from `server.py`, so that a model worker does not import the web application.
"""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import structlog

from reward_service.errors import ServiceError
from reward_service.observability.logs import configure_logs, described
from reward_service.settings import Settings
from reward_service.supervision import Job

log = structlog.get_logger("reward_service.serving.child")

_CANNOT_START = 3


def set_up_process(settings: Settings) -> None:
    """Logs, limits and SIGHUP, which must not end it; what the process then runs may count on them."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until somebody listens to it
    configure_logs(settings)
    raise_file_limit()


def raise_file_limit() -> None:
    """Thousands of trainers' connections arrive at once: use all the file descriptors that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 20
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def in_child(job: Job, settings: Settings) -> Job:
    """The same job in a process that is set up for it. A `ServiceError` is reported as ``failed`` with its message."""
    return job._replace(function=_run, arguments=(settings, job.function, job.arguments))


def _run(
    settings: Settings, function: Callable[..., None], arguments: tuple[Any, ...], report: Callable[..., None]
) -> None:
    set_up_process(settings)
    try:
        function(*arguments, report)
    except ServiceError as error:
        report("failed", error.message)
        sys.exit(_CANNOT_START)
    except Exception as error:
        log.error("process_failed", **described(error))
        sys.exit(1)
