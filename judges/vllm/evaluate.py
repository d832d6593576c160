"""How well a judge's counts agree with labelled ones, with intervals that say how sure that is.

Pure functions over pairs that were labelled by people and judged before; what judges them is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from judges.base import CATEGORIES, Judgement
from judges.vllm.cases import Labelled

_RESAMPLES: Final = 1000
_BOTH: Final = ("significant", "insignificant")
Floats = npt.NDArray[np.float64]


class Agreement(NamedTuple):
    """One line of the result: a statistic with its 95 % bootstrap interval over pairs."""

    what: str
    statistic: str
    value: float
    low: float
    high: float


class _Figure(NamedTuple):
    """A statistic as a function of how often each pair counts; nan where it is undefined."""

    what: str
    statistic: str
    of: Callable[[Floats], float]


def agreement(labelled: Sequence[Labelled], judgements: Sequence[Judgement], *, seed: int = 0) -> list[Agreement]:
    """Agreement of judged with labelled counts, one position per pair (the caller leaves out pairs without one).

    At least two pairs. Which figures there are: `_figures`.
    """
    samples = _samples(len(labelled), seed)
    return [_interval(one, samples) for one in _figures(labelled, judgements)]


def difference(
    labelled: Sequence[Labelled], first: Sequence[Judgement], second: Sequence[Judgement], *, seed: int = 0
) -> list[Agreement]:
    """`agreement` of the second judge less that of the first, both on the same resamples of the same pairs."""

    def less(a: _Figure, b: _Figure) -> _Figure:
        return _Figure(a.what, a.statistic, lambda weight: b.of(weight) - a.of(weight))

    samples = _samples(len(labelled), seed)
    both = zip(_figures(labelled, first), _figures(labelled, second), strict=True)
    return [_interval(less(a, b), samples) for a, b in both]


def _samples(size: int, seed: int) -> Floats:
    """How often each pair counts in each resample."""
    if size < 2:
        raise ValueError("agreement needs at least two pairs, each with one judgement")
    random = np.random.default_rng(seed)
    return random.multinomial(size, np.full(size, 1 / size), _RESAMPLES).astype(np.float64)


def _interval(figure: _Figure, samples: Floats) -> Agreement:
    values = np.array([figure.of(weight) for weight in samples])
    values = values[np.isfinite(values)]  # e.g. tau of a resample in which all counts are equal
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return Agreement(figure.what, figure.statistic, figure.of(np.ones(samples.shape[1])), float(low), float(high))


def _figures(labelled: Sequence[Labelled], judgements: Sequence[Judgement]) -> Iterator[_Figure]:
    """All statistics of these judgements.

    For the sum of significant errors and of all errors: mean absolute difference, mean difference (above 0: the judge
    counts more), share of equal counts after rounding, Kendall's tau-b. For expected errors, where a judge has them,
    tau-b with all errors. Then what a policy would feel:

    - false alarms: share of the pairs without an error in which the judge counts one;
    - lenience: share of the pairs with an error that the judge calls perfect;
    - order: among candidates of one reference with different numbers of significant errors, how often `signed` ranks
      them right (a tie counts one half); clean above corrupted: the same for candidates without any error against
      those with a significant one.

    For each category, both kinds of significance together: mean absolute difference, precision and recall of the
    counts (the smaller of both counts, summed, over what is judged or labelled).
    """
    if len(labelled) != len(judgements):
        raise ValueError("agreement needs one judgement for each pair")
    for what, kinds in (("significant errors", _BOTH[:1]), ("all errors", _BOTH)):
        truth, judged = totals(labelled, kinds), totals(judgements, kinds)
        equal = (np.floor(judged + 0.5) == np.floor(truth + 0.5)).astype(np.float64)
        yield _Figure(what, "mean absolute difference", _mean(np.abs(judged - truth)))
        yield _Figure(what, "mean difference", _mean(judged - truth))
        yield _Figure(what, "equal counts", _mean(equal))
        yield _Figure(what, "Kendall tau-b", _tau(truth, judged))
    if all("expected_errors" in judgement.values for judgement in judgements):
        yield _Figure("expected errors", "Kendall tau-b", _tau(truth, _values(judgements, "expected_errors")))
    counted = (judged >= 0.5).astype(np.float64)
    yield _Figure("pairs without error", "false alarms", _mean(counted, truth == 0))
    yield _Figure("pairs with error", "lenience", _mean(1.0 - counted, truth > 0))
    if all("signed" in judgement.values for judgement in judgements):
        yield from _orders(labelled, truth, _values(judgements, "signed"))
    for category in CATEGORIES:
        truth, judged = totals(labelled, _BOTH, (category,)), totals(judgements, _BOTH, (category,))
        hits = np.minimum(truth, judged)
        yield _Figure(category, "mean absolute difference", _mean(np.abs(judged - truth)))
        yield _Figure(category, "precision", _ratio(hits, judged))
        yield _Figure(category, "recall", _ratio(hits, truth))


def _orders(labelled: Sequence[Labelled], errors: Floats, signed: Floats) -> Iterator[_Figure]:
    significant = totals(labelled, _BOTH[:1])
    groups = np.array([hash((row.reference, row.prior)) for row in labelled])
    together = groups[:, None] == groups[None, :]
    right = (np.sign(signed[:, None] - signed[None, :]) + 1.0) / 2.0
    better = together & (significant[:, None] < significant[None, :])
    clean = together & (errors[:, None] == 0) & (significant[None, :] > 0)
    yield _Figure("within a reference", "order", _share(right, better))
    yield _Figure("within a reference", "clean above corrupted", _share(right, clean))


def totals(
    rows: Sequence[Labelled | Judgement], kinds: Sequence[str] = _BOTH, categories: Iterable[str] = CATEGORIES
) -> Floats:
    """The sum of the counts of each row over these kinds of significance and these categories."""
    names = tuple(categories)
    return np.array([sum(getattr(row, kind).get(c, 0.0) for kind in kinds for c in names) for row in rows])


def _values(judgements: Sequence[Judgement], key: str) -> Floats:
    return np.array([judgement.values[key] for judgement in judgements])


def _mean(values: Floats, where: npt.NDArray[np.bool_] | None = None) -> Callable[[Floats], float]:
    """Weighted mean over the rows where it applies."""
    among = np.ones_like(values) if where is None else where.astype(np.float64)
    return _ratio(values * among, among)


def _ratio(part: Floats, whole: Floats) -> Callable[[Floats], float]:
    def ratio(weight: Floats) -> float:
        total = float(whole @ weight)
        return float(part @ weight) / total if total > 0 else float("nan")

    return ratio


def _share(right: Floats, among: npt.NDArray[np.bool_]) -> Callable[[Floats], float]:
    """Weighted mean over the pairs of rows that are compared."""
    mask = among.astype(np.float64)
    hits = right * mask

    def share(weight: Floats) -> float:
        total = float(weight @ mask @ weight)
        return float(weight @ hits @ weight) / total if total > 0 else float("nan")

    return share


def _tau(x: Floats, y: Floats) -> Callable[[Floats], float]:
    """Kendall's tau-b for weighted pairs: the signs of all differences are computed once, then only weighted."""
    a, b = np.sign(x[:, None] - x[None, :]), np.sign(y[:, None] - y[None, :])
    concordance, spread_x, spread_y = a * b, a * a, b * b

    def tau(weight: Floats) -> float:
        norm = np.sqrt((weight @ spread_x @ weight) * (weight @ spread_y @ weight))
        return float(weight @ concordance @ weight / norm) if norm > 0 else float("nan")

    return tau


def table(rows: Iterable[Agreement]) -> str:
    """The result as aligned text, one line a statistic."""
    lines = [f"{'':20} {'':26} {'value':>8} {'95 % interval':>18}"]
    lines += [f"{r.what:20} {r.statistic:26} {r.value:8.3f} {f'{r.low:.3f} .. {r.high:.3f}':>18}" for r in rows]
    return "\n".join(lines)
