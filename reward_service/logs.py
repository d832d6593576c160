"""Structured logs on stderr: one JSON object (or a console line) per event, never with report text."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from reward_service.settings import Settings


class _Stderr:
    """Writes lines and survives a full or closed log device: a reward must not depend on it."""

    def msg(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def configure_logs(settings: Settings) -> None:
    """Set up structlog and quieten the libraries' own loggers."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False
    for name in ("httpx", "httpcore", "transformers", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
