"""Turns of speech that reach over their own clause: "this is an overcall", "I cannot decide", "if so, I am the queen".

A row of role `retraction` with one of `VALUES` says what becomes of the findings named before it: those of its own
sentence or, where that names none, those of the sentence before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from judges.rules import lexicon as lx
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention

if TYPE_CHECKING:
    from judges.rules.retractions import Retractions

UNTRUE, BACK, DOUBTED, ABSURD, OTHERWISE, CONFIRMED = VALUES = (
    "untrue",
    "back",
    "doubted",
    "absurd",
    "otherwise",
    "confirmed",
)
"""`untrue`: what was asserted is denied, and what somebody said to be absent is there. `back`: neither is asserted.
`doubted`: both are possible. `absurd`: what its "if" supposes is denied, what its "if not" supposes is there.
`otherwise`: without it the film were normal, so it is there. `confirmed`: what was asked or suspected is there."""
_REACH: Final = 10  # words before a finding in which it is said who said so
_REPLY, _LONGEST = 8, 10  # words of a reply, and with an "after all"
_CONFIRMABLE: Final = frozenset(
    ("it", "this", "that", "which", "suspicion", "diagnosis", "finding", "suspected", "and", "clinical", "my", "our")
)
_UNCONFIRMED: Final = frozenset(
    (
        "absence",
        "absent",
        "not",
        "no",
        "denied",
        "denying",
        "denies",
        "deny",
        "unfounded",
        "excluded",
        "wrong",
        "never",
        "normal",
    )
)
NOW: Final = frozenset(("today", "now", "again", "here", "still", "though", "however"))
_TURNED: Final = frozenset(("but", "yet", "though", "although", "and"))
_REFERS: Final = frozenset(("which", "that", "it", "this"))
_LEADS: Final = 4  # phrases before a finding among which its "without" is looked for
_AFTER_NO: Final = frozenset((",", "that", "it", "this", "wait", "those", "he", "she", "sorry", ":", ";"))
_DENIES: Final = lx.NEG | lx.NEG_AFTER


def turn(retractions: Retractions, value: str, events: list[Event], k: int) -> None:
    """Apply phrase `k` of a sentence that has been read."""
    word = events[k].first
    if value == DOUBTED and any(e.leaf.kind & (lx.BARE | lx.THING) for e in events[:k]):
        return  # "heart size is hard to tell"
    if value == CONFIRMED and not _confirms(retractions, events, k):
        return
    for mention in _before(retractions, word, whole=value == DOUBTED, leads=value == BACK and not k):
        state = _state(retractions, value, events, mention)
        if value == BACK and _denies_at_last(events[k + 1 :]):
            state = ABSENT  # "There is an effusion - scratch that, there is none."
        if state is not None and state != mention.state:
            retractions.restate(mention, state)


def _denies_at_last(events: list[Event]) -> bool:
    """Whether phrases that name nothing deny."""
    return any(e.leaf.cue & _DENIES for e in events) and not any(e.leaf.concept >= 0 for e in events)


def _confirms(retractions: Retractions, events: list[Event], k: int) -> bool:
    """Whether what was suspected is what phrase `k` confirms: it, a finding of the sentence, or the suspicion."""
    clauses, first = retractions.clauses, events[k].first
    begin, own = clauses.first, clauses.mentions[retractions.begun[0] :]
    if any(e.leaf.cue & (_DENIES | lx.NORMAL) for e in events) or not _UNCONFIRMED.isdisjoint(
        clauses.words[begin : events[-1].last + _REACH]
    ):
        return False
    if own:
        return any(m.first < first for m in own)
    return _CONFIRMABLE.issuperset(clauses.words[begin:first])


def _before(retractions: Retractions, word: int, *, whole: bool, leads: bool) -> Sequence[Mention]:
    """The findings of which a phrase at `word` speaks. `whole`: also those that follow it in its sentence.

    `leads`: it begins its sentence and speaks of the one before: "Scratch that, no effusion."
    """
    mentions, begun = retractions.clauses.mentions, retractions.begun[0]
    own = mentions[begun:]
    if not own or leads:
        return mentions[retractions.last[0] : begun]
    return own if whole else [m for m in own if m.first < word]


def _state(retractions: Retractions, value: str, events: list[Event], mention: Mention) -> int | None:
    """What becomes of a finding; None: nothing."""
    words = retractions.clauses.words
    if value == UNTRUE:
        if mention.state != ABSENT or mention.gone:
            return ABSENT
        return PRESENT if _reported(retractions, mention) else None
    if value == BACK:
        return HYPOTHETICAL
    if value == DOUBTED:
        return UNCERTAIN
    if value == CONFIRMED:
        return None if mention.state == ABSENT else PRESENT
    leading = [e for e in events if e.last < mention.first][-_LEADS:]
    denied = any(e.leaf.cue & _DENIES for e in leading)
    if value == OTHERWISE:
        return PRESENT if denied or any(e.leaf.rare & lx.EXCEPT for e in leading) else None
    if "if" not in words[max(0, mention.first - _REACH) : mention.first]:
        return None
    return PRESENT if denied else ABSENT


def _reported(retractions: Retractions, mention: Mention) -> bool:
    """Whether somebody is said to have said it: "I wrote that there was no | effusion"."""
    clauses = retractions.clauses
    for i in range(mention.first - 1, max(-1, mention.first - _REACH), -1):
        if clauses.words[i] in ".\n?!":
            return False
        if clauses.words[i] in clauses.lexicon.speech:
            return True
    return False


def affirms(retractions: Retractions, events: list[Event], stop: int) -> bool:
    """Whether a sentence that names nothing says no more than yes: "Is there an effusion? | There certainly is."."""
    clauses = retractions.clauses
    if retractions.asked and stop > clauses.first and clauses.words[clauses.first] in clauses.lexicon.affirms:
        return not any(e.leaf.cue & (_DENIES | lx.UNC | lx.UNC_AFTER) for e in events)  # "Yes, mild."
    if stop - clauses.first > 2 and clauses.words[stop - 1] in NOW and clauses.words[stop - 2] == ",":
        stop -= 2  # "it is there, however"
    first = stop
    turned = events and events[0].first and clauses.words[events[0].first - 1] in _TURNED
    start = events[0].first if turned else clauses.first  # "not seen before but | is obvious now"
    while first > start and stop - first <= _LONGEST and clauses.words[first - 1] not in ",;:":
        first -= 1
    said = clauses.words[first:stop]
    if "after" in said[-2:]:  # "there is one after all"
        said = said[: -2 if said[-1] == "all" else len(said)]
    while len(said) > 1 and said[-1] in NOW:
        said = said[:-1]  # "it is still present today"
    if not 0 < len(said) <= _REPLY or any(e.leaf.cue & (_DENIES | lx.UNC | lx.UNC_AFTER) for e in events):
        return False
    lexicon = clauses.lexicon
    if not lexicon.deniers.isdisjoint(said):
        return False
    shown = (said[0] in _REFERS or said[0] == "is") and said[-1] in lexicon.shown  # "which is plain to see"
    return shown or said[-1] in lexicon.echoes or (retractions.asked and said[0] in lexicon.affirms)


def objects(retractions: Retractions, events: list[Event]) -> bool:
    """Whether a sentence begins with a "no" of its own: "Effusion noted. | Actually no, that is the scapula."."""
    words = retractions.clauses.words
    for first, last, leaf in events[:2]:
        if leaf.cue & lx.NEG and first == last and last + 1 < len(words):
            return words[last] in ("no", "not") and words[last + 1] in _AFTER_NO
    return False


def unquote(retractions: Retractions, stop: int) -> None:
    """What a sentence only quotes it does not assert: 'a crease is all there is to this "effusion"'."""
    words, begun = retractions.clauses.words, retractions.begun[0]
    own = [m for m in retractions.clauses.mentions[begun:] if m.state == PRESENT]
    if not own:
        return
    begin = retractions.clauses.first
    inside = list(itertools.accumulate((word == '"' for word in words[begin:stop]), lambda odd, quote: odd ^ quote))
    if not any(word.isalpha() and not odd for word, odd in zip(words[begin:stop], inside, strict=True)):
        return
    lexicon = retractions.clauses.lexicon
    for mention in own:
        if not (begin <= mention.first < stop and inside[mention.first - begin] and '"' in words[mention.last : stop]):
            continue
        if lexicon.deniers.isdisjoint(words[max(begin, mention.first - _LEADS) : mention.first]):
            retractions.restate(mention, HYPOTHETICAL)  # not where '"no effusion" is wrong' asserts it


def contradicted(own: Sequence[Mention]) -> Iterator[Mention]:
    """What a sentence names and then denies under the same name: "the | effusion | is not an effusion but a button"."""
    for first, after in itertools.pairwise(own):
        partly = after.partial or after.gone or after.severity
        same = first.concept == after.concept and not (first.side or after.side or partly)
        if same and first.state >= UNCERTAIN and after.state == ABSENT:
            yield first


def tail(events: list[Event]) -> int:
    """Where the part of a sentence begins that follows its last comma or "but"; 0 if it has none, or ends with it."""
    for k in range(len(events) - 1, 0, -1):
        if events[k - 1].leaf.cue & (lx.COMMA | lx.CONTRAST | lx.COLON):
            return k
        if events[k - 1].leaf.cue & lx.AND and (events[k].leaf.cue & _DENIES or events[k].leaf.rare & lx.ANAPHOR):
            return k  # "I looked for an effusion and | could not find any"
    return 0
