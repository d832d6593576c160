"""Scores from what a judge counted: GREEN's ratio, CheXprompt's inverse, and the signed score to train on.

Shared by every judge, so that a rule-based and a model-based judgement with the same counts give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from judges.base import Category

KEYS: Final = ("signed", "green", "inverse_errors")

MAJOR: Final = 1.0
MODERATE: Final = 0.5
MINOR: Final = 0.25
"""Weights of a finding by what it means for the patient (the scale of CRIMSON, arXiv 2603.06183, without its zero)."""

NEGATIVE: Final = 0.25
"""What one correctly repeated negative statement adds to GREEN's count of matched findings."""

NORMAL_REPORT: Final = 0.4
"""Weight of a reference without any positive finding, as a share of one major finding.

Below `MODERATE`, so that an otherwise perfect normal report with one invented moderate finding is worth less than 0.
"""

FLOOR: Final = -1.0


def green(matched: float, significant_errors: float) -> float:
    """matched / (matched + significant errors), in [0, 1]; 0 when nothing matched (Ostmeier et al., 2024)."""
    return matched / (matched + significant_errors) if matched > 0 else 0.0


def inverse_errors(errors: float) -> float:
    """1 / (errors + 1), in (0, 1]: the form in which UniRG-CXR (arXiv 2601.17151) uses CheXprompt's counts."""
    return 1.0 / (errors + 1.0)


def signed(credit: float, penalty: float, weight: float) -> float:
    """s = (credit - penalty) / weight where that is positive, else squashed into [-1, 0] by s / (1 - s).

    `weight` is what the reference's findings are worth together, `credit` (at most `weight`) what the candidate
    got right of it, `penalty` (>= 0) what it invented or distorted. 1 = perfect, 0 = no better than saying
    nothing of substance, negative = more wrong than right. A reference that is worth nothing (`weight` = 0, no
    finding in it was recognised) has nothing to earn either: 0 at most, or any text would be paid in full for it.
    """
    if weight <= 0.0:
        credit, weight = 0.0, NORMAL_REPORT
    gain = credit - penalty
    return gain / weight if gain >= 0.0 else gain / (weight - gain)


def score(
    significant: Mapping[Category, float],
    insignificant: Mapping[Category, float],
    *,
    matched: float,
    credit: float,
    penalty: float,
    weight: float,
    empty: bool = False,
) -> dict[str, float]:
    """All of `KEYS` for one judgement. `matched` counts matched findings, a matched negative as `NEGATIVE`.

    An `empty` candidate is the floor of every scale: signed -1, green 0; its inverse_errors follows from its counts,
    with one error at least.
    """
    serious = sum(significant.values())
    errors = serious + sum(insignificant.values())
    if empty:
        return {"signed": FLOOR, "green": 0.0, "inverse_errors": inverse_errors(max(errors, 1.0))}
    return {
        "signed": signed(credit, penalty, weight),
        "green": green(matched, serious),
        "inverse_errors": inverse_errors(errors),
    }
