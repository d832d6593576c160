"""What a report says of its own statements: "the above was dictated in error", "should read", "none of the following".

A row of role `retraction` says what of the text it speaks of; see `VALUES`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from judges.base import STUDY
from judges.rules import lexicon as lx
from judges.rules import rhetoric
from judges.rules.findings import ABSENT, HYPOTHETICAL, PRESENT, UNCERTAIN, Event, Mention
from judges.rules.provisos import PROVISOS

if TYPE_CHECKING:
    from judges.rules.clause import Clauses

ALL, LAST, ALONE, AGAIN, REST, NONE, EARLIER, TODAY, INSTEAD = _OWN = (
    "all", "last", "alone", "again", "rest", "none", "earlier", "today", "instead")  # fmt: skip
VALUES: Final = (*_OWN, *rhetoric.VALUES)
"""What a row retracts; for those of `rhetoric` see there. `all`: everything before, `last`: the sentence before; both
only their own sentence if that names a finding. `alone`: the sentence before, where it is all that its own
sentence says. `again`: the same finding before, where this sentence says the opposite of it. `rest`: what follows
in the section is not of this study, `none`: it is not there; `earlier`: as `rest`, where it begins the sentence;
`today` ends these three. `instead`: what stands before it in the sentence, and the same finding in earlier ones."""
Known = tuple[int, int, int, int]
"""How many mentions, implications, changes and silent sentences had been read."""
_NOTHING: Final[Known] = (0, 0, 0, 0)
_SAID: Final = lx.NORMAL | lx.PREP | lx.AND | lx.UNC | lx.HYP
"""What makes more of a sentence than "not true"."""
_DENIES, _FILLS = lx.NEG | lx.NEG_AFTER, lx.VERB | lx.EXIST | lx.COMMA
_DOUBTS: Final = lx.UNC | lx.UNC_AFTER
_LINKS: Final = lx.COMMA | lx.EXIST | lx.VERB | lx.PREP | lx.OBJECT
_YES: Final = frozenset(("yes", "yep", "yeah", "aye", "affirmative"))
_NO: Final = frozenset(("no", "nope", "none", "nil"))
_ASKS: Final = frozenset((
    "is", "are", "was", "were", "has", "have", "had", "does", "do", "did", "can", "could", "should", "would", "what",
    "why", "where", "how", "which", "who", "when", "will",
))  # fmt: skip
_GOES_ON: Final = frozenset((",", ";", "but", "only", "just", "with"))
_UNSURE: Final = frozenset(
    (
        "certain",
        "sure",
        "able",
        "possible",
        "tell",
        "say",
        "know",
        "convinced",
        "determine",
        "assess",
        "clear",
        "definite",
        "confident",
    )
)
_DOUBTED: Final = frozenset(("definitely", "clearly", "confirmed", "convincingly", "certainly", "definite", "proven"))
_GONE, _THERE, _PERSISTS = "gone", "there", "persists"  # what a sentence may say of the one before
_REPLY: Final = 8  # words of a sentence that only says another side
_OTHER_SIDE: Final = frozenset((
    "sorry", "i", "mean", "meant", "correction", "oops", "left", "right", "side", "sided", "it", "is", "on", ",", "no",
    "apology", "make", "that", "or", "rather", "say", "should", "read", ":", "wait", "error", "wrong", "not",
))  # fmt: skip
_MOST: Final = 8  # phrases of a sentence that only denies
_LOOKS: Final = 8  # so many second looks overrule something, and so many turns: each goes through all that was read
_LARGE: Final = 0b1000


@dataclass(slots=True)
class Retractions:
    """Applies the retractions of one text, sentence by sentence."""

    clauses: Clauses
    frame: str = ""
    """`REST` or `NONE`: what is said of the sentences to come in this section."""
    begun: Known = _NOTHING
    """What had been read before the present sentence."""
    last: Known = _NOTHING
    """The same of the sentence before."""
    looks: int = 0
    """How many second looks were taken."""
    turns: int = 0
    """How many turns of speech were applied in this sentence; each goes through all that it says."""
    asked: bool = False
    """The sentence before was a question."""
    affirmed: bool = False
    """The present sentence has said yes to the one before: "I was wrong, there is one"."""

    def begin(self, events: list[Event]) -> None:
        """Before a sentence is read."""
        self.begin_again()
        if self.frame and any(_value(event) == TODAY for event in events):
            self.frame = ""

    def begin_again(self) -> None:
        """Before a sentence is said that was read before."""
        self.last, self.begun, self.turns, self.affirmed = self.begun, self.clauses.known(), 0, False

    def answered(self, events: list[Event]) -> int:
        """The phrases with which a sentence answers the question before it and goes on: "No, only | a granuloma"."""
        words, first = self.clauses.words, self.clauses.first
        if not self.asked or first + 1 >= len(words) or words[first + 1] not in _GOES_ON:
            return 0
        asked = self.clauses.mentions[self.last[0] : self.begun[0]]
        if not asked or not self._asks_whether(asked[0].first):
            return 0
        no = words[first] in _NO
        if not (no or (words[first] in _YES and len(asked) == 1)) or any(self._over(mention) for mention in asked):
            return 0
        for mention in asked:
            self.restate(mention, ABSENT if no else PRESENT)
        return sum(event.last <= first + 1 for event in events)

    def _asks_whether(self, word: int) -> bool:
        """Whether it was asked if the finding at this word is there, and nothing else of it: "is it larger?"."""
        words, begin = self.clauses.words, word
        while begin and words[begin - 1] not in ".?!\n;":
            begin -= 1
        return begin == word or words[begin] not in _ASKS or words[begin + 1] == "there"

    def end(self, events: list[Event], stop: int, *, retracts: bool) -> None:
        """After it was read; it ends before word `stop`. `retracts`: one of its phrases is a retraction."""
        clauses = self.clauses
        if self.frame:
            self._framed(self.frame, -1)
        own = clauses.mentions[self.begun[0] :]
        if self.asked:
            clauses.context.outside = True
        if own and len(clauses.implied) > self.begun[1]:
            self._settle(own)
        self.settle()
        if not (self._tells_of_before(events, stop) if not own else self.asked and self._repeats(own)):
            self._withdrawn(events, own)
            if clauses.known() == self.begun:
                self._bare(events, stop)
            else:
                self._of_itself(events, stop)
        if retracts:
            clauses.context.outside = True
            for k in range(len(events)):
                self._apply(events, k)

    def _tells_of_before(self, events: list[Event], stop: int) -> bool:
        """Whether a sentence that names nothing says that what the one before spoke of is there, or is not."""
        if self._another(events, stop):
            return True
        verdict = self._verdict(events, stop)
        if verdict:
            self.clauses.context.outside = True  # whether or not something stands before it
            before = self._unsettled()
            said = self.clauses.words[self.clauses.first : stop]
            if verdict == _PERSISTS or (verdict == _GONE and "not" in said and not _DOUBTED.isdisjoint(said)):
                if any(mention.state == UNCERTAIN for mention in before):
                    return True  # what is possible persists as such, and is "not confirmed"
                before = [mention for mention in before if mention.state == HYPOTHETICAL]
            if before:
                if self.clauses.words[self.clauses.first] == "negative":  # it answers, and says nothing of the rest
                    del self.clauses.implied[self.begun[1] :]
                for mention in before:  # "Treated for pneumonia last month. Not seen today."
                    self.restate(mention, ABSENT if verdict == _GONE else PRESENT)
                return True
        if self.asked and self._says_yes(events):
            self._answer(events, self.clauses.mentions[self.last[0] :])
            return True
        return False

    def _another(self, events: list[Event], stop: int) -> bool:
        """ "No effusion on the right. | There is a small one on the left.": one more of what was named last."""
        clauses, first = self.clauses, self.clauses.first
        before = clauses.mentions[self.last[0] : self.begun[0]]
        said = clauses.words[first:stop]
        if (
            "one" not in said
            or not any(e.leaf.cue & lx.EXIST for e in events)
            or any(e.leaf.cue & _DENIES for e in events)
        ):
            return False
        clauses.context.outside = True
        if not before or before[-1].state == PRESENT or not any(e.leaf.side or e.leaf.severity for e in events):
            return False
        at = first + said.index("one")
        found = Mention(before[-1].concept, at, at, PRESENT)
        for event in events:
            self._add(found, event)
        clauses.mentions.append(found)
        return True

    def _withdrawn(self, events: list[Event], own: Sequence[Mention]) -> None:
        """ "On final review this is withdrawn." tells of no change of the study."""
        changes = self.clauses.changes[self.begun[2] :]
        if own or not changes or not all(c.what == STUDY and c.change == lx.RESOLVED for c in changes):
            return
        if any(_value(event) == INSTEAD for event in events):
            del self.clauses.changes[self.begun[2] :]

    def _of_itself(self, events: list[Event], stop: int) -> None:
        """What a sentence says of its own findings further on, or by how it is written."""
        clauses = self.clauses
        self._tail(events[rhetoric.tail(events) :], stop)
        for mention in rhetoric.contradicted(clauses.mentions[self.begun[0] :]):
            self.restate(mention, HYPOTHETICAL)
        if clauses.quotes and not any(_value(e) in (INSTEAD, AGAIN) for e in events):
            rhetoric.unquote(self, stop)

    def _says_yes(self, events: list[Event]) -> bool:
        """Whether a sentence that names nothing affirms: "Yes, unchanged.", or only says how much, and where."""
        if self.clauses.words[self.clauses.first] in _YES:
            return True
        attributes = lx.ATTRIBUTE | lx.SAYS | lx.ASKS | lx.NAMED | lx.BARE
        said = events[1:] if events and events[0].leaf.cue & _DOUBTS else events  # "possible, small"
        return all(
            (e.leaf.kind and not e.leaf.kind & ~attributes) or (e.leaf.cue and not e.leaf.cue & ~_LINKS) for e in said
        ) and any(e.leaf.severity or e.leaf.side or e.leaf.size for e in said)

    def _verdict(self, events: list[Event], stop: int) -> str:
        """What a sentence that names nothing says of what was only spoken of before; "" where it says nothing of it."""
        lexicon, words = self.clauses.lexicon, self.clauses.words
        said = [word for word in words[self.clauses.first : stop] if word.isalpha()]
        events = [event for event in events if _value(event) != TODAY]
        if (
            not (said and events)
            or len(said) > _REPLY
            or any(e.leaf.side or e.leaf.zone or e.leaf.size for e in events)
        ):
            return ""
        if _only_denies(events, stop, words, lexicon.idle):
            return _GONE
        known = all(w in lexicon.idle or w in lexicon.stays or w in lexicon.persists for w in said)
        if not known or any(e.leaf.cue & _DENIES for e in events):
            return ""
        if any(w in lexicon.stays and w != "still" for w in said):
            return _THERE
        return _PERSISTS if any(w in lexicon.persists for w in said) else ""

    def settle(self) -> None:
        """A sentence calls the film normal: what the one before only spoke of is absent. "Query effusion. Normal." """
        if len(self.clauses.mentions) == self.begun[0] and len(self.clauses.implied) > self.begun[1]:
            self._settle(self._unsettled())

    def _unsettled(self) -> Sequence[Mention]:
        """What the sentence before named, where it asserts and denies none of it."""
        before = self.clauses.mentions[self.last[0] : self.begun[0]]
        return before if all(m.state in (HYPOTHETICAL, UNCERTAIN) for m in before) else ()

    def _settle(self, mentions: Sequence[Mention]) -> None:
        """What was spoken of is absent where a normal film rules it out: "effusion before, the film is now clear"."""
        lexicon, words = self.clauses.lexicon, self.clauses.words
        firm = [one for one in self.clauses.implied[self.begun[1] :] if one.until > 0 and not (one.partial or one.side)]
        concepts = {concept for one in firm for concept in one.concepts}
        for mention in mentions:
            if mention.state == ABSENT or not lexicon.covered(mention.concept, concepts):
                continue
            if mention.first >= self.clauses.first:  # in the same sentence: only what was, before what is now
                end = next((one.last for one in firm if one.first > mention.last), 0)
                between = words[mention.last : end]
                if lexicon.past_tense.isdisjoint(between) and rhetoric.NOW.isdisjoint(between):
                    continue
            self.restate(mention, ABSENT)

    def _answer(self, events: list[Event], asked: Sequence[Mention]) -> None:
        """What was asked is there, on the side and of the grade that the answer gives: "Effusion? Small, right." """
        state = UNCERTAIN if any(event.leaf.cue & _DOUBTS for event in events) else PRESENT
        for mention in asked:
            self.restate(mention, ABSENT if state == PRESENT and self._over(mention) else state)
        for event in events if len(asked) == 1 else ():
            self._add(asked[0], event)

    def _over(self, mention: Mention) -> bool:
        """Whether it was asked whether it is over: "Has the pneumothorax resolved?"."""
        return any(c.mention is mention and c.change == lx.RESOLVED for c in self.clauses.changes)

    def _add(self, mention: Mention, event: Event) -> None:
        """What an answer says besides: where, and how much."""
        leaf, trace = event.leaf, self.clauses.trace
        mention.side, mention.zone = mention.side or leaf.side, mention.zone | leaf.zone
        mention.severity |= leaf.severity
        for what, said in (("side", leaf.side), ("zone", leaf.zone), ("grade", leaf.severity)):
            if said and trace is not None:
                trace.note(mention, what, said, event, "an answer")

    def _repeats(self, own: Sequence[Mention]) -> bool:
        """Whether the answer names what was asked, which then is no finding of its own: "Fracture? No fracture."."""
        asked = self.clauses.mentions[self.last[0] : self.begun[0]]
        again = [m for m in asked if any(m.concept == one.concept for one in own)]
        for mention in again:
            self.restate(mention, HYPOTHETICAL)
        return bool(again)

    def _apply(self, events: list[Event], k: int) -> None:
        """What phrase `k` retracts, if it is one that does."""
        event = events[k]
        value = _value(event)
        if value in (ALL, LAST):
            self._forget(event, value)
        elif value == ALONE:
            if k and self.looks >= _LOOKS:
                return
            self.looks += k > 0
            if not any(e.leaf.kind or e.leaf.cue & _SAID for e in events):
                self.clauses.forget(self.last)
            elif not k:
                self.overrule(self.begun)  # "Sorry, no effusion."
                self.other_side(events)
        elif value == AGAIN:
            self.overrule(self.begun)
            self.other_side(events)
        elif value in (REST, NONE) or (value == EARLIER and not k):
            self._open(events, k, NONE if value == NONE else REST)
        elif value == INSTEAD and k + 1 < len(events) and self.looks < _LOOKS:
            self.looks += 1
            self._replace(event.first)
        elif value in rhetoric.VALUES and self.turns < _LOOKS and not (value == rhetoric.UNTRUE and self.affirmed):
            self.turns += 1
            if not (value == rhetoric.BACK and self.other_side(events)):
                rhetoric.turn(self, value, events, k)

    def other_side(self, events: list[Event]) -> bool:
        """ "Right effusion. Sorry, I meant left.": the side of the sentence before is replaced."""
        words, first = self.clauses.words, self.clauses.first
        said = words[first : events[-1].last + 1]
        if len(said) > _REPLY or not _OTHER_SIDE.issuperset(said):
            return False
        side = 0
        for event in events:
            side |= event.leaf.side
        before = [m for m in self.clauses.mentions[self.last[0] : self.begun[0]] if m.side in (lx.LEFT, lx.RIGHT)]
        if side not in (lx.LEFT, lx.RIGHT) or not before:
            return False
        for mention in before if len({m.side for m in before}) == 1 else before[-1:]:
            mention.side = side
        return True

    def _tail(self, events: list[Event], stop: int) -> None:
        """The last part of a sentence may deny or affirm the rest: "it looks like an effusion, | but it is not"."""
        own, words = self.clauses.mentions[self.begun[0] :], self.clauses.words
        events = [event for event in events if _value(event) not in (TODAY, AGAIN)]
        if len(events) > 1 and events[0].leaf.cue & lx.CONTRAST and events[1].leaf.rare & lx.ANAPHOR:
            events = events[1:]  # "was dismissed overnight, but on re-review | it is definite"
        if not (own and events) or own[-1].last >= events[0].first or any(map(_value, events)):
            return
        denies = _only_denies(events, stop, words, self.clauses.lexicon.idle)
        now = not rhetoric.NOW.isdisjoint(words[events[0].first : stop])  # "absent before, | is now visible"
        begins = (
            events[0].leaf.cue & lx.EXIST
            or events[0].leaf.rare & lx.ANAPHOR
            or words[events[0].first - 1] == "which"
            or (events[0].leaf.cue & lx.VERB and all(m.state == ABSENT for m in own) and now)
        )
        self.affirmed = not denies and bool(begins) and rhetoric.affirms(self, events, stop)
        if denies or self.affirmed:
            for mention in own:
                self.restate(mention, ABSENT if denies else PRESENT)

    def _bare(self, events: list[Event], stop: int) -> None:
        """A sentence that names nothing may deny the one before."""
        before = self.clauses.mentions[self.last[0] :]
        events = _without_lead(events)
        plain = [event for event in events if not _value(event)]  # "disagree, it is there", "disagree, none seen"
        if self.asked and any(e.leaf.cue & _DENIES for e in plain):
            self.affirmed = True
            sure = _UNSURE.isdisjoint(self.clauses.words[self.clauses.first : stop])
            for mention in before:  # "Pneumothorax? No.", "... I am not certain."
                over = self._over(mention)  # "Has the pneumothorax resolved? No."
                if over and sure:
                    self.clauses.changes[:] = [c for c in self.clauses.changes if c.mention is not mention]
                self.restate(mention, PRESENT if over and sure else ABSENT if sure else UNCERTAIN)
        elif self.asked and events and all(e.leaf.cue & _DOUBTS for e in events):
            for mention in before:  # "Is there a pneumothorax? Possibly."
                self.restate(mention, UNCERTAIN)
        elif (
            self.asked
            or any(e.leaf.cue & lx.EXIST for e in events)
            or (any(map(_value, events)) and any(e.leaf.rare & lx.ANAPHOR for e in events))  # "I was wrong, it is seen"
        ) and rhetoric.affirms(self, plain, stop):
            self.clauses.context.outside = self.affirmed = True
            for mention in before:  # "Pneumothorax? Yes, there is.", "No pneumothorax. Sorry, there is one."
                self.restate(mention, ABSENT if self.asked and self._over(mention) else PRESENT)
        elif len(events) <= _MOST and (
            _only_denies(events, stop, self.clauses.words) or rhetoric.objects(self, events)
        ):
            self.clauses.context.outside = True  # also where nothing stands before it
            for mention in before:  # "There is an effusion. No, there is not."
                if mention.state >= UNCERTAIN:
                    self.restate(mention, HYPOTHETICAL)

    def _forget(self, event: Event, value: str) -> None:
        """Forget what was said before, or the sentence itself if that names a finding."""
        clauses = self.clauses
        own = clauses.mentions[self.begun[0] :]
        if value == LAST and own and own[0].first > event.last:  # "the above is wrong; no effusion"
            clauses.forget(self.last)
            clauses.mentions += own
            return
        clauses.forget(self.begun if own else _NOTHING if value == ALL else self.last)

    def _open(self, events: list[Event], k: int, frame: str) -> None:
        """What follows phrase `k` is of another study or not there, in this sentence and the next."""
        self._framed(frame, events[k].last)
        after = events[k + 1 :]
        named = any(e.leaf.concept >= 0 for e in after)
        if frame != NONE or not named or any(e.leaf.kind & lx.ATTRIBUTE for e in after):
            self.frame = frame  # a bare list of names ends with its sentence

    def reply(self, stop: int) -> None:
        """A sentence of which no phrase is known has ended before word `stop`: "Effusion? Absolutely."."""
        before, said = self.clauses.mentions[self.begun[0] :], self.clauses.words[self.clauses.first : stop]
        if self.asked and rhetoric.affirms(self, [], stop):
            for mention in before:
                self.restate(mention, ABSENT if self._over(mention) else PRESENT)
        elif len(said) == 1 and said[0] == "confirmed":
            self.clauses.context.outside = True
            for mention in before:  # "Query effusion. Confirmed."
                if mention.state in (HYPOTHETICAL, UNCERTAIN):
                    self.restate(mention, PRESENT)

    def asks(self, question: bool) -> None:
        """Whether the sentence that has ended was a question."""
        self.asked = question

    def overrule(self, known: Known, until: Known | None = None, *, sides: bool = False) -> None:
        """What was read since then overrules the same finding elsewhere; so does what it calls normal.

        `until`: up to where, of an addendum that stands before the report. Another grade replaces the grade. Another
        side replaces the side only with `sides`: there may be one on each.
        """
        if self.looks >= _LOOKS:
            return
        self.looks += 1
        mentions, implied = self.clauses.mentions, self.clauses.implied
        part, said = (slice(known[n], None if until is None else until[n]) for n in (0, 1))
        after = [m for m in mentions[part] if m.state != HYPOTHETICAL]
        others = mentions[: known[0]] + ([] if until is None else mentions[until[0] :])
        firm = [one for one in implied[said] if until is None and one.until > 0 and not one.partial]
        covered, kinds = self.clauses.lexicon.covered, self.clauses.lexicon.concepts
        for mention in others:
            normal = {concept for one in firm if _may_be(one.side, mention.side) for concept in one.concepts}
            same = [m for m in after if m.concept == mention.concept or _refutes(m, mention, kinds)]
            opposite = any(_contrary(m, mention) for m in same)
            if same and mention.state == PRESENT and all(m.state == UNCERTAIN for m in same):
                self.restate(mention, UNCERTAIN)  # "There is an effusion. Correction: an effusion is possible."
            if any(m.severity and m.state != ABSENT and _may_be(m.side, mention.side) for m in same):
                mention.severity = 0  # "small effusion. Addendum: the effusion is moderate."
            moved = sides and any(not _may_be(m.side, mention.side) for m in same)
            if opposite or moved or (mention.state >= UNCERTAIN and covered(mention.concept, normal)):
                self.restate(mention, HYPOTHETICAL)
        if any(m.state == PRESENT for m in after):  # "The lungs are clear. Addendum: there is a nodule."
            for n in (*range(known[1]), *range(len(implied) if until is None else until[1], len(implied))):
                implied[n] = implied[n]._replace(until=0)

    def set_aside(self, known: Known) -> None:
        """A final reading replaces what was read since then; a bare "none" still answers it."""
        for mention in self.clauses.mentions[known[0] :]:
            self.restate(mention, HYPOTHETICAL)
        kept = len(self.clauses.mentions), *known[1:]
        self.clauses.forget(kept)

    def _framed(self, frame: str, word: int) -> None:
        """What the present sentence says after `word` is denied, or not of this study."""
        clauses, (mentions, implied, changes, _) = self.clauses, self.begun
        clauses.implied[implied:] = [i for i in clauses.implied[implied:] if i.first <= word]
        clauses.changes[changes:] = [c for c in clauses.changes[changes:] if c.first <= word]
        for mention in clauses.mentions[mentions:]:
            if mention.first > word:
                denied = frame == NONE and mention.state >= UNCERTAIN
                self.restate(mention, ABSENT if denied else HYPOTHETICAL)
                mention.gone = denied
                mention.severity *= mention.severity >= _LARGE

    def _replace(self, word: int) -> None:
        """What the sentence says before `word`, here and earlier, is replaced by what it says after."""
        mentions, begun = self.clauses.mentions, self.begun[0]
        old = [m for m in mentions[begun:] if m.first < word]
        for mention in old:
            self.restate(mention, HYPOTHETICAL)
        for mention in mentions[:begun]:
            if any(mention.concept == m.concept and not (m.side and m.side != mention.side) for m in old):
                self.restate(mention, HYPOTHETICAL)
        changes = self.clauses.changes
        changes[self.begun[2] :] = [c for c in changes[self.begun[2] :] if c.first > word]

    def restate(self, mention: Mention, state: int) -> None:
        """Change what is asserted of a finding that was read before."""
        mention.state = state
        if self.clauses.trace is not None:
            word = Event(mention.first, mention.last, lx.Leaf())
            self.clauses.trace.note(mention, "state", state, word, "retraction")


def _refutes(one: Mention, other: Mention, concepts: Sequence[lx.Concept]) -> bool:
    """Whether one is there and of a kind that the other denies: "No fracture. Amended: fracture of the ninth rib"."""
    return other.state == ABSENT and one.state == PRESENT and other.concept in concepts[one.concept].ancestors


def _contrary(one: Mention, other: Mention) -> bool:
    """Whether one asserts what the other denies: as a whole, and on the same side."""
    if (one.state == ABSENT) == (other.state == ABSENT):
        return False
    whole = not any(m.state == ABSENT and (m.partial or m.severity) for m in (one, other))
    return whole and _may_be(one.side, other.side)


def _may_be(one: int, other: int) -> bool:
    """Whether two sides may be the same."""
    return not (one and other) or bool(one & other)


def _without_lead(events: list[Event]) -> list[Event]:
    """Without what only says who looked, and when: "On final review, | this is not present."."""
    k = 0
    while k < len(events) and (_value(events[k]) in (TODAY, INSTEAD) or events[k].leaf.cue & lx.COMMA):
        k += 1
    return events[k:]


def _only_denies(events: list[Event], stop: int, words: Sequence[str], idle: Collection[str] = ()) -> bool:
    """Whether a part with a verb says "no" and nothing else, of nothing that it names.

    `idle`: words that say nothing.
    """
    verb = denied = 0
    for k, (first, last, leaf) in enumerate(events):
        if any(row.value in PROVISOS or row.value == "list" for row in leaf.acts.values()):
            return False  # "Negative findings:", "apparent on both views, is due to poor inspiration"
        gone = leaf.change & lx.RESOLVED and leaf.cue & lx.NEG_AFTER
        if (leaf.kind and not gone) or (k and any(word not in idle for word in words[events[k - 1].last + 1 : first])):
            return False
        if k and all(word in idle for word in words[first : last + 1]):
            continue
        again = _value(events[k]) == AGAIN
        if not (leaf.cue & (_DENIES | _FILLS) or leaf.rare & lx.ANAPHOR or again):
            return False
        verb, denied = verb | leaf.cue & (lx.VERB | lx.EXIST) | (last > first or again), denied | leaf.cue & _DENIES
    return bool(verb and denied) and all(word in idle for word in words[events[-1].last + 1 : stop])


def _value(event: Event) -> str:
    if not event.leaf.rare & lx.RETRACTION:
        return ""
    return event.leaf.acts["retraction"].value
