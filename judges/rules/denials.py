"""What a reference calls normal or absent, and how much of it a candidate repeats."""

from __future__ import annotations

from typing import Final, NamedTuple

from judges.rules import lexicon as lx
from judges.rules.findings import Denial, Findings, Span
from judges.rules.merge import OVERALL as WHOLE

HALF_DENIAL: Final = 0.5
"""Share of a normal statement that is met by a denial of a part or one side of it, or of something more special."""
OVERALL: Final = 0.85
"""Least share of a normal reference that a candidate covers which calls the whole examination normal."""


def _covers(own: Denial, denial: Denial) -> float:
    """How much of one denial another says: half where only a part or a side is denied, which is wrong less often."""
    limited = (own.partial and not denial.partial) or (own.side and own.side != denial.side)
    return HALF_DENIAL if limited else 1.0


def _weights(lexicon: lx.Lexicon, reference: Findings) -> dict[int, float]:
    """What each denial weighs. A phrase that calls one thing normal weighs as much as the heaviest that it rules out.

    A phrase for the whole examination ("no acute disease") weighs as much as all of it together.
    """
    weights = {concept: lexicon.concepts[concept].denied for concept in reference.negative}
    phrases: dict[Span, list[int]] = {}
    for concept, denial in reference.negative.items():
        if not denial.explicit:
            phrases.setdefault(denial.span, []).append(concept)
    for ruled_out in phrases.values():
        together = sum(weights[concept] for concept in ruled_out)
        if 1 < len(ruled_out) < WHOLE and together:
            share = max(weights[concept] for concept in ruled_out) / together
            for concept in ruled_out:
                weights[concept] *= share
    return weights


class Repeated(NamedTuple):
    """The reference's denials against the candidate's; amounts are weights of concepts."""

    total: float
    """Of all."""
    covered: float
    """Of those that the candidate repeats, itself or by a more general one."""
    lost: list[tuple[int, Denial, float]]
    """Concept and denial of what is not repeated, or only in part, and how much of it; together total - covered."""


def negatives(lexicon: lx.Lexicon, candidate: Findings, reference: Findings) -> Repeated:
    """How much of what the reference denies the candidate repeats."""
    covered = total = 0.0
    lost: list[tuple[int, Denial, float]] = []
    general: dict[int, list[Denial]] | None = None
    weights = _weights(lexicon, reference)
    for concept, denial in reference.negative.items():
        entry, weight = lexicon.concepts[concept], weights[concept]
        own = candidate.negative.get(concept)
        if own is not None:
            share = _covers(own, denial) if own.partial or own.side else 1.0
        elif not entry.ancestors.keys().isdisjoint(candidate.negative):
            share = max(_covers(candidate.negative[a], denial) for a in entry.ancestors if a in candidate.negative)
        else:
            if general is None:
                general = {}
                for special, own in candidate.negative.items():
                    for a in lexicon.concepts[special].ancestors:
                        general.setdefault(a, []).append(own)
            share = HALF_DENIAL * max((_covers(own, denial) for own in general.get(concept, ())), default=0.0)
        total += weight
        covered += weight * share
        if share < 1.0 and weight:
            lost.append((concept, denial, weight * (1.0 - share)))
    if candidate.overall and not candidate.positive and covered < OVERALL * total:
        # "No acute cardiopulmonary abnormality."
        scale = (1.0 - OVERALL) * total / (total - covered)
        lost = [(concept, denial, amount * scale) for concept, denial, amount in lost]
        covered = OVERALL * total
    return Repeated(total, covered, lost)
