"""Threshold and temperature: known values, and models that cannot be calibrated."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.vllm import calibration, questions
from judges.vllm.calibration import Calibration, statements
from judges.vllm.errors import JudgeMisconfigured, JudgeUncalibratable
from judges.vllm.fitting import Answers, ask_known, auc, fit, platt
from judges.vllm.letters import LETTERS, Question
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion

KNOWN = statements()


def said(wrong: float) -> list[float]:
    return [1.0 - wrong, wrong / 2, wrong / 2]


def answers(right: float, wrong: float, mass: float = 1.0) -> Answers:
    """Of a model that gives P(not A) `right` to what is said and `wrong` to what is not, with a slight spread."""
    spread = [0.98, 1.0, 1.02]
    rows = [said((right if k.said == "A" else wrong) * spread[i % 3]) for i, k in enumerate(KNOWN)]
    return Answers(rows, [mass] * len(KNOWN), {}, {})


def test_the_shipped_statements_are_of_every_kind() -> None:
    assert len(KNOWN) >= 100
    assert {k.said for k in KNOWN} == set("ABC")
    assert {k.kind for k in KNOWN if k.said == "B"} == set("ABCD")
    assert all(k.kind is None for k in KNOWN if k.said != "B")
    assert all((k.significant is None) == (k.said == "A") for k in KNOWN)


def test_the_threshold_lies_between_a_models_answers_wherever_they_are() -> None:
    for right, wrong in ((0.02, 0.2), (0.1, 0.9), (0.6, 0.95)):
        made = fit("m", "r", "p", answers(right, wrong))
        assert right * 1.02 < made.threshold < wrong * 0.98
        assert made.auc == 1.0
        assert made.wrong(said(right)) < 0.2
        assert made.wrong(said(wrong)) > 0.8
        assert made.wrong(said(made.threshold)) == pytest.approx(0.5, abs=1e-3)
        for canary in made.canaries:
            assert (canary["wrong"] > 0.5) == (KNOWN[canary["number"]].said != "A")


@pytest.mark.parametrize(
    ("given_answers", "words"),
    [
        (answers(0.1, 0.9, mass=0.3), "letters in 30%"),
        (answers(0.5, 0.5), "alike"),
        (answers(0.9, 0.1), "AUC 0.00"),
    ],
)
def test_a_model_that_cannot_judge_is_refused(given_answers: Answers, words: str) -> None:
    with pytest.raises(JudgeUncalibratable, match=words):
        fit("m", "r", "p", given_answers)


def test_shipped_calibrations_belong_to_the_shipped_questions() -> None:
    names = [file.stem for file in (calibration.FOLDER / "calibrations").glob("*.json")]
    assert names
    assert {calibration.load(name).prompts for name in names} == {questions.digest()}


def test_auc_counts_pairs() -> None:
    # Of six pairs four are right and one is a tie: 4.5 / 6.
    scores, positive = np.array([0.1, 0.4, 0.4, 0.3, 0.9]), np.array([False, False, True, True, True])
    assert auc(scores, positive) == pytest.approx(4.5 / 6)


@given(st.floats(-3, 3), st.floats(0.3, 2))
def test_platt_finds_the_middle_and_follows_the_scale(middle: float, half: float) -> None:
    base = np.array([-1.5, -1.0, -0.5, 0.3, -0.3, 0.5, 1.0, 1.5])  # one of four on the wrong side, symmetric
    positive = np.arange(8) >= 4
    slope, offset = platt(base * half + middle, positive)
    unit, _ = platt(base, positive)
    assert -offset / slope == pytest.approx(middle, abs=1e-3)
    assert slope == pytest.approx(unit / half, rel=1e-2)


def test_kinds_and_significance_are_used_only_where_the_model_can_tell() -> None:
    kinds = {i: k.kind for i, k in enumerate(KNOWN) if k.kind}
    graves = {i: k.significant for i, k in enumerate(KNOWN) if k.significant is not None}
    base = answers(0.1, 0.9)
    # It leans to E whatever the kind is; taking the prior out shows what it knows.
    leaning = {
        i: [0.15 if letter == kind else 0.6 if letter == "E" else 0.08 for letter in "ABCDE"]
        for i, kind in kinds.items()
    }
    able = fit(
        "m", "r", "p", base._replace(kind=leaning, grave={i: [0.4 if g else 0.3, 0.6] for i, g in graves.items()})
    )
    assert [able.kind(leaning[i]) for i in kinds] == list(kinds.values())
    assert able.grave([0.4, 0.6])
    assert not able.grave([0.3, 0.7])
    blind = fit("m", "r", "p", base._replace(kind={i: [0.2] * 5 for i in kinds}, grave={i: [0.9, 0.1] for i in graves}))
    assert (blind.kind_bias, blind.grave_threshold) == (None, None)
    assert blind.grave([0.0, 1.0])  # in doubt an error is significant
    assert blind.kind([0.2] * 5) is None


def test_a_server_without_log_probabilities_is_refused_and_a_chatty_model_counts_as_a_guess() -> None:
    settings = VllmJudgeSettings("m", "r")

    async def ask(top: Any) -> Answers:
        async def send(body: bytes) -> Completion:
            return Completion("A", 1, 0, 1, False, top)

        return await ask_known(settings, send)

    with pytest.raises(JudgeMisconfigured, match="gives no top_logprobs"):
        asyncio.run(ask(()))
    chatty = asyncio.run(ask((("The", math.log(0.99)), ("A", math.log(0.01)))))
    assert chatty.said[0] == [1 / 3] * 3
    assert chatty.mass[0] == pytest.approx(0.01)


def test_letters_are_read_with_a_blank_before_them_and_add_up() -> None:
    top = (("A", math.log(0.3)), (" A", math.log(0.1)), ("B", math.log(0.2)), ("the", math.log(0.4)))
    completion = Completion("A", 1, 0, 1, False, top)
    assert questions.read(completion, Question.SAID) == pytest.approx([4 / 6, 2 / 6, 0.0])
    assert questions.mass(completion, Question.SAID) == pytest.approx(0.6)
    assert LETTERS[Question.GRAVE] == "AB"


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.05, 0.95), st.floats(0.2, 5))
def test_the_calibrated_probability_rises_with_the_models(
    a: float, b: float, threshold: float, temperature: float
) -> None:
    made = Calibration("m", "r", "p", threshold, temperature, None, None, 1.0, ())
    low, high = sorted((a, b))
    assert 0.0 <= made.wrong(said(low)) <= made.wrong(said(high)) <= 1.0
