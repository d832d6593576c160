"""Whether words are a heading, and whether a sentence speaks of what stands in the heading before it."""

from __future__ import annotations

from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import Event

_LONGEST: Final = 8  # phrases of an organ's heading, with its colon


def heads(words: list[str], i: int, last: int, leaf: lx.Leaf) -> bool:
    """Whether these words are a heading: a colon or dash follows, or they have a line of their own."""
    after = words[last + 1] if last + 1 < len(words) else ""
    return after == ":" or (after == "-" and leaf.anatomy < 0) or (after == "\n" and (i == 0 or words[i - 1] == "\n"))


def behind_heading(events: list[Event]) -> int:
    """The phrase with which a sentence begins that names itself what it speaks of: "BONES: The spine is intact.".

    0 where the heading before it is what it speaks of, or where there is none.
    """
    begin = _behind_colon(events)
    return begin if 0 < begin < len(events) and _names_its_own(events, begin) else 0


def _behind_colon(events: list[Event]) -> int:
    """The phrase behind a heading of one anatomy or of several: "BONES AND SOFT TISSUES:"; 0 where there is none."""
    for k, event in enumerate(events[:_LONGEST]):
        leaf = event.leaf
        if leaf.cue & lx.COLON or (leaf.cue & lx.BREAK and k == 1 and events[0].leaf.cue & lx.BODY):  # "Chest - Heart"
            return k + 1 if k and events[k - 1].leaf.kind & lx.BARE else 0
        if not (leaf.kind & lx.BARE or (k and leaf.cue & (lx.AND | lx.COMMA | lx.SLASH) and not leaf.kind)):
            return 0
    return 0


def _names_its_own(events: list[Event], begin: int) -> bool:
    if begin > 2 and events[begin].leaf.cue & lx.NEG:  # of several anatomies none is what is denied
        return True
    for k in range(begin, len(events)):
        leaf = events[k].leaf
        if leaf.kind & lx.NAMED:
            return True
        if leaf.cue & lx.NORMAL:  # "Normal heart size", "normal and stable contours", but not "Clear without effusion"
            also = k + 3 < len(events) and events[k + 1].leaf.cue & lx.AND and events[k + 2].leaf.kind == lx.ATTRIBUTE
            k += 2 * bool(also)
            return k + 1 < len(events) and bool(events[k + 1].leaf.kind & lx.BARE) and _adjoin(events, k)
        if leaf.kind & lx.SAYS and not (k + 1 < len(events) and events[k + 1].leaf.cue & lx.AND):
            return _has_a_place(events, k + 1)
    return False


def _has_a_place(events: list[Event], k: int) -> bool:
    """Whether what was said before phrase `k` is said of an anatomy after it: "degenerative changes in the spine"."""
    beside = _adjoin(events, k - 1) if k < len(events) else False
    while k < len(events) and events[k].leaf.cue & (lx.VERB | lx.PLURAL):  # "... changes are present in the spine"
        k, beside = k + 1, False
    if k < len(events) and events[k].leaf.cue & lx.PREP:
        k, beside = k + 1, True
    while k < len(events) and events[k].leaf.kind == lx.ATTRIBUTE:  # "... of the left ribs"
        k += 1
    return beside and k < len(events) and bool(events[k].leaf.kind & lx.NAMED)


def _adjoin(events: list[Event], k: int) -> bool:
    """Whether no word stands between this phrase and the next."""
    return events[k].last + 1 == events[k + 1].first
