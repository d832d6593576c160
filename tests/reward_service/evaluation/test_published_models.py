"""`check` and the file scorer with UniRG's three models: what is missing, goldens, values of a whole file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

pytest.importorskip("torch", reason="extra bertscore")

from metrics import corpus
from metrics.chexbert import BLANK, LABELS, NEGATIVE, POSITIVE, CheXbert, given
from metrics.radcliq import RadCliQInputs
from metrics.radgraph import RadGraphF1
from reward_service.evaluation import check, score_file
from reward_service.evaluation.reading.columns import Columns
from reward_service.evaluation.reading.entries import Input
from reward_service.evaluation.reading.formats import opened
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from tests.reward_service import random_models
from tests.reward_service.random_models import Models

PAIRS = [
    ("small left effusion", "no effusion"),
    ("heart is large", "heart is large"),
    ("no pneumothorax . heart is large", "small right pneumothorax"),
    ("", "no effusion"),
]
SHOWN = {BLANK: None, POSITIVE: 1, NEGATIVE: 0}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return random_models.make(tmp_path_factory.mktemp("models"))


@pytest.fixture
def configured(models: Models, monkeypatch: pytest.MonkeyPatch) -> Models:
    for name, folder in models._asdict().items():
        monkeypatch.setenv(f"REWARD_{name.upper()}", folder)
    monkeypatch.setenv("REWARD_DEVICE", "cpu")
    return models


async def test_check_names_everything_that_is_missing_with_command_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REWARD_BERTSCORE_MODEL", "distilroberta-base=/nowhere")  # so that no hub is asked
    assert await check.check("unirg-step2") == 3
    lines = capsys.readouterr().out.splitlines()
    missing = {line.split()[1]: line for line in lines}
    assert missing.keys() == {"bertscore", "semb_score", "radgraph_f1", "chexprompt"}
    assert "'/nowhere' is no local directory" in missing["bertscore"]
    assert "reward-service convert chexbert SRC DST --tokenizer DIR" in missing["semb_score"]
    assert "StanfordAIMI/RRG_scorers" in missing["radgraph_f1"]
    assert "REWARD_RADGRAPH_MODEL" in missing["radgraph_f1"]
    assert "REWARD_JUDGE_MODEL" in missing["chexprompt"]


@pytest.mark.usefixtures("configured")
async def test_check_loads_and_scores_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert await check.check("unirg-step1") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unirg")]
    assert [line.split()[1] for line in lines[:4]] == ["bleu2", "bertscore", "semb_score", "radgraph_f1"]
    assert all(line.split()[2] == "ok:" for line in lines[:4])
    assert "sha256:" in lines[5]


async def test_check_compares_goldens(configured: Models, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["small left effusion", "heart is large . no effusion"]
    annotations = RadGraphF1(configured.radgraph_model).encode(texts)
    readings = CheXbert(configured.chexbert_model).encode(texts)
    lines: list[dict[str, Any]] = [
        {
            "text": text,
            "radgraph": annotation.as_json(),
            "chexbert": {label: SHOWN.get(each, -1) for label, each in zip(LABELS, reading.classes, strict=True)},
        }
        for text, annotation, reading in zip(texts, annotations, readings, strict=True)
    ]
    golden = tmp_path / "golden.jsonl"
    golden.write_text("\n".join(map(json.dumps, lines)))
    assert await check.check("unirg-step1", str(golden)) == 0
    assert capsys.readouterr().out.count("ok: 2 texts as in the file") == 2

    edema = lines[1]["chexbert"]["Edema"]
    lines[1]["chexbert"]["Edema"] = 0 if edema != 0 else 1
    golden.write_text("\n".join(map(json.dumps, lines)))
    assert await check.check("unirg-step1", str(golden)) == 3
    assert "semb_score       WRONG: line 2: Edema is" in capsys.readouterr().out


async def test_goldens_that_nothing_reads_are_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = tmp_path / "golden.jsonl"
    golden.write_text(json.dumps({"text": "a", "chexbert": dict.fromkeys(LABELS)}))
    assert await check.check("text", str(golden)) == 3
    assert "nothing was compared" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("configured")
def test_three_models_load_at_once_in_a_new_process() -> None:
    """In this process transformers has long been imported, and names that are there cannot be missed."""
    command = [sys.executable, "-m", "reward_service.cli", "check", "--profile", "unirg-step1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
async def test_values_of_a_whole_file_are_those_of_its_texts(configured: Models, tmp_path: Path) -> None:
    source, out, values = (tmp_path / name for name in ("in.jsonl", "out.jsonl", "values.json"))
    lines = [{"candidate": candidate, "reference": reference} for candidate, reference in PAIRS]
    source.write_text("\n".join(map(json.dumps, lines)))
    wanted = score_file.Wanted(profile="unirg-step1", corpus=str(values))
    with opened([str(source)]) as sources:
        assert await score_file.score(Input(sources, Columns()), str(out), wanted) == 0

    results = [json.loads(line)["values"] for line in out.read_text().splitlines()]
    chexbert, radgraph = CheXbert(configured.chexbert_model), RadGraphF1(configured.radgraph_model)
    sides = [chexbert.encode([pair[side] for pair in PAIRS]) for side in (0, 1)]
    labels = [[given(reading.classes) for reading in side] for side in sides]
    compared = radgraph.compare(*(radgraph.encode([pair[side] for pair in PAIRS]) for side in (0, 1)))
    inputs = [
        RadCliQInputs(v["radgraph_f1"]["combined"], v["bertscore"]["f1"], v["semb_score"]["semb"], v["bleu2"]["bleu2"])
        for v in results
    ]
    assert json.loads(values.read_text()) == {
        "f1_chexbert": {"n": 4, **corpus.f1_chexbert(*labels)},
        "radgraph": {"n": 4, **corpus.radgraph([comparison.values for comparison in compared])},
        "radcliq": {"n": 4, **corpus.radcliq(inputs)},
    }
    assert json.loads(values.read_text())["radgraph"]["partial"] == fmean(c.values["partial"] for c in compared)


@pytest.mark.usefixtures("configured")
async def test_a_group_of_16_is_17_readings_of_each_model_and_a_second_epoch_none() -> None:
    words = ["effusion", "opacity", "edema", "nodule"]
    candidates = [f"small {side} {word}" for side in ("left", "right", "new", "old") for word in words]
    items = [Item(None, candidate, "small left effusion .", None) for candidate in candidates]
    async with Engine(Settings(profiles=("unirg-step1",))) as engine:

        def read() -> dict[str, Any]:
            health = engine.state.health()
            return {key.split(":")[0]: of["artefacts"] for key, of in health.items() if of["cost"] == "model"}

        before = {name: stats["misses"] for name, stats in read().items()}
        first = await engine.score(ScoringRequest(items))
        after = {name: stats["misses"] - before[name] for name, stats in read().items()}
        assert after == {"bertscore": 17, "semb_score": 17, "radgraph_f1": 17}
        assert all(0 < stats["bytes"] < 1_000_000 for stats in read().values())
        again = await engine.score(ScoringRequest(items))
        assert {name: stats["misses"] - before[name] for name, stats in read().items()} == after
    assert [s.composite for s in again] == [s.composite for s in first]
    assert {s.cache for s in again} == {"hit"}
