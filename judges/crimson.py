"""CRIMSON's score (Baharoon et al., arXiv 2603.06183; crimson-score 0.2.0, MIT): its arithmetic, also over our counts.

The published score comes from a language model's list of findings with their significance; `of_judgement` puts any
judge's counts into the same formula, so that numbers can be compared. It is for comparison, not for training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from judges.base import Judgement

SIGNIFICANCE: Final[Mapping[str, float]] = {
    "urgent": 1.0,
    "actionable_not_urgent": 0.5,
    "not_actionable_not_urgent": 0.25,
    "benign_expected": 0.0,
}
"""Weight of a finding."""
ATTRIBUTE: Final[Mapping[str, float]] = {"significant": 0.5, "negligible": 0.0}
"""Weight of an attribute error: location, severity, measurement, comparison."""
UNKNOWN: Final = 0.25
"""Weight of a finding or an attribute error of another name."""

_INSIGNIFICANT: Final = SIGNIFICANCE["not_actionable_not_urgent"]


def credit(weight: float, attribute_errors: Iterable[float] = ()) -> float:
    """What a matched finding of `weight` earns: w * w / (w + the weights of its attribute errors), in [0, w]."""
    total = weight + sum(attribute_errors)
    return weight * weight / total if total else 0.0


def crimson(correct: float, false: float, weight: float, missing: float = 0.0) -> float:
    """The score, in (-1, 1]: 1 = perfect, 0 = no better than a normal template, negative = more false than correct.

    `correct`: what the matched findings earn together (`credit`). `false`, `missing`: weights of the false and of the
    missing findings. `weight`: what the reference's findings are worth. Missing findings count through `weight` alone,
    but for a reference that is worth nothing: there the score is 1 if nothing is false or missing.
    """
    if not weight and not false and not missing:
        return 1.0
    if weight and correct >= false:
        return (correct - false) / weight
    excess = max(0.0, false - correct)
    return 0.0 - excess / (1 + excess)  # never -0.0


def of_findings(
    reference: Mapping[str, str],
    predicted: Mapping[str, str],
    *,
    matched: Iterable[str],
    attribute_errors: Iterable[tuple[str, str]] = (),
    missing: Iterable[str] = (),
    false: Iterable[str] = (),
) -> float:
    """The score of one evaluation as crimson-score's model gives it, in (-1, 1].

    `reference`, `predicted`: significance (`SIGNIFICANCE`) by finding. `matched`: findings of the reference, of which
    each counts once. `attribute_errors`: (finding of the reference, severity in `ATTRIBUTE`). Findings that are in
    neither list weigh nothing.
    """
    ours = {name: SIGNIFICANCE.get(significance, UNKNOWN) for name, significance in reference.items()}
    theirs = {name: SIGNIFICANCE.get(significance, UNKNOWN) for name, significance in predicted.items()}
    severities: dict[str, list[float]] = {}
    for name, severity in attribute_errors:
        severities.setdefault(name, []).append(ATTRIBUTE.get(severity, UNKNOWN))
    named = list(matched)
    correct = sum(credit(ours.get(name, 0.0), severities.get(name, ())) for name in dict.fromkeys(named))
    return crimson(
        correct,
        sum(theirs.get(name, 0.0) for name in false),
        sum(ours.values()) if reference else len(named),
        sum(ours.get(name, 0.0) for name in missing),
    )


def of_judgement(judgement: Judgement) -> float:
    """CRIMSON's score over a judge's counts, in (-1, 1].

    A matched finding and a significantly missing or false one weigh 1, an insignificant one .25. A finding with an
    error of location, severity or comparison is matched with an attribute error, significant or negligible. Counts do
    not say which error belongs to which finding, so each is taken to belong to another one, of those that are there.
    """
    serious, minor = judgement.significant, judgement.insignificant
    distorted = serious["wrong_location"] + serious["wrong_severity"]
    compared = serious["false_comparison"] + serious["missing_comparison"]
    matched = judgement.matched_findings
    hit = min(compared, matched)
    worth = SIGNIFICANCE["urgent"]
    partly = credit(worth, [ATTRIBUTE["significant"]])
    correct = (matched - hit) * worth + (distorted + hit) * partly
    missing = serious["missing_finding"] * worth + minor["missing_finding"] * _INSIGNIFICANT
    false = serious["false_finding"] * worth + minor["false_finding"] * _INSIGNIFICANT
    return crimson(correct, false, (matched + distorted) * worth + missing, missing)
