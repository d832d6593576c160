"""A finding that a sentence leaves out, put back: "small effusion on the left, none on the right"."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final

from judges.rules import around
from judges.rules import lexicon as lx
from judges.rules.findings import UNCERTAIN, Event, Mention

_ENDS: Final = lx.COMMA | lx.AND | lx.WITH | lx.TERM | lx.CONTRAST | lx.EXIST | lx.OR
"""What ends a part of a sentence that may leave its finding out."""
_AHEAD: Final = 6  # phrases in which a finding is looked for
_OTHER: Final = {lx.LEFT: lx.RIGHT, lx.RIGHT: lx.LEFT}


def filled(events: list[Event], stop: int) -> list[Event]:
    """The events of a sentence that ends before word `stop`, with the findings that it leaves out.

    A word for a side then also names the finding that the part before it named for the other side.
    """
    out: list[Event] = []
    concept, side, denied = -1, 0, False  # what was named last
    start = 0
    for k in range(len(events) + 1):
        if k < len(events) and not events[k].leaf.cue & _ENDS:
            continue
        part = events[start:k]
        end = events[k].first if k < len(events) else stop
        caused = start and events[start - 1].leaf.rare & lx.CAUSE and all(e.leaf.concept < 0 for e in part)
        if caused and concept >= 0:
            pass  # "pneumothorax on the left after line insertion, none on the right"
        elif any(_names(e.leaf) for e in part) and not (start and events[start - 1].leaf.rare & lx.EXCEPT):
            named = [e.leaf.concept for e in part if e.leaf.concept >= 0]
            concept, side = (named[-1] if named else -1), 0
            listed = denied and bool(start and events[start - 1].leaf.cue & lx.OR)
            denied = listed or any(e.leaf.cue & lx.NEG for e in part)
            for event in part:
                side |= event.leaf.side
        elif part and start and concept >= 0:
            before = events[start - 1]
            if before.leaf.rare & lx.EXCEPT:
                part = _excepted(part, concept) if denied else part
            elif before.last + 1 == part[0].first and not _leads_on(events, k):
                part = _other(part, concept, _OTHER.get(side, -1), end)
            side = next((e.leaf.side for e in part if e.leaf.concept >= 0), side)
        out += part
        if k < len(events):
            out.append(events[k])
        start = k + 1
    return out


def _leads_on(events: list[Event], k: int) -> bool:
    """Whether event `k - 1` belongs to a finding after `k`: "small left | and moderate right effusion"."""
    word = next((e.first for e in events[k : k + _AHEAD] if e.leaf.concept >= 0), None)
    return word is not None and around.in_run(events, k - 1, word)


def _names(leaf: lx.Leaf) -> bool:
    """Whether this is a subject, so that no other is left out; "large" alone is none."""
    return bool(leaf.kind & (lx.NAMED | lx.THING) or leaf.concept >= 0 or leaf.absent or _describes(leaf))


def _describes(leaf: lx.Leaf) -> bool:
    return bool(leaf.descriptors) and not (leaf.severity or leaf.change)


def _excepted(part: list[Event], concept: int) -> list[Event]:
    """ "No effusion other than | at the left base": it is there."""
    for i in range(len(part) - 1, -1, -1):
        first, last, leaf = part[i]
        if leaf.side or leaf.zone or (leaf.severity and not leaf.cue):
            if any(e.leaf.concept >= 0 or _describes(e.leaf) or e.leaf.kind & lx.THING for e in part):
                return part
            graded = i > 1 and part[i - 2].leaf.severity and part[i - 1].leaf.cue & lx.PREP  # "trace on the right"
            found = Event(first, last, replace(leaf, concept=concept, cue=0, rare=lx.EXCEPT))
            return [*part[: i - 1 if graded else i], found, *part[i + 1 :]]
    return part


def _other(part: list[Event], concept: int, side: int, end: int) -> list[Event]:
    """The part, if it speaks of the other side: "small on the right", "none on the left", "the left is moderate"."""
    at = next((i for i, e in enumerate(part) if e.leaf.side), -1)
    if at < 0 or part[at].leaf.side != side or any(e.leaf.cue & lx.NORMAL for e in part):
        return part
    if any(after.first != one.last + 1 for one, after in itertools.pairwise(part[: at + 1])):
        return part
    if at > 1 and part[0].leaf.cue & lx.VERB and part[1].leaf.change:  # "... and | is larger on the left"
        part, at = part[1:], at - 1
    follows = part[at + 1 :]
    closed = (follows[0].first if follows else end) == part[at].last + 1
    if not closed:  # "small left | opacification"
        return part
    head, lead = part[0].leaf, part[1:at]
    led = not lead or (len(lead) == 1 and bool(lead[0].leaf.cue & lx.PREP))
    found = Event(part[at].first, part[at].last, replace(part[at].leaf, concept=concept))
    if at and led and head.cue & (lx.NEG | lx.NEG_AFTER) and not head.change:
        return [Event(part[0].first, part[0].last, lx.Leaf(cue=lx.NEG)), found, *follows]
    if at and led and (head.severity or head.change):  # "resolved on the left and | decreased on the right"
        return [part[0], found, *follows]
    if at == 0 and len(follows) == 1 and follows[0].leaf.cue & lx.NEG_AFTER and not follows[0].leaf.change:
        return [Event(follows[0].first, follows[0].last, lx.Leaf(cue=lx.NEG)), found]  # "right | none"
    return [found, *follows] if at == 0 and _stands(follows) else part


def _stands(follows: list[Event]) -> bool:
    """Whether a verb says something of the side before it: "left | remains in place", "left | is moderate"."""
    if len(follows) == 1 and follows[0].leaf.severity and not follows[0].leaf.kind & lx.NAMED:
        return True  # "left | small"
    if not follows or not (follows[0].leaf.cue & lx.VERB or follows[0].leaf.change):
        return False
    if follows[0].leaf.change or len(follows) == 1:
        return bool(follows[0].leaf.change)
    after = follows[1]
    return after.first == follows[0].last + 1 and bool(
        after.leaf.severity or after.leaf.change or after.leaf.cue & (lx.VERB | lx.NEG_AFTER)
    )


def split(events: list[Event], mentions: list[Mention], said: dict[int, list[int]]) -> set[int]:
    """ "Moderate right and small left effusions" are two findings, each with its grade. Returns the ids of such."""
    divided: set[int] = set()
    for at, parts in said.items():
        if len(parts) < 4:
            continue
        grades: dict[int, int] = {}
        side = severity = 0
        for i, k in enumerate(parts):
            leaf = events[k].leaf
            between = events[parts[i - 1] + 1 : k] if i else ()
            if (side and leaf.side) or any(e.leaf.cue & (lx.AND | lx.COMMA) for e in between):
                side = severity = 0
            side, severity = side | leaf.side, severity | leaf.severity
            if side in (lx.LEFT, lx.RIGHT) and severity:
                grades[side] = severity
        if len(grades) == 2:
            mention = mentions[at]
            if mention.state >= UNCERTAIN:
                mentions.append(replace(mention, side=lx.RIGHT, severity=grades[lx.RIGHT]))
                mention.side, mention.severity = lx.LEFT, grades[lx.LEFT]
                divided.add(id(mention))
    return divided
