"""Comparisons with an earlier study: invented (e) and omitted (f) ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.account import Account
from judges.rules.findings import STUDY, Finding, Findings, Span

COMPARISON: Final = 0.2
"""Penalty for an invented or dropped direction of change; a mere "stable" or "compared with" costs half."""

_DIRECTED: Final = lx.WORSE | lx.BETTER | lx.NEW | lx.RESOLVED
_NAME: Final = {
    lx.STABLE: "stable", lx.WORSE: "worse", lx.BETTER: "better", lx.NEW: "new", lx.RESOLVED: "resolved",
    lx.COMPARED: "compared",
}  # fmt: skip
Changes = dict[str, tuple[int, Span]]


def compare_changes(
    account: Account,
    candidate: Findings,
    reference: Findings,
    prior: Findings | None,
    pairs: Iterable[tuple[Finding, Finding]],
) -> float:
    """A change is true when prior and reference show it; without a prior report, when the reference says it.

    What is said of a finding that is missing or false is that error's part, not one of its own. Returns what omitted
    comparisons cost.
    """
    if not (candidate.changes or reference.changes):
        return 0.0
    concepts = account.lexicon.concepts
    ids = account.lexicon.ids
    matched_mine: set[int] = set()
    matched_theirs: set[int] = set()
    alias: dict[str, str] = {}  # what is said of a relative is said of the finding that it stands for
    for x, y in pairs:
        matched_mine.add(x.concept)
        matched_theirs.add(y.concept)
        if x.concept != y.concept:
            alias[concepts[x.concept].name] = concepts[y.concept].name
    ours: Changes = {}
    for name, (mask, span) in candidate.changes.items():
        target = name if name in reference.changes else alias.get(name, name)
        known = ours.get(target)
        ours[target] = (mask | known[0], known[1]) if known else (mask, span)

    for name, bit, span, other in _only(ours, reference.changes):
        concept = ids.get(name)
        if concept in candidate.positive and concept not in matched_mine:
            continue
        if prior is not None:
            verdict = _happened(bit, concept, prior, reference)
            if verdict or (verdict is None and not other):
                continue
        directed = bool(bit & _DIRECTED)
        account.penalty += _cost(bit)
        account.error("false_comparison", name, directed, span, other, _NAME[bit])
    lost = 0.0
    for name, bit, span, other in _only(reference.changes, ours):
        concept = ids.get(name)
        if concept in reference.positive and concept not in matched_theirs:
            continue
        if prior is not None and _happened(bit, concept, prior, reference) is False:
            continue  # the prior report does not bear it out
        directed = bool(bit & _DIRECTED)
        account.penalty += _cost(bit)
        lost += _cost(bit)
        account.error("missing_comparison", name, directed, other, span, _NAME[bit])
    return lost


def cost(changes: Changes) -> float:
    """What it costs to omit all of these."""
    return sum(_cost(bit) for mask, _ in changes.values() for bit in _NAME if mask & bit)


def _cost(change: int) -> float:
    return COMPARISON if change & _DIRECTED else COMPARISON / 2


def _only(these: Changes, those: Changes) -> Iterator[tuple[str, int, Span, Span | None]]:
    """Changes that are in `these` alone: name, change, its span, and the span of what `those` say instead.

    "Stable" of the whole study covers every "stable" and is covered by one; any comparison covers "compared with".
    """
    general = those.get(STUDY, (0, (0, 0)))[0]
    stable = any(mask & lx.STABLE for mask, _ in those.values())
    for name, (mask, span) in sorted(these.items()):
        other = those.get(name)
        for bit in _NAME:
            if not mask & bit or (other and other[0] & bit):
                continue
            if (bit == lx.COMPARED and those) or (bit == lx.STABLE and (general & bit or (name == STUDY and stable))):
                continue
            yield name, bit, span, other[1] if other else None


def _happened(change: int, concept: int | None, prior: Findings, reference: Findings) -> bool | None:
    """Whether prior and reference together show the change; None when they cannot tell."""
    if concept is None:
        return None
    before, now = prior.positive.get(concept), reference.positive.get(concept)
    if change == lx.NEW:
        return before is None and now is not None
    if change == lx.RESOLVED:
        return before is not None and now is None
    if before is None or now is None:
        return False
    old, new = (max(f.severity for f in sides.values()).bit_length() for sides in (before, now))
    if not (old and new):
        return None
    return {lx.WORSE: new > old, lx.BETTER: new < old}.get(change, new == old)
