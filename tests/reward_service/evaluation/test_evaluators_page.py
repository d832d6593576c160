"""docs/evaluators.md is walked through: its commands run in order, its outputs are theirs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_documents import README, ROOT, block

PAGE = (ROOT / "docs" / "evaluators.md").read_text("utf-8")
ENV = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
    "REWARD_POOL_WORKERS": "0",
    "REWARD_LOG_LEVEL": "error",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("walk")
    shutil.copytree(ROOT / "examples", made / "examples")
    return made


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=ENV, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_from_a_csv_to_a_table_a_test_and_a_page(folder: Path) -> None:
    said = {name: run(["bash", "-ec", block(PAGE, f"walk: {name}")], folder) for name in _walk()}
    for name in re.findall(r"<!-- shown: (\w+) -->", PAGE):
        lines = said[name].splitlines()
        assert [line for line in block(PAGE, f"shown: {name}").splitlines() if line not in (*lines, "…")] == []
    assert r"\begin{tabular}" in (folder / "table.tex").read_text("utf-8")
    assert r"\label{tab:systems}" in (folder / "systems.tex").read_text("utf-8")
    assert "second less first" in said["compare"]
    assert len((folder / "judged.jsonl").read_text("utf-8").splitlines()) == 24
    assert "<title>second</title>" in (folder / "report.html").read_text("utf-8")


def _walk() -> list[str]:
    return [name for name in re.findall(r"<!-- walk: (\w+) -->", PAGE) if name != "python"]


@pytest.mark.slow
def test_the_walk_in_python(folder: Path) -> None:
    pytest.importorskip("pandas")
    rewards, mean = run([sys.executable, "-c", block(PAGE, "walk: python")], folder).splitlines()
    assert re.fullmatch(r"\[-?\d\.\d+\] sha256:\w+", rewards)
    assert -1 < float(mean) < 1


def test_the_scorer_of_the_readme_runs(folder: Path) -> None:
    code = block(README, "run: scorer")
    assert re.fullmatch(r"\[-?\d\.\d+\]\n", run([sys.executable, "-c", code], folder))
