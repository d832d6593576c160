"""Runs a script in a trainer's environment, with the live service's address in ``REWARD_CLIENT_URL``."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.needs import is_missing

HERE = Path(__file__).parent

Start = Callable[..., subprocess.Popen[str]]


def start_in(trainer: str, script: str, *arguments: object, url: str) -> subprocess.Popen[str]:
    """Skips the test when the environment is absent."""
    python = HERE.parents[1] / ".venvs" / trainer / "bin" / "python"
    if not python.exists():
        is_missing(f"environment of {trainer}", f"tests/trainers/make_environment.sh {trainer}")
    command = [str(python), str(HERE / "scripts" / script), *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "REWARD_CLIENT_URL": url,
        "REWARD_CLIENT_BUDGET_S": "100",
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def answer_of(process: subprocess.Popen[str], samples: Any = None, timeout_s: float = 180.0) -> Any:
    """What a script printed last, as JSON."""
    out, errors = process.communicate(json.dumps(samples), timeout_s)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.strip().splitlines()[-1])
