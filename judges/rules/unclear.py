"""What is said of a finding in words that nobody here knows: "the effusion does not hold up", "was quashed".

It may be a denial. So the finding is not asserted: an unknown form of denial must not pay for the opposite. Nor is what
was there at a time that is over: "two years ago the patient had an effusion".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.findings import HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention

_LEADS, _PLACE = lx.VERB | lx.NEG, lx.PREP | lx.OBJECT
_ENDS: Final = lx.COMMA | lx.AND | lx.OR | lx.TERM | lx.EXIST | lx.COLON | lx.NEG | lx.NEG_AFTER | lx.UNC | lx.UNC_AFTER
_OPENS: Final = lx.VERB | _PLACE
"""What may follow a finding directly where something is said of it that is not read."""
_END: Final = lx.Leaf()
_NOTHING, _LEADING, _APART, _KNOWN, _UNREAD = range(5)
"""What a word does after a finding: nothing, it leads to a predicate, it parts the finding from its verb, it is a
predicate that is known, or one that is not."""
_READER: Final = frozenset(("i", "my", "our"))
"""Words for who reads the film, before what readers do or have: "I read this as", "my impression"."""
_SHORTEST: Final = 4  # letters of a strange word that says something: shorter ones are abbreviations
_BEFORE: Final = 10  # words before the first phrase of a clause that belong to it
_LONG: Final = 2  # words of a turn of speech that asserts, besides its first: "nobody could miss"
_STEPS: Final = 4  # phrases between a finding and the word that governs it: "of the moderate left | effusion"


class Unclear:
    """Looks at one clause, once all its findings are known."""

    __slots__ = ("events", "foreign", "lexicon", "made", "stop", "words")

    def __init__(
        self, lexicon: lx.Lexicon, events: list[Event], made: list[Mention], words: Sequence[str], stop: int, *,
        foreign: bool,
    ) -> None:  # fmt: skip
        """The clause ends before word `stop`. `foreign`: the text has words that no report uses."""
        self.foreign = foreign
        self.lexicon, self.events, self.made, self.words, self.stop = lexicon, events, made, words, stop

    def read(self) -> Iterator[tuple[Mention, int, int]]:
        """Every asserted finding of which something is said that is not read, the event that names it, its state."""
        sized, events, last = self.lexicon.sized, self.events, len(self.events) - 1
        asserted = {m.last: m for m in self.made if m.state >= UNCERTAIN and sized[m.concept]}
        if not asserted:
            return
        alien = self.foreign and self._alien()
        for k, event in enumerate(events):
            mention = asserted.get(event.last)
            if mention is None:
                continue
            if alien and mention.state == PRESENT:
                yield mention, k, HYPOTHETICAL
                continue
            after, leaf = (events[k + 1].first, events[k + 1].leaf) if k < last else (self.stop, _END)
            near = after == event.last + 1
            unread = (not near or leaf.cue & _OPENS) and self._said(k)
            if unread:
                yield mention, k, HYPOTHETICAL
            elif mention.state == PRESENT and (state := self._governed(k)) != PRESENT:
                yield mention, k, state
            elif near and leaf.cue & lx.UNC and self._doubted(k):
                yield mention, k, UNCERTAIN

    def _alien(self) -> bool:
        """Whether it speaks as no report does, of persons or of everyday things: "my neighbor has | effusion"."""
        words, lexicon = self.words, self.lexicon
        begin = first = self.events[0].first
        while begin and first - begin < _BEFORE and words[begin - 1].isalpha():
            begin -= 1
        alien = False
        for event in (*self.events, Event(self.stop, self.stop, _END)):
            for i in range(begin, event.first):
                if words[i] in lexicon.foreign and not (i and words[i - 1] == "by"):  # "reviewed by me"
                    reader = words[i] in _READER and i + 1 < len(words) and words[i + 1] in lexicon.reads
                    alien = alien or not reader
            if event.leaf.cue & lx.EXIST:
                if event.last - event.first >= _LONG:  # "how anyone could have missed"
                    return False
                if event.first and not words[event.first - 1].isalpha():
                    alien = False  # "say what you like, | there is | an effusion"
            begin = max(begin, event.last + 1)
        return alien

    def _said(self, k: int) -> bool:
        """Whether a verb says what is not read.

        That is a word in no phrase and no predicate known (`words.yaml`), any after a "not", and what it "can" do.
        """
        events, stop = self.events, self.stop
        word, led, denied, apart = events[k].last + 1, False, False, False
        for i in range(k + 1, len(events) + 1):  # no slice: clauses may be long
            event = events[i] if i < len(events) else None
            end = stop if event is None else min(event.first, stop)
            while word < end:
                said = self._word(word, led=led, denied=denied, apart=apart)
                if said in (_KNOWN, _UNREAD):
                    return said == _UNREAD
                led, apart, word = led or said == _LEADING, apart or said == _APART, word + 1
            if event is None:
                return False
            cue = event.leaf.cue
            if not led and self._places(event, apart=apart):
                apart = True  # "the effusion | in the left chest | was quashed"
            elif event.leaf.kind or not cue & (_LEADS if led else lx.VERB):
                return False
            else:
                led, denied = True, denied or bool(cue & lx.NEG)
            word = event.last + 1
        return False

    def _word(self, word: int, *, led: bool, denied: bool, apart: bool) -> int:
        """What a word that is in no phrase says after a finding; the three are what stands between."""
        said, lexicon = self.words[word], self.lexicon
        if said in lexicon.opaque and not apart:
            return _UNREAD
        if said in lexicon.modals:
            return _LEADING
        if led:
            if said.endswith("ly"):
                return _NOTHING
            return _UNREAD if self._strange(word, denied=denied or self.words[word - 1] == "can") else _KNOWN
        if said.endswith("ed") and not apart:  # "the effusion | vanished", "| described in the wet read | is not real"
            return _UNREAD if self._unknown(word) else _APART
        return _NOTHING if apart or said in lexicon.adverbs else _KNOWN

    @staticmethod
    def _places(event: Event, *, apart: bool) -> bool:
        """Whether it only says where the finding is, or of which kind, before anything is said of it."""
        leaf = event.leaf
        if leaf.concept >= 0 or leaf.cue & (lx.VERB | lx.WITH):
            return False
        return bool(leaf.cue & _PLACE or (apart and not leaf.cue & _ENDS))

    def _strange(self, word: int, *, denied: bool) -> bool:
        said = self.words[word]
        known = said in self.lexicon.predicates and not denied
        return said.isalpha() and said.strip("x") != "" and not known

    def _governed(self, k: int) -> int:
        """What a word that leads to it leaves of it: "figment of | effusion", "may need | drainage", "any | edema"."""
        events, words = self.events, self.words
        j, before = k, events[k].first - 1
        while j and events[j - 1].leaf.kind & lx.ATTRIBUTE and events[j - 1].last == before:
            j, before = j - 1, events[j - 1].first - 1  # "any | large | effusion"
        if before >= 0 and not (j and events[j - 1].last >= before):
            if words[before] == "any":
                return UNCERTAIN
            if words[before] in self.lexicon.opaque:
                return HYPOTHETICAL
        for j in range(k - 1, max(-1, k - _STEPS), -1):
            if events[j].last + 1 != events[j + 1].first:
                return PRESENT
            leaf = events[j].leaf
            if leaf.cue & _PLACE and not leaf.cue & lx.WITH:
                before = events[j].first - 1
                read = before < 0 or (j > 0 and events[j - 1].last >= before)
                return PRESENT if read or not self._unknown(before) else HYPOTHETICAL
            if leaf.concept >= 0 or leaf.cue or not leaf.kind & lx.ATTRIBUTE:
                return PRESENT
        return PRESENT

    def _unknown(self, word: int) -> bool:
        return len(self.words[word]) >= _SHORTEST and self._strange(word, denied=False)

    def _doubted(self, k: int) -> bool:
        """Whether it only may do what is not read, and no finding follows: "the effusion | might be bystander"."""
        after = self.events[k + 1]
        if self.words[after.first] not in self.lexicon.doubts or self.made[-1].first > after.last:
            return False
        return after.last + 1 == self.stop or self._strange(after.last + 1, denied=False)


def elapsed(lexicon: lx.Lexicon, events: list[Event], words: Sequence[str], stop: int) -> bool:
    """Whether a clause that names a time before today tells only of that: in the past tense, and no change since.

    What a film of another day shows is told of that day in any tense.
    """
    changes = 0
    for event in events:
        changes |= event.leaf.change
    if changes & ~(lx.COMPARED | lx.NEW):
        return False
    found = False
    for event in reversed(events):  # a finding after the film
        if found and event.leaf.rare & lx.ELAPSED and not changes & ~lx.COMPARED and _film(lexicon, words, event):
            return True
        found = found or event.leaf.concept >= 0
    begin = events[0].first
    while begin and words[begin - 1].isalpha() and events[0].first - begin < _STEPS:
        begin -= 1
    said = words[begin:stop]
    return not lexicon.past_tense.isdisjoint(said) and lexicon.of_today.isdisjoint(said)


def _film(lexicon: lx.Lexicon, words: Sequence[str], event: Event) -> bool:
    """Whether a film of that time shows something, and is not only compared: "CT of 2 | June", "old film | shows"."""
    if words[event.last] in lexicon.films:
        first, after = event.first, event.last + 1
        shows = after < len(words) and words[after] in lexicon.shows
    elif words[event.first] in ("of", "from", "dated"):  # "discharge summary | from 2018 | lists"
        first = event.first - 1
        shows = first >= 0 and words[first] in lexicon.films
    else:
        first = event.first - 1
        while first > 0 and (words[first].isdecimal() or words[first] in lexicon.several):
            first -= 1
        shows = first > 0 and words[first] in ("of", "from", "dated") and words[first - 1] in lexicon.films
        first -= 1
    if first > 0 and words[first - 1] in ("on", "in", "by"):
        first -= 1  # "as | on | CT of last week"
    return shows and not (first > 0 and words[first - 1] in lexicon.compares)
