"""The score formulas: published values, limits, and the order that training relies on."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import scores
from judges.base import CATEGORIES

amount = st.floats(0, 1e3, allow_nan=False)


# Counts and results of the five examples that GREEN's own repository tests
# (Stanford-AIMI/GREEN, tests/test_repro.py at d72c1951): significant a..f, matched, score.
@pytest.mark.parametrize(
    ("significant", "matched", "expected"),
    [
        ((2, 3, 0, 1, 0, 0), 0, 0.0),
        ((2, 1, 2, 0, 0, 0), 1, 1 / 6),
        ((0, 2, 1, 1, 0, 0), 2, 1 / 3),
        ((1, 0, 0, 0, 0, 0), 1, 0.5),
        ((1, 0, 1, 1, 0, 0), 1, 0.25),
    ],
)
def test_green_reproduces_its_authors_examples(significant: tuple[int, ...], matched: int, expected: float) -> None:
    counts = dict(zip(CATEGORIES, map(float, significant), strict=True))
    got = scores.score(counts, {}, matched=matched, credit=0, penalty=0, weight=1)
    assert got["green"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("errors", "expected"), [(0, 1.0), (1, 0.5), (4, 0.2), (5, 1 / 6)])
def test_inverse_errors(errors: int, expected: float) -> None:
    assert scores.inverse_errors(errors) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("credit", "penalty", "weight", "expected"),
    [
        (2.0, 0.0, 2.0, 1.0),  # everything right
        (0.0, 0.0, 2.0, 0.0),  # nothing said that counts
        (2.0, 1.0, 2.0, 0.5),  # one invented major finding beside two right ones
        (0.0, 2.0, 2.0, -0.5),  # s = -1 is squashed to -1/2
        (0.0, 6.0, 2.0, -0.75),  # s = -3 to -3/4
        (0.0, 0.0, 0.0, 0.0),  # a reference in which no finding was recognised: nothing to earn
        (0.0, 0.5, 0.0, -5 / 9),  # the same with one invented moderate finding: -0.5 / (0.4 + 0.5)
    ],
)
def test_signed(credit: float, penalty: float, weight: float, expected: float) -> None:
    assert scores.signed(credit, penalty, weight) == pytest.approx(expected)


def test_empty_candidate_is_the_floor() -> None:
    got = scores.score({}, {}, matched=0, credit=0, penalty=0, weight=1, empty=True)
    assert got == {"signed": -1.0, "green": 0.0, "inverse_errors": 0.5}


@given(credit=amount, penalty=amount, weight=amount, more=st.floats(0.01, 10))
def test_signed_is_bounded_finite_and_monotone(credit: float, penalty: float, weight: float, more: float) -> None:
    credit = min(credit, weight)
    value = scores.signed(credit, penalty, weight)
    assert math.isfinite(value)
    assert -1.0 <= value <= 1.0
    assert scores.signed(credit, penalty + more, weight) <= value
