"""Constructions that no row of `knowledge/cues` can say: each is a function with its example, tested by its name.

All of them look at the phrases around one phrase of a clause and change nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.around import AHEAD, governed, next_finding, touches
from judges.rules.findings import Event

_NEW: Final = lx.Leaf(
    change=lx.NEW, kind=lx.ATTRIBUTE, rows=(lx.Row("change", value="new", source="not there before"),)
)
_SAME: Final = (lx.Row("side", value="the same", source="said before"),)
_NEVER: Final = frozenset(("not", "never", "no"))
_AT: Final = frozenset(("in", "on", "at", "last", "yesterday", "before", "previously", "earlier"))
_LOOKS: Final = frozenset((
    *((look, "of") for look in ("look", "impression", "semblance", "illusion", "resemblance")),
    ("appearance", "suggesting"), ("appearance", "resembling"),
))  # fmt: skip
_EXPLAINED: Final = frozenset(
    ("explained", "for", "caused", "produced", "created", "simulated", "came", "come", "results")
)
_BY: Final = frozenset(("by", "from"))
_LEAD: Final = 4  # words before the first phrase of a clause among which something is called a look
_SENTENCE_ENDS: Final = frozenset(".;?!\n,:")
_STABLE: Final = lx.Leaf(change=lx.STABLE)
_DEGREES: Final = lx.WORSE | lx.BETTER
_STEPS: Final = 4  # how many phrases before "consistent with" may stand between it and its denial
_ASSERTS, _VERB = lx.Leaf(cue=lx.EXIST), lx.Leaf(cue=lx.VERB)
_DENIER: Final = 7  # words before a word of overlooking among which its denial is looked for
_ADJECTIVES: Final = 4  # words from "no" to what it denies: "no clear - cut | finding | consistent with"
_PURPOSES: Final = ("follow up", "followup", "surveillance", "restaging", "screening")
_ABSENT_WHERE: Final = frozenset(("on", "in", "at", "from", "today", "now", "and", "or", "bilaterally", "throughout"))
"""What may stand behind an "absent" that says so of what is before it."""
_WHERE: Final = frozenset(("on", "in", "at", "today", "now", "here", "anywhere", "this", "either", "so", "yet"))
_AUXILIARIES: Final = frozenset(("do", "does", "did", "fail", "fails", "failed", "never", "would", "will"))
_GAP: Final = 2  # and how many words further on each may stand: "not entirely consistent with"


def denied_grade(events: list[Event], k: int) -> bool:
    """Whether phrase `k` is a grade that is itself denied, of something named before: "is not | very | large"."""
    before, here = events[k - 1], events[k]
    if not k or not here.leaf.severity or here.first - before.last > 2 or not before.leaf.cue & lx.NEG:
        return False
    if before.leaf.kind & lx.ATTRIBUTE or next_finding(events, k, 0) >= 0:
        return False
    return all(e.leaf.concept < 0 for e in events[k + 1 : k + AHEAD])


def moved(events: list[Event], k: int) -> bool:
    """Whether a distance or a place follows, so that what is withdrawn is still there: "withdrawn by 3 cm"."""
    return any(e.leaf.size or e.leaf.place or e.leaf.kind & lx.THING for e in events[k + 1 : k + 1 + AHEAD])


def vein_before_device(events: list[Event], k: int, sized: tuple[bool, ...]) -> bool:
    """Whether a vein stands for no line of its own, as the device follows: "left subclavian | approach | ICD"."""
    if k + 1 == len(events) or events[k + 1].first - events[k].last > 2:
        return False
    concept = events[k + 1].leaf.concept
    return concept >= 0 and not sized[concept]


def vein_as_place(events: list[Event], k: int, after: int) -> bool:
    """Whether a vein is the place of the device that ends at word `after`: "left PICC, tip in the IJ"."""
    ends = lx.AND | lx.OR | lx.TERM | lx.WITH | lx.BREAK
    if not governed(events, k):
        return False
    for event in reversed(events[max(0, k - AHEAD) : k]):
        if event.last <= after:
            return True
        if event.leaf.kind & lx.THING:  # "with its tip in the IJ"
            ends &= ~lx.WITH
        if event.leaf.cue & ends:
            return False
    return False


def weighs(events: list[Event], k: int) -> bool:
    """Whether "than" or "over" leads to a finding and not to a place: "atelectasis over pneumonia"."""
    for j in range(k + 1, min(k + 4, len(events))):
        leaf = events[j].leaf
        if events[j].first != events[j - 1].last + 1 or (leaf.concept < 0 and (leaf.kind & lx.NAMED or leaf.side)):
            return False
        if leaf.concept >= 0:
            return True
    return False


def resumes(events: list[Event], k: int) -> bool:
    """Whether what follows this comma is what is seen now: "history of CHF, now with moderate edema"."""
    if k + 1 >= len(events) or events[k + 1].first - events[k].last > 2:  # 2: "now moderate edema"
        return False
    leaf = events[k + 1].leaf
    return bool(leaf.change or leaf.severity or leaf.cue & (lx.WITH | lx.EXIST))


def leads_on(events: list[Event], k: int) -> bool:
    """Whether a finding follows in the same part of the clause: "negative | pneumothorax"."""
    for event in events[k + 1 : k + 1 + AHEAD]:
        if event.leaf.concept >= 0:
            return True
        cue = event.leaf.cue
        if cue & (lx.COMMA | lx.AND | lx.WITH | lx.COLON) or (cue & lx.TERM and not cue & lx.READING):
            return False
    return False


def advised(events: list[Event], k: int) -> bool:
    """Whether what phrase `k` says is only recommended: "recommend | removal", "removal of the tube is | advised"."""
    if k and events[k - 1].leaf.cue & (lx.HYP | lx.UNC) and events[k].first - events[k - 1].last <= _GAP:
        return True
    before = events[k]
    for event in events[k + 1 : k + 1 + AHEAD]:
        if event.leaf.cue & (lx.COMMA | lx.AND | lx.TERM | lx.EXIST):
            return False
        named = before.leaf.cue & lx.PREP or before.leaf.rare & lx.ANAPHOR  # "resolved on this | follow-up film"
        if event.leaf.cue & lx.HYP and not named:
            return True
        before = event
    return False


def goes_on(events: list[Event], k: int) -> bool:
    """Whether it is said what has become of what was seen before: "was seen on the prior study | and has increased"."""
    if any(e.leaf.change & ~(lx.COMPARED | lx.NEW) for e in events[max(0, k - AHEAD) : k + AHEAD]):
        return True
    return any(e.leaf.size or e.leaf.cue & (lx.NEG_AFTER | lx.UNC_AFTER) for e in events[k + 1 : k + 1 + AHEAD])


def past(events: list[Event], k: int) -> int:
    """The phrase that says that the finding at phrase `k` is over, and nothing more of it; else -1.

    After a cause ("scarring from old | infection"), or where the sentence begins with it ("previous | pneumonia").
    """
    j = k - 1
    while j >= max(0, k - AHEAD) and events[j].leaf.kind & lx.ATTRIBUTE and not events[j].leaf.rare & lx.PAST:
        j -= 1
    if j < 0 or not events[j].leaf.rare & lx.PAST or events[j + 1].first - events[j].last > _GAP:
        return -1
    before = events[j].leaf.rare | (events[j - 1].leaf.rare if j else 0)
    led = before & lx.CAUSE or not events[j].leaf.cue & lx.NEVER
    return j if led and not goes_on(events, k) else -1


def followed_up(events: list[Event], k: int, words: Sequence[str]) -> bool:
    """Whether a line only says why the film was taken: "Breast cancer follow up."."""
    first, last, _ = events[k]
    after = " ".join(words[last + 1 : last + 3])
    if k or (first and words[first - 1].isalpha()) or not after.startswith(_PURPOSES):
        return False
    end = last + (3 if after.startswith("follow up") else 2)
    return end >= len(words) or words[end] in (".", "\n", ":")


def is_called(events: list[Event], k: int, words: Sequence[str]) -> bool:
    """Whether what stands before is called by this name: "the opacity at the left base is | an effusion"."""
    before = events[k - 1]
    if not k or before.last + 1 != events[k].first or before.first < before.last:
        return False
    return words[before.first] in ("is", "was", "are", "were")


def closes(events: list[Event], k: int, words: Sequence[str]) -> bool:
    """Whether a denial with a colon is said of the finding before it: "hydropneumothorax | excluded: | no fluid"."""
    before = events[k - 1]
    near = k > 0 and before.last + 1 == events[k].first and before.leaf.concept >= 0
    return near and events[k].last > events[k].first and words[events[k].last] == ":"


def on_one_side(events: list[Event], words: Sequence[str], trie: lx.Trie) -> list[Event]:
    """What has resolved on one side and "is | larger on the left" is on the left alone: the phrase word by word."""
    found: list[Event] = []
    gone = False
    for event in events:
        first, last, leaf = event
        if gone and leaf.side == lx.BOTH and words[last] in ("left", "right") and last > first:
            leaves = ((i, trie.get(words[i], {}).get(None)) for i in range(first, last + 1))
            found += [Event(i, i, single) for i, single in leaves if single is not None]
            continue
        gone = gone or bool(leaf.change & lx.RESOLVED)
        found.append(event)
    return found


def begins(events: list[Event], k: int) -> bool:
    """Whether a "this" or "it" has a verb, and so a statement begins: "rather than consolidation | this is fluid"."""
    return k + 1 < len(events) and events[k].last + 1 == events[k + 1].first and bool(events[k + 1].leaf.cue & lx.VERB)


def of_next_subject(events: list[Event], k: int, stop: int) -> bool:
    """Whether a side or zone is that of a place of which something else is said: "effusion, | left | lung clear".

    The clause ends before word `stop`.
    """
    first = last = k
    while first and _locates(events[first - 1].leaf) and events[first - 1].last + 1 == events[first].first:
        first -= 1
    while (
        last + 1 < len(events) and _locates(events[last + 1].leaf) and events[last].last + 1 == events[last + 1].first
    ):
        last += 1
    if not first or not events[first - 1].leaf.cue & lx.COMMA:
        return False
    after = events[last + 1] if last + 1 < len(events) else Event(stop, stop, lx.Leaf())
    named = any(event.leaf.kind & lx.BARE for event in events[first : last + 1])
    if after.first > events[last].last + 1:  # "pneumothorax, | right | lung expanded"
        return named
    if after.leaf.concept >= 0:
        return False  # "effusion, | right | lung base airspace disease": it is the place of that finding
    tells = lx.NORMAL | (lx.NEG | lx.NEG_AFTER | lx.VERB if named else 0)
    return bool(after.leaf.cue & tells or after.leaf.absent or (named and after.leaf.details))


def _locates(leaf: lx.Leaf) -> bool:
    """Whether a phrase only says which side, zone or part of the body is meant."""
    return leaf.concept < 0 and not leaf.cue and bool(leaf.side or leaf.zone or leaf.kind & lx.BARE)


def same_side(events: list[Event], side: int) -> list[Event]:
    """With the side that was said last in place of "that side": "right consolidation with effusion | on that side".

    `side`: the one that was said before the sentence; 0 if none was.
    """
    found: list[Event] = []
    for event in events:
        if event.leaf.rare & lx.SAME and side:
            leaf = replace(
                event.leaf, side=side, kind=event.leaf.kind | lx.ATTRIBUTE, rows=_SAME, acts={"side": _SAME[0]}
            )
            found.append(Event(event.first, event.last, leaf))
            continue
        side = event.leaf.side if event.leaf.side in (lx.LEFT, lx.RIGHT) else side
        found.append(event)
    return found


def operated_for(events: list[Event], k: int, words: Sequence[str], operations: Sequence[bool]) -> bool:
    """Whether an operation was done for the finding at phrase `k`: "left lobectomy for | lung cancer"."""
    j = k - 1
    while j > 0 and events[j].leaf.kind & lx.ATTRIBUTE and events[j].last + 1 == events[j + 1].first:
        j -= 1
    if j < 1 or words[events[j].first] != "for" or events[j].last > events[j].first:
        return False
    concept = events[j - 1].leaf.concept
    near = events[j - 1].last + 1 == events[j].first and events[j].last + 1 == events[j + 1].first
    return concept >= 0 and operations[concept] and near


def zone_before(events: list[Event], k: int) -> int:
    """The zone that stands for its lung as the subject of phrase `k`: "the left base is | clear"; else -1."""
    j = k - 1
    while j >= 0 and events[j].leaf.cue & lx.VERB and events[j + 1].first - events[j].last <= 2:  # 2: "now clear"
        j -= 1
    if j < 0 or j == k - 1 or events[j].last + 1 != events[j + 1].first or governed(events, j):
        return -1
    leaf = events[j].leaf
    return j if leaf.zone and leaf.concept < 0 and not leaf.place else -1


def answers(events: list[Event], k: int, stop: int) -> bool:
    """Whether no word follows this phrase before a comma or the end of the clause."""
    after = events[k].last + 1
    if k + 1 == len(events):
        return stop == after
    return events[k + 1].first == after and bool(events[k + 1].leaf.cue & lx.COMMA)


def after_colon(events: list[Event], k: int) -> bool:
    """Whether phrase `k` answers what stands before a colon: "Evaluate for effusion: | negative"."""
    return k > 0 and bool(events[k - 1].leaf.cue & lx.COLON)


def only_looks(words: Sequence[str], first: int, begin: int, end: int, stop: int) -> bool:
    """Whether what looks like a finding has another cause: "the impression of effusion | is created by ...".

    The clause begins at word `first`, the finding is from `begin` to `end`; the clause ends before `stop`.
    """
    if begin < 2 or begin - first > _LEAD or (words[begin - 2], words[begin - 1]) not in _LOOKS:
        return False
    after = words[end + 1 : stop]
    return any(one in _EXPLAINED and other in _BY for one, other in itertools.pairwise(after))


def fronted(events: list[Event], words: Sequence[str], k: int) -> bool:
    """Whether what phrase `k` denies stands at the head of the sentence: "Of effusion | there is no sign"."""
    first = events[0].first
    lead = first if words[first] == "of" else first - 1
    if lead < 0 or words[lead] != "of" or (lead and words[lead - 1] not in _SENTENCE_ENDS):
        return False
    return any(e.leaf.concept >= 0 for e in events[:k]) and all(e.leaf.concept < 0 for e in events[k:])


def to_side(events: list[Event], k: int) -> bool:
    """Whether phrase `k` is the side to which something goes: "shift | to the right"."""
    return k > 0 and bool(events[k - 1].leaf.rare & lx.AIM) and events[k - 1].last + 1 == events[k].first


def of_attribute(events: list[Event], k: int, words: Sequence[str]) -> bool:
    """Whether "absent" only says what something is without: "pneumothorax with | absent | lung markings"."""
    first, last, _ = events[k]
    if first < last or words[first] != "absent" or not k or last + 1 >= len(words):
        return False
    after = words[last + 1]
    led = events[k - 1].last + 1 == first and bool(events[k - 1].leaf.cue & (lx.WITH | lx.COMMA))
    return led and after.isalpha() and after not in _ABSENT_WHERE


def in_particular(events: list[Event], k: int) -> bool:
    """Whether a comma leads to a denial with a word of its own before: "..., | in particular no effusion"."""
    after = events[k + 1 : k + 3]
    if len(after) < 2 or not after[0].leaf.cue & lx.PREP or after[0].leaf.kind:
        return False
    return bool(after[1].leaf.cue & lx.NEG) and after[1].first > after[0].last + 1


def ends_unmet(events: list[Event], k: int, denial: int, words: Sequence[str], sized: Sequence[bool]) -> bool:
    """Whether a colon or comma at `k` ends a denial, at phrase `denial`, of something that is no finding.

    "No bowel gas | : perforation", "absent right heart border | , consolidation", "no tubes | , cardiomegaly".
    """
    between = events[denial + 1 : k]
    if any(event.leaf.kind & lx.THING for event in between):
        named = next((e.leaf for e in events[k + 1 :] if e.leaf.concept >= 0 or e.leaf.kind & lx.THING), None)
        return named is not None and named.concept >= 0 and sized[named.concept]  # not in "no tubes, lines or drains"
    alone = events[k].leaf.cue & lx.COLON or words[events[denial].first] == "absent"
    return bool(alone) and any(event.leaf.kind & lx.NAMED for event in between)


def intransitive(events: list[Event], k: int, words: Sequence[str], stop: int) -> bool:
    """Whether a denial with a verb that found nothing to deny speaks of what stands directly before it.

    "Pneumothorax | does not feature | on this film"; not "the effusion | does not show | a meniscus".
    """
    if not k or words[events[k].first] not in _AUXILIARIES or events[k - 1].leaf.concept < 0:
        return False
    if events[k - 1].last + 1 != events[k].first:
        return False
    after = events[k].last + 1
    if after < stop and words[after].isalpha() and words[after] not in _WHERE:
        return False
    return not any(e.leaf.concept >= 0 or e.leaf.kind & (lx.ATTRIBUTE | lx.SAYS) for e in events[k + 1 :])


def denies_denial(events: list[Event], k: int) -> bool:
    """Whether this "not" denies a predicate that was said before: "pneumothorax has resolved, effusion has | not"."""
    return k > 0 and events[k - 1].last + 1 == events[k].first and bool(events[k - 1].leaf.cue & lx.VERB)


def elsewhere(events: list[Event], k: int) -> bool:
    """Whether the tip is not there: "not seen in the stomach", "from the right atrium to the SVC"."""
    if events[k].leaf.rare & lx.ADVICE:
        return False
    if _aimed_at(events, k):
        return True
    for j in range(k - 1, max(-1, k - 5), -1):
        cue, rare = events[j].leaf.cue, events[j].leaf.rare
        if (cue & (lx.NEG | lx.NEG_AFTER) and not rare & lx.MOVED) or rare & lx.FORMER:
            return True
        if not cue & (lx.PREP | lx.VERB):
            return False
    return False


def _aimed_at(events: list[Event], k: int) -> bool:
    """Whether a tip should be in this place: "should be withdrawn 2 cm to lie | in the SVC"."""
    aimed = False
    for j in range(k - 1, max(-1, k - AHEAD), -1):
        leaf = events[j].leaf
        if leaf.rare & lx.ADVICE:
            return aimed
        if leaf.concept >= 0 or leaf.cue & lx.CONTRAST:
            return False
        aimed = aimed or bool(leaf.rare & lx.AIM)
    return False


def passes(events: list[Event], k: int, device: int) -> bool:
    """Whether this place is only on the way to that of a tip: "catheter in the IJ with its tip in the SVC"."""
    for event in reversed(events[max(0, k - AHEAD) : k]):
        if event.leaf.concept >= 0:
            break
        if event.leaf.things[:1] == (device,):
            return False
    tip = False
    for event in events[k + 1 : k + 1 + AHEAD]:
        if event.leaf.concept >= 0 or event.leaf.rare & lx.ADVICE:
            return False
        if tip and event.leaf.place:
            return True
        tip = tip or event.leaf.things[:1] == (device,)
    return False


def growth_denied(events: list[Event]) -> list[Event]:
    """Where growth of a finding is denied, the finding is there and stable: "no enlargement of the nodule"."""
    found: list[Event] = []
    for k, event in enumerate(events):
        if event.leaf.kind & lx.GROWTH and found and found[-1].leaf.cue & lx.NEG and _of_finding(events, k):
            found[-1] = Event(found[-1].first, event.last, _STABLE)
        else:
            found.append(event)
    return found


def _of_finding(events: list[Event], k: int) -> bool:
    """Whether "of" a finding follows, and not of an anatomy."""
    if k + 1 == len(events) or not events[k + 1].leaf.cue & lx.OBJECT or events[k + 1].first != events[k].last + 1:
        return False
    for event in events[k + 2 : k + 5]:
        if event.leaf.kind & (lx.SAYS | lx.NAMED):
            return event.leaf.concept >= 0
    return False


def but_between_modifiers(events: list[Event], k: int) -> bool:
    """Whether this "but" stands between two words for one finding: "small but increasing effusion"."""
    if not 0 < k < len(events) - 1:
        return False
    before, here, after = events[k - 1], events[k], events[k + 1]
    return (
        bool(before.leaf.severity | before.leaf.change and after.leaf.severity | after.leaf.change)
        and before.last + 1 == here.first
        and here.last + 1 == after.first
    )


def reading_denied(events: list[Event], k: int) -> bool:
    """Whether what something is taken for is denied: "not consistent with", "no opacity to represent"."""
    for j in range(k - 1, max(-1, k - _STEPS), -1):
        leaf = events[j].leaf
        if events[j + 1].first - events[j].last > (_ADJECTIVES if leaf.cue & lx.NEG else _GAP):
            return False
        if leaf.change and leaf.cue & lx.NEG_AFTER:
            return False  # "heart border no longer visible | due to effusion"
        if leaf.cue & lx.NEG or leaf.concept >= 0:
            return True
        if not (leaf.cue & (lx.READING | lx.OBJECT | lx.BODY) or leaf.rare & lx.ANAPHOR):
            return False
    return False


def amount_of_change(events: list[Event], k: int, after: int) -> bool:
    """Whether this grade is the amount of a change: "mild increase", "has decreased slightly".

    `after`: the first word of the finding that follows; -1 if none does.
    """
    first, last, _ = events[k]
    if k + 1 < len(events) and events[k + 1].first == last + 1:
        leaf = events[k + 1].leaf
        if leaf.change & _DEGREES or (leaf.side and leaf.cue & lx.PREP):  # "slightly larger on the right"
            return True
    if not (k and events[k - 1].leaf.change & _DEGREES and events[k - 1].last == first - 1):
        return False
    return after < 0 or not touches(events, k, after)


def more_of_finding(events: list[Event], k: int) -> bool:
    """Whether a finding comes directly after "more": "more edema", and not "one or more nodules"."""
    if k and events[k - 1].leaf.cue & lx.OR and events[k - 1].last + 1 == events[k].first:
        return False
    if k + 1 == len(events) or events[k + 1].first != events[k].last + 1 or events[k + 1].leaf.cue & lx.PREP:
        return False
    return events[k + 1].leaf.concept >= 0 or bool(events[k + 1].leaf.kind & lx.SAYS)


def litotes(events: list[Event], words: Sequence[str], lexicon: lx.Lexicon) -> list[Event]:
    """Where overlooking or doubting is itself denied, the finding is there: "nobody could | fail to see | effusion"."""
    found: list[Event] = []
    floor = 0  # words before it belong to what was named before
    for event in events:
        if event.leaf.rare & lx.OVERLOOK and (begin := _denier(found, words, event.first, floor, lexicon)) >= 0:
            while found and found[-1].last >= begin:
                found.pop()
            event = Event(begin, event.last, _VERB if floor else _ASSERTS)
        elif event.leaf.kind & lx.SAYS:
            floor = event.last + 1
        found.append(event)
    return found


def _denier(found: list[Event], words: Sequence[str], word: int, floor: int, lexicon: lx.Lexicon) -> int:
    """The first word of what denies the overlooking at `word`, or asks who could: "who | could miss"; else -1."""
    denies = {i for e in found if e.leaf.cue & (lx.NEG | lx.NEG_AFTER) for i in range(e.first, e.last + 1)}
    could = False
    for i in range(word - 1, max(floor, word - _DENIER) - 1, -1):
        said = words[i]
        if not said.isalpha():
            return -1
        if said in lexicon.deniers or i in denies or (could and said in lexicon.wonders):
            return i
        could = could or said in lexicon.modals or said in lexicon.doubts or said == "would"
    return -1


_SEVERAL: Final = 2
_PREDICATES: Final = (
    lx.VERB
    | lx.EXIST
    | lx.TERM
    | lx.WITH
    | lx.NEG
    | lx.NEG_AFTER
    | lx.UNC
    | lx.UNC_AFTER
    | lx.HYP
    | lx.COLON
    | lx.NORMAL
)
_OF_ALL: Final = frozenset(("all", "both", "none", "neither", "each"))
_BE: Final = frozenset(("is", "are", "was", "were", "has", "have", "do", "does"))
_LIKEWISE: Final = frozenset(("likewise", "ditto", "similarly", "idem"))


def stated_anew(events: list[Event]) -> int:
    """The colon after which a statement of its own begins, so that no denial crosses it; 0 if there is none.

    "There is no other word: the patient | has | an effusion", and not "Negative for: effusion".
    """
    for k, event in enumerate(events):
        if event.leaf.kind & (lx.SAYS | lx.NAMED):
            return 0
        if event.leaf.cue & lx.COLON:
            after = next((e for e in events[k + 1 :] if e.leaf.cue & lx.VERB or e.leaf.kind & lx.SAYS), None)
            return k if after is not None and not after.leaf.kind & lx.SAYS else 0
    return 0


def answered(events: list[Event], words: Sequence[str], lexicon: lx.Lexicon, stop: int) -> int:
    """The comma behind the topic of a sentence that then denies it, or calls the film normal; 0 if there is none.

    "Regarding effusion, none is seen.", and not "Regarding the effusion, drainage is not recommended."
    """
    commas = [k for k, event in enumerate(events) if k and event.leaf.cue & (lx.COMMA | lx.COLON)]
    comma = next((k for k in commas if all(e.leaf.concept < 0 for e in events[k:])), 0)
    if not comma or not any(e.leaf.concept >= 0 for e in events[1:comma]):
        return 0
    at, denied = events[comma].last + 1, False
    if any(e.leaf.absent for e in events[comma + 1 :]):  # "..., I am glad to report a normal film"
        return comma if all(e.leaf.absent or not _says_more(e.leaf) for e in events[comma + 1 :]) else 0
    for event in (*events[comma + 1 :], Event(stop, stop, lx.Leaf())):
        if any(word not in lexicon.idle for word in words[at : event.first]) or _says_more(event.leaf):
            return 0
        denied = denied or bool(event.leaf.cue & (lx.NEG | lx.NEG_AFTER | lx.NORMAL))
        at = event.last + 1
    return comma if denied else 0


def summed_up(events: list[Event], words: Sequence[str], idle: Collection[str]) -> int:
    """Where the answer to a whole list begins: "effusion, edema, fracture | : none", "... - all negative"; 0: nowhere.

    A comma or dash leads to the answer for all only with "all", "both", "none" or "neither".
    """
    named = [k for k, event in enumerate(events) if event.leaf.concept >= 0]
    if len(named) < _SEVERAL:
        return 0
    last = named[-1]
    listed = events[:last]
    if any(e.leaf.change or (e.leaf.cue & _PREDICATES and e.leaf.concept < 0) for e in listed) or not any(
        e.leaf.cue & (lx.COMMA | lx.OR | lx.AND) for e in listed
    ):
        return 0
    if ";" in words[events[0].first : events[last].first]:
        return 0
    answer = [
        e for e in events[last + 1 :] if e.first < e.last or words[e.first] not in _OF_ALL or e.leaf.cue & lx.NEG_AFTER
    ]
    if not answer or not any(e.leaf.cue & (lx.NEG | lx.NEG_AFTER) for e in answer):
        return 0
    if any(_says_more(e.leaf) or e.leaf.concept >= 0 for e in answer):
        return 0
    begin = events[last].last + 1
    said = [word for word in words[begin : events[-1].last + 1] if word.isalpha()]
    if any(word not in idle and word not in _OF_ALL and not _in_phrase(answer, begin, word, words) for word in said):
        return 0
    colon = words[begin] == ":"
    if not (colon or _OF_ALL.intersection(said)):
        return 0
    return last + 1


def _in_phrase(events: list[Event], begin: int, word: str, words: Sequence[str]) -> bool:
    """Whether a word stands in a phrase that is known."""
    return any(word in words[max(begin, e.first) : e.last + 1] for e in events)


def again_behind(events: list[Event], words: Sequence[str]) -> int:
    """The comma behind which the same is said of something else: "Free gas is absent | , as is effusion"; 0: none."""
    for k, event in enumerate(events[:-1]):
        if event.leaf.cue & lx.COMMA and k and _again(events, k + 1, words, event.last + 1):
            return k
    return 0


def _again(events: list[Event], k: int, words: Sequence[str], begin: int) -> bool:
    """Whether "as is" and a finding begin at word `begin`: not "as is the norm", "as was suspected"."""
    if words[begin] not in ("as", "so") or words[begin + 1] not in _BE:
        return False
    named = [e for e in events[k : k + AHEAD] if e.first >= begin + 2]
    return (
        bool(named)
        and named[0].first == begin + 2
        and any(
            e.leaf.concept >= 0 and all(_only_attribute(one.leaf) for one in named[:n]) for n, e in enumerate(named)
        )
    )


def same_again(events: list[Event], words: Sequence[str]) -> bool:
    """Whether a clause says of a finding what was said before: "..., as is | effusion", "Effusion likewise."."""
    first, last = events[0].first, events[-1].last
    for begin in (first - 1, first, first - 2):
        if begin >= 0 and words[begin] in ("as", "so"):
            return _again(events, 0, words, begin)
    before = words[first - 1] if first else ""
    beside = {before, *words[last + 1 : last + 2], words[first], words[last]}
    return not beside.isdisjoint(_LIKEWISE) and not any(_says_more(e.leaf) for e in events if e.leaf.concept < 0)


def _says_more(leaf: lx.Leaf) -> bool:
    """Whether a phrase says more than that something is there or not."""
    if leaf.side or leaf.zone or leaf.severity or leaf.details or leaf.place or leaf.descriptors or leaf.anatomy >= 0:
        return True
    return bool(leaf.cue & (lx.UNC | lx.UNC_AFTER) or (leaf.change and not leaf.cue & lx.NEG_AFTER))


def not_so(events: list[Event], words: Sequence[str]) -> list[Event]:
    """Without what something is not, beside what it is: "left effusion | (not right)", "mild | (not severe) edema"."""
    kept: list[Event] = []
    k = 0
    while k < len(events):
        first, last, _ = events[k]
        if (
            words[first] == "not"
            and (first == last or words[last] in ("left", "right"))
            and (not k or events[k - 1].leaf.cue & lx.COMMA)
        ):
            end = k + 1
            while end < len(events) and _only_attribute(events[end].leaf):
                end += 1
            closed = end == len(events) or events[end].leaf.cue & lx.COMMA
            if (end > k + 1 or first < last) and closed and kept:
                k = end
                continue
        kept.append(events[k])
        k += 1
    return kept


def _only_attribute(leaf: lx.Leaf) -> bool:
    """Whether a phrase only gives a side, a zone or a grade."""
    named = leaf.concept >= 0 or (leaf.anatomy >= 0 and not leaf.zone) or leaf.change or leaf.place or leaf.details
    return bool(leaf.side or leaf.zone or leaf.severity) and not named


def new_since(events: list[Event], words: Sequence[str]) -> list[Event]:
    """With what was not there at another time as new: "nodule, | not present in 2019", "... on the film of 3 May"."""
    kept: list[Event] = []
    k = 0
    while k < len(events):
        first, _, leaf = events[k]
        if leaf.cue & lx.NEG_AFTER and words[first] in _NEVER and any(e.leaf.concept >= 0 for e in kept):
            end = k + 1
            while end < len(events) and events[end].leaf.cue & lx.PREP and not events[end].leaf.rare & lx.ELAPSED:
                end += 1
            if end < len(events) and events[end].leaf.rare & lx.ELAPSED and words[events[k + 1].first] in _AT:
                kept.append(Event(first, events[end].last, _NEW))
                k = end + 1
                continue
        kept.append(events[k])
        k += 1
    return kept


def corrected_side(events: list[Event]) -> list[Event]:
    """Without the side that is corrected at once: "right | (sorry, left) lower lobe pneumonia"."""
    kept: list[Event] = []
    for k, event in enumerate(events):
        if event.leaf.rare & lx.RETRACTION and not event.leaf.kind:
            before = next((j for j in range(k - 1, -1, -1) if not events[j].leaf.cue & lx.COMMA), -1)
            after = next((j for j in range(k + 1, len(events)) if not events[j].leaf.cue & (lx.COMMA | lx.PREP)), -1)
            if before >= 0 and after > 0 and _other(events[before].leaf.side, events[after].leaf.side):
                kept = [one for one in kept if one is not events[before]]
                continue
        kept.append(event)
    return kept


def _other(one: int, other: int) -> bool:
    return {one, other} == {lx.LEFT, lx.RIGHT}


def of_two(events: list[Event], k: int) -> bool:
    """Whether "both" speaks of two findings, and not of two sides: "cardiomegaly and effusion, both | stable"."""
    after = events[k + 1 : k + 2]
    return (
        events[k].leaf.cue & lx.PLURAL > 0
        and bool(after)
        and after[0].first == events[k].last + 1
        and (after[0].leaf.change > 0)
    )
