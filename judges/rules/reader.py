"""From a report to its findings: words, phrases, sections, sentences, clauses; `clause` and `merge` do the rest.

One pass over the words finds every phrase of the lexicon (the longest that fits, in a trie); all that follows is
work on short lists of integers, linear in the length of the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.findings import Event, Findings, Span
from judges.rules.merge import merge
from judges.rules.words import ARTICLES, TOKEN, fold, plain

_COMMA, _COLON, _OR, _QUERY = lx.Leaf(cue=lx.COMMA), lx.Leaf(cue=lx.COLON), lx.Leaf(cue=lx.OR), lx.Leaf(cue=lx.UNC)
_PUNCTUATION: Final = {",": _COMMA, "(": _COMMA, ")": _COMMA, "[": _COMMA, "]": _COMMA, ":": _COLON, "/": _OR}
_ABBREVIATIONS: Final = frozenset(("dr", "vs", "approx", "e", "g", "i", "mr", "mrs", "ms", "st", "fig", "incl"))
_LINKS: Final = frozenset(
    (
        *(
            "a",
            "an",
            "and",
            "any",
            "are",
            "as",
            "at",
            "but",
            "by",
            "dr",
            "for",
            "from",
            "in",
            "is",
            "left",
            "mild",
            "no",
        ),
        *("not", "of", "on", "or", "possible", "prior", "probable", "right", "small", "than", "the", "to", "versus"),
        *("was", "were", "with", "without"),
    )
)
"""Words that end no sentence, so that a capital after them starts none."""
_UNIT: Final = {"mm": 1.0, "cm": 10.0, "millimeter": 1.0, "centimeter": 10.0}
_AHEAD: Final = 12  # how many phrases after a comma decide whether it begins a statement


@dataclass(slots=True)
class _Seen:
    """What the clause under construction holds so far."""

    subject: bool = False
    statement: bool = False
    verb: bool = False
    without: bool = False
    """A denial that follows a subject: "effusion without ...". Its list is short."""


class Reader:
    """Reads reports with one lexicon. Keeps nothing between texts."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon

    def read(self, text: str) -> Findings:
        """All findings of `text`, with spans into `text` as given. Any string is valid."""
        clean, where = plain(text)
        words, starts, ends = _words(clean)
        clauses = Clauses(self.lexicon)
        self._run(clean, words, starts, clauses)

        def locate(first: int, last: int) -> Span:
            start, end = starts[first], ends[last]
            return (start, end) if where is None else (where[start], where[end - 1] + 1)

        empty = not any(w[0].isalnum() for w in words)
        return merge(self.lexicon, clauses.mentions, clauses.changes, locate, empty=empty)

    def _longest(self, words: list[str], i: int) -> tuple[lx.Leaf | None, int]:
        """The longest phrase that starts at word `i`, and its last word."""
        node = self.lexicon.trie.get(words[i])
        leaf: lx.Leaf | None = None
        last = j = i
        while node is not None:
            found = node.get(None)
            if found is not None:
                leaf, last = found, j
            j += 1
            node = node.get(words[j]) if j < len(words) else None
        return leaf, last

    def _run(self, text: str, words: list[str], starts: list[int], clauses: Clauses) -> None:
        """Sections and sentences. What follows a heading like "Indication:" is not a finding of this study."""
        count = len(words)
        events: list[Event] = []
        fresh = True  # at the start of a sentence
        skipping = False
        held: tuple[int, int] | None = None  # what there was when a section began that only a later heading drops
        i = 0
        while i < count:
            word = words[i]
            leaf, last = self._longest(words, i)
            if leaf is not None:
                if fresh and leaf.cue & (lx.BODY | lx.SKIP) and last + 1 < count and words[last + 1] == ":":
                    if not skipping or held is not None:
                        _sentence(clauses, events)
                    if held is not None:
                        del clauses.mentions[held[0] :], clauses.changes[held[1] :]
                    events, held, skipping, clauses.topic = [], None, bool(leaf.cue & lx.SKIP), []
                    i = last + 2
                    continue
                events.append(Event(i, last, leaf))
                fresh = False
            elif word[0].isalpha():
                fresh = False
            elif word[0].isdigit():
                size = _millimetres(words, i)
                if size:
                    events.append(Event(i, i, lx.Leaf(size=size)))
            elif word in _PUNCTUATION:
                events.append(Event(i, i, _PUNCTUATION[word]))
            elif word == "?" and i + 1 < count and text[starts[i + 1]].islower():
                events.append(Event(i, i, _QUERY))
            elif word in "-–—" and events:
                events.append(Event(i, i, _COMMA))
            elif word in ".;\n?!*•" and not (word == "." and _inside(words, i)):
                if skipping and held is None:
                    if events or not fresh:  # a skipped section loses its first sentence in any case
                        held = (len(clauses.mentions), len(clauses.changes))
                else:
                    _sentence(clauses, events)
                events, fresh = [], True
                if word == "\n":
                    clauses.topic = []
            i = last + 1
        if not skipping or held is not None:
            _sentence(clauses, events)


def _words(text: str) -> tuple[list[str], list[int], list[int]]:
    """Folded words and punctuation with their offsets; articles, hyphens and wrapped lines are left out."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    length = len(text)
    low = False  # was the last word lower case and able to end a sentence?
    for match in TOKEN.finditer(text):
        token = match.group()
        start, end = match.span()
        if token[0] == "\n":
            if token.count("\n") == 1 and end < length and text[end].islower():
                continue  # a wrapped line goes on; a list item, a heading or a blank line does not
            word = "\n"
        elif token == "-" and start and end < length and not (text[start - 1].isspace() or text[end].isspace()):
            continue
        else:
            word = fold(token)
            if low and len(token) > 1 and token[0].isupper() and token[1:].islower():
                words.append(".")  # "... normal limits The lungs ...": a sentence without its full stop
                starts.append(start)
                ends.append(start)
            low = token.islower() and word not in _LINKS
            if word in ARTICLES:
                continue
        words.append(word)
        starts.append(start)
        ends.append(end)
    return words, starts, ends


def _millimetres(words: list[str], i: int) -> float:
    """The measurement that starts or ends with the number at `i`; 0 when it is none."""
    ahead = [*words[i + 1 : i + 4], "", "", ""]
    unit = _UNIT.get(ahead[0]) or (ahead[0] in "x×" and _UNIT.get(ahead[2]))  # "2.3 x 1.8 cm"
    number = words[i]
    if not unit or len(number) > 6:
        return 0.0
    if i > 1 and words[i - 1] == "." and words[i - 2].isdigit() and number.isdigit():
        number = f"{words[i - 2][-4:]}.{number}"  # "2 . 3 cm" in tokenised text
    return float(number) * unit


def _inside(words: list[str], i: int) -> bool:
    """Whether the full stop at `i` ends no sentence: "Dr. N", "1 . 5 cm"."""
    if not 0 < i < len(words) - 1:
        return False
    if words[i - 1] in _ABBREVIATIONS:
        return words[i + 1] != "\n"
    return (
        words[i - 1].isdigit() and words[i + 1].isdigit() and _UNIT.get(words[min(i + 2, len(words) - 1)]) is not None
    )


def _sentence(clauses: Clauses, events: list[Event]) -> None:
    """Split where a new statement begins and read each clause."""
    clauses.carry = []
    clause: list[Event] = []
    seen = _Seen()
    for k, event in enumerate(events):
        leaf = event.leaf
        cue = leaf.cue
        if clause and cue & (lx.EXIST | lx.COMMA | lx.AND) and _starts_clause(events, k, seen):
            clauses.read(clause)
            clause, seen = [], _Seen()
            if not cue & lx.EXIST:
                continue
        clause.append(event)
        if leaf.concept >= 0 or leaf.descriptors or leaf.absent or cue & lx.NORMAL:
            seen.subject = seen.statement = True
        elif leaf.anatomy >= 0:
            seen.subject = True
        if cue & lx.NEG:
            seen.verb, seen.without, seen.statement = False, seen.subject, True
        elif cue & lx.VERB and seen.subject:
            seen.verb = True
    if clause:
        clauses.read(clause)


def _starts_clause(events: list[Event], k: int, seen: _Seen) -> bool:
    """Whether the words after this comma, "and" or "there is" are a statement of their own: [subject] verb ..."""
    if events[k].leaf.cue & lx.EXIST:
        return seen.subject
    finding = anatomy = False
    for event in events[k + 1 : k + _AHEAD]:
        cue = event.leaf.cue
        if cue & lx.EXIST:
            return seen.subject
        if cue & lx.NEG and not (finding or anatomy):
            return seen.verb or seen.without
        if cue & (lx.COMMA | lx.AND | lx.OR | lx.TERM):
            return False
        if cue & lx.VERB and finding:
            return seen.verb or (seen.without and bool(events[k].leaf.cue & lx.COMMA))
        if cue & lx.VERB and anatomy:
            return seen.statement
        finding = finding or event.leaf.concept >= 0
        anatomy = anatomy or event.leaf.anatomy >= 0
    return False
