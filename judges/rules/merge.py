"""Mentions of one text become findings: one per concept and side, whatever the order and number of sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from judges.base import STUDY
from judges.rules import lexicon as lx
from judges.rules.findings import (
    ABSENT,
    PRESENT,
    UNCERTAIN,
    Change,
    Denial,
    Finding,
    Findings,
    Implied,
    Mention,
    Span,
)
from judges.rules.tips import judged
from judges.scores import MODERATE

Locate = Callable[[int, int], Span]
OVERALL: Final = 6
"""A normality phrase that rules out so many concepts speaks of the whole chest: "no acute cardiopulmonary process"."""


_TUBES: Final = frozenset(("airway_tube", "central_line", "chest_tube", "enteric_tube"))
ELSEWHERE: Final = -1
"""`Implied.until` of what only another sentence contradicts."""


def merge(
    lexicon: lx.Lexicon,
    mentions: list[Mention],
    implied: list[Implied],
    changes: list[Change],
    locate: Locate,
    sentence: Callable[[int], int],
    *,
    empty: bool,
) -> Findings:
    """`locate` turns words into characters, `sentence` tells in which sentence a word stands."""
    asserted: dict[int, list[Mention]] = {}
    denied: dict[int, list[Mention]] = {}
    for mention in mentions:
        if mention.state >= UNCERTAIN:
            asserted.setdefault(mention.concept, []).append(mention)
        elif mention.state == ABSENT:
            denied.setdefault(mention.concept, []).append(mention)
    positive = _asserted(lexicon, asserted, denied, locate, sentence)
    negative = {
        concept: _denial(every, lexicon.concepts[concept].sided, locate)
        for concept, every in denied.items()
        if concept not in positive
    }
    for each in implied:
        _imply(lexicon, each, positive, negative, locate)
    for concept, by_side in positive.items():
        opposite = lexicon.concepts[concept].opposite
        if opposite is not None and opposite not in positive and opposite not in negative:
            negative[opposite] = Denial(False, False, next(iter(by_side.values())).span)
    if any(lexicon.concepts[concept].weight >= MODERATE for concept in positive):
        firm = [each for each in implied if each.until] + _general(lexicon, denied)
        _contradict(lexicon, firm, asserted, positive, sentence)
    overall = any(len(each.concepts) >= OVERALL and not (each.partial or each.side) for each in implied)
    compared = _compared(lexicon, changes, positive, locate, sentence)
    return Findings(positive, dict(sorted(negative.items())), compared, empty, overall)


def _asserted(
    lexicon: lx.Lexicon,
    asserted: dict[int, list[Mention]],
    denied: dict[int, list[Mention]],
    locate: Locate,
    sentence: Callable[[int], int],
) -> dict[int, dict[int, Finding]]:
    positive: dict[int, dict[int, Finding]] = {}
    for concept, found in sorted(asserted.items()):
        sided, sized = lexicon.concepts[concept].sided, lexicon.sized[concept]
        outright = [m for m in denied.get(concept, ()) if not (m.partial or m.severity)]
        sides = _by_side(found, sided=sided)
        if 0 in sides and len(asserted) > 1 and sided and sized:
            sides = {_elsewhere(lexicon, concept, asserted, sentence): found}
        positive[concept] = {
            side: _finding(concept, side, sides[side], outright, sized, locate) for side in sorted(sides)
        }
        if not sized:
            positive[concept] = {side: judged(lexicon, finding) for side, finding in positive[concept].items()}
    return positive


def _denial(every: list[Mention], sided: bool, locate: Locate) -> Denial:
    """What the denials of one concept say together."""
    if len(every) == 1:
        named = every[0]
        part = named.partial or named.severity > 0
        side = 0 if part or not named.side or not sided else named.side % lx.BOTH
    else:
        full = [m for m in every if not (m.partial or m.severity)]
        part = not full
        named = min(full or every, key=lambda m: m.first)
        side = _one_side({m.side for m in full}) if full and sided else 0
    return Denial(part, True, locate(named.first, named.last), side)


def _imply(
    lexicon: lx.Lexicon,
    implied: Implied,
    positive: dict[int, dict[int, Finding]],
    negative: dict[int, Denial],
    locate: Locate,
) -> None:
    """Add what a phrase of normality rules out to the denials."""
    normal, first_word, last_word, partial, where, _ = implied
    here = Denial(partial, False, locate(first_word, last_word))
    for concept in normal:
        if concept in positive:
            continue
        known = negative.get(concept)
        side = where if where and lexicon.concepts[concept].sided and not partial else 0
        if known is None or (known.partial and not (partial or side)):
            negative[concept] = here._replace(partial=True, side=side) if side else here
        elif known.side and not partial and not _one_side({side, known.side}):
            negative[concept] = Denial(False, known.explicit, known.span)  # the right lung is clear, and the left


def _general(lexicon: lx.Lexicon, denied: dict[int, list[Mention]]) -> list[Implied]:
    """What denies a whole family outright: "no lines or tubes are present", in another sentence than one of them.

    "No focal opacity" is none: everybody writes it beside atelectasis.
    """
    return [
        Implied((concept,), one.first, one.last, side=one.side % lx.BOTH, until=ELSEWHERE)
        for concept, every in denied.items()
        for one in every
        if not (one.partial or one.severity or one.zone or one.details) and concept != lexicon.ids["lung_opacity"]
    ]


def _contradict(
    lexicon: lx.Lexicon,
    firm: list[Implied],
    asserted: dict[int, list[Mention]],
    positive: dict[int, dict[int, Finding]],
    sentence: Callable[[int], int],
) -> None:
    """Mark what the same text denies, or calls all of its kind absent; nobody minds a granuloma in clear lungs."""
    for concept, by_side in positive.items():
        if lexicon.concepts[concept].weight < MODERATE:
            continue
        # "No infiltrate" does not speak of edema, though it is an opacity too; "no fracture" speaks of every bone's.
        kinds = {a for a in lexicon.concepts[concept].ancestors if not lexicon.thoracic[a]}
        tube = not _TUBES.isdisjoint((lexicon.concepts[concept].name, *(lexicon.concepts[a].name for a in kinds)))
        against = [
            each
            for each in firm
            if (not kinds.isdisjoint(each.concepts) or lexicon.covered(concept, each.concepts))
            and (tube or lexicon.device not in each.concepts)  # "no lines or tubes" does not speak of a pacemaker
        ]
        if not against:
            continue
        first = min(mention.first for mention in asserted[concept])
        sentences = {sentence(mention.first) for mention in asserted[concept]}
        against = [each for each in against if first < each.until or sentences != {sentence(each.first)}]
        for side, finding in by_side.items():
            there = any(not each.side or each.side & side for each in against)
            by_side[side] = finding._replace(ruled_out=finding.certain and there)


def _compared(
    lexicon: lx.Lexicon,
    changes: list[Change],
    positive: dict[int, dict[int, Finding]],
    locate: Locate,
    sentence: Callable[[int], int],
) -> dict[tuple[str, int], tuple[int, Span]]:
    """Per name and side the changes that the text says of it."""
    compared: dict[tuple[str, int], tuple[int, Span]] = {}
    where: dict[tuple[str, int], set[int]] = {}
    for name, change, first_word, last_word, changed, own_side in changes:
        side = own_side or (changed.side if changed else 0)
        if name[0] == "@" and name != STUDY:  # "cardiomegaly; heart size is stable" speaks of the cardiomegaly
            normal = lexicon.normal[lexicon.anatomies.index(name[1:])]
            name = next((lexicon.concepts[c].name for c in normal if c in positive), name)
        elif name[0] != "@" and not lexicon.concepts[lexicon.ids[name]].sided:
            side = 0
        before = compared.get((name, side))
        where.setdefault((name, side), set()).add(sentence(first_word))
        compared[name, side] = (change | before[0], before[1]) if before else (change, locate(first_word, last_word))
    for key, (change, span) in compared.items():
        mixed = change & lx.STABLE and change & (lx.WORSE | lx.BETTER)
        if mixed and len(where[key]) == 1:  # "persists, but smaller"
            compared[key] = change & ~lx.STABLE, span
    return compared


def _elsewhere(
    lexicon: lx.Lexicon, concept: int, asserted: dict[int, list[Mention]], sentence: Callable[[int], int]
) -> int:
    """The sides that another sentence gives this under another name: "Left consolidation. ... Improving pneumonia." """
    concepts = lexicon.concepts
    ancestors = concepts[concept].ancestors
    here: set[int] = set()
    sides = 0
    for other, found in asserted.items():
        if other in ancestors or concept in concepts[other].ancestors:
            here = here or {sentence(m.first) for m in asserted[concept]}
            for mention in found:
                if mention.side & ~sides and sentence(mention.first) not in here:
                    sides |= mention.side
    return sides


def _one_side(sides: set[int]) -> int:
    """The one side of these denials; 0 = together they leave no side out."""
    return sides.pop() % lx.BOTH if len(sides) == 1 else 0


def _by_side(found: list[Mention], *, sided: bool) -> dict[int, list[Mention]]:
    """Mentions by side; what names no side, or both, joins the sides that others name; without any it may mean both."""
    sides: dict[int, list[Mention]] = {}
    for mention in found:
        sides.setdefault(mention.side if sided else 0, []).append(mention)
    if lx.BOTH in sides and (lx.LEFT in sides or lx.RIGHT in sides):  # "bilateral, left greater than right"
        general = sides.pop(lx.BOTH)
        for side in (lx.LEFT, lx.RIGHT):
            sides.setdefault(side, []).extend(general)
    if sides.keys() == {0} and any(m.paired for m in found):  # "atelectasis at the bases"
        return {lx.BOTH: found}
    if 0 in sides and len(sides) > 1:  # "effusion" after "left effusion"
        general = sides.pop(0)
        for named in sides.values():
            named.extend(general)
    return sides


def _finding(
    concept: int, side: int, mentions: list[Mention], denied: list[Mention], sized: bool, locate: Locate
) -> Finding:
    if len(mentions) == 1 and not denied:
        (one,) = mentions
        certain = one.state == PRESENT
        return Finding(
            concept, side, one.zone, one.severity if sized else 0, one.place, one.size, certain, False,
            0 if certain else one.group, locate(one.first, one.last), one.details,
        )  # fmt: skip
    zone = severity = place = details = 0
    for mention in mentions:
        zone |= mention.zone
        details |= mention.details
        severity |= mention.severity
        place |= mention.place
    certain = any(m.state == PRESENT for m in mentions)
    groups = {m.group for m in mentions}
    first = min(mentions, key=lambda m: m.first)
    return Finding(
        concept=concept,
        side=side,
        zone=zone,
        severity=severity if sized else 0,  # "the tube is advanced"
        place=place,
        size=max(m.size for m in mentions),
        certain=certain,
        contradicted=any(not m.side or not side or m.side & side for m in denied),
        group=0 if certain or 0 in groups else min(groups),
        span=locate(first.first, first.last),
        details=details,
    )
