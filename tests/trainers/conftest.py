"""The trainers' own code, each in its environment, against the live service.

`make_environment.sh NAME` builds `.venvs/NAME`; a test whose environment is absent is skipped with that advice, and fails where CI=true.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.client.live import LiveService, running
from tests.trainers.environments import Start, start_in


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    with running(tmp_path_factory.mktemp("service") / "log", "--profiles", "text") as service:
        yield service


@pytest.fixture
def start(live: LiveService) -> Iterator[Start]:
    """Starts scripts, and ends those that a failed test leaves behind."""
    started = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        started.append(start_in(*arguments, url=live.url))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()
