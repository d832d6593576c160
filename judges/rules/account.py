"""The running account of one comparison: what the reference is worth, and the bookings under which some of it is lost.

Points are lost here only, and only under a booking, so the costs of all add up to what is lacking to a full score.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from judges import scores
from judges.base import CATEGORIES, SILENT, STUDY, Category, Evidence, Kind
from judges.rules.findings import Denial, Finding, Findings, Span
from judges.rules.hierarchy import another_name
from judges.rules.lexicon import Lexicon

SIGNIFICANT: Final = 0.5
"""An error is clinically significant when what it concerns weighs at least this much (a certain moderate finding)."""
FAINT: Final = 0b0011
"""Bands of severity that hardly matter: trace and small."""
UNCERTAIN: Final = 0.5
"""Share of its weight that a merely possible finding has, and of the credit for hedging what the reference asserts."""
SIDES: Final = ("", "left", "right", "bilateral")


@dataclass(slots=True, eq=False)
class Booking:
    """A matched finding, an error or a deduction, and what is lost under it; all amounts are weights of findings."""

    kind: Kind
    name: str
    significant: bool
    candidate: Span | None
    reference: Span | None
    detail: str = ""
    side: str = ""
    unearned: float = 0.0
    """Credit of the reference's findings that is not earned."""
    penalty: float = 0.0
    """What is taken besides."""


@dataclass(slots=True)
class Claim:
    """What the candidate earns of one finding of the reference: all of it, less what is lost under bookings."""

    finding: Finding
    worth: float
    share: float = 1.0
    """Of `worth`, what is earned."""
    lost: list[tuple[Booking, float]] = field(default_factory=list)
    """Shares of `worth` that are not earned; with `share` they add up to 1."""

    def keep(self, share: float, booking: Booking) -> None:
        """Leave this share of what is earned so far; the rest is lost under the booking."""
        self.lost.append((booking, self.share * (1.0 - share)))
        self.share *= share

    def penalise(self, share: float, booking: Booking) -> None:
        """Take this share of the finding's worth besides, under the booking."""
        booking.penalty += share * self.worth


@dataclass(slots=True)
class Account:
    """Weight and credit are kept by group: the alternatives of a differential count once, by the best of them."""

    lexicon: Lexicon
    matched: float = 0.0
    unread: float = 0.0
    """What the statements of the reference weigh that nobody can read."""
    significant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    insignificant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    bookings: list[Booking] = field(default_factory=list)
    expected: dict[object, tuple[float, Finding]] = field(default_factory=dict)
    """By group: the weight of its heaviest alternative, and that one."""
    claims: dict[object, Claim] = field(default_factory=dict)
    """By group: the best."""
    told: dict[Kind, list[tuple[Finding, Booking]]] = field(default_factory=dict)
    """Per kind of booking what it was counted for."""

    def name(self, finding: Finding) -> str:
        return self.lexicon.concepts[finding.concept].name

    def worth(self, finding: Finding) -> float:
        weight = self.lexicon.concepts[finding.concept].weight
        if finding.place & self.lexicon.astray:  # that a device lies wrong matters more than that it is there
            weight = scores.MAJOR
        return weight if finding.certain else weight * UNCERTAIN

    def serious(self, finding: Finding) -> bool:
        """Whether an error about it is clinically significant."""
        if (
            finding.severity
            and not finding.severity & ~FAINT
            and self.lexicon.concepts[finding.concept].mild < SIGNIFICANT
        ):
            return False
        return self.worth(finding) >= SIGNIFICANT

    def ranked(self, findings: list[Finding]) -> list[Finding]:
        """In the order in which the names of one thing are looked at: what is heavy and special first."""
        if len(findings) < 2:
            return findings
        concepts = self.lexicon.concepts
        return sorted(findings, key=lambda f: (-self.worth(f), -len(concepts[f.concept].ancestors)))

    # ----- weight and credit ------------------------------------------------------------------------------------------

    def expect(self, finding: Finding) -> None:
        """Enter a finding of the reference. What nothing is claimed of is lost."""
        key, worth = finding.group or finding[:2], self.worth(finding)
        if key not in self.expected or worth > self.expected[key][0]:
            self.expected[key] = worth, finding

    @property
    def weight(self) -> float:
        """What the findings of the reference are worth together, and its unread statements."""
        return sum(worth for worth, _ in self.expected.values()) + self.unread

    def claim(self, finding: Finding, like: Claim | None = None) -> Claim:
        """A claim to a finding of the reference, whole or with the losses that another one has; see `enter`."""
        worth = self.worth(finding)
        return Claim(finding, worth, like.share, like.lost) if like else Claim(finding, worth)

    def enter(self, claim: Claim) -> None:
        """Credit for a finding of the reference; of claims to one group the best counts, and the first of equals."""
        key = claim.finding.group or claim.finding[:2]
        best = self.claims.get(key)
        if best is None or claim.worth * claim.share > best.worth * best.share:
            self.claims[key] = claim

    def book(self) -> None:
        """Enter under their bookings what the findings of the reference have not earned; once, after the last claim."""
        for key, (weight, finding) in self.expected.items():
            claim = self.claims.get(key)
            if claim is not None:
                for booking, share in claim.lost:
                    booking.unearned += share * claim.worth
                weight, finding = weight - claim.worth, claim.finding
            if weight > 0.0:
                self.deduct(self.name(finding), None, finding.span, "unnamed", finding.side).unearned += weight

    # ----- bookings ---------------------------------------------------------------------------------------------------

    def _counted(self, kind: Kind, finding: Finding) -> Booking | None:
        """The booking under which it was counted for another name of this, or for an alternative."""
        known = self.told.setdefault(kind, [])
        ancestors = self.lexicon.concepts[finding.concept].ancestors
        for i, (thing, booking) in enumerate(known):
            if another_name(self.lexicon, thing, finding):
                if thing.concept in ancestors:
                    known[i] = finding, booking
                return booking
        for thing, booking in known:
            if kind == "missing_finding" and thing.concept == finding.concept:
                return booking  # on both sides
            if finding.group == thing.group != 0 and self.lexicon.related(thing.concept, finding.concept):
                return booking
        return None

    def error(
        self,
        category: Category,
        finding: Finding,
        significant: bool,
        candidate: Span | None,
        reference: Span | None,
        detail: str = "",
    ) -> Booking:
        """Count an error about a finding, unless it was counted under another name of it; returns its booking."""
        booking = self._counted(category, finding)
        if booking is None:
            booking = self.tell(category, self.name(finding), significant, candidate, reference, detail, finding.side)
            self.told[category].append((finding, booking))
        return booking

    def match(self, finding: Finding, candidate: Span, significant: bool) -> None:
        """Show a finding of the reference as matched, and count it once under all its names."""
        known = self._counted("matched", finding)
        booking = self._add("matched", self.name(finding), significant, candidate, finding.span, "", finding.side)
        if known is None:
            self.told["matched"].append((finding, booking))
            self.matched += 1

    def tell(
        self,
        category: Category,
        name: str,
        significant: bool,
        candidate: Span | None,
        reference: Span | None,
        detail: str = "",
        side: int = 0,
    ) -> Booking:
        """Count an error."""
        (self.significant if significant else self.insignificant)[category] += 1
        return self._add(category, name, significant, candidate, reference, detail, side)

    def deduct(self, name: str, candidate: Span | None, reference: Span | None, detail: str, side: int = 0) -> Booking:
        """Enter what earns less or costs something and is no error; without a cost it is not shown."""
        return self._add("deduction", name, False, candidate, reference, detail, side)

    def _add(
        self,
        kind: Kind,
        name: str,
        significant: bool,
        candidate: Span | None,
        reference: Span | None,
        detail: str,
        side: int,
    ) -> Booking:
        booking = Booking(kind, name, significant, candidate, reference, detail, SIDES[side])
        self.bookings.append(booking)
        return booking

    # ----- what it comes to -------------------------------------------------------------------------------------------

    def evidence(self, weight: float, scale: float, *, empty: bool) -> tuple[Evidence, ...]:
        """Every booking with its share of `weight` as its cost; credit not earned is multiplied by `scale` first.

        An `empty` candidate has lost all credit, and once as much for having nothing to say.
        """
        shown = []
        for one in self.bookings:
            cost = (one.unearned * scale + (0.0 if empty else one.penalty)) / weight
            if cost or one.kind != "deduction":
                about = one.kind, one.name, one.significant, one.candidate, one.reference, one.detail
                shown.append(Evidence(*about, cost, one.side))
        if empty:
            rest = 1.0 - scores.FLOOR - sum(one.cost for one in shown)
            shown.append(Evidence("deduction", STUDY, False, None, None, SILENT, rest))
        return tuple(shown)


def named_absent(findings: Findings, concept: int, side: int = 0) -> bool:
    """Whether the text names the concept as absent on this side, without reservation."""
    denial = findings.negative.get(concept)
    return denial is not None and denial.explicit and not denial.partial and _reaches(denial, side)


def denial_of(lexicon: Lexicon, findings: Findings, finding: Finding) -> Denial | None:
    """The full denial, on the finding's side, of its concept or of an ancestor; the nearest, then by the lexicon."""
    known = findings.negative
    for each in (finding.concept, *lexicon.concepts[finding.concept].ancestors):
        denial = known.get(each)
        if denial and (denial.side or not denial.partial) and _reaches(denial, finding.side):
            return denial
    return None


def _reaches(denial: Denial, side: int) -> bool:
    return not (denial.side and side) or bool(denial.side & side)
