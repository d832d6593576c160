"""Intervals and p against scipy and sacreBLEU on the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from reward_service.evaluation import statistics as st


def intervals(values: np.ndarray, studies: list[str] | None = None, **draw: int) -> list[st.Interval]:
    sums = st.by_study(st.with_counts(values), studies)
    return st.intervals(sums, st.means, st.draws(sums, st.means, **draw))


RNG = np.random.default_rng(5)
SKEWED = RNG.exponential(size=(60, 3))


def test_the_bca_interval_is_scipy_s() -> None:
    """The same resamples (scipy draws them from the same generator in the same order), so the same bounds."""
    found = intervals(SKEWED, seed=3, resamples=2000)
    for column, interval in zip(SKEWED.T, found, strict=True):
        theirs = stats.bootstrap((column,), np.mean, n_resamples=2000, rng=np.random.default_rng(3), vectorized=True)
        assert interval.value == pytest.approx(column.mean(), abs=1e-12)
        assert interval[1:] == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_missing_values_are_left_out_and_studies_are_drawn_whole() -> None:
    values = np.array([[1.0], [np.nan], [3.0], [5.0]])
    (found,) = intervals(values, resamples=500)
    assert found.value == 3.0
    rows = np.repeat(SKEWED[:, :1], 4, axis=0)
    studies = [str(i // 4) for i in range(len(rows))]
    (alone,) = intervals(SKEWED[:, :1], resamples=1000)
    (together,) = intervals(rows, studies, resamples=1000)
    (careless,) = intervals(rows, resamples=1000)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.2)
    assert careless.high - careless.low < 0.7 * (together.high - together.low)  # half as wide in theory


def test_constant_and_single_values_have_no_false_interval() -> None:
    assert intervals(np.ones((9, 1)), resamples=100) == [(1.0, 1.0, 1.0)]
    (one,) = intervals(np.ones((1, 1)))
    assert one.value == 1.0
    assert math.isnan(one.low)


def test_many_studies_get_the_normal_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    values = RNG.normal(size=(5000, 1))
    (resampled,) = intervals(values, resamples=4000)
    monkeypatch.setattr(st, "MOST_RESAMPLED", 100)
    (normal,) = intervals(values)
    error = float(values.std(ddof=1) / math.sqrt(5000))
    assert normal.high - normal.low == pytest.approx(2 * 1.959964 * error, rel=1e-4)
    assert resampled[1:] == pytest.approx(normal[1:], abs=0.1 * error)


def test_randomisation_p_is_scipy_s_sign_test_of_means() -> None:
    """Against the exact p over all 2^12 sign patterns (`scipy.stats.permutation_test`, permutation_type 'samples')."""
    differences = RNG.normal(0.4, 1, size=(12, 2))
    ours = randomisation_p(differences, resamples=20_000)
    for p, column in zip(ours, differences.T, strict=True):
        exact = stats.permutation_test(
            (column,), lambda x, axis: x.mean(axis), permutation_type="samples", n_resamples=math.inf, vectorized=True
        )
        assert p == pytest.approx(exact.pvalue, abs=0.012)  # 3 standard errors of 20,000 draws at p = 0.5


def randomisation_p(differences: np.ndarray, resamples: int) -> np.ndarray:
    """Of mean differences: of a system against one that has nothing but zeros."""
    theirs = st.with_counts(differences)
    return st.randomisation_p(st.with_counts(np.zeros_like(differences)), theirs, st.means, resamples=resamples)


def bootstrap_p(differences: np.ndarray, resamples: int) -> list[float]:
    sums = st.with_counts(differences)
    drawn = st.draws(sums, st.means, resamples=resamples)
    assert drawn is not None
    return [st.bootstrap_p(float(v), d) for v, d in zip(st.means(sums.sum(0)), drawn.T, strict=True)]


def test_bootstrap_p_is_sacrebleu_s() -> None:
    """The formula of sacreBLEU's paired tests (`_compute_p_value`) on the same resamples."""
    significance = pytest.importorskip("sacrebleu.significance")
    differences = RNG.normal(0.1, 1, 200) - RNG.normal(0.0, 1, 200)
    drawn = np.random.default_rng(0).integers(0, 200, (1000, 200))
    shifted = np.abs(differences[drawn].mean(1) - differences.mean())
    expected = significance._compute_p_value(shifted, abs(float(differences.mean())))
    assert bootstrap_p(differences[:, None], 1000) == [pytest.approx(expected)]


def test_no_difference_is_p_1_and_a_certain_one_the_least_p() -> None:
    same, other = np.zeros((50, 1)), np.ones((50, 1))
    assert bootstrap_p(same, 99)[0] == randomisation_p(same, resamples=99)[0] == 1.0
    assert bootstrap_p(other, 99)[0] == randomisation_p(other, resamples=99)[0] == 0.01


def test_p_values_under_the_null_hypothesis_are_uniform() -> None:
    """200 comparisons of two equal systems: about 5 % below 0.05 (between 1 % and 10 %)."""
    differences = RNG.normal(size=(80, 200))
    for ps in (bootstrap_p(differences, 1000), randomisation_p(differences, resamples=1000)):
        assert 0.01 <= (np.array(ps) < 0.05).mean() <= 0.1


def test_holm() -> None:
    """By hand: 0.01 * 4, 0.02 * 3, max(0.06, 0.03 * 2), 0.5."""
    assert st.holm([0.02, 0.5, 0.01, 0.03, math.nan])[:4] == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert math.isnan(st.holm([math.nan])[0])


def test_the_effect_is_the_paired_t_over_the_root_of_n() -> None:
    differences = RNG.normal(0.3, 1, size=(40, 1))
    t = stats.ttest_1samp(differences[:, 0], 0).statistic
    assert st.paired_effect(differences)[0] == pytest.approx(t / math.sqrt(40))


def test_equal_differences_have_no_effect_size() -> None:
    """Their standard deviation is rounding alone, and nothing stands for a column without a value."""
    differences = np.array([[0.1 + 0.2 - 0.3 + 0.1, np.nan], [0.1, np.nan], [0.30000000000000004 - 0.2, np.nan]])
    assert np.isnan(st.paired_effect(differences)).all()
