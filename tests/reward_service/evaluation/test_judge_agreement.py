"""`judge-eval`: kept judgements are not asked for again, lasting failures are counted, two judges stand side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judges.base import CATEGORIES, Judgement
from judges.vllm.cases import Labelled
from judges.vllm.errors import JudgeInvalidOutput, JudgeUnavailable
from reward_service.errors import InvalidRequest, ServiceError
from reward_service.evaluation import judge_agreement
from reward_service.evaluation.judge_agreement import Wanted, evaluate, prices_of, settings_of

NONE = dict.fromkeys(CATEGORIES, 0.0)
TOKENS = {"requests": 1, "tokens": {"prompt": 1000, "cached": 900, "completion": 50}, "corrections": 1}


class Judge:
    """Counts an error in every candidate that names a nodule, and fails on those that name a mass."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Exception = JudgeInvalidOutput("no answer")

    def manifest(self) -> dict[str, object]:
        return {"model": "m"}

    def health(self) -> dict[str, object]:
        return {"ready": True}

    def read(self, candidate: str, reference: str, prior: str | None, stored: Judgement) -> Judgement:
        return stored

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def judge(self, candidate: str, reference: str, prior: str | None, *, deadline: float) -> Judgement:
        self.asked.append(candidate)
        if "mass" in candidate:
            raise self.failure
        errors = float("nodule" in candidate)
        return Judgement({**NONE, "false_finding": errors}, NONE, 1.0, (), {"signed": 1.0 - errors}, (), TOKENS)  # type: ignore[dict-item]


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    made = Judge()
    monkeypatch.setattr(judge_agreement, "build", lambda name, settings: made)
    return made


@pytest.fixture
def source(tmp_path: Path) -> str:
    rows = [("Clear.", 0), ("A nodule.", 1), ("A nodule <b>.", 0), ("A mass.", 1), ("Clear again.", 0)]
    lines = [json.dumps({"candidate": c, "reference": "Clear.", "significant": {"false_finding": n}}) for c, n in rows]
    path = tmp_path / "labelled.jsonl"
    path.write_text("\n".join(lines))
    return str(path)


def test_a_run_is_gone_on_with_and_says_what_it_cost(judge: Judge, source: str, tmp_path: Path) -> None:
    save, page = str(tmp_path / "judged.jsonl"), tmp_path / "page.html"
    wanted = Wanted(source, save=save, html=str(page), price=(1.0, 0.1, 2.0), limit=4)
    first = evaluate(wanted)
    assert "3 of 4 pairs judged, 1 without (judge_invalid_output)" in first
    assert "valid 0.750 of pairs" in first
    assert "0.900 cached" in first
    assert "cost 0.29 for 1,000 pairs" in first  # (100 * 1 + 900 * .1 + 50 * 2) / 1e6 * 1000
    assert "corrections by the conservation law 1.00 a pair" in first
    shown = page.read_text()
    assert "A nodule &lt;b&gt;." in shown  # the false alarm is shown, and escaped
    assert "<b>." not in shown
    asked = len(judge.asked)
    evaluate(Wanted(source, save=save))
    assert judge.asked[asked:] == ["Clear again."]
    assert "pairs/s" not in evaluate(Wanted(source, save=save))  # nothing was timed


def test_two_judges_stand_side_by_side(judge: Judge, source: str, tmp_path: Path) -> None:
    save = str(tmp_path / "judged.jsonl")
    evaluate(Wanted(source, save=save))
    text = evaluate(Wanted(source, compare=save))
    assert "the same 4 pairs" in text
    difference = text.partition("vllm less")[2]
    assert "all errors           mean difference               0.000     0.000 .. 0.000" in difference


def test_a_server_that_fails_is_no_result(judge: Judge, source: str) -> None:
    judge.failure = JudgeUnavailable("down")
    with pytest.raises(ServiceError, match="judge_unavailable"):
        evaluate(Wanted(source))


def test_wrong_arguments_are_named(judge: Judge, source: str, tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text('{"x": 1}\n')
    for compare in (str(tmp_path / "other.jsonl"), "absent"):
        with pytest.raises(InvalidRequest):
            evaluate(Wanted(source, compare=compare))
    for given in ("1,2", "a,b,c"):
        with pytest.raises(InvalidRequest, match="three numbers"):
            prices_of(given)
    with pytest.raises(InvalidRequest, match="name=value"):
        settings_of(["protocol"])
    assert settings_of(["votes=3", "protocol=statements"]) == {"votes": 3, "protocol": "statements"}


def test_the_shipped_pairs_are_what_is_judged_without_a_file(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Labelled("A nodule.", "Clear.", None, {"false_finding": 1}, {}, "study/kind")
    monkeypatch.setattr(judge_agreement.cases, "shipped", lambda part: [pair] * {"open": 2, "kept": 3}[part])
    assert "2 of 2 pairs" in evaluate(Wanted())
    assert "3 of 3 pairs" in evaluate(Wanted(part="kept"))
