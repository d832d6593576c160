"""Looking at the phrases around one: what leads to it, what follows it, where a subject starts."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import Event

_ENDS_NORMAL: Final = lx.VERB | lx.NORMAL | lx.NEG | lx.TERM | lx.EXIST
_ENDS_SEARCH: Final = lx.COMMA | lx.TERM | lx.EXIST | lx.COLON | lx.VERB | lx.NEG | lx.PREP
_ENDS_SUBJECT: Final = lx.COMMA | lx.AND | lx.OR | lx.TERM | lx.EXIST | lx.COLON | lx.PREP | lx.NEG
_ENDS_HEAD: Final = lx.COMMA | lx.AND | lx.TERM | lx.EXIST | lx.NEG | lx.NEG_AFTER | lx.UNC
AHEAD: Final = 8  # how many phrases ahead a cue looks for its finding
_NORMAL_AHEAD: Final = 12  # and a leading "normal" for its anatomies

Subject = tuple[int, int]
"""An anatomy, and the side of it that is meant (0 = both, or not said)."""


def has_substance(leaf: lx.Leaf) -> bool:
    """Whether the phrase names something, so that its clause has a subject of its own."""
    if leaf.descriptors and leaf.concept < 0 and not leaf.absent and (leaf.change or leaf.severity):
        return bool(leaf.kind & (lx.NAMED | lx.THING))
    return bool(leaf.kind & (lx.SAYS | lx.NAMED | lx.THING) or leaf.cue & lx.NORMAL)


def leads(events: list[Event], k: int) -> bool:
    """Whether a verb leads to the place of what stands before it: "calcification is seen in the hilum"."""
    for j in range(k + 1, min(k + 4, len(events))):
        if events[j].first != events[j - 1].last + 1:
            return False
        cue = events[j].leaf.cue
        if cue & lx.PREP:
            return not cue & lx.WITH
        if not cue & lx.VERB:
            return False
    return False


def place(events: list[Event], k: int) -> int:
    """The preposition that `leads` has found."""
    return next(j for j in range(k + 1, len(events)) if events[j].leaf.cue & lx.PREP)


def governed(events: list[Event], k: int) -> bool:
    """Whether a preposition leads to this word: "at the left base"."""
    for j in range(k - 1, max(-1, k - 5), -1):
        if events[j + 1].first - events[j].last > 2:  # 2: "along the right | lateral | chest wall"
            return False
        leaf = events[j].leaf
        if leaf.cue & lx.PREP:
            return not leaf.cue & lx.WITH
        if not (leaf.side or leaf.zone or leaf.severity or leaf.details):
            return False
    return False


def side_after(events: list[Event], k: int) -> int:
    """The side that a preposition adds to this word: "increased on the right"; else 0."""
    if k + 2 >= len(events):
        return 0
    here, by, after = events[k : k + 3]
    near = here.last + 1 == by.first and by.last + 1 == after.first and by.leaf.cue & lx.PREP
    return after.leaf.side if near and after.leaf.concept < 0 else 0


def touches(events: list[Event], k: int, word: int) -> bool:
    """Whether known words lead from this event to `word` without a gap: "left lower lobe | nodule"."""
    for j in range(k, min(len(events), k + AHEAD) - 1):
        here, after = events[j], events[j + 1]
        if after.leaf.cue & lx.TERM or after.first != here.last + 1:
            return False
        if after.leaf.side and here.leaf.zone | here.leaf.kind & lx.BARE:
            return False  # a side after a place begins another noun: "in the left lower lobe | right PICC"
        if after.last >= word:
            return True
    return False


def in_run(events: list[Event], k: int, word: int) -> bool:
    """Whether only modifiers, "and", "or" and "to" lead from this one to `word`: "moderate right and small | effusion".

    Not where it belongs to what stands before it: "effusion is small and right ...", "effusion on the left and ...".
    """
    for j in range(k - 1, max(-1, k - AHEAD), -1):
        leaf = events[j].leaf
        if leaf.concept >= 0 and events[j].last + 1 == events[j + 1].first:
            return False
        if not (_is_modifier(leaf) or spans(events, j)):
            if leaf.cue & (lx.VERB | lx.PREP) and not leaf.cue & lx.WITH:
                return False
            break
    for j in range(k + 1, min(len(events), k + AHEAD)):
        before, (first, last, leaf) = events[j - 1], events[j]
        if first >= word:
            return _is_modifier(before.leaf)
        if _is_modifier(leaf):
            continue
        if not (leaf.cue & (lx.AND | lx.OR) or spans(events, j)) or j + 1 == len(events):
            return False
        after = events[j + 1]
        if not (_is_modifier(before.leaf) and before.last + 1 == first and last + 1 == after.first):
            return False
    return False


def lead(events: list[Event], k: int) -> int:
    """The phrase from which a "that" or "to say" leads to this one: "not thought that | there is"; else -1."""
    j = k - 1
    while j >= max(0, k - AHEAD) and events[j].leaf.concept < 0:
        if not (events[j].leaf.cue & (lx.VERB | lx.PREP) or events[j].leaf.rare & lx.ANAPHOR):
            break
        j -= 1
    if j < 0:
        return -1
    row = events[j].leaf.acts.get("absent forward")  # "it is not true that | the film shows"
    leads = events[k].first - events[j].last > 1 or (row is not None and row.value in ("truth", "frame"))
    return j if leads else -1


def joined(events: list[Event], i: int, k: int) -> bool:
    """Whether two phrases are one noun phrase: nothing but sides and zones stands between them."""
    if k - i > AHEAD or any(events[j].last + 1 != events[j + 1].first for j in range(i, k)):
        return False
    return all(_is_modifier(event.leaf) and not event.leaf.severity for event in events[i + 1 : k])


def spans(events: list[Event], k: int) -> bool:
    """Whether this is the "to" of two grades: "small to moderate"."""
    return (
        0 < k < len(events) - 1
        and bool(events[k].leaf.cue & lx.OBJECT)
        and bool(events[k - 1].leaf.severity and events[k + 1].leaf.severity)
    )


def _is_modifier(leaf: lx.Leaf) -> bool:
    return (
        bool(leaf.side | leaf.zone | leaf.severity | leaf.details)
        and leaf.concept < 0
        and not (leaf.change or leaf.place)
    )


def next_finding(events: list[Event], k: int, stop: int) -> int:
    """The finding that known words lead to, without a gap or a cue in `stop`: "calcified | LLL granuloma"; else -1."""
    for j in range(k + 1, min(k + AHEAD, len(events))):
        leaf = events[j].leaf
        if events[j].first != events[j - 1].last + 1 or leaf.cue & (_ENDS_SEARCH | stop):
            return -1
        if leaf.concept >= 0:
            return leaf.concept
    return -1


def names_subject(events: list[Event], k: int) -> bool:
    """Whether a bare anatomy stands here: the subject of what follows."""
    while k < len(events) and events[k].leaf.side and not events[k].leaf.kind & (lx.NAMED | lx.SAYS):
        k += 1
    return k < len(events) and bool(events[k].leaf.kind & lx.BARE)


def heads(events: list[Event], k: int) -> bool:
    """Whether a colon makes this phrase speak of what follows: "Excluded | by this film: effusion"."""
    for event in events[k + 1 : k + 1 + AHEAD]:
        if event.leaf.cue & lx.COLON:
            return True
        if event.leaf.kind & (lx.SAYS | lx.NAMED) or event.leaf.cue & _ENDS_HEAD:
            return False
    return False


def finds(events: list[Event], k: int) -> bool:
    """Whether a finding follows that this cue may speak of, so that it does not speak of the one before."""
    if k and events[k - 1].leaf.cue & lx.VERB and events[k - 1].last == events[k].first - 1:
        return False
    for event in events[k + 1 : k + 1 + AHEAD]:
        leaf = event.leaf
        if leaf.concept >= 0 or leaf.descriptors:
            return True
        if leaf.cue & _ENDS_SEARCH:
            return False
    return False


def start_of_subject(events: list[Event], k: int, since: int) -> int:
    """Where the subject of a trailing "is normal" starts, its side included: "left lung base is clear"."""
    start = j = k
    while j and events[j - 1].first >= since:
        j -= 1
        if events[j].leaf.kind & lx.NAMED:
            start = j
    while start and events[start - 1].leaf.side | events[start - 1].leaf.zone and events[start - 1].first >= since:
        start -= 1
    return events[start].first


def side_of(events: list[Event], k: int) -> int:
    """The side of the anatomy that phrase `k` names: "left lung", "right upper lung field"; 0 = not said, or both."""
    side = events[k].leaf.side
    while k and events[k - 1].last + 1 == events[k].first:
        k -= 1
        leaf = events[k].leaf
        if leaf.kind & (lx.NAMED | lx.SAYS) or not (leaf.side or leaf.zone):
            break
        side |= leaf.side
    return side % lx.BOTH


def side_behind(events: list[Event], k: int) -> int:
    """The side that a preposition adds to phrase `k`: "clear on the right"; 0 = none, or both."""
    if k + 2 >= len(events) or not events[k + 1].leaf.cue & lx.PREP or events[k + 1].leaf.cue & lx.WITH:
        return 0
    touching = events[k].last + 1 == events[k + 1].first and events[k + 1].last + 1 == events[k + 2].first
    return events[k + 2].leaf.side % lx.BOTH if touching else 0


def side_of_subject(events: list[Event], k: int) -> int:
    """The side of the anatomy that phrase `k` still speaks of: "the right lung is clear | without effusion"."""
    for j in range(k - 1, max(-1, k - AHEAD), -1):
        leaf = events[j].leaf
        if leaf.kind & lx.BARE:
            return side_of(events, j)
        if leaf.cue & _ENDS_SUBJECT or leaf.concept >= 0:
            break
    return 0


def following(events: list[Event], k: int) -> tuple[list[Subject], int]:
    """Anatomies that a leading "normal" speaks of, and where they end: "normal heart size and mediastinal contours"."""
    found: list[Subject] = []
    end = events[k].last + 1
    for j in range(k + 1, min(k + _NORMAL_AHEAD, len(events))):
        leaf = events[j].leaf
        if leaf.kind & lx.BARE:
            found.append((leaf.anatomy, side_of(events, j)))
            end = events[j].last + 1
        elif leaf.concept >= 0 and _beside(events, j):
            continue  # "clear, hyperinflated | lungs"
        elif leaf.concept >= 0 or leaf.descriptors or leaf.cue & _ENDS_NORMAL:
            break
    return found, end


def _beside(events: list[Event], j: int) -> bool:
    """Whether a finding stands as an adjective between a comma and an anatomy."""
    if not events[j - 1].leaf.cue & lx.COMMA or j + 1 >= len(events) or events[j].last + 1 != events[j + 1].first:
        return False
    return bool(events[j + 1].leaf.kind & lx.BARE)


def denies_next(events: list[Event], k: int) -> bool:
    """Whether a denial of something else follows this phrase at once: "edema | without pneumothorax", "| with no"."""
    if k + 2 < len(events) and events[k + 1].leaf.cue & lx.WITH and events[k].last + 1 == events[k + 1].first:
        k += 1
    if k + 1 >= len(events) or events[k].last + 1 != events[k + 1].first:
        return False
    return bool(events[k + 1].leaf.cue & lx.NEG) and not events[k + 1].leaf.cue & lx.NEG_AFTER


def list_follows(events: list[Event], k: int, link: int) -> bool:
    """Whether a `link` ("or") follows in the list that goes on here."""
    for event in events[k + 1 : k + 1 + _NORMAL_AHEAD]:
        if event.leaf.cue & link:
            return True
        if event.leaf.cue & (lx.TERM | lx.EXIST | lx.VERB | lx.COLON | lx.NEG | lx.WITH) or event.leaf.place:
            return False
    return False


def place_follows(events: list[Event], k: int) -> bool:
    """Whether this word speaks of where a tip is, not of the device: "not seen below the diaphragm"."""
    for j in range(k + 1, min(k + 4, len(events))):
        leaf = events[j].leaf
        if leaf.place:
            return True
        if not (leaf.cue & (lx.PREP | lx.VERB) or leaf.side):
            return False
    return False


def height(events: list[Event], k: int) -> float:
    """How far from a place a tip lies, in millimetres: "3 cm | above the carina"; 0 where it is not said."""
    return events[k - 1].leaf.size if k and not events[k].leaf.rare & lx.ADVICE else 0.0


def within(ranges: list[tuple[int, int]], word: int) -> bool:
    """Whether `word` lies in one of the ranges, which are in order."""
    at = bisect_left(ranges, (word + 1,))
    return bool(at) and ranges[at - 1][0] <= word < ranges[at - 1][1]
