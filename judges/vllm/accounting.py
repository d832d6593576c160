"""From a validated answer to a judgement: the conservation law, then the scores.

The model names statements; the counts are made here. Whatever it leaves unaccounted is held against the
candidate, so "no errors" cannot merely be asserted, neither by the model nor by a candidate that talks to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from judges.base import CATEGORIES, Category, Evidence, Judgement
from judges.scores import MAJOR, MINOR, MODERATE, NEGATIVE, NORMAL_REPORT, inverse_errors, score
from judges.vllm.answer import Answer, Link
from judges.vllm.prompt import NumberedPair

_LIST: Final = re.compile(r",|;|/|\b(?:and|or|with)\b", re.I)


@dataclass(frozen=True, slots=True)
class Account:
    """One answer after the conservation law: what is scored."""

    errors: tuple[Evidence, ...]
    matches: tuple[Evidence, ...]
    matched: float
    """Matched findings; a matched normal statement counts `NEGATIVE`."""
    credit: float
    penalty: float
    weight: float
    corrections: int
    """How often the answer had to be corrected: unaccounted or contradictory statements."""


def settle(answer: Answer, pair: NumberedPair) -> Account:
    """Applies the conservation law.

    Every reference statement ends matched, distorted (location, severity) or missing; every candidate statement
    matched, distorted, false, a comparison error, or normal. Unaccounted means missing or false, significantly.
    - A reference statement that reads normal may be left out at no cost and no credit.
    - A candidate statement that was withheld is false, whatever the answer says of it.
    - A candidate statement matches at most as many findings as it can hold by its words; the rest is missing.
    - Matched *and* missing is believed only of a statement that can hold two findings; else it is missing.
    """
    settling = _Settling(answer, pair)
    settling.distortions()
    settling.matches()
    settling.references()
    settling.candidates()
    return settling.account()


class _Settling:
    """The steps of `settle`, in their order, and what they have found so far."""

    def __init__(self, answer: Answer, pair: NumberedPair) -> None:
        self._answer, self._pair = answer, pair
        self._refs, self._normal = pair.reference.statements, pair.reference.normal
        self._room = {
            p: _findings_in(statement.text) for p, statement in enumerate(pair.candidate) if p not in pair.withheld
        }
        """How many findings of the reference each candidate statement may still stand for."""
        self._distorted: dict[int, Link] = {}
        self._matched: dict[int, int] = {}
        self._supports: set[int] = set()
        self._errors: list[Evidence] = []
        self._corrections = 0

    def distortions(self) -> None:
        """First, for such a pair is an error, whatever else the answer says of it. One a reference statement."""
        kinds: tuple[tuple[Category, tuple[Link, ...]], ...] = (
            ("wrong_location", self._answer.location),
            ("wrong_severity", self._answer.severity),
        )
        for kind, links in kinds:
            for link in links:
                if link.ref in self._distorted or self._room.get(link.cand, 0) < 1:
                    self._corrections += 1
                    continue
                self._distorted[link.ref] = link
                self._supports.add(link.cand)
                self._room[link.cand] -= 1
                self._error(kind, link.significant, link.ref, link.cand)

    def matches(self) -> None:
        for ref, cand in self._answer.matched:
            missing = ref in self._answer.missing and _findings_in(self._refs[ref].text) == 1
            # Two candidate statements may together state one reference statement: the second only supports it.
            takes = int(ref not in self._normal and ref not in self._matched)
            if missing or ref in self._distorted or self._room.get(cand, -1) < takes:
                self._corrections += 1
                continue
            self._room[cand] -= takes
            self._matched.setdefault(ref, cand)
            self._supports.add(cand)

    def references(self) -> None:
        """What of the reference is missing."""
        answer = self._answer
        accounted = {*self._matched, *self._distorted, *answer.comparison_omitted, *self._normal}
        for ref in range(len(self._refs)):
            if ref in answer.missing and ref not in self._distorted:
                self._error("missing_finding", answer.missing[ref], ref, None)
            elif ref not in accounted:
                self._corrections += 1
                self._error("missing_finding", True, ref, None, "unaccounted")
        for ref, significant in answer.comparison_omitted.items():
            self._error("missing_comparison", significant, ref, self._matched.get(ref))

    def candidates(self) -> None:
        """What of the candidate is false."""
        answer = self._answer
        accounted = {*self._supports, *answer.comparison_added, *answer.normal}
        for cand in range(len(self._pair.candidate)):
            if cand in self._pair.withheld:
                self._error("false_finding", True, None, cand, "withheld")
                continue
            if cand in answer.false:
                self._error("false_finding", answer.false[cand], None, cand)
            elif cand not in accounted:
                self._corrections += 1
                self._error("false_finding", True, None, cand, "unaccounted")
            if cand in answer.comparison_added:
                self._error("false_comparison", answer.comparison_added[cand], None, cand)

    def account(self) -> Account:
        """The result of the steps."""
        normal, answer = self._normal, self._answer
        # What the reference is worth depends on the reference alone, so it is the same for a whole group.
        findings = [ref for ref in range(len(self._refs)) if ref not in normal]
        seen = [*self._matched, *self._distorted]
        if findings:
            # A statement of which a part is missing earns half.
            halves = answer.missing.keys() & self._matched.keys()
            credit = sum(MODERATE if ref in halves else MAJOR for ref in seen if ref not in normal)
        else:
            credit = NORMAL_REPORT * len(seen) / len(self._refs)
        serious = {link.ref for link in self._distorted.values() if link.significant}
        return Account(
            errors=tuple(self._errors),
            matches=tuple(_evidence("matched", False, self._pair, ref, cand) for ref, cand in self._matched.items()),
            matched=sum(NEGATIVE if ref in normal else 1.0 for ref in seen if ref not in serious),
            credit=credit,
            penalty=sum(_penalty(error) for error in self._errors),
            weight=MAJOR * len(findings) if findings else NORMAL_REPORT,
            corrections=self._corrections,
        )

    def _error(self, kind: Category, significant: bool, ref: int | None, cand: int | None, detail: str = "") -> None:
        self._errors.append(_evidence(kind, significant, self._pair, ref, cand, detail))


def _findings_in(text: str) -> int:
    """Most findings that a statement can hold: its list separators and one."""
    return 1 + len(_LIST.findall(text))


def _penalty(error: Evidence) -> float:
    """What an error costs beyond credit not earned: all that a candidate asserts, and a lost comparison."""
    if error.kind == "missing_finding" or (error.kind == "missing_comparison" and error.candidate is None):
        return 0.0
    if "comparison" in error.kind:
        return MODERATE if error.significant else MINOR
    return MAJOR if error.significant else MINOR


def _evidence(
    kind: Any, significant: bool, pair: NumberedPair, ref: int | None, cand: int | None, detail: str = ""
) -> Evidence:
    r = None if ref is None else pair.reference.statements[ref]
    c = None if cand is None else pair.candidate[cand]
    names = ([] if ref is None else [f"R{ref + 1}"]) + ([] if cand is None else [f"P{cand + 1}"])
    return Evidence(kind, "/".join(names), significant, c and (c.start, c.end), r and (r.start, r.end), detail)


def judgement(
    accounts: Sequence[Account], pair: NumberedPair, *, significant_only: bool, details: dict[str, object]
) -> Judgement:
    """The judgement of one vote, or of the mean of several; the scores are those of the mean counts.

    The evidence is that of the vote whose number of errors is the median. An empty candidate has no vote: it is
    all missing, and at the floor of every scale.
    """
    empty = not accounts
    accounts = accounts or [settle(Answer((), (), (), {}, {}, {}, {}, frozenset()), pair)]
    counts = [_counts(account.errors) for account in accounts]
    significant = {c: fmean(n[c, True] for n in counts) for c in CATEGORIES}
    insignificant = {c: fmean(n[c, False] for n in counts) for c in CATEGORIES}
    matched = fmean(account.matched for account in accounts)
    values = score(
        significant,
        insignificant,
        matched=matched,
        credit=fmean(account.credit for account in accounts),
        penalty=fmean(account.penalty for account in accounts),
        weight=accounts[0].weight,
        empty=empty,
    )
    if significant_only:
        values["inverse_errors"] = inverse_errors(max(sum(significant.values()), float(empty)))
    totals = [sum(n.values()) for n in counts]
    if len(accounts) > 1:
        details = {**details, "spread": {"errors": [min(totals), max(totals)]}}
    median = accounts[sorted(range(len(accounts)), key=lambda i: (totals[i], i))[(len(accounts) - 1) // 2]]
    if corrections := sum(account.corrections for account in accounts):
        details = {**details, "corrections": corrections}
    return Judgement(
        significant=significant,
        insignificant=insignificant,
        matched_findings=matched,
        evidence=median.errors + median.matches,
        values=values,
        notes=pair.notes,
        details=details,
    )


def _counts(errors: Iterable[Evidence]) -> dict[tuple[Category, bool], int]:
    counts = {(c, s): 0 for c in CATEGORIES for s in (True, False)}
    for error in errors:
        counts[error.kind, error.significant] += 1  # type: ignore[index]  # an error's kind is never "matched"
    return counts
