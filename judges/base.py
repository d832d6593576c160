"""What every clinical-error judge returns: counts in six categories, with the evidence for them.

The categories are those of the ReXVal / CheXprompt / GREEN line of work, each split into clinically
significant and insignificant errors (Yu et al., Patterns 2023; Ostmeier et al., GREEN, 2024).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

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
SILENT: Final = "empty"
"""Detail of the deduction from a candidate without a word."""
STUDY: Final = "@study"
"""Name of the examination as a whole, for evidence that is about no finding of it."""
Kind = Category | Literal["deduction", "matched"]
"""What a piece of evidence is. A deduction costs something and is no error: it is counted in no category."""


class Evidence(NamedTuple):
    """One matched finding, one error or one deduction, with where it stands in both texts and what it costs."""

    kind: Kind
    finding: str
    """A concept or statement id, e.g. ``pleural_effusion``; never report text."""
    significant: bool
    candidate: tuple[int, int] | None
    """Character offsets [start, end) into the candidate as the judge received it."""
    reference: tuple[int, int] | None
    """Character offsets [start, end) into the reference as the judge received it."""
    detail: str = ""
    """Short machine word, e.g. ``left/right`` or ``small/large``; never report text."""
    cost: float = 0.0
    """What is lost by it, as a share of what the reference is worth (>= 0). The costs of a judgement add up to what its
    signed score lacks to 1 before a negative one is squashed (`judges.scores.signed`)."""
    side: str = ""
    """``left``, ``right`` or ``bilateral`` if the finding has one."""

    @property
    def is_error(self) -> bool:
        """Whether it is counted in a category."""
        return self.kind not in ("matched", "deduction")


class Refusal(NamedTuple):
    """Why a judge does not judge against a reference. That alone decides it, so no candidate can bring it about."""

    code: str
    """Machine word, e.g. ``out_of_scope``."""
    message: str
    """What is wrong with the reference; never report text."""


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
