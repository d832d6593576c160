"""CRIMSON's score: values of the package crimson-score 0.2.0, and the same arithmetic over a judge's counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Judgement
from judges.crimson import credit, crimson, of_findings, of_judgement
from reward_service.profiles.profile import Profile
from reward_service.scoring.served_profile import BoundComponent, profile_document

U, A, N, B = "urgent", "actionable_not_urgent", "not_actionable_not_urgent", "benign_expected"
amount = st.floats(0, 50)


# The package's `_calculate_crimson`, before it rounds, on the same evaluations.
@pytest.mark.parametrize(
    ("reference", "predicted", "matched", "attribute_errors", "missing", "false", "expected"),
    [
        ({"R1": A, "R2": A}, {"P1": A, "P2": A}, ["R1", "R2"], [], [], [], 1.0),
        ({"R1": U, "R2": A}, {"P1": A}, ["R2"], [("R2", "significant")], ["R1"], [], 1 / 6),
        ({"R1": A}, {"P1": A}, ["R1", "R1"], [("R1", "significant"), ("R1", "unheard of")], [], [], 0.4),
        ({"R1": A, "R2": N}, {"P1": A, "P2": U}, ["R1"], [("R1", "negligible")], ["R2"], ["P2"], -1 / 3),
        ({"R1": N}, {"P1": U, "P2": "unheard of"}, [], [], ["R1"], ["P1", "P2"], -5 / 9),
        ({"R1": B}, {"P1": B}, [], [], ["R1"], ["P1"], 1.0),
        ({}, {}, [], [], [], [], 1.0),
        ({}, {"P1": A}, [], [], [], ["P1"], -1 / 3),
        ({}, {"P1": A}, ["R1", "R2"], [], [], ["P1"], -1 / 3),
        ({"R1": A}, {}, [], [], ["R1"], [], 0.0),
    ],
)
def test_the_package_s_values(
    reference: dict[str, str], predicted: dict[str, str], matched: list[str], attribute_errors: list[Any],
    missing: list[str], false: list[str], expected: float,
) -> None:  # fmt: skip
    got = of_findings(
        reference, predicted, matched=matched, attribute_errors=attribute_errors, missing=missing, false=false
    )
    assert got == pytest.approx(expected, abs=1e-12)


def test_credit_shrinks_with_attribute_errors() -> None:
    assert [credit(1.0), credit(1.0, [0.5]), credit(0.5, [0.5, 0.0])] == pytest.approx([1, 2 / 3, 1 / 4])
    assert credit(0.0, [0.0]) == 0.0


@given(correct=amount, false=amount, weight=amount, missing=amount, more=st.floats(0.1, 5))
def test_it_is_bounded_and_never_rises_with_what_is_false(
    correct: float, false: float, weight: float, missing: float, more: float
) -> None:
    score = crimson(min(correct, weight), false, weight, missing)
    assert -1 < score <= 1
    assert crimson(min(correct, weight), false + more, weight, missing) <= score


def judgement(matched: float, **errors: tuple[float, float]) -> Judgement:
    """`errors`: significant and insignificant ones by category."""
    both = {category: errors.get(category, (0.0, 0.0)) for category in CATEGORIES}
    serious, minor = ({category: counts[i] for category, counts in both.items()} for i in (0, 1))
    return Judgement(serious, minor, matched, (), {"signed": 0.0})


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (judgement(3), 1.0),
        (judgement(0), 1.0),  # a normal report
        (judgement(2, missing_finding=(2, 0)), 0.5),
        (judgement(2, missing_finding=(0, 2)), 2 / 2.5),
        (judgement(2, false_finding=(1, 1)), 0.75 / 2),
        (judgement(1, wrong_location=(1, 0)), (1 + 2 / 3) / 2),  # the distorted finding is not among the matched ones
        (judgement(2, wrong_severity=(0, 1)), 1.0),  # negligible, and among the matched ones
        (judgement(2, missing_comparison=(1, 0)), (1 + 2 / 3) / 2),
        (judgement(0, false_comparison=(1, 0)), 1.0),  # there is no finding whose attribute it could be
        (judgement(0, missing_finding=(1, 0), false_finding=(2, 0)), -2 / 3),
    ],
)
def test_a_judge_s_counts_in_the_same_arithmetic(verdict: Judgement, expected: float) -> None:
    assert of_judgement(verdict) == pytest.approx(expected)


def test_its_code_is_in_the_fingerprint_of_a_profile_that_uses_it() -> None:
    spec = {"component": "rules", "weight": 1.0}
    plain, used = (
        Profile(name="p", description="d", bounds=(-1.0, 1.0), components={"rules": {**spec, "value": value}})
        for value in ("signed", "crimson")
    )
    bound = {"rules": BoundComponent("rules", "f", {}, None, False, "exact")}  # type: ignore[arg-type]
    code = [profile_document(profile, bound)["code"]["reward"] for profile in (plain, used)]  # type: ignore[index]
    assert set(code[1]) - set(code[0]) == {"judges.crimson"}
