"""Intervals and tests by resampling studies, vectorised over metrics.

A statistic here is a function of sums over studies: a mean is (sum, count), an F1 (both, either). So a bootstrap
resample of n studies is one row of counts times the matrix of their sums, for all metrics at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""From sums of shape (..., k) to values of shape (..., q)."""

RESAMPLES: Final = 10_000
MOST_RESAMPLED: Final = 50_000
"""More studies than this get a normal interval from the jackknife: resampling would show the same, hours later."""
FEWEST: Final = 5
"""A subgroup of fewer studies has no interval: it would say more about the resampling than about the subgroup."""
_CELLS: Final = 2_000_000  # of the matrix of one batch of resamples
_NORMAL = NormalDist()


class Interval(NamedTuple):
    """An estimate with its confidence interval; NaN where there is none."""

    value: float
    low: float
    high: float


def means(sums: Floats) -> Floats:
    """The statistic of (sum, count) pairs: columns 0 to k/2 are sums, the others their counts."""
    half = sums.shape[-1] // 2
    return divided(sums[..., :half], sums[..., half:])


def divided(above: Floats, below: Floats) -> Floats:
    """above / below, NaN where below is 0."""
    out: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out


def with_counts(values: Floats) -> Floats:
    """Rows for `means`: values of shape (n, k) with NaN for missing ones, as (n, 2k) sums and counts."""
    known = ~np.isnan(values)
    return np.hstack([np.where(known, values, 0.0), known.astype(float)])


def by_study(sums: Floats, studies: Sequence[str] | None) -> Floats:
    """Rows of one study added up, so that they are drawn together."""
    if studies is None or len(set(studies)) == len(studies):
        return sums
    _, index = np.unique(np.asarray(studies), return_inverse=True)
    out = np.zeros((index.max() + 1, sums.shape[1]))
    np.add.at(out, index, sums)
    return out


def resampled(sums: Floats, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """Batches of the sums of bootstrap resamples, each of shape (batch, k): n studies drawn with replacement."""
    rng = np.random.default_rng(seed)
    n = len(sums)
    done = 0
    while done < resamples:
        batch = min(resamples - done, max(1, _CELLS // n))
        drawn = rng.integers(0, n, (batch, n))
        drawn += n * np.arange(batch)[:, None]
        yield np.bincount(drawn.ravel(), minlength=batch * n).reshape(batch, n) @ sums
        done += batch


def draws(sums: Floats, statistic: Statistic, *, seed: int = 0, resamples: int = RESAMPLES) -> Floats | None:
    """The statistic of every bootstrap resample, (resamples, q); None for fewer than two studies or very many."""
    if not 2 <= len(sums) <= MOST_RESAMPLED:
        return None
    return np.vstack([statistic(batch) for batch in resampled(sums, seed, resamples)])


def intervals(sums: Floats, statistic: Statistic, drawn: Floats | None, *, level: float = 0.95) -> list[Interval]:
    """Bias-corrected and accelerated bootstrap intervals (Efron, JASA 1987) of each value of a statistic.

    `sums` has a row for each study; `drawn` is what `draws` made of the same two. Percentiles are interpolated
    linearly, as in `scipy.stats.bootstrap`.
    """
    value = statistic(sums.sum(0))
    if len(sums) < 2:
        return [Interval(float(v), math.nan, math.nan) for v in value]
    left_out = statistic(sums.sum(0) - sums)
    if drawn is None:
        spread = np.sqrt((len(sums) - 1) / len(sums) * ((left_out - left_out.mean(0)) ** 2).sum(0))
        reach = _NORMAL.inv_cdf(0.5 + level / 2) * spread
        return [Interval(float(v), float(v - r), float(v + r)) for v, r in zip(value, reach, strict=True)]
    return [_bca(float(value[i]), drawn[:, i], left_out[:, i], level) for i in range(len(value))]


def _bca(value: float, drawn: Floats, left_out: Floats, level: float) -> Interval:
    drawn, left_out = drawn[~np.isnan(drawn)], left_out[~np.isnan(left_out)]
    if math.isnan(value) or not len(drawn) or not len(left_out):
        return Interval(value, math.nan, math.nan)
    below = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    if below in (0.0, 1.0):  # every resample is the same, or none is on one side
        return Interval(value, float(drawn.min()), float(drawn.max()))
    bias = _NORMAL.inv_cdf(float(below))
    away = left_out.mean() - left_out
    square = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * square**1.5) if square else 0.0
    at = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        z = bias + _NORMAL.inv_cdf(share)
        at.append(100 * _NORMAL.cdf(bias + z / (1 - acceleration * z)))
    low, high = np.percentile(drawn, at)
    return Interval(value, float(low), float(high))


def bootstrap_p(value: float, drawn: Floats | None) -> float:
    """Two-sided p of the bootstrap for a mean difference, from its resamples; NaN without any.

    The share of resamples whose mean, shifted to have mean 0, is at least as far from 0 as the observed one (Noreen
    1989, section 5.3; the null hypothesis is a difference of 0), one more counted on both sides.
    """
    if drawn is None:
        return math.nan
    return float(((np.abs(drawn - value) >= abs(value) - _TIE).sum() + 1) / (len(drawn) + 1))


_TIE: Final = 1e-12
"""Sums taken in another order differ in their last bits; equal means must count as equal."""


def randomisation_p(
    ours: Floats, theirs: Floats, statistic: Statistic, *, seed: int = 0, resamples: int = RESAMPLES
) -> Floats:
    """Two-sided p of approximate randomisation (Noreen 1989; Riezler & Maxwell 2005) for each value of a statistic.

    `ours` and `theirs` are the sums of two systems, a row for each study. The null hypothesis is that the systems are
    exchangeable: each study changes sides with chance 1/2. The share of exchanges after which the two statistics are at
    least as far apart as the observed ones, one more on both sides; NaN where there is no observed difference to tell.
    """
    rng = np.random.default_rng(seed)
    n, change = len(ours), theirs - ours
    first, second = ours.sum(0), theirs.sum(0)
    a, b = statistic(first), statistic(second)
    observed = np.abs(b - a)
    least = observed - _TIE * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    extreme = np.zeros(len(observed))
    done = 0
    while done < resamples:
        batch = min(resamples - done, max(1, _CELLS // n))
        bits = np.frombuffer(rng.bytes(batch * (-(-n // 8))), np.uint8).reshape(batch, -1)
        moved = np.unpackbits(bits, axis=1, count=n).astype(float) @ change
        extreme += (np.abs(statistic(second - moved) - statistic(first + moved)) >= least).sum(0)
        done += batch
    return np.where(np.isnan(observed), np.nan, (extreme + 1) / (resamples + 1))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Scandinavian Journal of Statistics, 1979) over all p that are not NaN."""
    known = sorted((p, i) for i, p in enumerate(ps) if not math.isnan(p))
    out = [math.nan] * len(ps)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        out[i] = highest
    return out


def paired_effect(differences: Floats) -> Floats:
    """Cohen's d_z for each column: mean difference over its standard deviation (n - 1); NaN where that is 0."""
    known = [column[~np.isnan(column)] for column in differences.T]
    mean = np.array([column.mean() if len(column) else np.nan for column in known])
    return divided(mean, np.array([_sd(column) for column in known]))


def _sd(values: Any) -> float:
    """0 for values that differ in their last bits alone."""
    return float(values.std(ddof=1)) if len(values) > 1 and np.ptp(values) > 1e-12 else 0.0
