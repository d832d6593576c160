"""The state of the process that a test, or the product, may leave behind: how to read it and how to put it back.

What pytest itself restores is not here: warning filters, captured output, and what went through `monkeypatch`.
"""

from __future__ import annotations

import asyncio
import gc
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import structlog

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OWN = ("reward_service", "metrics", "judges", "reward_client")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)
_KEPT = {
    ("judges.rules.shipped", "shipped"),
    ("judges.rules.judge", "_validate_shipped"),
    ("judges.rules.stored", "_code"),
    ("reward_service.profiles.source_code", "_module"),
}
"""What takes long and depends on nothing but the files of the package."""


class State(NamedTuple):
    """`write` brings back what `read` returned earlier."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _set_environment(before: dict[str, str]) -> None:
    for name in _environment().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _own_paths() -> list[str]:
    """Only those: a library that is imported meanwhile may need the entry that it adds."""
    return [path for path in sys.path if path.startswith(ROOT)]


def _set_own_paths(before: list[str]) -> None:
    foreign = [path for path in sys.path if not path.startswith(ROOT)]
    sys.path[:] = [*before, *foreign]


def _import_hooks() -> list[Any]:
    return [finder for finder in sys.meta_path if type(finder).__module__.startswith(OWN)]


def _set_import_hooks(before: list[Any]) -> None:
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder in before or finder not in _import_hooks()]


def _loggers() -> dict[str, logging.Logger]:
    known = logging.root.manager.loggerDict
    own = (name for name in known if name.partition(".")[0] in OWN)
    return {"": logging.root} | {n: logger for n in own if isinstance(logger := known[n], logging.Logger)}


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    """Without those that pytest adds for each phase of a test."""
    return [handler for handler in logger.handlers if not type(handler).__module__.startswith("_pytest")]


def _logging() -> dict[str, Any]:
    levels = {n: (x.level, x.disabled, x.propagate, _handlers(x)) for n, x in _loggers().items()}
    fresh = (logging.NOTSET, False, True, [])
    return {n: level for n, level in levels.items() if level != fresh}


def _set_logging(before: dict[str, Any]) -> None:
    for name, logger in _loggers().items():
        level, logger.disabled, logger.propagate, handlers = before.get(name, (logging.NOTSET, False, True, []))
        logger.setLevel(level)
        for handler in _handlers(logger):
            if handler not in handlers:
                logger.removeHandler(handler)
        for handler in handlers:
            logger.addHandler(handler)


def _structlog() -> dict[str, Any] | None:
    return structlog.get_config() if structlog.is_configured() else None


def _set_structlog(before: dict[str, Any] | None) -> None:
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


def _signals() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _set_signals(before: dict[signal.Signals, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _torch() -> tuple[Any, ...] | None:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return None
    return (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.get_default_dtype(),
            torch.is_grad_enabled())  # fmt: skip


def _set_torch(before: tuple[Any, ...] | None) -> None:
    if before is not None:
        torch = sys.modules["torch"]
        threads, precision, dtype, gradients = before
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


STATES: dict[str, State] = {
    "environment": State(_environment, _set_environment),
    "current directory": State(os.getcwd, os.chdir),
    "umask": State(_umask, os.umask),
    "limit of open files": State(
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE), lambda v: resource.setrlimit(resource.RLIMIT_NOFILE, v)
    ),
    "locale": State(lambda: locale.setlocale(locale.LC_ALL), lambda v: locale.setlocale(locale.LC_ALL, v)),
    "import paths": State(_own_paths, _set_own_paths),
    "import hooks": State(_import_hooks, _set_import_hooks),
    "switch interval": State(sys.getswitchinterval, sys.setswitchinterval),
    "recursion limit": State(sys.getrecursionlimit, sys.setrecursionlimit),
    "socket time-out": State(socket.getdefaulttimeout, socket.setdefaulttimeout),
    "signal handlers": State(_signals, _set_signals),
    "start of processes": State(
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda v: multiprocessing.set_start_method(v, force=True),
    ),
    "event loop policy": State(asyncio.get_event_loop_policy, asyncio.set_event_loop_policy),
    "garbage collection": State(gc.isenabled, lambda v: gc.enable() if v else gc.disable()),
    "logging": State(_logging, _set_logging),
    "logging of failures": State(
        lambda: (logging.raiseExceptions, logging.root.manager.disable),
        lambda v: (setattr(logging, "raiseExceptions", v[0]), logging.disable(v[1])),
    ),
    "structlog": State(_structlog, _set_structlog),
    "log context": State(
        structlog.contextvars.get_contextvars,
        lambda v: (structlog.contextvars.clear_contextvars(), structlog.contextvars.bind_contextvars(**v)),
    ),
    "torch": State(_torch, _set_torch),
}  # fmt: skip


def read() -> dict[str, Any]:
    return {name: state.read() for name, state in STATES.items()}


def restore(before: dict[str, Any]) -> list[str]:
    """Put everything back as it was; the names of what had changed."""
    changed = [name for name, state in STATES.items() if state.read() != before[name]]
    for name in changed:
        STATES[name].write(before[name])
    return changed


def forget() -> None:
    """Empty the product's caches and seed the generators of random numbers."""
    for clear in _caches(len(sys.modules)):
        clear()
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if _torch() is not None:
        sys.modules["torch"].manual_seed(0)


@cache
def _caches(_modules: int) -> list[Callable[[], None]]:
    """`cache_clear` of every cached function in the product's modules; found again when modules have been added."""
    modules = [(n, m) for n, m in sys.modules.items() if n.partition(".")[0] in OWN and m is not None]
    return [
        value.cache_clear
        for name, module in modules
        for attribute, value in list(vars(module).items())
        if callable(getattr(value, "cache_clear", None))
        and (name, attribute) not in _KEPT
        and getattr(value, "__module__", name) == name
    ]
