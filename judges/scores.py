"""Scores from what a judge counted: GREEN's ratio, CheXprompt's inverse, and the signed score to train on.

Shared by every judge, so that a rule-based and a model-based judgement with the same counts give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from judges.base import Category

KEYS: Final = ("signed", "green", "inverse_errors", "quality")

MAJOR: Final = 1.0
MODERATE: Final = 0.5
MINOR: Final = 0.25
"""Weights of a finding by what it means for the patient (the scale of CRIMSON, arXiv 2603.06183, without its zero)."""

NEGATIVE: Final = 0.25
"""What one correctly repeated negative statement adds to GREEN's count of matched findings."""

NORMAL_REPORT: Final = 0.7
"""Weight of a reference without any positive finding, as a share of one major finding.

Below `MAJOR`, so that an otherwise perfect normal report with one invented major finding is worth less than 0; with an
invented moderate one it keeps .29, with two it is negative.
"""

FLOOR: Final = -1.0

_SIGNED_SHARE: Final = 0.25


def green(matched: float, significant_errors: float) -> float:
    """matched / (matched + significant errors), in [0, 1]; 0 when nothing matched (Ostmeier et al., 2024)."""
    return matched / (matched + significant_errors) if matched > 0 else 0.0


def inverse_errors(errors: float) -> float:
    """1 / (errors + 1), in (0, 1]: the form in which UniRG-CXR (arXiv 2601.17151) uses CheXprompt's counts."""
    return 1.0 / (errors + 1.0)


def signed(lost: float) -> float:
    """s = 1 - lost where that is positive, else squashed into [-1, 0] by s / (1 - s).

    `lost` (>= 0) is the cost of all evidence of a judgement: (weight - credit + penalty) / weight, where `weight` is
    what the reference's findings are worth together, `credit` (at most `weight`) what the candidate got right of it,
    and `penalty` (>= 0) what it invented or distorted. 1 = perfect, 0 = no better than saying nothing of substance,
    negative = more wrong than right.
    """
    s = 1.0 - lost
    return s if s >= 0.0 else s / (1.0 - s)


def quality(signed: float, errors: float) -> float:
    """How good a report is on one scale for all studies, in [-1, 1]; for evaluation, not for training.

    A quarter of the signed score and three quarters of `inverse_errors`, shifted and stretched so that both ends are
    those of the scale and one error beside nothing earned is 0: with an error at least, and nothing to its credit, a
    normal text for an abnormal study is never above 0. `signed` divides what is wrong by what the reference is worth,
    which suits a group of candidates for one study; a count of errors is the same in every study, as are readers'
    ratings. Short of the last error it hardly tells two candidates apart, so do not train on it.
    """
    mixed = _SIGNED_SHARE * signed + (1.0 - _SIGNED_SHARE) * inverse_errors(errors)
    zero = (1.0 - _SIGNED_SHARE) * inverse_errors(1.0)
    return (mixed - zero) / (1.0 - zero)


def score(
    significant: Mapping[Category, float],
    insignificant: Mapping[Category, float],
    *,
    matched: float,
    lost: float,
    empty: bool = False,
) -> dict[str, float]:
    """All of `KEYS` for one judgement. `matched` counts matched findings, a matched negative as `NEGATIVE`; `lost` is
    the cost of all evidence.

    An `empty` candidate is the floor of every scale: signed and quality -1, green 0; its inverse_errors follows from
    its counts, with one error at least.
    """
    serious = sum(significant.values())
    errors = serious + sum(insignificant.values())
    if empty:
        return {
            "signed": FLOOR,
            "green": 0.0,
            "inverse_errors": inverse_errors(max(errors, 1.0)),
            "quality": FLOOR,
        }
    gained = signed(lost)
    return {
        "signed": gained,
        "green": green(matched, serious),
        "inverse_errors": inverse_errors(errors),
        "quality": quality(gained, errors),
    }
