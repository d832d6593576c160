"""The layers are enforced, and the enforcement bites."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(folder)})


def test_imports_point_downwards() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


PLANTED = {
    "benchmarks/common.py": "tests.needs",
    "testbed/redis_server.py": "tests.needs",
    "testbed/service.py": "benchmarks.common",
    "metrics/rouge.py": "testbed.service",
    "metrics/bleu.py": "reward_service.errors",
    "metrics/base.py": "judges.base",
    "judges/base.py": "metrics.base",
    "reward_service/errors.py": "reward_service.contracts",
    "reward_service/viewer/pair.py": "reward_service.contracts",
    "reward_service/web/pages.py": "reward_service.settings",
    "reward_service/runs/totals.py": "reward_service.profiles.profile",
    "reward_service/contracts.py": "reward_service.components.registry",
    "reward_service/settings.py": "reward_service.text.guards",
    "reward_service/text/sections.py": "reward_service.caching.base",
    "reward_service/components/registry.py": "reward_service.observability.logs",
    "reward_service/trainers/__init__.py": "reward_service.profiles.profile",
    "reward_service/profiles/profile.py": "reward_service.workers.batcher",
    "reward_service/workers/batcher.py": "reward_service.scoring.composite",
    "reward_service/scoring/composite.py": "reward_service.wire.schemas",
    "reward_service/wire/schemas.py": "reward_service.api.auth",
    "reward_service/api/auth.py": "reward_service.serving.server",
    "reward_service/serving/server.py": "reward_service.cli",
    "reward_service/evaluation/check.py": "reward_service.api.auth",
    "reward_service/evaluation/__init__.py": "reward_service.serving.supervisor",
}
"""One import a floor that points upwards or sideways: the file that makes it, the module that it imports."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for package in ("metrics", "judges", "reward_service", "testbed", "benchmarks"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("file", PLANTED)
def test_a_planted_violation_fails(copied: Path, file: str) -> None:
    source = copied / file
    before = source.read_text(encoding="utf-8")
    source.write_text(f"{before}\nimport {PLANTED[file]}\n", encoding="utf-8")
    try:
        done = lint(copied)
    finally:
        source.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    assert "BROKEN" in done.stdout
