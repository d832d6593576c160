"""The README and CONTRIBUTING are executed: what they show is what happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import yaml

from judges.rules import compiler, knowledge
from judges.rules.judge import RulesJudge
from judges.scores import KEYS
from metrics.bertscore import BertScore
from metrics.chexbert import CheXbert
from reward_service.components.registry import COMPONENTS
from reward_service.profiles.profile import JUDGEMENT_VALUES, ComponentSpec, Profile, Transform
from testbed.service import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
ENV = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "REWARD_LOG_LEVEL": "error"}

pytestmark = pytest.mark.xdist_group("embedded")


def block(page: str, marker: str) -> str:
    """The fenced block after an HTML comment."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\n```\w*\n(.*?)```", page, re.DOTALL)
    assert found, marker
    return found.group(1)


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    """The README's own command, on a free port."""
    free = str(free_port())
    command = block(README, "run: serve").replace("8000", free).split()
    service = subprocess.Popen(command, env=ENV, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{free}/ready").status_code == 200:
                break
        except httpx.HTTPError:
            time.sleep(0.2)
    else:
        service.kill()
        pytest.fail("the README's service did not become ready")
    yield free
    service.send_signal(signal.SIGTERM)
    assert service.wait(30) == 0


def assert_equal(shown: Any, real: Any, path: str = "") -> None:
    """Equal up to float32 noise; timings are shown but differ."""
    if path == "timing_ms":
        return
    if isinstance(shown, dict):
        assert list(shown) == list(real), path
        for key in shown:
            assert_equal(shown[key], real[key], key if not path else f"{path}.{key}")
    elif isinstance(shown, list):
        assert len(shown) == len(real), path
        for i, (a, b) in enumerate(zip(shown, real, strict=True)):
            assert_equal(a, b, f"{path}[{i}]")
    elif isinstance(shown, float):
        assert real == pytest.approx(shown, abs=1e-5), path
    else:
        assert shown == real, path


def test_the_request_gives_the_answer_that_is_shown(port: str) -> None:
    command = block(README, "run: request").replace("8000", port)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=ENV)
    assert_equal(json.loads(block(README, "answer")), json.loads(done.stdout))


def test_the_python_snippet_runs(port: str) -> None:
    code = block(README, "run: python").replace("8000", port)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"-?\d\.\d+ ok\n", done.stdout)


@pytest.mark.slow
def test_the_shell_snippet_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    command = "set -e\n" + block(README, "run: shell")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENV, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    lines = (ROOT / "examples" / "reports.jsonl").read_text().splitlines()
    assert [r["id"] for r in results] == [json.loads(line)["id"] for line in lines]


def test_the_readme_is_short_and_names_files_that_exist() -> None:
    own, _, generated = README.partition("<!-- settings: generated -->")
    assert generated
    assert len(own.splitlines()) < 160
    for page in (README, CONTRIBUTING, *(p.read_text() for p in (ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page):
            assert (ROOT / target).exists() or (ROOT / "docs" / target).exists(), target


def test_adding_a_concept_works_as_described() -> None:
    """The entry of docs/judges.md beside all the others; building the judge reads its two sentences."""
    entry = block((ROOT / "docs" / "judges.md").read_text(), "concept")
    texts = knowledge.texts()
    texts["concepts/lungs.yaml"] = texts["concepts/lungs.yaml"].replace("concepts:\n", f"concepts:\n{entry}", 1)
    assert "lung_hernia" in RulesJudge(lexicon=compiler.build(texts)).lexicon.ids


@pytest.mark.slow
def test_adding_a_metric_works_as_described(tmp_path: Path) -> None:
    """The steps of CONTRIBUTING.md in a copy of the tree, with the contract tests."""
    for package in ("metrics", "judges", "reward_service", "tests", "examples"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "metrics" / "coverage.py").write_text(block(CONTRIBUTING, "file: metrics/coverage.py"))
    registry = tmp_path / "reward_service" / "components" / "registry.py"
    opening = "COMPONENTS: dict[str, Row] = {\n"
    assert opening in registry.read_text()
    registry.write_text(registry.read_text().replace(opening, opening + block(CONTRIBUTING, "row")))
    (tmp_path / "mine.yaml").write_text(block(CONTRIBUTING, "profile"))
    env = {**ENV, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "reward_service.cli", "score", "examples/reports.jsonl", "--profile", "mine.yaml"]
    scored = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    first = json.loads(scored.stdout.splitlines()[0])
    assert (first["id"], first["components"]["coverage"]) == ("perfect-effusion", 1.0)
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_registry.py", "-k", "coverage"]
    tested = subprocess.run(tests, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout
    assert "passed" in tested.stdout


ASK_BOTH = """
from starlette.testclient import TestClient
from reward_service.api.app import create_app
from reward_service.settings import Settings
with TestClient(create_app(Settings(profiles=("text",), log_level="error"))) as client:
    item = {"candidate": "Small left effusion.", "reference": "Small right effusion."}
    native = client.post("/score", json={"items": [item]}).json()["results"][0]["reward"]
    body = {"completion": item["candidate"] + "</s>", "label": item["reference"]}
    assert client.post("/compat/example", json=body).json() == native
"""


@pytest.mark.slow
def test_adding_a_dialect_works_as_described(tmp_path: Path) -> None:
    """The steps of CONTRIBUTING.md in a copy of the tree: the new route, and the tests that run over every dialect."""
    for package in ("metrics", "judges", "reward_service", "tests"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    trainers = tmp_path / "reward_service" / "trainers"
    (trainers / "example.py").write_text(block(CONTRIBUTING, "file: reward_service/trainers/example.py"))
    rows = (trainers / "__init__.py").read_text()
    for old, new in (("trainers import ", "example, "), ("DIALECTS = (\n", block(CONTRIBUTING, "dialect row"))):
        assert rows.count(old) == 1
        rows = rows.replace(old, old + new)
    (trainers / "__init__.py").write_text(rows)
    env = {**ENV, "PYTHONPATH": str(tmp_path)}
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/reward_service/trainers", "-k", "compat/example"]
    for command in (["-c", ASK_BOTH], tests):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_the_profile_with_every_field_scores_as_described(tmp_path: Path) -> None:
    text = block((ROOT / "docs" / "profiles.md").read_text("utf-8"), "profile: every field")
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    shown = yaml.safe_load(text)
    assert shown.keys() == Profile.model_fields.keys()
    fields = {field for spec in shown["components"].values() for field in spec}
    assert fields == ComponentSpec.model_fields.keys()
    items = [
        {"id": "same", "candidate": "FINDINGS: Small left effusion.", "reference": "FINDINGS: Small left effusion."},
        {"id": "none", "candidate": "Small left effusion.", "reference": "IMPRESSION: Small left effusion."},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, items)))
    command = [sys.executable, "-m", "reward_service.cli", "score", "items.jsonl", "--profile", "mine.yaml"]
    scored = subprocess.run(command, capture_output=True, text=True, env=ENV, cwd=tmp_path)
    same, none = (json.loads(line) for line in scored.stdout.splitlines())
    assert same["reward"] == pytest.approx(0.1 * 1 + 0.2 * (2 * 1 - 1) + 0.7 * 1)  # no error: exp(0) = 1
    assert (none["reward"], none["status"]) == (None, "null")
    assert "section_missing" in json.dumps(none["missing"])


def test_the_profile_page_names_every_component_and_transform() -> None:
    page = (ROOT / "docs" / "profiles.md").read_text("utf-8")
    kinds = get_args(Transform.model_fields["kind"].annotation)
    assert [name for name in (*COMPONENTS, *kinds) if f"`{name}`" not in page and f"`{{{name}:" not in page] == []


def test_the_metrics_page_names_every_component_and_value() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    values = (*BertScore._keys, *CheXbert._keys, *KEYS, *JUDGEMENT_VALUES)
    assert [name for name in (*COMPONENTS, *values) if f"`{name}`" not in page] == []


def test_the_rules_judge_s_worked_example_is_what_the_judge_says() -> None:
    page = (ROOT / "docs" / "judges.md").read_text("utf-8").partition("<!-- worked: example -->")[2]
    (reference,) = re.findall(r'^Reference: "(.+?)" W', page, re.MULTILINE)
    rows = re.findall(r'^\| "(.*?)" \|[^|]*\| ([^|]+) \| ([^|]+) \|$', page, re.MULTILINE)[:5]
    assert len(rows) == 5
    judge = RulesJudge()
    for candidate, signed, green in rows:
        (verdict,) = judge.compare(judge.encode([candidate]), judge.encode([reference]))
        for shown, value in ((signed, verdict.values["signed"]), (green, verdict.values["green"])):
            last = re.findall(r"[−-]?\d*\.?\d+", shown)[-1].replace("−", "-")
            assert float(last) == pytest.approx(value, abs=0.006), (candidate, shown)
