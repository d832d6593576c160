"""Values of a whole test set, as leaderboards print them; pure functions of what the metrics gave for each report.

They are no rewards: F1-CheXbert counts labels over all reports, and 1/RadCliQ is the reciprocal of a mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final

import numpy as np

from metrics.chexbert import FIVE, LABELS
from metrics.radcliq import RadCliQInputs, radcliq_v0, radcliq_v1

RADGRAPH_LEVELS: Final = ("simple", "partial", "complete", "combined")


def f1_chexbert(candidates: Sequence[Sequence[bool]], references: Sequence[Sequence[bool]]) -> dict[str, float]:
    """F1-CheXbert from the labels that count as given in each text (`metrics.chexbert.given`), all in [0, 1].

    ``micro_f1_14``, ``macro_f1_14``, ``micro_f1_5``, ``macro_f1_5``; ``accuracy_5``: share of reports of which all five
    labels agree. Where neither side ever gives a label its F1
    is 0, as in scikit-learn, so a small test set has a low macro F1. Raises `ValueError` when there is no report, or
    not the same number on both sides.
    """
    if not references:
        raise ValueError("there is no report")
    pairs = list(zip(candidates, references, strict=True))
    ours = np.array([candidate for candidate, _ in pairs], dtype=bool)
    theirs = np.array([reference for _, reference in pairs], dtype=bool)
    if ours.shape != (len(pairs), len(LABELS)) or theirs.shape != ours.shape:
        raise ValueError(f"a text has {len(LABELS)} labels")
    five = list(FIVE)
    found = {}
    for name, columns in (("14", list(range(len(LABELS)))), ("5", five)):
        both = (ours & theirs)[:, columns].sum(0)
        either = ours[:, columns].sum(0) + theirs[:, columns].sum(0)
        found[f"micro_f1_{name}"] = 2 * int(both.sum()) / int(either.sum()) if either.any() else 0.0
        found[f"macro_f1_{name}"] = float(np.mean(2 * both / np.maximum(either, 1)))
    return {**found, "accuracy_5": float((ours == theirs)[:, five].all(1).mean())}


def radgraph(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each RadGraph level over the reports, zeros included. Raises `ValueError` when there is no report."""
    if not values:
        raise ValueError("there is no report")
    return {level: fmean(each[level] for each in values) for level in RADGRAPH_LEVELS}


def radcliq(values: Sequence[RadCliQInputs]) -> dict[str, float | None]:
    """Means of RadCliQ v0 and v1 over the reports, lower is better, and ``inverse_radcliq_v1`` = 1 / the mean of v1.

    Boards print the last, higher is better: it is meaningful only while the mean is above 0 (a mean of better and
    better reports passes its pole there and comes out negative), so it is None where the mean is not.
    Raises `ValueError` when there is no report.
    """
    if not values:
        raise ValueError("there is no report")
    v1 = fmean(map(radcliq_v1, values))
    return {
        "radcliq_v0": fmean(map(radcliq_v0, values)),
        "radcliq_v1": v1,
        "inverse_radcliq_v1": 1 / v1 if v1 > 0 else None,
    }
