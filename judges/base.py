"""What every clinical-error judge returns: counts in six categories, with the evidence for them.

The categories are those of the ReXVal / CheXprompt / GREEN line of work, each split into clinically
significant and insignificant errors (Yu et al., Patterns 2023; Ostmeier et al., GREEN, 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Category = Literal[
    "false_finding",
    "missing_finding",
    "wrong_location",
    "wrong_severity",
    "false_comparison",
    "missing_comparison",
]
CATEGORIES: tuple[Category, ...] = (
    "false_finding",
    "missing_finding",
    "wrong_location",
    "wrong_severity",
    "false_comparison",
    "missing_comparison",
)


class Evidence(NamedTuple):
    """One matched finding or one error, with where it stands in both texts."""

    kind: Category | Literal["matched"]
    finding: str
    """A concept or statement id, e.g. ``pleural_effusion``; never report text."""
    significant: bool
    candidate: tuple[int, int] | None
    """Character offsets [start, end) into the candidate as the judge received it."""
    reference: tuple[int, int] | None
    """Character offsets [start, end) into the reference as the judge received it."""
    detail: str = ""
    """Short machine word, e.g. ``left/right`` or ``small/large``; never report text."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one candidate against one reference."""

    significant: Mapping[Category, float]
    """All six categories; counts (fractions when several votes are averaged)."""
    insignificant: Mapping[Category, float]
    matched_findings: float
    evidence: tuple[Evidence, ...]
    values: Mapping[str, float]
    """Scores by key, e.g. ``green``, ``inverse_errors``, ``signed``; finite floats."""
    notes: tuple[str, ...] = ()
    """Flags about the pair, e.g. ``("injection_pattern",)``; never report text."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Plain JSON for the record: token usage, vote spread, model revision."""
