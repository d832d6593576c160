"""What is said of a finding in words that nobody here knows: "the effusion does not hold up", "was quashed".

It may be a denial. So the finding is not asserted: an unknown form of denial must not pay for the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import UNCERTAIN, Event, Mention

_LEADS: Final = lx.VERB | lx.NEG


def unclear(
    lexicon: lx.Lexicon, events: list[Event], made: list[Mention], words: Sequence[str], stop: int
) -> Iterator[tuple[Mention, int]]:
    """Every asserted finding of a clause of which a verb says what is not read, and the event that names it.

    Not read is a word that is in no phrase and no predicate known (`words.yaml`), nor any after a "not". The clause
    ends before word `stop`.
    """
    sized = lexicon.sized
    asserted = {mention.last: mention for mention in made if mention.state >= UNCERTAIN and sized[mention.concept]}
    for k, event in enumerate(events):
        if event.last in asserted and _said(lexicon, events, k, words, stop):
            yield asserted[event.last], k


def _said(lexicon: lx.Lexicon, events: list[Event], k: int, words: Sequence[str], stop: int) -> bool:
    word, led, denied = events[k].last + 1, False, False
    for i in range(k + 1, len(events) + 1):  # no slice: clauses may be long
        event = events[i] if i < len(events) else None
        while word < stop and (event is None or word < event.first):
            if words[word] not in lexicon.modals:
                known = words[word] in lexicon.predicates and not denied
                return led and words[word].isalpha() and words[word].strip("x") != "" and not known
            led, word = True, word + 1
        if event is None or event.leaf.kind or not event.leaf.cue & (_LEADS if led else lx.VERB):
            return False
        led, denied, word = True, denied or bool(event.leaf.cue & lx.NEG), event.last + 1
    return False
