"""From a validated answer to a judgement: the conservation law, then the scores.

The model names statements; the counts are made here. Whatever it leaves unaccounted is held against the
candidate, so "no errors" cannot merely be asserted, neither by the model nor by a candidate that talks to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from statistics import fmean
from typing import Any, Final

from judges.base import CATEGORIES, SILENT, STUDY, Category, Evidence, Judgement
from judges.scores import MAJOR, MINOR, MODERATE, NEGATIVE, NORMAL_REPORT, inverse_errors, score
from judges.vllm.answer import Answer, Link
from judges.vllm.prompt import NumberedPair
from judges.vllm.statements import findings_in

HALF: Final = 0.5
"""Share of a reference statement that is earned where a part of it is missing."""


@dataclass(frozen=True, slots=True)
class Account:
    """One answer after the conservation law: what is scored."""

    errors: tuple[Evidence, ...]
    deductions: tuple[Evidence, ...]
    """Normal statements that are not repeated, where nothing else can be earned."""
    matches: tuple[Evidence, ...]
    matched: float
    """Matched findings; a matched normal statement counts `NEGATIVE`."""
    corrections: int
    """How often the answer had to be corrected: unaccounted or contradictory statements."""
    expected: float | None
    """`Answer.expected`, with the errors that the law has added; None where the answer holds no probabilities."""

    @property
    def lost(self) -> float:
        """The cost of all evidence."""
        return fsum(one.cost for one in (*self.errors, *self.deductions))


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
            p: findings_in(statement.text) for p, statement in enumerate(pair.candidate) if p not in pair.withheld
        }
        """How many findings of the reference each candidate statement may still stand for."""
        self._distorted: dict[int, Link] = {}
        self._matched: dict[int, int] = {}
        self._supports: set[int] = set()
        findings = len(self._refs) - len(self._normal)
        # What the reference is worth depends on the reference alone, so it is the same for a whole group.
        self._weight = MAJOR * findings if findings else NORMAL_REPORT
        self._normal_worth = 0.0 if findings else NORMAL_REPORT / len(self._refs)
        self._errors: list[Evidence] = []
        self._deductions: list[Evidence] = []
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
            missing = ref in self._answer.missing and findings_in(self._refs[ref].text) == 1
            # Two candidate statements may together state one reference statement: the second only supports it.
            takes = int(ref not in self._normal and ref not in self._matched)
            if missing or ref in self._distorted or self._room.get(cand, -1) < takes:
                self._corrections += 1
                continue
            self._room[cand] -= takes
            self._matched.setdefault(ref, cand)
            self._supports.add(cand)

    def references(self) -> None:
        """What of the reference is missing: each statement that is not earned loses its worth once."""
        answer = self._answer
        for ref in range(len(self._refs)):
            worth = self._worth(ref)
            if ref in self._distorted:
                continue
            if ref in answer.missing:  # a statement of which a part is missing earns half
                lost = worth * HALF if ref in self._matched else worth
                self._error("missing_finding", answer.missing[ref], ref, None, lost=lost)
            elif ref in self._matched or ref in answer.comparison_omitted:
                continue
            elif ref not in self._normal:
                self._corrections += 1
                self._error("missing_finding", True, ref, None, "unaccounted", worth)
            elif worth:
                item = _evidence("deduction", False, self._pair, ref, None, "unrepeated")
                self._deductions.append(item._replace(cost=worth / self._weight))
        for ref, significant in answer.comparison_omitted.items():
            earned = ref in self._matched or ref in self._distorted or ref in answer.missing
            lost = 0.0 if earned else self._worth(ref)
            self._error("missing_comparison", significant, ref, self._matched.get(ref), lost=lost)

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
        seen = [*self._matched, *self._distorted]
        expected = self._answer.expected
        serious = {link.ref for link in self._distorted.values() if link.significant}
        return Account(
            errors=tuple(self._errors),
            deductions=tuple(self._deductions),
            matches=tuple(_evidence("matched", False, self._pair, ref, cand) for ref, cand in self._matched.items()),
            matched=sum(NEGATIVE if ref in self._normal else 1.0 for ref in seen if ref not in serious),
            corrections=self._corrections,
            expected=None if expected is None else expected + sum(error.detail != "" for error in self._errors),
        )

    def _worth(self, ref: int) -> float:
        """What can be earned with a statement of the reference."""
        return self._normal_worth if ref in self._normal else MAJOR

    def _error(
        self, kind: Category, significant: bool, ref: int | None, cand: int | None, detail: str = "", lost: float = 0.0
    ) -> None:
        """Count an error; `lost` is the credit that it leaves unearned."""
        error = _evidence(kind, significant, self._pair, ref, cand, detail)
        self._errors.append(error._replace(cost=(lost + _penalty(error)) / self._weight))


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

    The evidence is that of all votes together, each piece at its mean cost. An empty candidate has no vote: it is all
    missing, and at the floor of every scale.
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
        lost=fmean(account.lost for account in accounts),
        empty=empty,
    )
    if all(account.expected is not None for account in accounts):
        values["expected_errors"] = fmean(account.expected or 0.0 for account in accounts)
    if significant_only:
        values["inverse_errors"] = inverse_errors(max(sum(significant.values()), float(empty)))
    totals = [sum(n.values()) for n in counts]
    if len(accounts) > 1:
        details = {**details, "spread": {"errors": [min(totals), max(totals)]}}
    if corrections := sum(account.corrections for account in accounts):
        details = {**details, "corrections": corrections}
    return Judgement(
        significant=significant,
        insignificant=insignificant,
        matched_findings=matched,
        evidence=_together(accounts, empty=empty),
        values=values,
        notes=pair.notes,
        details=details,
    )


def _together(accounts: Sequence[Account], *, empty: bool) -> tuple[Evidence, ...]:
    """The evidence of all votes, errors first; what only some of the votes say is marked ``1/3 votes``."""
    items = [item for account in accounts for item in account.errors]
    items += [item for account in accounts for item in account.deductions]
    items += [item for account in accounts for item in account.matches]
    if empty:
        items.append(Evidence("deduction", STUDY, False, None, None, SILENT, 1.0))
    if len(accounts) == 1:
        return tuple(items)
    said: dict[Evidence, list[float]] = {}
    for item in items:
        said.setdefault(item._replace(cost=0.0), []).append(item.cost)
    votes = len(accounts)
    return tuple(
        item._replace(
            cost=fsum(costs) / votes,
            detail=item.detail if len(costs) >= votes else f"{item.detail} {len(costs)}/{votes} votes".strip(),
        )
        for item, costs in said.items()
    )


def _counts(errors: Iterable[Evidence]) -> dict[tuple[Category, bool], int]:
    counts = {(c, s): 0 for c in CATEGORIES for s in (True, False)}
    for error in errors:
        counts[error.kind, error.significant] += 1  # type: ignore[index]  # an error's kind is never "matched"
    return counts
