"""What `tests/conftest.py` promises, in runs of its own: order does not matter, nothing hangs, gaps are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import needs

ROOT = Path(__file__).parent.parent


def run(folder: Path, source: str, *options: str, **environment: str) -> tuple[int, str]:
    """Status and output of a run of `source` under the conditions of this suite."""
    (folder / "test_inner.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, str(folder)],
        cwd=ROOT,
        env={n: v for n, v in os.environ.items() if not n.startswith("PYTEST_")} | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


LEAVES_MUCH = """
import logging, os
import pytest
from reward_service.api.app import create_app
from reward_service.observability.logs import configure_logs
from reward_service.settings import Settings

@pytest.fixture(scope="module")
def of_the_module():
    os.environ["REWARD_BACKLOG"] = "7"

def test_one(of_the_module):
    create_app(Settings(log_level="error"))
    configure_logs(Settings(log_level="error"))
    os.environ["REWARD_PROFILES"] = "nothing"
    os.chdir("/")
    assert Settings().backlog == 7

def test_other(of_the_module, caplog):
    logging.getLogger("reward_service.workers").warning("seen")
    assert caplog.messages == ["seen"]
    assert Settings().profiles == ("embedded",)
    assert Settings().backlog == 7  # what a fixture of the module did stays
    assert os.getcwd() != "/"
"""


@pytest.mark.slow
def test_what_a_test_leaves_behind_reaches_no_other(tmp_path: Path) -> None:
    status, output = run(tmp_path, LEAVES_MUCH)
    assert (status, "2 passed" in output) == (0, True), output


HANGS = """
import asyncio, threading

async def deaf(never):
    while True:
        try:
            await never.wait()
        except asyncio.CancelledError:
            pass

async def test_hangs():
    threading.Thread(target=threading.Event().wait, name="bystander", daemon=True).start()
    never = asyncio.Event()
    await asyncio.create_task(deaf(never), name="the deaf one")
"""


@pytest.mark.slow
def test_a_test_that_hangs_fails_and_shows_where_every_thread_and_task_stands(tmp_path: Path) -> None:
    """Also where cleaning up after it hangs: its task cannot be cancelled."""
    status, output = run(tmp_path, HANGS, "--timeout=0.5")
    assert status == 1
    assert "not finished after 0.5 s" in output
    assert "-- thread bystander" in output
    _, _, task = output.partition("-- task the deaf one")
    assert "in deaf" in task
    assert task.index("in deaf") < task.index("in wait") < task.index("waits for <")


NEEDS = """
import pytest
from tests.needs import needs

@needs("promtool")
def test_rules(): raise AssertionError

@pytest.mark.parametrize("n", range(3))
@needs("redis-server")
def test_redis(n): raise AssertionError
"""


@pytest.mark.slow
def test_what_is_not_tested_is_said_at_the_end_with_how_to_install_it(tmp_path: Path) -> None:
    status, output = run(tmp_path, NEEDS, "-n1", PATH="/nowhere", CI="")
    assert status == 0, output
    told = [line for line in output.splitlines() if line.startswith("NOT TESTED")]
    assert told == [
        "NOT TESTED for want of promtool: 1 test. To install it: apt-get install prometheus",
        "NOT TESTED for want of redis-server: 3 tests. To install it: apt-get install redis-server",
    ]


def test_where_everything_must_be_tested_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CI", "true")
    assert needs("promtool").args == (False,)
    monkeypatch.delenv("CI")
    assert needs("promtool").args == (True,)
