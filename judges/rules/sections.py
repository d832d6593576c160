"""Words to phrases, sections and sentences. What follows a heading like "Indication:" is no finding of this study."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.details import joined_levels, numbered
from judges.rules.examination import Heading
from judges.rules.findings import ABSENT, HYPOTHETICAL, Event, Implied
from judges.rules.headings import behind_heading, heads
from judges.rules.measures import (
    UNIT,
    chance,
    direction,
    enlarges,
    former,
    grade_of_ratio,
    joins,
    millimetres,
    percentage,
)
from judges.rules.repeats import LONGEST, Key, Repeats
from judges.rules.retractions import Known
from judges.rules.sentence import read_sentence
from judges.rules.words import KNOWN

_DOUBT: Final = lx.Row("possible", direction="forward", source="question mark")
_COMMA, _COLON, _QUERY = lx.Leaf(cue=lx.COMMA), lx.Leaf(cue=lx.COLON), lx.Leaf(cue=lx.UNC, rows=(_DOUBT,))
_DOUBTED: Final = lx.Leaf(cue=lx.UNC_AFTER, rows=(lx.Row("possible", direction="backward", source="question mark"),))
_AROUND: Final = 30  # words around a ratio among which others say more of it
_QUESTION: Final = lx.Leaf(cue=lx.HYP, rows=(_DOUBT,))
_ASKED: Final = frozenset((("is", "there"), ("are", "there"), ("was", "there"), ("were", "there")))
_ANSWERS: Final = lx.NEG_AFTER | lx.UNC_AFTER
_SHOWN: Final = frozenset((("there", "is"), ("there", "are")))
_OTHER_FILMS: Final = frozenset(KNOWN["other_films"])
_NONE: Final = lx.Leaf(cue=lx.NEG)
_BACK: Final = lx.Row("absent", direction="backward", source="a score")
_NOUGHT: Final = lx.Leaf(cue=lx.NEG_AFTER, rows=(_BACK,))
_SCORED, _OF_SCORE = (
    frozenset((":", "grade", "score", "=", "-", "is")),
    frozenset((".", "/", "of", "out", ",", ";", ")", "\n")),
)
_PLUS: Final = lx.Leaf(cue=lx.EXIST)
_SLASH, _BREAK = lx.Leaf(cue=lx.OR | lx.SLASH), lx.Leaf(cue=lx.COMMA | lx.BREAK)
_PUNCTUATION: Final = {
    ",": _COMMA, "(": _COMMA, ")": _COMMA, "[": _COMMA, "]": _COMMA, ":": _COLON, "/": _SLASH, ";": _BREAK, "|": _BREAK
}  # fmt: skip
_ABBREVIATIONS: Final = frozenset(KNOWN["abbreviations"])
_CUT_SHORT: Final = frozenset(KNOWN["cut_short"]["words"])
"""Their short forms may have a full stop: "incr. edema"."""
_SHORT_FORMS: Final = frozenset(KNOWN["cut_short"]["forms"])
_GRADES, _BEFORE_GRADE = frozenset(KNOWN["cut_short"]["grades"]), frozenset(KNOWN["cut_short"]["before"])
_OF_RATIO: Final = frozenset(KNOWN["ratio"]["unless"])
_SIDES: Final = frozenset(KNOWN["cut_short"]["sides"])
_TITLE_ENDS: Final = frozenset(":.?!;\n")
_NEAR_RIBS: Final = 4  # words
_ORDINALS: Final = (["st"], ["nd"], ["rd"], ["th"])
_AGREES: Final = frozenset(("agree", "agreed", "concur", "confirmed", "unchanged", "same", "concordant"))
_REPLIES: Final = frozenset(("yes", "no", "none", "absent", "present"))
_AHEAD: Final = 12  # how many phrases before a measurement are looked at for what it measures
_BESIDE: Final = 3  # words from a measurement to what it measures: "1 cm directly above the carina"
_TITLE: Final = 8  # words of a heading that no row knows, with its colon
_FILLING: Final = frozenset(KNOWN["filling"])
_BARE: Final = 6  # phrases of a sentence that says no more than "normal"


class Sections:
    """Goes through the words of one text and hands its sentences to `clauses`."""

    def __init__(
        self, clauses: Clauses, text: str, words: list[str], starts: list[int], nodes: list[lx.Trie | None],
        stops: list[int], repeats: Repeats | None,
    ) -> None:  # fmt: skip
        """`nodes`: per word how the phrases go on that begin with it; None where none does. `stops`: where full stops
        and line breaks stand. `repeats`: sentences that were read before.
        """
        self.clauses, self.lexicon = clauses, clauses.lexicon
        self.text, self.words, self.starts, self.nodes = text, words, starts, nodes
        self._events: list[Event] = []
        self._first = 0  # the word with which the sentence begins
        self._fresh = self._blank = True  # at the start of a sentence; blank: not even a number or gap in it
        self._skipping = self._study = False
        self._size = self._former = 0.0  # the measurement that the sentence gives, and the one it had
        self.headings: list[Heading] = []
        self._draft: Known | None = None  # what there was when a preliminary reading began
        self._corrected: Known | None = None  # and when a correction did
        self._leading: tuple[Known, Known] | None = None  # an addendum before the report: where it began and ended
        self._sides = False  # a correction, which replaces sides; an addendum may add one
        self._held: Known | None = None  # what there was when a section began that only a later heading drops
        self._since = 0  # sentences read since then
        self._after = 0  # the word with which they begin
        self._named = False  # a heading has named the findings
        self._stops, self._repeats = stops, repeats
        self._key: Key | None = None  # the sentence, if it will be remembered
        self._begun = clauses.known()  # and what there was when it began

    def read(self) -> None:
        """All sentences of all sections."""
        words, nodes, count = self.words, self.nodes, len(self.words)
        special = lx.BODY | lx.SKIP
        i = 0
        while i < count:
            if i == self._first and self._repeats is not None and (stop := self._repeated(i, self._repeats)) > i:
                i = stop + 1
                continue
            if self._held is not None and self._fresh and self._titled(i):
                self._open(i)
            node = nodes[i]
            if node is None:  # most words that are no phrase
                self._fresh = False
                i += 1
                continue
            last = i
            leaf: lx.Leaf | None = node.get(None)
            if i + 1 < count and words[i + 1] in node:
                leaf, last = self._longest(node, i)
            if leaf is None:
                self._other(i, words[i])
            elif leaf.cue & special and self._opens(i, last, leaf):
                self._section(i, last, leaf)
                last += 1
            else:
                if leaf.rare & lx.CARINA and self._events and leaf.place & self.lexicon.above_carina:
                    leaf = self._height(leaf, self._events[-1], i)
                if leaf.details:
                    self._append(Event(i, last, leaf))
                else:
                    self._events.append(Event(i, last, leaf))
                self._fresh = False
            i = last + 1
        if not self._skipping or self._held is not None:
            self._read(i)
        self._end_correction(last=True)

    def _longest(self, node: lx.Trie, i: int) -> tuple[lx.Leaf | None, int]:
        """The longest phrase that begins at word `i`, and its last word."""
        leaf, last = lx.longest(node, self.words, i)
        if last == i + 1 and self.words[i] == "l":  # "L 5th rib" and "Ribs: # L 4-6" are no vertebrae
            ribs = self.words[last + 1 : last + 2] in _ORDINALS or "rib" in self.words[max(0, i - _NEAR_RIBS) : i]
            if ribs:
                return node[None], i
        if leaf is not None and self.words[i] == ":" and leaf.cue & _ANSWERS and self._goes_on(last + 1):
            return node.get(None), i
        return leaf, last

    def _goes_on(self, i: int) -> bool:
        """Whether what begins like an answer describes the word behind it: "Bones: remote | rib fracture"."""
        return i < len(self.words) and self.words[i].isalpha() and self.words[i] not in self.lexicon.idle

    def _read(self, stop: int) -> None:
        """Hand on the sentence that ends before word `stop`, and keep it where nothing is read of it."""
        clauses, events = self.clauses, self._events
        known = clauses.known()
        answers = clauses.retractions.asked and self.words[self._first : stop] == ["negative"]  # "Effusion? Negative."
        if 0 < len(events) <= _BARE and not answers and self._says_normal(stop):
            self._key = None
            clauses.implied.append(Implied(self.lexicon.whole, events[0].first, events[-1].last))
        elif len(events) > 2 and (begin := behind_heading(events)):  # anatomy, colon, statement
            clauses.context.topic = [(events[0].leaf.anatomy, events[0].leaf.side)]
            events = events[begin:]
        clauses.first = self._first
        read_sentence(clauses, events, stop)
        if self._corrected is not None and self._sides and events:
            clauses.retractions.other_side(events)  # "Right effusion. Correction: left."
        if clauses.known() == known and stop > self._first:
            clauses.silent.append((self._first, stop, events))

    def _repeated(self, i: int, repeats: Repeats) -> int:
        """Where the sentence ends that begins at word `i`, if it was read before; it has been said again then. Else -1.

        How a number, a sign or a heading is read depends on how it is spelt and on the words around; so the sentence is
        remembered only if it has none (`_key`).
        """
        self._key = None
        retractions = self.clauses.retractions
        if not (self._fresh and self._blank) or self._skipping or self._held is not None or self._size or self._former:
            return -1
        if self.clauses.context.topic or retractions.frame or retractions.asked:
            return -1
        at = bisect_left(self._stops, i)
        stop = self._stops[at] if at < len(self._stops) else -1
        if not i < stop <= i + LONGEST:
            return -1
        key = tuple(self.words[i : stop + 1])
        repeat = repeats.find(key)
        if repeat is None:
            self._key, self._begun, self.clauses.context.outside = key, self.clauses.known(), False
            return -1
        if key[-1] == "." and self._inside(stop):
            return -1
        repeat.say(self.clauses, i)
        self._begin(stop)
        return stop

    def _begin(self, i: int) -> None:
        """Another sentence begins after word `i`."""
        self._events, self._fresh, self._blank, self._size, self._former = [], True, True, 0.0, 0.0
        self._first = i + 1
        if self.words[i] == "\n":
            self.clauses.context.topic = []

    # ----- sections ---------------------------------------------------------------------------------------------------

    def _opens(self, i: int, last: int, leaf: lx.Leaf) -> bool:
        """Whether these words are the heading of a section: "COMPARISON: None FINDINGS: ..."."""
        if self._fresh:
            if self.words[last + 1 : last + 2] == ["\n"]:
                self._key = None
            return heads(self.words, i, last, leaf) and not self._answers(last, leaf)
        if not leaf.rare & lx.ANYWHERE:
            return False
        self._key = None
        return self.words[last + 1 : last + 2] == [":"] and self.text[self.starts[i]].isupper()

    def _answers(self, last: int, leaf: lx.Leaf) -> bool:
        """Whether what heads this line is answered in it: "Lines and tubes: none"."""
        if leaf.concept < 0 or last + 2 >= len(self.words):
            return False
        node = self.lexicon.trie.get(self.words[last + 2])
        after, end = lx.longest(node, self.words, last + 2) if node else (None, 0)
        if after is None or not (after.change or after.cue & (lx.NEG | lx.NEG_AFTER)):
            return False
        said = (node.get(None) for node in self.nodes[end + 1 : self._stop(end)] if node)
        return not any(leaf is not None and leaf.kind & (lx.NAMED | lx.THING) for leaf in said)

    def _stop(self, i: int) -> int:
        """Where the sentence ends that word `i` is in, as far as full stops tell."""
        at = bisect_left(self._stops, i)
        return self._stops[at] if at < len(self._stops) else len(self.words)

    def _titled(self, i: int) -> bool:
        """Whether a heading that no row knows opens a section here, after one that is not read: "CHEST, PA: ..."."""
        words, nodes = self.words, self.nodes
        end = next((j for j in range(i + 1, min(i + _TITLE, len(words))) if words[j] in _TITLE_ENDS), 0)
        if not end or words[end] != ":" or not self.text[self.starts[i]].isupper():
            return False
        known = (node.get(None) for node in nodes[i:end] if node)
        return not any(leaf is not None and leaf.cue & (lx.SKIP | lx.BODY) for leaf in known)

    def _open(self, i: int) -> None:
        """A heading that no row knows: it opens a section, and what stands before it may be findings as well."""
        if self._held is not None and not self._reads_as_findings(self._held):
            self.clauses.forget(self._held)
        self._skipping, self._held, self._named = False, None, True

    def _section(self, i: int, last: int, leaf: lx.Leaf) -> None:
        """The heading at word `i` ends what stands before it."""
        self._key = None
        if not self._skipping or self._held is not None:
            self._read(i)
        if self._held is not None:
            if self._are_findings(leaf):
                self.headings[-1] = self.headings[-1]._replace(until=self._after)
            else:
                self.clauses.forget(self._held)
        self._events, self._held, self.clauses.context.topic = [], None, []
        self._first = last + 1
        self.clauses.retractions.frame = ""
        if leaf.rare & lx.DRAFT:
            self._draft = self.clauses.known()
        final = leaf.rare & lx.FINAL and self._draft is None and self._tells()
        agrees = self.words[last + 1 : last + 3][-1:]
        if leaf.rare & lx.FINAL and agrees and agrees[0] in _AGREES:
            self._draft = None  # "Preliminary: effusion. Final: agree."
        if leaf.rare & lx.FINAL and self._draft is not None:  # the last word counts
            self.clauses.retractions.set_aside(self._draft)
            self._draft = None
        self._end_correction()
        if leaf.rare & lx.CORRECTION or final:  # "There is an effusion. FINAL: no effusion."
            self._corrected = self.clauses.known()
            self._sides = self.words[i].startswith("correct")  # an addendum may add the other side
        if leaf.rare & lx.FINAL:
            self.clauses.retractions.asks(True)  # "Draft: effusion. Final: none."
        # "Dx:" is why the film was taken, unless the findings have been told.
        concludes = leaf.rare & lx.CLOSING and (self._named or (not self._skipping and self._tells()))
        self._study = bool(leaf.cue & lx.STUDY)
        self._skipping = bool(leaf.cue & lx.SKIP and not concludes and not (self._study and self._shows(last + 2)))
        self.headings.append(Heading(i, last, self._skipping, self._study))
        self._named = self._named or not self._skipping
        if self.clauses.trace is not None:
            self.clauses.trace.section(i, last, leaf)

    def _shows(self, i: int) -> bool:
        """Whether the sentence that begins here tells of this film: "Comparison: There is a mass in the left lung."."""
        stop = self._stop(i)
        if tuple(self.words[i : i + 2]) not in _SHOWN or not _OTHER_FILMS.isdisjoint(self.words[i:stop]):
            return False
        said = (node.get(None) for node in self.nodes[i:stop] if node)
        return any(leaf is not None and leaf.kind & lx.SAYS for leaf in said)

    def _tells(self) -> bool:
        """Whether something of the patient has been said."""
        return any(mention.state != HYPOTHETICAL for mention in self.clauses.mentions)

    def _end_correction(self, *, last: bool = False) -> None:
        """`last`: the report ends, so that an addendum before it overrules it."""
        if self._corrected is not None:
            if self._corrected[0]:
                self.clauses.retractions.overrule(self._corrected, sides=self._sides)
            else:
                self._leading = self._leading or (self._corrected, self.clauses.known())
            self._corrected = None
        if last and self._leading is not None:
            self.clauses.retractions.overrule(*self._leading)

    def _are_findings(self, leaf: lx.Leaf) -> bool:
        """Whether what followed a section that is not read are the findings, though no heading says so.

        They are if the next heading is that of the impression and none came before: "COMPARISON: None. Left effusion.
        IMPRESSION: ...".
        """
        held = self._held
        return held is not None and bool(leaf.rare & lx.CLOSING) and not self._named and self._reads_as_findings(held)

    def _reads_as_findings(self, held: Known) -> bool:
        """A single sentence behind a history that only asserts is history as well; anything more is none."""
        denied = any(mention.state == ABSENT for mention in self.clauses.mentions[held[0] :])
        return self._study or self._since > 1 or denied or len(self.clauses.implied) > held[1]

    def _says_normal(self, stop: int) -> bool:
        """Whether the sentence says no more than "normal", of nothing in particular: "Otherwise normal."."""
        # Of several things that were taken out nobody knows what they were: "XXXX are unremarkable".
        if self.clauses.context.topic or any(event.leaf.cue & lx.PLURAL for event in self._events):
            return False
        normal = [event.leaf.cue & lx.NORMAL and not event.leaf.kind for event in self._events]
        if not any(normal):
            return False
        inside: set[int] = set()
        for says, (first, last, leaf) in zip(normal, self._events, strict=True):
            if says or leaf.cue & lx.BODY or not self.words[first][0].isalpha():
                inside.update(range(first, last + 1))
        words = ((i, self.words[i]) for i in range(self._first, stop))
        return all(i in inside or not word[0].isalpha() or word in _FILLING for i, word in words)

    # ----- what is no phrase ------------------------------------------------------------------------------------------

    def _other(self, i: int, word: str) -> None:
        """A word, number or sign with which a phrase might begin, but none does."""
        if word == "." or word == "\n":
            if word == "\n" or not self._inside(i):
                self._end(i, word)
        elif word[0].isalpha():
            self._fresh = False
        elif word[0].isdecimal():
            self._blank, self._key = False, None
            self._number(i)
        elif word in _PUNCTUATION:
            self._events.append(Event(i, i, _PUNCTUATION[word]))
        elif word == "_":  # a gap left by de-identification
            self._blank = False
        else:
            self._key = None
            self._sign(i, word)

    def _append(self, event: Event) -> None:
        """A phrase that may be a level, in one with the levels before it."""
        if event.leaf.details & self.lexicon.levels:
            event = joined_levels(self.lexicon, self._events, self.words, event)
        self._events.append(event)

    def _sign(self, i: int, word: str) -> None:
        text, starts = self.text, self.starts
        if word == "?" and self.words[i - 1 : i] == ["("] and self.words[i + 1 : i + 2] == [")"]:
            leads = i < 2 or (self.words[i - 2] in ",;:" and self.words[i + 2 : i + 3] not in ([], [","], ["."]))
            self._events.append(Event(i, i, _QUERY if leads else _DOUBTED))  # "(?) edema", "cardiomegaly (?)"
            return
        apart = i > 0 and text[starts[i] + 1 : starts[i] + 2].isspace() and text[starts[i] - 1].isalnum()
        if word == "?" and not apart and self._asks(i):
            self._events.append(Event(i, i, _QUERY))
        elif word == "+" and _leads(text, starts[i]):
            self._events.append(Event(i, i, _PLUS))
        elif word in "-–—" and self._events:
            self._events.append(Event(i, i, _BREAK))
        elif word in "?!*•":
            self._end(i, word)

    def _asks(self, i: int) -> bool:
        """Whether the question mark at `i` asks about the word after it: "opacity ?infective", "at the apex, ?TB"."""
        words, text, start = self.words, self.text, self.starts[i]
        if i + 1 == len(words):
            return False
        leads = text[start + 1].isalpha() and start > 0 and not text[start - 1].isalnum()
        if leads and words[i + 1] not in _REPLIES:
            return True
        return text[self.starts[i + 1]].islower() or (self._fresh and words[i + 1].isalpha())

    def _number(self, i: int) -> None:
        joined = i > 1 and joins(self.words, i - 1, self.text, self.starts)
        length = millimetres(self.words, i, joined=joined)
        if not length:
            if (said := chance(self.words, i) or self._ratio(i)) is not None:
                self._events.append(Event(i, i, said))
            elif grade := percentage(self.words, i):
                self._events.append(Event(i, i + 1, lx.Leaf(severity=grade)))
            elif (leaf := numbered(self.lexicon, self._events, self.words, i)) is not None:
                self._append(Event(i, i, leaf))
            elif self._nought(i):
                self._events.append(Event(i, i, _NONE))
            elif self._scores_nothing(i):
                self._events.append(Event(i, i, _NOUGHT))
            return
        if former(self.words, i, self.lexicon.former):
            self._former = self._former or length  # of two dimensions the first
        else:
            self._events.append(Event(i, i + (self.words[i + 1] in UNIT), lx.Leaf(size=length)))
            self._size = self._size or length
        if self._size and self._former and self._grows():
            self._events.append(Event(i, i, lx.Leaf(change=direction(self._former, self._size))))
            self._size = self._former = 0.0

    def _ratio(self, i: int) -> lx.Leaf | None:
        """What the number at word `i` says where it is a cardiothoracic ratio."""
        enlarged = next(
            (
                one for event in reversed(self._events[-_BESIDE - 1 :])
                if (one := enlarges(self.words, i, event.last)) is not None
            ),
            None,
        )  # fmt: skip
        said = self.words[max(self._first, i - _AROUND) : min(self._stop(i), i + _AROUND)]
        if enlarged is None or not _OF_RATIO.isdisjoint(said):
            return None
        if any(e.leaf.cue & (lx.NEG | lx.NORMAL) for e in self._events[-_AROUND:]):
            return None  # "heart size is normal, the ratio is .52"
        leaf: lx.Leaf = self.lexicon.trie["enlarged" if enlarged else "normal"][None]
        if enlarged and (grade := grade_of_ratio(self.words, i)):
            self._events.append(Event(i, i, lx.Leaf(severity=grade)))
        return leaf

    def _nought(self, i: int) -> bool:
        """Whether a sentence begins here with a denial in figures: "0 effusions", and not "1 . 0 x 1 . 2 cm"."""
        after = self.words[i + 1 : i + 2]
        return self.words[i] == "0" and not self._events and bool(after) and after[0].isalpha() and len(after[0]) > 1

    def _scores_nothing(self, i: int) -> bool:
        """Whether this is the score of what is not there: "Effusion grade 0", "Effusion: 0/3"."""
        if self.words[i] != "0" or not self._events or self.words[i - 1] not in _SCORED:
            return False
        return self.words[i + 1 : i + 2] == [] or self.words[i + 1] in _OF_SCORE

    def _end(self, i: int, word: str) -> None:
        """A sentence ends here."""
        events = self._events
        if self._skipping and self._held is None:
            if events or not (self._fresh and self._blank):  # a skipped section loses its first sentence in any case
                self._held, self._since, self._after = self.clauses.known(), 0, i + 1
        else:
            if word == "?" and events:  # "Small effusion?"
                asks = tuple(self.words[self._first : self._first + 2]) in _ASKED  # "Is there an effusion?"
                events.insert(0, Event(events[0].first, events[0].first, _QUESTION if asks else _QUERY))
            self._read(i)
            self._remember(i, events)
            self._since += bool(events)
            if i > self._first:  # not the "A." before an answer, which is an article
                queried = self.words[self._first] == "?" and len(events) <= _BARE
                self.clauses.retractions.asks(word == "?" or queried)
            if self._study and self._held is not None and any(e.leaf.cue & lx.EXIST for e in events):
                self._held = self.clauses.known()  # "COMPARISON: None. There is a mass.": no heading drops that
        self._begin(i)
        if word == "\n" and self._study and self._held is not None:
            self._skipping, self._held = False, None

    def _remember(self, i: int, events: list[Event]) -> None:
        """The sentence that ends at word `i`, if its reading looked at nothing outside it."""
        key, repeats, clauses = self._key, self._repeats, self.clauses
        if key is not None and repeats is not None and i == self._first + len(key) - 1 and not clauses.context.outside:
            repeats.learn(key, clauses, self._begun, self._first, events)

    def _inside(self, i: int) -> bool:
        """Whether the full stop at `i` ends no sentence: "Dr. N", "1 . 5 cm"."""
        words, text, starts = self.words, self.text, self.starts
        if not 0 < i < len(words) - 1:
            return False
        if words[i - 1] in _ABBREVIATIONS:
            return words[i + 1] != "\n"
        short = text[starts[i - 1] : starts[i]].casefold()
        if words[i - 1] in _CUT_SHORT and short in _SHORT_FORMS:
            if short in _GRADES and not (i - 1 == self._first or words[i - 2] in _BEFORE_GRADE):
                return False  # "the effusion is mod. pneumothorax ..."
            return text[starts[i + 1]].islower() or words[i + 1] in _SIDES  # "incr. edema", "pleural eff. R"
        return UNIT.get(words[min(i + 2, len(words) - 1)]) is not None and joins(words, i, text, starts)

    # ----- measurements -----------------------------------------------------------------------------------------------

    def _height(self, leaf: lx.Leaf, before: Event, i: int) -> lx.Leaf:
        """The place "above the carina", which starts at word `i`, by the measurement before it."""
        size = before.leaf.size
        lowest, highest = self.lexicon.tip_heights
        if not size or i - before.last > _BESIDE or lowest <= size <= highest:
            return leaf
        return lx.Leaf(place=self.lexicon.heights[size > highest], rare=lx.CARINA, rows=leaf.rows)

    def _grows(self) -> bool:
        """Whether what these phrases measure has a size: a tube has none, only a distance."""
        sized = self.lexicon.sized
        return next((sized[e.leaf.concept] for e in self._events[-1:-_AHEAD:-1] if e.leaf.concept >= 0), False)


def _leads(text: str, at: int) -> bool:
    """Whether the sign here stands before a word and after none: "+effusion", and not "2+ edema", "a + b"."""
    return text[at + 1 : at + 2].isalpha() and not text[at - 1 : at].isalnum()
