"""What a report says, in three steps of distance from the words: mention, finding, all findings of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from judges.rules.examination import Outside
from judges.rules.lexicon import Leaf

HYPOTHETICAL, ABSENT, UNCERTAIN, PRESENT = -1, 0, 1, 2

Span = tuple[int, int]


class Event(NamedTuple):
    """One phrase of the lexicon (or punctuation, or a measurement) in the text, by its first and last word."""

    first: int
    last: int
    leaf: Leaf


class Implied(NamedTuple):
    """What something normal rules out."""

    concepts: tuple[int, ...]
    first: int
    """First and last word that say so."""
    last: int
    partial: bool = False
    """Ruled out only in part."""
    side: int = 0
    """The side, if only one is normal."""
    until: int = 0
    """What is found before this word of the sentence, or in another one, contradicts it; 0: nothing does, below 0: what
    another one finds.

    It is 0 where there is a reservation: "otherwise clear".
    """


@dataclass(slots=True)
class Mention:
    """One place where the text speaks of a concept."""

    concept: int
    first: int
    last: int
    state: int = PRESENT
    partial: bool = False
    """Denied only in part: "no new effusion"."""
    gone: bool = False
    """Denied by what follows it: "small effusion not seen" denies it whole."""
    side: int = 0
    zone: int = 0
    severity: int = 0
    place: int = 0
    size: float = 0.0
    details: int = 0
    paired: bool = False
    """Named where there is one on either side: "at the bases"."""
    group: int = 0
    several: bool = False
    """One of several, so that its removal leaves another."""
    source: Mention | None = None
    """The more general finding that this one is taken for: "opacity, likely atelectasis"."""

    def moved(self, by: int) -> Mention:
        """The same `by` words further on, taken for nothing."""
        return Mention(
            self.concept, self.first + by, self.last + by, self.state, self.partial, self.gone, self.side, self.zone,
            self.severity, self.place, self.size, self.details, self.paired, self.group, self.several,
        )  # fmt: skip


class Change(NamedTuple):
    """One statement about an earlier study."""

    what: str
    """Concept name, ``@anatomy`` or `judges.base.STUDY`."""
    change: int
    """Set of changes."""
    first: int
    last: int
    mention: Mention | None = None
    """What changed, whose side is that of the change."""
    side: int = 0
    """A side of its own: "increased on the right"."""


class Finding(NamedTuple):
    """One positive statement after merging: a concept on one side of the body."""

    concept: int
    side: int
    """0 = not said, else a set of `lexicon.LEFT`, `lexicon.RIGHT`."""
    zone: int
    severity: int
    """Set of bands, bit 0 = trace to bit 3 = large; 0 = not said."""
    place: int
    """Set of places of a tip; 0 = not said."""
    size: float
    """Largest measurement in millimetres, of a device how far its tip is from its place; 0 = none."""
    certain: bool
    contradicted: bool
    """The same text also denies it outright."""
    group: int
    """Findings that are alternatives of one another ("atelectasis or pneumonia") share a number > 0."""
    span: Span
    details: int = 0
    """Set of values of `Lexicon.details`: a rib's number, a type, whether it is old."""
    ruled_out: bool = False
    """The same text calls normal what it is found in: "the lungs are clear"."""


class Denial(NamedTuple):
    """One negative statement."""

    partial: bool
    """Denied only in part: "no new effusion", or by what is normal on one side."""
    explicit: bool
    """Named, not implied by a normality phrase."""
    span: Span
    side: int = 0
    """The side to which a denial is limited: "the left lung is clear"; 0 = not limited."""


class Unread(NamedTuple):
    """One statement of which nothing was read, though it has words that nobody here knows: "Discitis."."""

    words: frozenset[str]
    """Those words."""
    denied: bool
    """It denies what they name."""
    span: Span


@dataclass(frozen=True, slots=True)
class Findings:
    """What one report says. The judge's artefact: small, picklable, equal for equal texts."""

    positive: dict[int, dict[int, Finding]]
    """concept -> side -> finding"""
    negative: dict[int, Denial]
    changes: dict[tuple[str, int], tuple[int, Span]]
    """What is compared with an earlier study (concept name, ``@anatomy`` or `judges.base.STUDY`) and its
    side -> set of changes, span."""
    empty: bool
    """The text has no word."""
    overall: bool = False
    """It says that the examination as a whole is normal."""
    unread: tuple[Unread, ...] = ()
    strange: frozenset[str] = frozenset()
    """All words of the text that nobody here knows."""
    outside: Outside | None = None
    """What the text is, if it is no English report of a chest radiograph."""
