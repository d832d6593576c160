"""Signals that come before the server listens to them, at the places where it stands then."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = """
import signal, sys
from types import SimpleNamespace
from reward_service.__main__ import main

def run():
    print(signal.getsignal(signal.SIGHUP).name, flush=True)
    signal.raise_signal(signal.SIGINT)

sys.argv[0] = "reward-service"
sys.modules["reward_service.cli"] = SimpleNamespace(main=run)  # what it imports next
main()
"""
STARTING = """
import asyncio, signal
from reward_service.serving import server
from reward_service.settings import Settings

async def serve(*_):
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(60)

server._serve = serve
server.run(Settings(port=0))
"""


def as_a_terminal_does() -> None:
    """nohup and shells in the background start programs that ignore these."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, preexec_fn=as_a_terminal_does)


@pytest.mark.parametrize(
    ("command", "hang_up", "status"), [("serve", "SIG_IGN", 128 + signal.SIGINT), ("score", "SIG_DFL", -signal.SIGINT)]
)
def test_serve_outlives_sighup_and_ends_quietly_on_ctrl_c_from_its_beginning_on(
    command: str, hang_up: str, status: int
) -> None:
    """Other commands end with the terminal, and have files to put away on Ctrl-C."""
    ended = python(COMMAND, command)
    assert (ended.stdout, ended.returncode) == (f"{hang_up}\n", status)
    assert ("KeyboardInterrupt" in ended.stderr) == (command != "serve")


def test_ctrl_c_while_it_is_being_set_up_ends_it_without_a_word() -> None:
    ended = python(STARTING)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")
