"""How well a judge's counts agree with labelled ones, with intervals that say how sure that is.

Pure functions over pairs that were labelled by people and judged before; what judges them is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from judges.base import CATEGORIES, Judgement

_RESAMPLES: Final = 1000
Floats = npt.NDArray[np.float64]


class Labelled(NamedTuple):
    """One pair with the counts of people; means over several readers may be fractions."""

    candidate: str
    reference: str
    prior: str | None
    significant: Mapping[str, float]
    insignificant: Mapping[str, float]


class Agreement(NamedTuple):
    """One line of the result: a statistic with its 95 % bootstrap interval over pairs."""

    what: str
    statistic: str
    value: float
    low: float
    high: float


def read_labelled(lines: Iterable[str | bytes]) -> list[Labelled]:
    """Pairs from JSON lines with `candidate`, `reference`, optional `prior`, and the counts by category `significant`
    and, optionally, `insignificant` (a category left out is 0). Raises `ValueError` that names the line.
    """
    labelled = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            if not isinstance(row, dict) or not {"candidate", "reference", "significant"} <= row.keys():
                raise ValueError("needs 'candidate', 'reference' and 'significant' (counts by category)")
            counts = [row.get(kind) or {} for kind in ("significant", "insignificant")]
            if not all(isinstance(count, dict) and count.keys() <= set(CATEGORIES) for count in counts):
                raise ValueError(f"the categories are {', '.join(CATEGORIES)}")
            if not all(type(n) in (int, float) and n >= 0 for count in counts for n in count.values()):
                raise ValueError("counts are numbers from 0 up")
            texts = row["candidate"], row["reference"], row.get("prior")
            if not all(isinstance(t, str) for t in texts[:2]) or not isinstance(texts[2], str | None):
                raise ValueError("texts are strings")
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        labelled.append(Labelled(*texts, *counts))
    return labelled


def agreement(labelled: Sequence[Labelled], judgements: Sequence[Judgement], *, seed: int = 0) -> list[Agreement]:
    """Agreement of judged with labelled counts, one position per pair (the caller leaves out pairs without one).

    For the sum of significant errors and of all errors: mean absolute difference, mean difference (above 0: the judge
    counts more), share of equal counts after rounding, Kendall's tau-b. For each category: mean absolute difference
    of all errors. At least two pairs.
    """
    if len(labelled) != len(judgements) or len(labelled) < 2:
        raise ValueError("agreement needs at least two pairs, each with one judgement")
    random = np.random.default_rng(seed)
    size = len(labelled)
    weights = random.multinomial(size, np.full(size, 1 / size), _RESAMPLES).astype(np.float64)

    def totals(rows: Sequence[Labelled | Judgement], kinds: Sequence[str], categories: Iterable[str]) -> Floats:
        names = tuple(categories)
        return np.array([sum(getattr(r, kind).get(c, 0.0) for kind in kinds for c in names) for r in rows])

    result: list[Agreement] = []

    def add(what: str, statistic: str, of: Callable[[Floats], float]) -> None:
        samples = np.array([of(w) for w in weights])
        samples = samples[np.isfinite(samples)]  # tau of a resample in which all counts are equal is undefined
        low, high = np.percentile(samples, [2.5, 97.5]) if len(samples) else (np.nan, np.nan)
        result.append(Agreement(what, statistic, of(np.ones(size)), float(low), float(high)))

    both = ("significant", "insignificant")
    for what, kinds in (("significant errors", both[:1]), ("all errors", both)):
        truth, judged = totals(labelled, kinds, CATEGORIES), totals(judgements, kinds, CATEGORIES)
        difference = judged - truth
        equal = (np.floor(judged + 0.5) == np.floor(truth + 0.5)).astype(np.float64)
        add(what, "mean absolute difference", _mean_of(np.abs(difference)))
        add(what, "mean difference", _mean_of(difference))
        add(what, "equal counts", _mean_of(equal))
        add(what, "Kendall tau-b", _tau_of(truth, judged))
    for category in CATEGORIES:
        difference = totals(judgements, both, (category,)) - totals(labelled, both, (category,))
        add(category, "mean absolute difference", _mean_of(np.abs(difference)))
    return result


def _mean_of(values: Floats) -> Callable[[Floats], float]:
    return lambda weight: float(values @ weight / weight.sum())


def _tau_of(x: Floats, y: Floats) -> Callable[[Floats], float]:
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
