"""A reward as steps: they add up to it whatever the profile, and each names what it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.contracts import ComponentScore
from reward_service.profiles.profile import Profile
from reward_service.scoring.composite import compose
from reward_service.scoring.explanation import notes, steps
from reward_service.text.guards import GuardResult, Multiply, ToFloor

TRANSFORMS: tuple[Any, ...] = (
    "identity", {"affine": {"scale": 2, "shift": -1}}, {"clip": {"low": 0, "high": 1}}, {"exp_errors": {"k": 0.5}},
)  # fmt: skip


def made_of(**fields: Any) -> Profile:
    components = {key: {"component": "bleu2", **spec} for key, spec in fields.pop("components").items()}
    return Profile.model_validate({"name": "p", "description": "", "components": components, **fields})


CAPPED = made_of(
    bounds=(-1, 1),
    components={
        "llm": {"weight": 0.6, "cap": {"component": "rules", "margin": 0.1}, "transform": {"affine": {"scale": 2}}},
        "rules": {"weight": 0, "value": "x"},
        "rougeL": {"weight": 0.4},
    },
    guards={"repetition": {"multiplier": 0.25}, "hedge_density": "flag", "empty": {"floor": True}},
)


def explained(profile: Profile, values: dict[str, float], *flags: str) -> tuple[Any, list[Any]]:
    actions = [getattr(profile.guards, flag) for flag in flags]
    multiplier = 1.0
    for action in actions:
        multiplier *= action.multiplier if isinstance(action, Multiply) else 1.0
    guarded = GuardResult(flags, multiplier, any(isinstance(action, ToFloor) for action in actions))
    made = compose(profile, {key: ComponentScore({"x": value}) for key, value in values.items()}, guarded)
    return made, steps(profile, made.components, made.flags)


def test_every_step_is_a_line_of_its_own() -> None:
    made, found = explained(CAPPED, {"llm": 0.9, "rules": 0.2, "rougeL": 0.5}, "repetition", "hedge_density")
    assert [(one.kind, one.name, one.text) for one in found] == [
        ("component", "llm", "0.6 × 0.9"),
        ("cap", "llm", "not above rules + 0.1, 0.3"),
        ("transform", "llm", "affine: 0.3 counts as 0.6"),
        ("component", "rougeL", "0.4 × 0.5"),
        ("guard", "repetition", "what lies above -1 is multiplied by 0.25"),
    ]
    assert [one.amount for one in found] == pytest.approx([0.54, -0.36, 0.18, 0.2, -0.75 * 1.56])
    assert made.reward == pytest.approx(-1 + 0.25 * 1.56)
    assert notes(CAPPED, made) == ["repetition: × 0.25", "llm is capped by rules + 0.1"]


def test_a_floor_and_a_bound() -> None:
    made, found = explained(CAPPED, {"llm": 0.9, "rules": 2.0, "rougeL": 0.5})
    assert (found[-1].kind, made.reward) == ("bounds", 1.0)
    assert found[-1].amount == pytest.approx(1.0 - (1.08 + 0.2))
    made, found = explained(CAPPED, {"llm": 0.9, "rules": 2.0, "rougeL": 0.5}, "empty", "repetition")
    assert (found[-1].kind, found[-1].name, made.reward) == ("guard", "empty", -1.0)
    assert notes(CAPPED, made) == ["empty: the lower bound is paid", "repetition: × 0.25"]


@given(
    values=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    transforms=st.lists(st.sampled_from(TRANSFORMS), min_size=3, max_size=3),
    weights=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    bias=st.floats(-1, 1),
    margin=st.none() | st.floats(0, 1),
    flags=st.lists(st.sampled_from(["repetition", "hedge_density", "empty"]), unique=True),
)
def test_steps_add_up_to_the_reward(
    values: list[float],
    transforms: list[Any],
    weights: list[float],
    bias: float,
    margin: float | None,
    flags: list[str],
) -> None:
    weights[0] = weights[0] or 1.0
    components: dict[str, Any] = {
        f"k{i}": {"weight": weight, "transform": transform, "value": "errors" if "exp_errors" in transform else "x"}
        for i, (weight, transform) in enumerate(zip(weights, transforms, strict=True))
    }
    if margin is not None:
        components["k0"]["cap"] = {"component": "k1", "margin": margin}
    components["k3"] = {"weight": 0.5, "when_missing": "substitute:k1"}
    profile = made_of(components=components, bounds=(-2, 2), bias=bias, guards=CAPPED.guards.model_dump())
    scores: dict[str, Any] = {
        f"k{i}": ComponentScore({"x": value, "errors": abs(value)}) for i, value in enumerate(values)
    }
    from reward_service.contracts import ComponentError

    scores["k3"] = ComponentError("down", "down")
    guarded = GuardResult(tuple(flags), 0.25 if "repetition" in flags else 1.0, "empty" in flags)
    made = compose(profile, scores, guarded)
    assert made.reward is not None
    found = steps(profile, made.components, made.flags)
    assert sum(one.amount for one in found) == pytest.approx(made.reward, abs=1e-9)
