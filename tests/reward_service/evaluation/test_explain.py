"""`reward-service explain` as a user runs it: from texts, from files, as data, in colour and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reward_service.errors import InvalidRequest
from reward_service.evaluation import console
from reward_service.evaluation.explain import Texts, find
from tests.reward_service.test_cli import lines, run

CANDIDATE, REFERENCE = "Small right effusion. Zebra \x1b[2J.", "Small left pleural effusion. No pneumothorax."
GROUP = {"id": "g", "candidates": [CANDIDATE, REFERENCE], "reference": REFERENCE}
SEVERAL = {"id": "s:1", "candidate": REFERENCE, "references": ["Clear lungs.", REFERENCE]}


@pytest.mark.slow
def test_texts_a_record_and_two_files_are_explained_alike(tmp_path: Path) -> None:
    file, one, other = (tmp_path / name for name in ("in.jsonl", "candidate.txt", "reference.txt"))
    file.write_text(lines(GROUP, SEVERAL))
    one.write_text(CANDIDATE)
    other.write_text(REFERENCE)
    texts = run("explain", "--json", "--candidate", CANDIDATE, "--reference", REFERENCE)
    assert texts.returncode == 0, texts.stderr
    made = json.loads(texts.stdout)
    assert made == json.loads(run("explain", "--json", str(one), str(other)).stdout)
    assert made == json.loads(run("explain", "--json", "--item", f"{file}:g/0").stdout)
    assert sum(step["amount"] for step in made["steps"]) == pytest.approx(made["result"]["reward"], abs=1e-9)
    assert made["result"]["reason"].startswith("Wrong side of the pleural effusion (−1.25)")
    shown = run("explain", "--item", f"{file}:s:1")
    assert (shown.returncode, "\x1b" in shown.stdout) == (0, False)
    assert "Reason\nNothing is lost." in shown.stdout
    assert shown.stdout.endswith(f"Reference\n{REFERENCE}\n")  # the one that is paid


def test_what_is_wanted_is_said_once_and_null_is_the_status_1() -> None:
    for wrong in (("README.md",), ("--item", "a:b", "--candidate", "x", "--reference", "y")):
        assert run("explain", *wrong).returncode == 2
    null = run("explain", "--candidate", "Clear.", "--reference", "")
    assert (null.returncode, "Reward null" in null.stdout, "empty_reference" in null.stdout) == (1, True, True)


def test_an_item_is_found_as_score_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(lines(GROUP, SEVERAL))
    assert find(f"{file}:g/1") == Texts(REFERENCE, (REFERENCE,))
    assert find(f"{file}:s:1") == Texts(REFERENCE, ("Clear lungs.", REFERENCE))
    for wrong in (f"{file}:g", f"{file}:g/2", f"{file}:none", "in.jsonl", ":a", f"{file}:"):
        with pytest.raises(InvalidRequest):
            find(wrong)


def test_colours_are_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    app = typer.Typer()
    app.command()(lambda: console.show(console.paint("red", "significant")))
    runner = CliRunner()
    assert "\x1b[31m" in runner.invoke(app, [], color=True).stdout
    assert runner.invoke(app, []).stdout == "red\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert runner.invoke(app, [], color=True).stdout == "red\n"
