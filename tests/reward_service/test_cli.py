"""The command line as a user runs it: files in, files out, clear words and exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import PlainTextResponse

from testbed.service import SITE, write_profile
from tests.client.scripted import Scripted, app_of, refuse, serving
from tests.metrics import random_chexbert
from tests.waiting import SOON, wait_until
from tests.work import some_now

ROOT = Path(__file__).parents[2]
ITEM = {"id": "a", "candidate": "Small left effusion.", "reference": "Small left pleural effusion."}
GROUP = {"id": "g", "reference": "No pneumothorax.", "candidates": ["No pneumothorax.", "Large pneumothorax."]}


def run(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reward_service.cli", *arguments]
    environment = {**os.environ, "REWARD_PROFILES": "text", "REWARD_POOL_WORKERS": "0", **env}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, env=environment)


def lines(*entries: Any) -> str:
    return "".join((entry if isinstance(entry, str) else json.dumps(entry)) + "\n" for entry in entries)


def test_items_and_groups_in_the_order_of_the_input(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(lines(GROUP, ITEM, "", {**ITEM, "id": "b"}))
    done = run("score", str(source), "-o", str(out))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [r["id"] for r in results] == ["g", "a", "b"]
    assert [r["id"] for r in results[0]["results"]] == ["g/0", "g/1"]
    assert results[0]["results"][0]["reward"] > results[0]["results"][1]["reward"]
    assert results[1]["reward"] == results[2]["reward"]
    assert results[1]["fingerprint"].startswith("sha256:")
    assert results[1]["judgement"]["scores"]["signed"] == 1.0


@pytest.mark.slow
def test_nulls_are_written_and_make_the_status_1() -> None:
    done = run("score", "-", stdin=lines(ITEM, {**ITEM, "id": "b", "reference": ""}))
    assert done.returncode == 1
    assert "null: 1." in done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["status"], second["status"], second["missing"]["item"]["code"]) == ("ok", "null", "empty_reference")


@pytest.mark.slow
def test_the_output_may_be_the_input_and_an_old_result_outlives_a_failure(tmp_path: Path) -> None:
    file = tmp_path / "file.jsonl"
    file.write_text(lines(ITEM))
    assert run("score", str(file), "-o", str(file)).returncode == 0
    kept = file.read_text()
    assert json.loads(kept)["status"] == "ok"
    assert run("score", "-", "-o", str(file), stdin=lines({**ITEM, "candidate": 3})).returncode == 3
    assert file.read_text() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["file.jsonl"]
    assert run("score", "-", "-o", "/dev/stdout", stdin=lines(ITEM)).stdout == kept


@pytest.mark.slow
def test_a_lone_surrogate_is_that_items_problem() -> None:
    done = run("score", "-", stdin=lines(ITEM, '{"id": "s", "candidate": "\\ud800", "reference": "Clear."}'))
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["status"], second["missing"]["item"]["code"]) == ("ok", "invalid_unicode")


WRONG = (
    (("score", "-"), lines(ITEM, "{oops"), "Line 2 is not JSON"),
    (("score", "-"), lines({"id": "x"}), "Line 1: needs 'candidate'"),
    (("score", "-"), lines(ITEM, {**ITEM, "candidate": 3}), "Line 2: candidate:"),
    (("score", "-"), lines({"candiate": "", "reference": ""}), "Line 1: needs 'candidate'"),
    (("score", "-"), lines(ITEM, ITEM), "repeats an earlier id"),
    (("score", "absent.jsonl"), "", "No such file"),
    (("score", "-", "-o", "/nowhere/out.jsonl"), lines(ITEM), "No such file"),
    (("score", "-", "--profile", "txet"), lines(ITEM), "Did you mean 'text'"),
    (("score", "-", "--fingerprint", "sha256:00"), lines(ITEM), "another fingerprint"),
    (("score", "-", "--url", "http://127.0.0.1:9"), lines(ITEM), "does not answer"),
    (("score", "-", "--url", "127.0.0.1:9"), lines(ITEM), "begins with http://"),
    (("score", "-", "--url", "http://key:k@127.0.0.1:9"), lines(ITEM), "REWARD_CLIENT_API_KEY"),
    (("serve", "--port", "70000"), "", "REWARD_PORT"),
    (("serve", "--host", "0.0.0.0"), "", "without API keys"),
    (("serve", "--api-keys", "alice:secret"), "", "new-key"),
    (("fingerprint", "unirg-step1"), "", "unavailable"),
    (("judge-eval", "absent.jsonl", "--judge", "rules"), "", "No such file"),
    (("judge-eval", os.devnull), "", "at least two"),
    (("judge-eval", os.devnull, "--judge", "bleu4"), "", "no judge"),
)


@pytest.mark.parametrize(("arguments", "stdin", "words"), some_now(WRONG, 3))
def test_what_is_wrong_is_said_in_one_line_with_status_3(arguments: tuple[str, ...], stdin: str, words: str) -> None:
    done = run(*arguments, stdin=stdin)
    assert done.returncode == 3, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_service_that_is_away_for_a_moment_costs_no_line_and_one_file_has_one_fingerprint(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(lines(*({**ITEM, "id": str(i)} for i in range(600))))  # three requests
    scripted = Scripted()
    scripted.faults = [lambda *_: refuse(503), lambda _, honest: honest, lambda *_: refuse(429)]
    with serving(app_of(scripted)) as url:
        done = run("score", str(source), "--url", url)
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [str(i) for i in range(600)]
        assert [r.get("fingerprint") for r in scripted.requests] == [None, None, *["sha256:one"] * 3]

        scripted.faults = [lambda *_: PlainTextResponse("<html>secret report</html>", 404)]
        refused = run("score", str(source), "--url", url)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert "a proxy in between" in refused.stderr
        assert "secret" not in refused.stderr


@pytest.mark.slow
def test_fingerprint_and_its_document() -> None:
    short = run("fingerprint").stdout.splitlines()
    document = json.loads(run("fingerprint", "--document").stdout)
    from reward_service.profiles.fingerprint import of_profile

    assert short[0] == of_profile(document)
    assert short[1].startswith("profile:text|")


@pytest.mark.slow
def test_info_names_what_is_unavailable_and_why() -> None:
    shipped = json.loads(run("info").stdout)["shipped_profiles"]
    assert shipped["text"] == "enabled"
    assert shipped["unirg-step1"].startswith("unavailable")


def test_check_scores_the_canaries() -> None:
    done = run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("49 canaries unchanged") == 6  # two of the 50 pairs are one after the normaliser
    assert "ok: 50 canary rewards unchanged, over the committed values" in done.stdout


def test_every_setting_is_a_flag_with_its_variable() -> None:
    from reward_service.settings import Settings

    shown = run("serve", "--help", COLUMNS="200", TERM="dumb").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown
        assert f"REWARD_{name.upper()}" in shown


def test_read_prints_why_a_report_is_read_so(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("No effusion.", "utf-8")
    shown = run("read", "--file", str(report))
    assert shown.returncode == 0, shown.stderr
    assert "→ pleural_effusion: absent" in shown.stdout
    assert "cues/assertion.yaml:" in shown.stdout
    assert "\x1b" not in shown.stdout  # colours are for terminals
    assert json.loads(run("read", "--json", "-", stdin="No effusion.").stdout)["findings"] == ["-pleural_effusion"]
    missing = run("read", "--file", str(tmp_path / "none.txt"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (3, 1)
    assert run("read").returncode == run("read", "x", "--file", str(report)).returncode == 2


def test_new_key_makes_a_key_that_is_accepted() -> None:
    from reward_service.api.auth import ApiKeys

    first, second = run("new-key", "alice").stdout.splitlines()
    key, entry = first.split()[-1], second.split()[-1]
    assert ApiKeys([entry]).check(f"Bearer {key}") == "alice"


@pytest.mark.slow
def test_judge_eval_prints_agreement_of_the_rules_judge(tmp_path: Path) -> None:
    false, missing = {"significant": {"false_finding": 1}}, {"significant": {"missing_finding": 1}}
    rows = [
        {**ITEM, "significant": {}, "insignificant": {}},
        {"candidate": "Large right effusion.", "reference": "No effusion.", **false, "insignificant": {}},
        {"candidate": "Clear lungs.", "reference": "Left pneumothorax.", **missing, "insignificant": {}},
    ] * 4
    path = tmp_path / "labelled.jsonl"
    path.write_text(lines(*({k: v for k, v in row.items() if k != "id"} for row in rows)))
    done = run("judge-eval", str(path), "--judge", "rules")
    assert done.returncode == 0, done.stderr
    assert "95 % interval" in done.stdout


def test_judge_server_prints_the_command() -> None:
    done = run("judge-server", "org/model", "--print", "--gpus", "4", "--max-num-seqs", "32")
    assert done.stdout.startswith("vllm serve org/model ")
    assert "--tensor-parallel-size 4" in done.stdout
    assert done.stdout.rstrip().endswith("--max-num-seqs 32")


@pytest.mark.slow
def test_convert_makes_the_folder_of_a_model_and_says_what_is_wrong(tmp_path: Path) -> None:
    tokenizer = random_chexbert.write_tokenizer(tmp_path / "tokenizer")
    random_chexbert.write_checkpoint(tmp_path / "chexbert.pth", tokenizer)
    arguments = ("convert", "chexbert", str(tmp_path / "chexbert.pth"), str(tmp_path / "out"), "--tokenizer")
    done = run(*arguments, str(tokenizer))
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out'}\n"), done.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()
    again = run(*arguments, str(tokenizer))
    assert (again.returncode, again.stdout) == (3, "")
    assert again.stderr.startswith("error: ")
    assert str(tmp_path / "out") in again.stderr
    assert run("convert", "bert", "a", "b", "--tokenizer", "c").returncode == 2


@pytest.mark.parametrize("times", some_now((1, 2), 2))
def test_ctrl_c_ends_a_scoring_run_at_once_with_130(tmp_path: Path, times: int) -> None:
    """Once, or twice as wrappers of commands send it, while a batch is computed that would take for ever: nobody waits for it, and nothing is taken for a result."""
    component = {"component": "held", "value": "overlap", "weight": 1, "settings": {"gate": str(tmp_path / "gate")}}
    profile = write_profile(tmp_path, "held", {"overlap": component})
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(lines(*({"candidate": f"a {i}", "reference": "b"} for i in range(100))))
    command = [sys.executable, "-m", "reward_service", "score", str(source), "-o", str(output), "--profile", profile]
    environment = {**os.environ, "PYTHONPATH": f"{SITE}:{ROOT}"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=ROOT) as run:
        try:
            wait_until((tmp_path / "gate.held").exists)
            for _ in range(times):
                run.send_signal(signal.SIGINT)
            assert run.wait(SOON) == 130
            assert run.stderr is not None
            said = run.stderr.read().decode()
        finally:
            run.kill()
    assert said.splitlines()[-1].startswith("Interrupted. The same command continues")
    for word in ("Traceback", "terminate called", "never awaited", "leaked", "unhandled"):
        assert word not in said
    assert not output.exists()
