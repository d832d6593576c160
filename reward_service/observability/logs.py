"""Structured logs on stderr: one JSON object (or a console line) per event, never with report text.

A thread of its own writes them, so that a full, closed or stuck log device costs lines (which are counted)
and never a request. What other libraries log is cut down to what cannot quote a report.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import os
import queue
import threading
import traceback
from typing import Any

import orjson
import structlog

from reward_service.settings import Settings

_MOST_LINES = 10_000
_OWN = ("reward_service", "metrics", "judges")


class _Writer:
    """Writes lines to file descriptor 2 in the order in which they were put."""

    def __init__(self) -> None:
        self.lost = 0
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, line: str) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._main, name="log-writer", daemon=True)
                    self._thread.start()
                    atexit.register(self.flush)
        if self._lines.qsize() >= _MOST_LINES:
            self.lost += 1
        else:
            self._lines.put(f"{line}\n".encode("utf-8", "backslashreplace"))

    def flush(self, timeout_s: float = 1.0) -> None:
        """Wait until what was put before has been written, or `timeout_s`."""
        if self._thread is not None:
            written = threading.Event()
            self._lines.put(written)
            written.wait(timeout_s)

    def _main(self) -> None:
        while True:
            item = self._lines.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                while item:
                    item = item[os.write(2, item) :]
            except OSError:
                self.lost += 1


_writer = _Writer()


class _Logger:
    """What structlog calls with a finished line."""

    def msg(self, message: str) -> None:
        _writer.put(message)

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _LibraryLogs(logging.Handler):
    """Brings the standard library's log records into the same form.

    An exception's message may quote a report, so its type and its frames (source positions) stand for it;
    of a library's message the first line is kept, because what follows can be the repr of anything.
    """

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        message = record.getMessage()
        if record.name.partition(".")[0] not in _OWN:
            message = message.partition("\n")[0][:300]
        if record.exc_info and record.exc_info[1] is not None:
            fields |= described(record.exc_info[1])
        structlog.get_logger().log(record.levelno, message, **fields)


def described(error: BaseException) -> dict[str, Any]:
    """An exception as log fields: its type and where it was raised, never its message."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {"error": type(error).__name__, "frames": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]}


def lost() -> int:
    """Lines that could not be written, since the process began."""
    return _writer.lost


def say(line: str) -> None:
    """A plain line for a person, on the same way as the log."""
    _writer.put(line)
    flush()


def flush() -> None:
    """Wait until what has been logged is written, for a second at most; before an end that runs no exit handlers."""
    _writer.flush()


def _json(event: dict[str, Any], **_: Any) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate, say; a log line must not fail the request that it is about
        return json.dumps(event, default=str)


def configure_logs(settings: Settings) -> None:
    """Set up structlog, and the standard library's loggers to go through it."""
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_json)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Logger(),
        cache_logger_on_first_use=False,
    )
    logging.raiseExceptions = False
    root = logging.getLogger()
    if not any(isinstance(handler, _LibraryLogs) for handler in root.handlers):
        root.addHandler(_LibraryLogs())
    root.setLevel(max(level, logging.WARNING))  # libraries' debug output can hold bodies
    for name in _OWN:
        logging.getLogger(name).setLevel(level)


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The event loop's exception handler: its default prints the exception, whose message may quote a report."""
    error = context.get("exception")
    fields = described(error) if error is not None else {}
    structlog.get_logger("reward_service").error("event_loop_error", problem=context.get("message"), **fields)
