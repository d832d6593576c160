"""Comparisons with an earlier study: invented (e) and omitted (f) ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from judges.base import STUDY
from judges.rules import lexicon as lx
from judges.rules.account import Account, Booking
from judges.rules.findings import Finding, Findings, Span

COMPARISON: Final = 0.2
"""Penalty for an invented or dropped direction of change; a mere "stable" or "compared with" costs half."""

CONTRARY: Final = 0.4
"""What the opposite direction costs besides, as a share of the finding's weight: "improving" for "worsening"."""

_DIRECTED: Final = lx.WORSE | lx.BETTER | lx.NEW | lx.RESOLVED
_OF_STUDIES: Final = lx.STABLE | lx.WORSE | lx.BETTER
"""What may be said of a study as a whole."""
_GROWS, _SHRINKS = lx.WORSE | lx.NEW, lx.BETTER | lx.RESOLVED
_CONTRARY: Final = ((_GROWS, _SHRINKS), (_SHRINKS, _GROWS))
_NAME: Final = {
    lx.STABLE: "stable", lx.WORSE: "worse", lx.BETTER: "better", lx.NEW: "new", lx.RESOLVED: "resolved",
    lx.COMPARED: "compared",
}  # fmt: skip
Changes = dict[tuple[str, int], tuple[int, Span]]
"""As in `Findings.changes`."""
Told = tuple[int, int, int, int]
"""A change that was told: concept, side, group of alternatives, change."""
Untold = tuple[str, int, int, Span, Span | None, int]
"""A change that only one text says: name, side, change, its span; span and changes of what the other says instead."""
_NOTHING: Final = (0, (0, 0))


def compare_changes(
    account: Account,
    candidate: Findings,
    reference: Findings,
    prior: Findings | None,
    pairs: Iterable[tuple[Finding, Finding]],
) -> list[tuple[Booking, float]]:
    """A change is true when prior and reference show it; without a prior report, when the reference says it.

    What is said of a finding that is missing or false is that error's part, not one of its own. Returns the
    comparisons that are omitted, with what each costs.
    """
    if not (candidate.changes or reference.changes):
        return []
    pairs = list(pairs)
    ours = _translated(account.lexicon, candidate.changes, reference.changes, pairs)
    mine, theirs = {x.concept for x, _ in pairs}, {y.concept for _, y in pairs}
    told = _untold(account.lexicon, ours, reference.changes, candidate, mine)
    _invented(account, reference, prior, told, ours)
    told = _untold(account.lexicon, reference.changes, ours, reference, theirs)
    return _omitted(account, reference, prior, told)


def _invented(
    account: Account,
    reference: Findings,
    prior: Findings | None,
    told: Iterable[Untold],
    ours: Changes,
) -> None:
    """Count what the candidate alone says of an earlier study."""
    lexicon, shown = account.lexicon, set[Span]()
    for name, side, bit, span, other, said in told:
        concept = lexicon.ids.get(name)
        if _steady(lexicon, concept, bit, said):
            continue
        if prior is not None:
            verdict = _happened(bit, concept, side, prior, reference)
            if verdict or (verdict is None and not other):
                continue
        if _counts(shown, ours, name, bit, span, said):
            item = account.tell("false_comparison", name, _directed(lexicon, name, bit), span, other, _NAME[bit], side)
        else:
            item = account.deduct(name, span, other, _NAME[bit], side)
        item.penalty += _cost(lexicon, name, bit)
        if concept is not None and _contrary(bit, said):
            item.penalty += CONTRARY * lexicon.concepts[concept].weight


def _omitted(
    account: Account, reference: Findings, prior: Findings | None, told: Iterable[Untold]
) -> list[tuple[Booking, float]]:
    """Count what the reference alone says, and return it with what each costs."""
    lexicon, shown, omitted = account.lexicon, set[Span](), list[tuple[Booking, float]]()
    for name, side, bit, span, other, said in told:
        concept = lexicon.ids.get(name)
        if _steady(lexicon, concept, bit, said) and concept is not None and not lexicon.sized[concept]:
            continue
        if prior is not None and _happened(bit, lexicon.ids.get(name), side, prior, reference) is False:
            continue  # the prior report does not bear it out
        if _contrary(bit, said):
            continue  # a reversal is one error: the candidate's direction was told
        if _counts(shown, reference.changes, name, bit, span, said):
            directed = _directed(lexicon, name, bit)
            item = account.tell("missing_comparison", name, directed, other, span, _NAME[bit], side)
        else:
            item = account.deduct(name, other, span, _NAME[bit], side)
        price = _cost(lexicon, name, bit)
        item.penalty += price
        omitted.append((item, price))
    return omitted


def _steady(lexicon: lx.Lexicon, concept: int | None, bit: int, said: int) -> bool:
    """Whether it is no news that this has not changed: "pacemaker in unchanged position"."""
    return bit == lx.STABLE and concept is not None and lexicon.steady[concept] and not said & _DIRECTED


def _translated(lexicon: lx.Lexicon, mine: Changes, theirs: Changes, pairs: list[tuple[Finding, Finding]]) -> Changes:
    """The candidate's changes by the reference's names: what is said of a finding is said of what it matched.

    What has resolved is no finding any more and matches none; it is linked to the kin of which the reference says so.
    """
    alias: dict[tuple[str, int], tuple[str, int]] = {}
    kin: dict[str, str] = {}
    for x, y in pairs:
        one, other = lexicon.concepts[x.concept].name, lexicon.concepts[y.concept].name
        alias[one, x.side] = other, y.side
        if one != other:
            kin[one] = other
    known = {name for name, _ in theirs}
    ours: Changes = {}
    for (name, side), (mask, span) in mine.items():
        target, place = alias.get((name, side)) or (kin.get(name, name), side)
        if name in known and target != name:
            target, place = name, side
        if mask & lx.RESOLVED and target not in known:
            gone = (one for (one, _), (said, _) in theirs.items() if said & lx.RESOLVED)
            target = next((one for one in gone if _kin(lexicon, name, one)), target)
        before = ours.get((target, place))
        ours[target, place] = (mask | before[0], before[1]) if before else (mask, span)
    return ours


def _kin(lexicon: lx.Lexicon, one: str, other: str) -> bool:
    """Whether one may be another name of the other: pneumonia and consolidation, the lung and an opacity in it."""
    for general, special in ((one, other), (other, one)):
        concept = lexicon.ids.get(special, -1)
        if general == STUDY or concept < 0:
            continue
        family = {concept, *lexicon.concepts[concept].ancestors}
        if general[0] == "@":
            normal = lexicon.normal[lexicon.anatomies.index(general[1:])]
            if not family.isdisjoint(normal):
                return True
        elif lexicon.ids[general] in family:
            return True
    return False


def _untold(lexicon: lx.Lexicon, ones: Changes, others: Changes, text: Findings, matched: set[int]) -> Iterator[Untold]:
    """What only one text says, once for all names of a thing, and not of findings that are errors themselves."""
    told: list[Told] = []
    for name, side, bit, span, other, said in _only(lexicon, ones, others):
        concept = lexicon.ids.get(name)
        unmatched = concept in text.positive and concept not in matched
        if not (unmatched or _told(lexicon, told, text, name, side, bit)):
            yield name, side, bit, span, other, said


def cost(lexicon: lx.Lexicon, changes: Changes) -> float:
    """What it costs to omit all of these."""
    said = {(name, b) for (name, _), (mask, _) in changes.items() for b in _NAME if mask & b}
    return sum(_cost(lexicon, name, bit) for name, bit in sorted(said))


def _contrary(one: int, other: int) -> bool:
    """Whether these are opposite directions."""
    return any(one & these and other & those for these, those in _CONTRARY)


def _directed(lexicon: lx.Lexicon, name: str, change: int) -> bool:
    """Whether this is a direction of a finding; that a device comes or goes shows in its being there or not."""
    return bool(change & _DIRECTED) and (name not in lexicon.ids or lexicon.sized[lexicon.ids[name]])


def _cost(lexicon: lx.Lexicon, name: str, change: int) -> float:
    return COMPARISON if _directed(lexicon, name, change) else COMPARISON / 2


def _only(lexicon: lx.Lexicon, these: Changes, those: Changes) -> Iterator[Untold]:
    """Changes that are in `these` alone, each once per concept: name, side, change, its span; span and changes of what
    `those` say instead.

    What is said of the whole study covers the same of a finding and is covered by it, where nothing else goes the other
    way; any comparison covers "compared with". What is said of an anatomy is said of every other that shares a finding
    with it: heart, cardiomediastinum.
    """
    general = those.get((STUDY, 0), _NOTHING)[0]
    anywhere = 0
    for mask, _ in those.values():
        anywhere |= mask
    known: dict[str, list[tuple[int, int, Span]]] = {}
    for (name, side), (mask, span) in those.items():
        known.setdefault(name, []).append((side, mask, span))
    told: set[tuple[str, int]] = set()
    for (name, side), (mask, span) in sorted(these.items()):
        named = known.get(name, ())
        if not named and name[0] == "@" and name != STUDY:
            named = [other for key in known for other in known[key] if _overlap(lexicon, name, key)]
        others = [other for other in named if _meet(side, other[0])]
        said = 0
        for _, other_mask, _ in others:
            said |= other_mask
        for bit in _NAME:
            if not mask & bit or said & bit or (name, bit) in told:
                continue
            if (bit == lx.COMPARED and those) or (bit & _OF_STUDIES and general & bit):
                continue
            if name == STUDY and bit & _OF_STUDIES & anywhere and not _contrary(bit, anywhere):
                continue
            told.add((name, bit))
            yield name, side, bit, span, others[0][2] if others else None, said


def _overlap(lexicon: lx.Lexicon, one: str, other: str) -> bool:
    """Whether these are two anatomies whose normality rules out the same finding."""
    if other[0] != "@" or other == STUDY:
        return False
    ours, theirs = (lexicon.normal[lexicon.anatomies.index(name[1:])] for name in (one, other))
    return not set(ours).isdisjoint(theirs)


def _told(lexicon: lx.Lexicon, told: list[Told], findings: Findings, name: str, side: int, bit: int) -> bool:
    """Whether this was told under another name of the thing, or of an alternative to it; if not, it is now."""
    concept = lexicon.ids.get(name, -1)
    if concept < 0:
        return False
    group = next((f.group for f in findings.positive.get(concept, {}).values()), 0)
    ancestors = lexicon.concepts[concept].ancestors
    for other, where, alternative, change in told:
        if change == bit and (
            (group and group == alternative)
            or ((other in ancestors or concept in lexicon.concepts[other].ancestors) and _meet(side, where))
        ):
            return True
    told.append((concept, side, group, bit))
    return False


def _counts(shown: set[Span], these: Changes, name: str, bit: int, span: Span, said: int) -> bool:
    """Whether it is an error of its own, not a part of another: "compared to the prior study, larger"."""
    if bit == lx.COMPARED:
        return all(mask == lx.COMPARED for mask, _ in these.values())
    if bit == lx.STABLE:
        if said & _DIRECTED or (name != STUDY and these.get((STUDY, 0), _NOTHING)[0] & lx.STABLE) or span in shown:
            return False
        shown.add(span)
    return True


def _meet(one: int, other: int) -> bool:
    """Whether two sides may be the same: one is not said, or they have a side in common."""
    return not (one and other) or bool(one & other)


def _happened(change: int, concept: int | None, side: int, prior: Findings, reference: Findings) -> bool | None:
    """Whether prior and reference together show the change on this side; None when they cannot tell."""
    if concept is None:
        return None
    before, now = (
        [f for f in findings.positive.get(concept, {}).values() if _meet(side, f.side)]
        for findings in (prior, reference)
    )
    if change == lx.NEW:
        return not before and bool(now)
    if change == lx.RESOLVED:
        return bool(before) and not now
    if not (before and now):
        return False
    old, new = (max(f.severity for f in found).bit_length() for found in (before, now))
    if not (old and new):
        return None
    return {lx.WORSE: new > old, lx.BETTER: new < old}.get(change, new == old)
