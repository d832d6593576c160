"""The composition algebra: values from the papers, and properties that must hold for any numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Judgement
from metrics.radcliq import RadCliQInputs, radcliq_v0, radcliq_v1, unirg_step1, unirg_step2
from reward_service.contracts import ComponentError, ComponentScore
from reward_service.profiles.loading import load_profile
from reward_service.profiles.profile import Profile
from reward_service.scoring.composite import compose
from reward_service.text.guards import GuardResult

CLEAN = GuardResult((), 1.0, False)
finite = st.floats(-50, 50)


def profile(components: dict[str, Any], bounds: tuple[float, float] = (-4000, 4000), bias: float = 0.0) -> Profile:
    filled = {key: {"component": "bleu2", **spec} for key, spec in components.items()}
    return Profile.model_validate(
        {"name": "p", "description": "", "bounds": bounds, "bias": bias, "components": filled}
    )


def scores(**values: float) -> dict[str, ComponentScore | ComponentError]:
    return {key: ComponentScore({"x": value}) for key, value in values.items()}


def down(code: str = "judge_unavailable") -> ComponentError:
    return ComponentError(code, "down", retryable=True)


def published(
    radgraph: float, bertscore: float, semb: float, bleu2: float
) -> dict[str, ComponentScore | ComponentError]:
    """What the components of the published profiles give, each beside another value that must not be taken."""
    return {
        "bleu2": ComponentScore({"bleu2": bleu2}),
        "bertscore": ComponentScore({"f1": bertscore, "precision": 9.0}),
        "semb_score": ComponentScore({"semb": semb, "agree14": 9.0}),
        "radgraph_f1": ComponentScore({"partial": 9.0, "combined": radgraph}),
    }


@pytest.mark.parametrize(
    ("bleu", "bs", "semb", "rg", "reciprocal"),
    [  # ReXrank board rows for UniRG-CXR (arXiv 2601.17151): BLEU, BERTScore, SembScore, RadGraph -> 1/RadCliQ-v1
        (0.248, 0.493, 0.487, 0.265, 1.217),
        (0.291, 0.538, 0.576, 0.298, 1.618),
        (0.265, 0.565, 0.659, 0.286, 1.977),
        (0.190, 0.428, 0.460, 0.236, 1.008),
        (0.130, 0.026, 0.433, 0.072, 0.530),
    ],
)
def test_radcliq_as_a_profile_gives_the_board_rows(
    bleu: float, bs: float, semb: float, rg: float, reciprocal: float
) -> None:
    made = compose(load_profile("radcliq-v1"), published(rg, bs, semb, bleu), CLEAN)
    assert made.reward is not None
    assert 1 / -made.reward == pytest.approx(reciprocal, abs=1.5e-3)


@pytest.mark.parametrize("name", ["radcliq-v0", "radcliq-v1", "unirg-step1"])
@given(x=st.tuples(st.floats(0, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1)))
def test_the_published_profiles_are_the_published_formulas(name: str, x: tuple[float, ...]) -> None:
    inputs = RadCliQInputs(*x)
    expected = {
        "radcliq-v0": -radcliq_v0(inputs),
        "radcliq-v1": -radcliq_v1(inputs),
        "unirg-step1": unirg_step1(inputs),
    }
    made = compose(load_profile(name), published(*x), CLEAN)
    assert made.reward == pytest.approx(expected[name], abs=1e-10)  # v1 leaves BLEU-2's 1e-11 out
    assert (made.status, made.components["radgraph_f1"]) == ("ok", x[0])


def test_unirg_step_2_adds_half_of_the_inverse_error_count() -> None:
    judgement = Judgement(
        {c: float(c == "missing_finding") for c in CATEGORIES},
        {c: 2.0 * (c == "wrong_severity") for c in CATEGORIES},
        1.0, (), {"signed": 0.1},
    )  # fmt: skip
    verdict = ComponentScore({"signed": 0.1, "inverse_errors": 0.9}, (), judgement)
    made = compose(load_profile("unirg-step2"), {**published(0.3, 0.5, 0.6, 0.2), "chexprompt": verdict}, CLEAN)
    # arXiv 2601.17151: 0.370 BERTScore + 0.253 SembScore + 0.377 RadGraph + 0.5 / (errors + 1), here 3 errors
    assert made.reward == pytest.approx(0.370 * 0.5 + 0.253 * 0.6 + 0.377 * 0.3 + 0.5 / 4, abs=1e-9)
    assert made.reward == pytest.approx(unirg_step2(RadCliQInputs(0.3, 0.5, 0.6, 0.2), 3), abs=1e-9)
    assert made.components["chexprompt"] == 3.0


def test_crimson_is_a_value_of_every_judge() -> None:
    judgement = Judgement(
        {c: float(c == "missing_finding") for c in CATEGORIES}, dict.fromkeys(CATEGORIES, 0.0), 3.0, (), {"signed": 0.1}
    )
    spec = {"clinical": {"component": "rules", "weight": 1, "value": "crimson"}}
    made = compose(profile(spec), {"clinical": ComponentScore({"signed": 0.1}, (), judgement)}, CLEAN)
    assert made.components["clinical"] == 0.75  # three of four findings


@given(
    values=st.lists(finite, min_size=1, max_size=8),
    weights=st.lists(st.floats(-3, 3), min_size=8, max_size=8),
    bias=st.floats(-3, 3),
    multiplier=st.floats(0, 1),
    floor=st.booleans(),
)
def test_contributions_sum_to_the_reward_exactly(
    values: list[float], weights: list[float], bias: float, multiplier: float, floor: bool
) -> None:
    keys = [f"k{i}" for i in range(len(values))]
    weights[0] = weights[0] or 1.0
    p = profile({k: {"weight": w} for k, w in zip(keys, weights, strict=False)}, bounds=(-2, 2), bias=bias)
    made = compose(p, scores(**dict(zip(keys, values, strict=True))), GuardResult((), multiplier, floor))
    assert made.reward is not None
    terms = list(json.loads(json.dumps(made.contributions)).values())
    assert sum(terms) == made.reward  # in this order,
    assert sum(reversed(terms)) == made.reward  # in another,
    assert math.fsum(terms) == made.reward  # and exactly
    assert -2 <= made.reward <= 2


@given(value=finite, multiplier=st.floats(0, 1))
def test_a_penalty_never_raises_a_reward(value: float, multiplier: float) -> None:
    p = profile({"k": {"weight": 1}}, bounds=(-1, 1))
    honest = compose(p, scores(k=value), CLEAN).reward
    punished = compose(p, scores(k=value), GuardResult(("spam",), multiplier, False)).reward
    assert honest is not None
    assert punished is not None
    assert punished <= honest


def test_a_missing_component_makes_the_reward_null_and_stays_null() -> None:
    made = compose(profile({"a": {"weight": 1}, "b": {"weight": 1}}), {**scores(a=0.5), "b": down()}, CLEAN)
    assert (made.reward, made.status, made.contributions) == (None, "null", {})
    assert made.components == {"a": 0.5, "b": None}
    assert made.missing["b"].code == "judge_unavailable"
    assert made.failed == ()


def test_policy_fail_is_reported_and_a_sentinel_never_matters() -> None:
    failing = profile({"a": {"weight": 1}, "b": {"weight": 1, "when_missing": "fail"}})
    assert compose(failing, {**scores(a=0.5), "b": down()}, CLEAN).failed == ("b",)
    sentinel = profile({"a": {"weight": 1}, "b": {"weight": 0, "when_missing": "fail"}})
    made = compose(sentinel, {**scores(a=0.5), "b": down()}, CLEAN)
    assert (made.reward, made.status, made.failed) == (0.5, "ok", ())
    assert "b" in made.missing


def test_a_substitute_is_used_flagged_and_degraded() -> None:
    p = profile({"llm": {"weight": 1, "when_missing": "substitute:rules"}, "rules": {"weight": 0}})
    made = compose(p, {**scores(rules=0.25), "llm": down()}, CLEAN)
    assert (made.reward, made.status, made.components["llm"]) == (0.25, "degraded", None)
    assert "substituted:llm" in made.flags
    both = compose(p, {"llm": down(), "rules": down()}, CLEAN)
    assert (both.reward, both.status) == (None, "null")


def test_a_cap_limits_the_llm_by_the_rules() -> None:
    p = profile({"llm": {"weight": 1, "cap": {"component": "rules", "margin": 0.2}}, "rules": {"weight": 0}})
    made = compose(p, scores(llm=0.9, rules=0.1), CLEAN)
    assert made.reward == pytest.approx(0.3)
    assert "capped:llm" in made.flags
    assert made.components["llm"] == 0.9  # the raw value stays visible
    assert compose(p, scores(llm=0.2, rules=0.1), CLEAN).reward == pytest.approx(0.2)
    uncapped = compose(p, {**scores(llm=0.9), "rules": down()}, CLEAN)
    assert (uncapped.reward, uncapped.status) == (None, "null")  # else failing the rules judge would lift the cap


@pytest.mark.parametrize(
    ("transform", "x", "expected"),
    [
        ("identity", 0.3, 0.3),
        ({"affine": {"scale": 2, "shift": -1}}, 0.3, -0.4),
        ({"clip": {"low": 0, "high": 1}}, 1.7, 1.0),
        ("inverse_errors", 3, 0.25),
        ({"exp_errors": {"k": 0.5}}, 2, math.exp(-1)),
        ("signed", -0.5, -0.5),
    ],
)
def test_transforms(transform: Any, x: float, expected: float) -> None:
    p = profile({"k": {"weight": 1, "transform": transform, "value": None}})
    assert compose(p, scores(k=x), CLEAN).reward == pytest.approx(expected, abs=1e-12)


def test_a_sum_that_the_grid_cannot_hold_is_no_reward() -> None:
    """Bounds would make a score of it, and contributions would no longer add up."""
    made = compose(profile({"a": {"weight": 1}, "b": {"weight": 1}}, bounds=(0, 1)), scores(a=1e300, b=0.5), CLEAN)
    assert (made.reward, made.status, made.contributions) == (None, "null", {})
    assert made.missing["reward"].code == "out_of_range"
    assert made.blocking == ("reward",)


def test_what_blocks_a_reward_is_not_all_that_is_missing() -> None:
    spec = {"a": {"weight": 1, "when_missing": "substitute:b"}, "b": {"weight": 0}, "c": {"weight": 1}}
    gone = ComponentError("text_too_long", "x")
    assert compose(profile(spec), {**scores(b=1, c=1), "a": down()}, CLEAN).blocking == ()
    assert compose(profile(spec), {**scores(c=1), "a": down(), "b": gone}, CLEAN).blocking == ("a", "b")
    assert compose(profile(spec), {**scores(a=1), "b": gone, "c": down()}, CLEAN).blocking == ("c",)
