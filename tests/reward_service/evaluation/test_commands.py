"""The commands over files of scores as a user runs them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reward_service.test_cli import ROOT, lines, run

GROUPS = [
    {"id": "g", "reference": "Small effusion.", "candidates": ["Small effusion.", "No effusion."], "sex": "F"},
    {"id": "h", "reference": "Clear lungs.", "candidates": ["Clear lungs.", "Clear lungs."], "sex": "M"},
]
MINE = "name: mine\ndescription: x\nbounds: [-1, 1]\ncomponents:\n  clinical: {component: rules, transform: signed, weight: 1}\n"


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scored") / "scores.jsonl"
    assert run("score", "-", "-o", str(path), "--with-texts", stdin=lines(*GROUPS)).returncode == 0
    return path


@pytest.mark.slow
def test_summaries_of_equal_scores_are_equal_in_every_format(scored: Path) -> None:
    made = {}
    for ending in ("csv", "parquet"):
        out = scored.with_suffix(f".{ending}")
        assert run("score", "-", "-o", str(out), "--with-texts", stdin=lines(*GROUPS)).returncode == 0
        made[ending] = json.loads(run("summarize", str(out), "--by", "sex", "--format", "json").stdout)
    content = json.loads(run("summarize", str(scored), "--by", "sex", "--format", "json").stdout)
    for other in made.values():
        assert {k: v for k, v in other.items() if k != "scores"} == {k: v for k, v in content.items() if k != "scores"}


def test_groups_reports_and_comparisons(scored: Path) -> None:
    assert "share without advantage" in run("groups", str(scored)).stdout
    page = scored.with_name("page.html")
    assert run("report", str(scored), "--compare", str(scored), "-o", str(page)).returncode == 0
    assert "Small effusion" not in page.read_text("utf-8")  # texts are packed
    compared = json.loads(run("compare", str(scored), str(scored), "-f", "json").stdout)
    assert {row["difference"]["value"] for row in compared["comparison_2"]} == {0.0}


@pytest.mark.slow
def test_systems_have_names_and_no_paths(scored: Path, tmp_path: Path) -> None:
    other = tmp_path / "base.v2.jsonl"
    other.write_bytes(scored.read_bytes())
    page = tmp_path / "page.html"
    said = run("compare", str(other), str(scored), "-f", "latex").stdout
    assert "scores less base" in said
    said += run("summarize", str(scored), str(other)).stdout + run("groups", str(scored)).stdout
    assert run("report", str(scored), "--compare", str(other), "-o", str(page)).returncode == 0
    assert "scores less base" in page.read_text("utf-8")
    assert str(tmp_path.parent) not in said + page.read_text("utf-8")
    assert "Mine less Old" in run("compare", str(other), str(scored), "--name", "Old", "--name", "Mine").stdout
    assert "scores (2) less scores (1)" in run("compare", str(scored), str(scored)).stdout
    refused = run("compare", str(other), str(scored), "--name", "Old")
    assert (refused.returncode, "2 systems and 1 names" in refused.stderr) == (3, True)


def test_the_document_of_the_fingerprint_is_checked(scored: Path, tmp_path: Path) -> None:
    document = tmp_path / "document.json"
    document.write_text(run("fingerprint", "text", "--document").stdout)
    assert run("summarize", str(scored), "--document", str(document)).returncode == 0
    document.write_text(document.read_text().replace("0.7", "0.6"))
    refused = run("summarize", str(scored), "--document", str(document))
    assert (refused.returncode, "another fingerprint" in refused.stderr) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("summarize", os.devnull), 3, "no row"),
        (("summarize", "README.md"), 3, "README.md"),
        (("summarize", "examples/reports.jsonl"), 3, "not a result of `reward-service score`"),
        (("summarize", "x", "--format", "pdf"), 2, "latex"),
        (("summarize", "SCORED", "--by", "race"), 3, "no column 'race'"),
        (("compare", "SCORED"), 2, "two files"),
        (("report", "SCORED", "-o", "/nowhere/a.html"), 3, "No such file"),
    ],
)
def test_what_is_wrong_is_said(scored: Path, arguments: tuple[str, ...], status: int, words: str) -> None:
    done = run(*(str(scored) if a == "SCORED" else a for a in arguments), TERM="dumb", COLUMNS="200")
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


@pytest.mark.slow
def test_reweigh_writes_records_with_the_new_fingerprint(scored: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE + "sections: {scope: findings}\n")
    refused = run("reweigh", str(scored), "--profile", str(mine))
    assert (refused.returncode, "differs from the one that scored in sections.scope," in refused.stderr) == (3, True)
    mine.write_text(MINE)
    done = run("reweigh", str(scored), "--profile", str(mine))
    rewards = [[one["reward"] for one in json.loads(line)["results"]] for line in done.stdout.splitlines()]
    assert rewards[1] == [1.0, 1.0]
    assert rewards[0][0] == 1.0 > rewards[0][1]


@pytest.mark.slow
def test_tuned_weights_are_a_profile_that_can_be_used(tmp_path: Path) -> None:
    texts = ["Small left effusion.", "Small right effusion.", "No effusion.", "Clear lungs.", "Large pneumothorax."]
    items = [
        {"id": f"{i}{k}", "candidate": c, "reference": r, "stars": 5 if c == r else 1}
        for i, r in enumerate(texts)
        for k, c in enumerate(texts)
    ]
    out, mine = tmp_path / "out.jsonl", tmp_path / "mine.yaml"
    assert run("score", "-", "-o", str(out), "--with-texts", stdin=lines(*items)).returncode == 0
    done = run("reweigh", str(out), "--profile", "text", "--tune", "stars", "-o", str(mine))
    assert done.returncode == 0, done.stderr
    assert "fitted, cross-validated" in done.stderr
    assert run("reweigh", str(out), "--profile", str(mine), "-o", os.devnull).returncode == 0


def test_at_a_terminal_the_summary_follows_the_scores(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(lines(*GROUPS))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "reward_service.cli", "score", str(source), "-o", str(tmp_path / "out.jsonl")]
    env = {**os.environ, "REWARD_PROFILES": "text", "REWARD_POOL_WORKERS": "0"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=ROOT, env=env) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert "2/2 rows" in said.decode()
    assert "BCa bootstrap over 2 studies" in said.decode()


def test_a_shipped_profile_can_be_copied() -> None:
    """Its file, byte by byte, so that comments are copied too."""
    said = run("info", "--profile", "text,radcliq-v1", "--yaml").stdout
    folder = ROOT / "reward_service" / "profiles" / "shipped"
    assert said == "---\n".join((folder / f"{name}.yaml").read_text("utf-8") for name in ("text", "radcliq-v1"))
