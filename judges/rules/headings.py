"""Whether words are a heading, and whether a sentence speaks of what stands in the heading before it."""

from __future__ import annotations

from judges.rules import lexicon as lx
from judges.rules.findings import Event


def heads(words: list[str], i: int, last: int, leaf: lx.Leaf) -> bool:
    """Whether these words are a heading: a colon or dash follows, or they have a line of their own."""
    after = words[last + 1] if last + 1 < len(words) else ""
    return after == ":" or (after == "-" and leaf.anatomy < 0) or (after == "\n" and (i == 0 or words[i - 1] == "\n"))


def names_its_own(events: list[Event]) -> bool:
    """Whether a sentence under an organ's heading names itself what it speaks of: "BONES: The spine is intact."."""
    first, second = events[0].leaf, events[1].leaf
    if not (first.kind & lx.BARE and second.cue & lx.COLON):
        return False
    for k in range(2, len(events)):
        leaf = events[k].leaf
        if leaf.kind & lx.NAMED:
            return True
        if leaf.cue & lx.NORMAL:  # "Normal heart size", but not "Clear without effusion"
            return k + 1 < len(events) and bool(events[k + 1].leaf.kind & lx.BARE) and _adjoin(events, k)
        if leaf.kind & lx.SAYS:
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
