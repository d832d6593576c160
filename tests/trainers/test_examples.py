"""The flags in `examples/` exist in the trainers' own command lines, in the versions of `make_environment.sh`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.needs import is_missing

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.trainers, pytest.mark.slow]

COMPOSE = """
import sys
from hydra import compose, initialize_config_module
with initialize_config_module("verl.trainer.config", version_base=None):
    print(compose("ppo_trainer", overrides=sys.argv[1:]).reward.custom_reward_function.name)
"""


def python_of(trainer: str) -> str:
    python = ROOT / ".venvs" / trainer / "bin" / "python"
    if not python.exists():
        is_missing(f"environment of {trainer}", f"tests/trainers/make_environment.sh {trainer}")
    return str(python)


def test_verl_accepts_every_override() -> None:
    text = (ROOT / "examples" / "verl.sh").read_text(encoding="utf-8")
    overrides = re.findall(r"^  (\+?[a-z_.]+=.*?)(?: \\)?$", text, re.MULTILINE)
    assert len(overrides) > 15
    values = [re.sub(r'"\$.*?"', "8", override) for override in overrides]
    done = subprocess.run([python_of("verl"), "-c", COMPOSE, *values], capture_output=True, text=True, check=False)
    assert done.stdout == "compute_score\n", done.stderr[-1000:]


def test_openrlhf_knows_every_flag() -> None:
    environment = Path(python_of("openrlhf")).parents[1]
    source = next(environment.glob("lib/*/site-packages/openrlhf/cli/train_ppo_ray.py")).read_text(encoding="utf-8")
    text = (ROOT / "examples" / "openrlhf.sh").read_text(encoding="utf-8")
    flags = re.findall(r"^  (--[a-z_.]+)", text, re.MULTILINE)
    assert len(flags) > 10
    assert [flag for flag in flags if f'"{flag}"' not in source] == []


def test_examples_are_short() -> None:
    for path in (ROOT / "examples").glob("*.sh"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
