"""The wheels hold exactly what the tree holds, and work where there is no tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IGNORED = {"__pycache__"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "client"):
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    return {path.name.split("-")[0]: path for path in out.glob("*.whl")}


def in_tree(root: Path, *packages: str) -> set[str]:
    """Files git knows or would add, so that stray build products do not count."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *packages]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")
    return {name for name in listed if name and (root / name).exists()}


def in_wheel(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_service_wheel_equals_the_tree(wheels: dict[str, Path]) -> None:
    content = in_wheel(wheels["reward_service"])
    assert content == in_tree(ROOT, "reward_service", "metrics", "judges")
    for needed in ("reward_service/py.typed", "reward_service/profiles/shipped/embedded.yaml", "judges/rules/knowledge/concepts/lungs.yaml",
                   "judges/vllm/findings.txt", "reward_service/components/canaries/values.json"):  # fmt: skip
        assert needed in content


def test_the_client_wheel_equals_the_tree_and_needs_httpx_alone(wheels: dict[str, Path]) -> None:
    wheel = wheels["reward_service_client"]
    assert in_wheel(wheel) == in_tree(ROOT / "client", "reward_client")
    archive = zipfile.ZipFile(wheel)
    metadata = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    needs = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert [line.split()[1].split(">")[0] for line in needs] == ["httpx"]


def test_the_base_distribution_needs_no_torch(wheels: dict[str, Path]) -> None:
    archive = zipfile.ZipFile(wheels["reward_service"])
    metadata = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    base = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    names = " ".join(base)
    assert "fastapi" in names
    for heavy in ("torch", "transformers", "bert-score", "vllm"):
        assert heavy not in names


@pytest.mark.slow
def test_the_installed_wheel_scores_in_an_empty_directory(wheels: dict[str, Path], tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(wheels["reward_service"])], check=True)
    env = {**os.environ, "PYTHONPATH": str(site), "REWARD_PROFILES": "text"}
    code = "import reward_service; print(reward_service.__file__)"
    where = subprocess.run([sys.executable, "-P", "-c", code], cwd=empty, env=env, capture_output=True, text=True)
    assert where.stdout.startswith(str(site))
    line = json.dumps({"id": "a", "candidate": "No effusion.", "reference": "No pleural effusion."})
    command = [sys.executable, "-P", "-m", "reward_service.cli", "score", "-"]
    done = subprocess.run(command, cwd=empty, env=env, input=line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


@pytest.mark.slow
def test_profile_text_never_imports_torch(tmp_path: Path) -> None:
    code = (
        "import sys, asyncio\n"
        "from reward_service.api.app import create_app\nfrom reward_service.scoring.engine import Engine\n"
        "from reward_service.settings import Settings\n"
        "async def go():\n    async with Engine(Settings(profiles=('text',))) as e: e.state.info()\n"
        "asyncio.run(go())\nassert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
