"""The running account of one comparison: what the reference is worth, what the candidate earned, each error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from judges import scores
from judges.base import CATEGORIES, Category, Evidence
from judges.rules.findings import Denial, Finding, Findings, Span
from judges.rules.hierarchy import take_up
from judges.rules.lexicon import Lexicon

SIGNIFICANT: Final = 0.5
"""An error is clinically significant when what it concerns weighs at least this much (a certain moderate finding)."""
FAINT: Final = 0b0011
"""Bands of severity that hardly matter: trace and small."""
UNCERTAIN: Final = 0.5
"""Share of its weight that a merely possible finding has, and of the credit for hedging what the reference asserts."""


@dataclass(slots=True)
class Account:
    """Weight and credit are kept by group: the alternatives of a differential count once, by the best of them."""

    lexicon: Lexicon
    weight: dict[object, float] = field(default_factory=dict)
    credit: dict[object, float] = field(default_factory=dict)
    penalty: float = 0.0
    matched: float = 0.0
    significant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    insignificant: dict[Category, float] = field(default_factory=lambda: dict.fromkeys(CATEGORIES, 0.0))
    evidence: list[Evidence] = field(default_factory=list)
    told: dict[str, list[Finding]] = field(default_factory=dict)
    """Per category of error (and "matched") what it was counted for."""

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

    def expect(self, finding: Finding) -> None:
        """Enter a finding of the reference; before any `earn`."""
        key = finding.group or finding[:2]
        self.weight[key] = max(self.weight.get(key, 0.0), self.worth(finding))
        self.credit[key] = 0.0

    def earn(self, finding: Finding, share: float) -> None:
        """Credit for a finding of the reference: `share` (0 to 1) of its worth."""
        key = finding.group or finding[:2]
        self.credit[key] = max(self.credit[key], self.worth(finding) * share)

    def _counted(self, category: str, finding: Finding) -> bool:
        """Whether it was counted for another name of this, or for an alternative; if not, it is now."""
        known = self.told.get(category)
        if known is None:
            self.told[category] = [finding]
            return False
        if take_up(self.lexicon, known, finding) is not None:
            return True
        if category == "missing_finding" and any(k.concept == finding.concept for k in known):
            return True  # on both sides
        group = finding.group
        if group and any(k.group == group and self.lexicon.related(k.concept, finding.concept) for k in known):
            return True
        known.append(finding)
        return False

    def error(
        self,
        category: Category,
        finding: Finding,
        significant: bool,
        candidate: Span | None,
        reference: Span | None,
        detail: str = "",
    ) -> None:
        """Count an error about a finding, unless it was counted under another name of it."""
        if not self._counted(category, finding):
            self.tell(category, self.name(finding), significant, candidate, reference, detail)

    def match(self, finding: Finding) -> None:
        """Count a finding of the reference as matched, once under all its names."""
        if not self._counted("matched", finding):
            self.matched += 1

    def tell(
        self,
        category: Category,
        name: str,
        significant: bool,
        candidate: Span | None,
        reference: Span | None,
        detail: str = "",
    ) -> None:
        (self.significant if significant else self.insignificant)[category] += 1
        self.evidence.append(Evidence(category, name, significant, candidate, reference, detail))


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
