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
    got = scores.score(counts, {}, matched=matched, lost=1.0)
    assert got["green"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("errors", "expected"), [(0, 1.0), (1, 0.5), (4, 0.2), (5, 1 / 6)])
def test_inverse_errors(errors: int, expected: float) -> None:
    assert scores.inverse_errors(errors) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (0.0, 1.0),  # everything right
        (1.0, 0.0),  # nothing said that counts
        (0.5, 0.5),  # one invented major finding beside two right ones
        (2.0, -0.5),  # s = -1 is squashed to -1/2
        (4.0, -0.75),  # s = -3 to -3/4
    ],
)
def test_signed(lost: float, expected: float) -> None:
    assert scores.signed(lost) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("signed", "errors", "expected"),
    [
        (1.0, 0, 1.0),
        (0.0, 1, 0.0),  # a normal text for a study with one finding, which it does not deny: (3/8 - 3/8) / (5/8)
        (0.5, 1, 0.2),  # (1/8 + 3/8 - 3/8) / (5/8)
        (0.5, 2, 0.0),  # (1/8 + 1/4 - 3/8) / (5/8)
        (-1 / 3, 2, -1 / 3),  # (-1/12 + 1/4 - 3/8) / (5/8)
        (-1.0, math.inf, -1.0),
    ],
)
def test_quality(signed: float, errors: float, expected: float) -> None:
    assert scores.quality(signed, errors) == pytest.approx(expected)


def test_empty_candidate_is_the_floor() -> None:
    got = scores.score({}, {}, matched=0, lost=2.0, empty=True)
    assert got == {"signed": -1.0, "green": 0.0, "inverse_errors": 0.5, "quality": -1.0}


@given(lost=amount, errors=st.integers(0, 1000), more=st.floats(0.01, 10))
def test_values_are_bounded_finite_and_monotone(lost: float, errors: int, more: float) -> None:
    value = scores.signed(lost)
    assert math.isfinite(value)
    assert -1.0 <= value <= 1.0
    assert scores.signed(lost + more) <= value
    quality = scores.quality(value, errors)
    assert -1.0 <= quality <= 1.0
    assert scores.quality(scores.signed(lost + more), errors + 1) < quality
