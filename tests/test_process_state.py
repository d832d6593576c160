"""A test starts from a known state of the process, whatever ran before it; and the product leaves it alone."""

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
from importlib.abc import MetaPathFinder

import httpx
import pytest
import structlog

from judges import injection
from judges.injection import addresses_grader
from reward_service.api.app import create_app
from reward_service.observability.logs import configure_logs
from reward_service.settings import Settings
from tests import process_state


def _paths() -> None:
    sys.path.insert(0, f"{process_state.ROOT}/somewhere")


def _hooks() -> None:
    sys.meta_path.insert(0, type("Finder", (MetaPathFinder,), {"__module__": "metrics.nltk_parts"})())


def _environment() -> None:
    os.environ["REWARD_PROFILES"] = "text"
    del os.environ["PATH"]


def _open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


def _torch() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_grad_enabled(False)


SPOIL: dict[str, Callable[[], object]] = {
    "environment": _environment,
    "current directory": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o123),
    "limit of open files": _open_files,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "POSIX" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8"),
    "import paths": _paths,
    "import hooks": _hooks,
    "switch interval": lambda: sys.setswitchinterval(0.0123),
    "recursion limit": lambda: sys.setrecursionlimit(1234),
    "socket time-out": lambda: socket.setdefaulttimeout(123),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "start of processes": lambda: multiprocessing.set_start_method("forkserver", force=True),
    "event loop policy": lambda: asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy()),
    "garbage collection": gc.disable,
    "logging": lambda: configure_logs(Settings(log_level="error")),
    "logging of failures": lambda: (setattr(logging, "raiseExceptions", False), logging.disable(logging.ERROR)),
    "structlog": lambda: structlog.configure(processors=[]),
    "log context": lambda: structlog.contextvars.bind_contextvars(run_id="of another test"),
    "torch": _torch,
}


@pytest.mark.parametrize("name", process_state.STATES)
def test_what_is_left_behind_is_put_back(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="extra bertscore")
    before = process_state.read()
    SPOIL[name]()
    assert process_state.read()[name] != before[name]
    assert name in process_state.restore(before)
    assert process_state.read() == before


def test_caches_are_empty_and_random_numbers_begin_anew() -> None:
    process_state.forget()
    addresses_grader("a word")
    assert injection._suspects.cache_info().currsize == 2
    number = random.random()
    process_state.forget()
    assert injection._suspects.cache_info().currsize == 0
    assert random.random() == number


async def test_an_application_leaves_the_process_as_it_was() -> None:
    before = process_state.read()
    app = create_app(Settings(profiles=("text",), log_level="error", pool_workers=0))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            item = {"candidate": "No effusion.", "reference": "No pleural effusion."}
            request = client.post("/score", json={"items": [item]}, timeout=60)
            answer = await asyncio.create_task(request)  # as a server has it; its log context goes with it
    assert answer.json()["results"][0]["status"] == "ok"
    # The engine freezes what it has loaded, for as long as the process lives.
    assert set(process_state.restore(before)) <= {"frozen objects"}
