"""Every benchmark runs on a clean clone: without development data, in its smallest size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_REPORTS = "no iu_reports_dev.jsonl in REWARD_BENCH_DATA (/nonexistent): synthetic texts instead"
NO_PAIRS = "no iu_pairs_dev.jsonl in REWARD_BENCH_DATA (/nonexistent): synthetic texts instead"
SMALLEST = {
    "adversary": ("edits", "something unknown"),
    "bertscore": ("--references 1 --runs 1 --no-peer", "new candidates for known references:"),
    "bertscore_engine": ("--references 1 --runs 1", "encode + compare / bert_score with 16 a call:"),
    "engine": ("--references 1 --runs 1", "HTTP / in-process rate:"),
    "forms": ("--form bulleted", "0 forms fail"),
    "guards": ("attacks --studies 1", "gold_plus_everything"),
    "judge": ("--groups 2 --rounds 1", "CPU per pair:"),
    "language": ("", "said the other way, earns something"),
    "overload": ("--pairs 8 --seconds 1", "goodput at 4x / peak"),
    "radgraph": ("--references 1 --rollouts 2 --runs 1 --size tiny --package-pairs 0", "of_the_floor: "),
    "runs": ("--rounds 1 --groups 1", "what a run keeps"),
    "scope": ("", "other languages"),
    "soak": ("--texts 600 --seconds 60", "growth over the second half:"),
    "text_metrics": ("--pairs 16", "groups of 16 (synthetic 60-word reports)"),
    "trainers": ("--profile text --pairs 32 --plain-pairs 0 --runs 1", "one-item posts / requests of 256:"),
}
"""Arguments and what the output must hold. Whether a target is met means nothing in this size."""


def run(name: str, *arguments: str) -> str:
    environment = {**os.environ, "REWARD_BENCH_DATA": "/nonexistent"}
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_it_ends_with_its_figures(name: str) -> None:
    arguments, figure = SMALLEST[name]
    assert figure in run(name, *arguments.split())


def test_guards_are_measured_on_synthetic_studies() -> None:
    lines = run("guards", "alarms", "shuffles").splitlines()
    assert lines.count(NO_REPORTS) == lines.count(NO_PAIRS) == 1
    alarms = [line for line in lines if "penalised" in line]
    assert len(alarms) == 13
    assert all("flagged  0.00 %" in line for line in alarms)
    assert "  all words          25 and more      n=    9  flagged 100.0 %" in lines


@pytest.mark.slow
def test_clinical_evidence_leaves_out_what_needs_human_coding() -> None:
    lines = run("clinical", "coding", "errors", "systems", "patients").splitlines()
    assert lines.count(NO_REPORTS) == lines.count(NO_PAIRS) == 1
    left_out = "left out: needs the human MeSH coding of iu_reports_dev.jsonl in REWARD_BENCH_DATA"
    assert [line for line in lines if left_out in line] == [f"coding {left_out}", f"patients {left_out}"]
    assert "  all                          right category 100.0% (8/8)" in lines
    assert "  all                          costs < 0.05   100.0% (58/58)" in lines
    assert any(line.startswith("  paraphrase ") for line in lines)


def test_an_unknown_section_is_named() -> None:
    command = [sys.executable, "-m", "benchmarks.guards", "nosuch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'nosuch' is none of alarms, shuffles, attacks, speed" in done.stderr


def test_every_benchmark_is_run_by_a_test() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    parts = {"__init__", "clinical_edits", "clinical_mesh", "common", "data"}
    # tests/chaos; three hundred megabytes; what needs Ray or a model that reads
    elsewhere = {
        "chaos",
        "random_encoder",
        "score_ray",
        "serve_ray",
        "judge_injection",
        "judge_servers",
        "judge_throughput",
        "judge_prompts",  # tests/benchmarks/test_judge_prompts.py
    }
    elsewhere |= {"simulation", "scaling", "prompt_variants"}  # tests/benchmarks/test_simulation.py
    assert files == {*SMALLEST, "clinical"} | parts | elsewhere
