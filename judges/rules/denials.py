"""What a reference calls normal or absent, and how much of it a candidate repeats."""

from __future__ import annotations

from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import Denial, Findings

HALF_DENIAL: Final = 0.5
"""Share of a normal statement that is met by a denial of a part or one side of it, or of something more special."""
OVERALL: Final = 0.85
"""Least share of a normal reference that a candidate covers which calls the whole examination normal."""


def _covers(own: Denial, denial: Denial) -> float:
    """How much of one denial another says: half where only a part or a side is denied, which is wrong less often."""
    limited = (own.partial and not denial.partial) or (own.side and own.side != denial.side)
    return HALF_DENIAL if limited else 1.0


def negatives(lexicon: lx.Lexicon, candidate: Findings, reference: Findings) -> tuple[float, float]:
    """Weight of the reference's denials that the candidate repeats, itself or by a more general one, and of all."""
    covered = total = 0.0
    general: dict[int, list[Denial]] | None = None
    for concept, denial in reference.negative.items():
        entry = lexicon.concepts[concept]
        own = candidate.negative.get(concept)
        total += entry.weight
        if own is not None:
            covered += entry.weight * (_covers(own, denial) if own.partial or own.side else 1.0)
        elif not entry.ancestors.keys().isdisjoint(candidate.negative):
            above = [candidate.negative[a] for a in entry.ancestors if a in candidate.negative]
            covered += entry.weight * max(_covers(own, denial) for own in above)
        else:
            if general is None:
                general = {}
                for special, own in candidate.negative.items():
                    for a in lexicon.concepts[special].ancestors:
                        general.setdefault(a, []).append(own)
            below = general.get(concept, ())
            covered += entry.weight * HALF_DENIAL * max((_covers(own, denial) for own in below), default=0.0)
    if candidate.overall and not candidate.positive:  # "No acute cardiopulmonary abnormality."
        covered = max(covered, OVERALL * total)
    return covered, total
