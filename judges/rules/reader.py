"""From a report to its findings: words, phrases, sections, sentences, clauses; `clause` and `merge` do the rest.

One pass over the words finds every phrase of the lexicon (the longest that fits, in a trie); all that follows is
work on short lists of integers, linear in the length of the text.
"""

from __future__ import annotations

from bisect import bisect
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.findings import Event, Findings, Implied, Span
from judges.rules.merge import merge
from judges.rules.sentence import read_sentence
from judges.rules.words import ARTICLES, KNOWN, MEMO_LENGTH, MEMO_LIMIT, PIECE, fold, plain

_COMMA, _COLON, _QUERY = lx.Leaf(cue=lx.COMMA), lx.Leaf(cue=lx.COLON), lx.Leaf(cue=lx.UNC)
_PLUS: Final = lx.Leaf(cue=lx.EXIST)
_SLASH, _BREAK = lx.Leaf(cue=lx.OR | lx.SLASH), lx.Leaf(cue=lx.COMMA | lx.BREAK)
_PUNCTUATION: Final = {
    ",": _COMMA, "(": _COMMA, ")": _COMMA, "[": _COMMA, "]": _COMMA, ":": _COLON, "/": _SLASH, ";": _BREAK
}  # fmt: skip
_ABBREVIATIONS: Final = frozenset(KNOWN["abbreviations"])
_CUT_SHORT: Final = frozenset(KNOWN["cut_short"]["words"])
"""Their short forms may have a full stop: "incr. edema"."""
_SHORT_FORMS: Final = frozenset(KNOWN["cut_short"]["forms"])
_UNIT: Final[dict[str, float]] = KNOWN["units"]
_LOW, _CAPITAL, _ARTICLE, _MARK = (1 << n for n in range(4))  # forms of a token
_NO_PHRASE: Final[lx.Trie] = {}
_HEADED: Final = 8  # words of a report that says no more than a heading and "normal"
_AHEAD: Final = 12  # how many phrases after a comma decide whether it begins a statement
_BESIDE: Final = 3  # words from a measurement to what it measures: "1 cm directly above the carina"
_SAME: Final = 0.1  # share by which two measurements of one thing may differ


class Reader:
    """Reads reports with one lexicon. Keeps nothing between texts but how words are spelt."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        self._known: dict[str, tuple[str, int, int, lx.Trie | None]] = {}

    def read(self, text: str) -> Findings:
        """All findings of `text`, with spans into `text` as given. Any string is valid."""
        clean, where = plain(text)
        words, starts, ends, nodes = self._words(clean)
        clauses = Clauses(self.lexicon)
        self._run(clean, words, starts, nodes, clauses)

        def locate(first: int, last: int) -> Span:
            start, end = starts[first], ends[last]
            return (start, end) if where is None else (where[start], where[end - 1] + 1)

        stops: list[int] = []

        def sentence(word: int) -> int:
            if not stops:
                stops.extend([*(i for i, w in enumerate(words) if w in ".\n"), len(words)])
            return bisect(stops, word)

        if not (clauses.mentions or clauses.implied or clauses.changes):
            clauses.implied += self._whole(words)
        empty = not any(w[0].isalnum() for w in words)
        return merge(self.lexicon, clauses.mentions, clauses.implied, clauses.changes, locate, sentence, empty=empty)

    def _answers(self, words: list[str], last: int, leaf: lx.Leaf) -> bool:
        """Whether what heads this line is answered in it: "Lines and tubes: none"."""
        if leaf.concept < 0 or last + 2 >= len(words):
            return False
        after: lx.Leaf | None = self.lexicon.trie.get(words[last + 2], {}).get(None)
        return after is not None and bool(after.change or after.cue & (lx.NEG | lx.NEG_AFTER))

    def _whole(self, words: list[str]) -> list[Implied]:
        """What a report rules out that says no more than "Normal.", a heading before it apart."""
        said = [(i, word) for i, word in enumerate(words) if word not in ".:\n"]
        if not 0 < len(said) <= _HEADED:
            return []
        only = [word for _, word in said]
        for start in range(len(said)):
            node: lx.Trie | None = self.lexicon.trie.get(only[start])
            leaf, last = _longest(node, only, start) if node else (None, start)
            if leaf is None:
                return []
            if last == len(only) - 1:
                return [(self.lexicon.whole, said[start][0], said[-1][0], False, 0)] if leaf.cue & lx.NORMAL else []
            if start or not leaf.cue & lx.BODY:
                return []
        return []

    def _words(self, text: str) -> tuple[list[str], list[int], list[int], list[lx.Trie | None]]:
        """Folded words and punctuation, where each starts and ends, and what `_learn` knows of phrases with it.

        Articles, hyphens and wrapped lines are left out.
        """
        words: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        nodes: list[lx.Trie | None] = []
        known = self._known
        length = len(text)
        low = 0  # was the last word lower case and able to end a sentence?
        end = 0
        for piece in PIECE.findall(text):
            word, size, form, node = known.get(piece) or self._learn(piece)
            end += len(piece)
            start = end - size
            if form:
                if form & _MARK:
                    if word == "\n":
                        if piece.count("\n") == 1 and end < length and text[end].islower():
                            continue  # a wrapped line goes on; a list item, a heading or a blank line does not
                    elif word == "*":
                        if not text[start - 1 : start].isspace() or not text[end : end + 1].isspace():
                            continue  # emphasis: "**Heart**: large"; between blanks it begins an item
                    elif start and end < length and not (text[start - 1].isspace() or text[end].isspace()):
                        continue
                else:
                    if low and form & _CAPITAL:  # "... normal limits The lungs ...": a sentence without its full stop
                        words.append(".")
                        starts.append(start)
                        ends.append(start)
                        nodes.append(_NO_PHRASE)
                    low = form & _LOW
                    if form & _ARTICLE:
                        continue
            else:
                low = 0
            words.append(word)
            starts.append(start)
            ends.append(end)
            nodes.append(node)
        return words, starts, ends, nodes

    def _learn(self, piece: str) -> tuple[str, int, int, lx.Trie | None]:
        """The word that a token is, its length, its form, and how the phrases go on that begin with it.

        None: a word with which none begins, nothing but a step towards the next one.
        """
        lexicon = self.lexicon
        token = piece.lstrip() or piece[piece.index("\n") :]
        if token[0] == "\n":
            word, form = "\n", _MARK
        elif token in "-'’*":  # inside a word they are left out: "isn't"
            word, form = token, _MARK
        else:
            word = lexicon.spelling.correct(fold(token))
            form = _LOW * (token.islower() and word not in lexicon.links) | _ARTICLE * (word in ARTICLES)
            if len(token) > 1 and token[0].isupper() and token[1:].islower() and word not in lexicon.names:
                form |= _CAPITAL
        node = lexicon.trie.get(word, None if word[0].isalpha() else _NO_PHRASE)
        learnt = word, len(token), form, node
        if len(self._known) < MEMO_LIMIT and len(piece) <= MEMO_LENGTH:  # texts are not trusted
            self._known[piece] = learnt
        return learnt

    def _run(
        self, text: str, words: list[str], starts: list[int], nodes: list[lx.Trie | None], clauses: Clauses
    ) -> None:
        """Sections and sentences. What follows a heading like "Indication:" is not a finding of this study."""
        count = len(words)
        events: list[Event] = []
        fresh = blank = True  # at the start of a sentence; blank: not even a number or gap in it
        skipping = study = False
        size = former = 0.0  # the measurement that the sentence gives, and the one it had
        held: tuple[int, ...] | None = None  # what there was when a section began that only a later heading drops
        i = 0
        while i < count:
            node = nodes[i]
            if node is None:  # most words that are no phrase
                fresh = False
                i += 1
                continue
            word, last = words[i], i
            leaf: lx.Leaf | None = node.get(None)
            if i + 1 < count and words[i + 1] in node:
                leaf, last = _longest(node, words, i)
            if leaf is not None:
                if leaf.cue & (lx.BODY | lx.SKIP) and (
                    (_heads(words, i, last, leaf) and not self._answers(words, last, leaf))
                    if fresh
                    else leaf.rare & lx.ANYWHERE and words[last + 1 : last + 2] == [":"] and text[starts[i]].isupper()
                ):  # "COMPARISON: None FINDINGS: ..."
                    if not skipping or held is not None:
                        read_sentence(clauses, events, i)
                    if held is not None:
                        clauses.forget(held)
                    events, held, skipping, clauses.context.topic = [], None, bool(leaf.cue & lx.SKIP), []
                    study = bool(leaf.cue & lx.STUDY)
                    i = last + 2
                    continue
                if leaf.rare & lx.CARINA and events and leaf.place & self.lexicon.above_carina:
                    leaf = self._height(leaf, events[-1], i)
                events.append(Event(i, last, leaf))
                fresh = False
            elif word[0].isalpha():
                fresh = False
            elif word == "_":  # a gap left by de-identification
                blank = False
            elif word[0].isdecimal():
                blank = False
                length = _millimetres(words, i, joined=i > 1 and _joins(words, i - 1, text, starts))
                if length and _former(words, i, self.lexicon.former):
                    former = former or length  # of two dimensions the first
                elif length:
                    events.append(Event(i, i, lx.Leaf(size=length)))
                    size = size or length
                if length and size and former and self._grows(events):
                    events.append(Event(i, i, lx.Leaf(change=_direction(former, size))))
                    size = former = 0.0
            elif word in _PUNCTUATION:
                events.append(Event(i, i, _PUNCTUATION[word]))
            elif word == "?" and i + 1 < count and _asks(words[i + 1], text[starts[i + 1]], fresh):
                events.append(Event(i, i, _QUERY))
            elif word == "+" and _leads(text, starts[i]):
                events.append(Event(i, i, _PLUS))
            elif word in "-–—" and events:
                events.append(Event(i, i, _COMMA))
            elif word in ".\n?!*•" and not (word == "." and _inside(words, i, text, starts)):
                if skipping and held is None:
                    if events or not (fresh and blank):  # a skipped section loses its first sentence in any case
                        held = clauses.known()
                else:
                    if word == "?" and events:  # "Small effusion?"
                        events.insert(0, Event(events[0].first, events[0].first, _QUERY))
                    read_sentence(clauses, events, i)
                    if study and held is not None and any(e.leaf.cue & lx.EXIST for e in events):
                        held = clauses.known()  # "COMPARISON: None. There is a mass.": no heading drops that
                events, fresh, blank, size, former = [], True, True, 0.0, 0.0
                if word == "\n":
                    clauses.context.topic = []
                    if study and held is not None:
                        skipping, held = False, None
            i = last + 1
        if not skipping or held is not None:
            read_sentence(clauses, events, i)

    def _height(self, leaf: lx.Leaf, before: Event, i: int) -> lx.Leaf:
        """The place "above the carina", which starts at word `i`, by the measurement before it."""
        size = before.leaf.size
        lowest, highest = self.lexicon.tip_heights
        if not size or i - before.last > _BESIDE or lowest <= size <= highest:
            return leaf
        return lx.Leaf(place=self.lexicon.heights[size > highest], rare=lx.CARINA, rows=leaf.rows)

    def _grows(self, events: list[Event]) -> bool:
        """Whether what these phrases measure has a size: a tube has none, only a distance."""
        return next((self.lexicon.sized[e.leaf.concept] for e in events[-1:-_AHEAD:-1] if e.leaf.concept >= 0), False)


def _direction(former: float, size: float) -> int:
    """The change from one measurement to another: "9 mm, previously 15 mm"."""
    if abs(size - former) < _SAME * former:
        return lx.STABLE
    return lx.WORSE if size > former else lx.BETTER


def _longest(node: lx.Trie, words: list[str], i: int) -> tuple[lx.Leaf | None, int]:
    """The longest phrase that starts at word `i`, where the trie goes on with `node`, and its last word."""
    leaf: lx.Leaf | None = node.get(None)
    last = i
    for j in range(i + 1, len(words)):
        after: lx.Trie | None = node.get(words[j])
        if after is None:
            break
        node = after
        if None in node:
            leaf, last = node[None], j
    return leaf, last


def _asks(word: str, letter: str, fresh: bool) -> bool:
    """Whether a question mark asks about the word after it, which starts with `letter`: "opacity ?infective"."""
    return letter.islower() or (fresh and word.isalpha())


def _leads(text: str, at: int) -> bool:
    """Whether the sign here stands before a word and after none: "+effusion", and not "2+ edema", "a + b"."""
    return text[at + 1 : at + 2].isalpha() and not text[at - 1 : at].isalnum()


def _millimetres(words: list[str], i: int, *, joined: bool) -> float:
    """The measurement that starts or ends with the number at `i`; 0 when it is none.

    `joined`: the two words before it are the rest of the number.
    """
    ahead = [*words[i + 1 : i + 4], "", "", ""]
    unit = _UNIT.get(ahead[0]) or (ahead[0] in "x×" and _UNIT.get(ahead[2]))  # "2.3 x 1.8 cm"
    number = words[i]
    if not unit or len(number) > 6:
        return 0.0
    if joined:
        number = f"{words[i - 2][-4:]}.{number}"
    return float(number) * unit


def _joins(words: list[str], i: int, text: str, starts: list[int]) -> bool:
    """Whether the word at `i` is a decimal point in tokenised text ("a 2 . 3 cm nodule").

    It is not the full stop after the number of a list: "1. 12 mm nodule", "1 . 12 mm nodule".
    """
    if words[i] != "." or not (words[i - 1].isdecimal() and words[i + 1].isdecimal()):
        return False
    start = starts[i - 1]
    before = text[max(0, start - 3) : start]
    return text[starts[i] - 1] == " " and "\n" not in before and before.rstrip()[-1:] not in ("", ".", ":")


def _former(words: list[str], i: int, former: frozenset[str]) -> bool:
    """Whether the measurement at `i` is that of an earlier study."""
    j = i - 1
    while j >= max(0, i - 8) and (words[j] in _UNIT or words[j] in ".x×" or words[j][0].isdecimal()):
        j -= 1  # "previously 3.9 x 3.1 cm"
    if j < 0:
        return False
    if words[j] in former or (j and words[j - 1] in ("compared", "versus") and words[j] in ("to", "with")):
        return True
    after, end = i + 1, min(len(words) - 1, i + 8)
    while after < end and (words[after] in _UNIT or words[after] in "x×" or _digit(words[after])):
        after += 1
    return words[after : after + 1] == ["previously"] and not any(map(_digit, words[after + 1 : after + 2]))


def _digit(word: str) -> bool:
    return word[0].isdecimal()


def _heads(words: list[str], i: int, last: int, leaf: lx.Leaf) -> bool:
    """Whether these words are a heading: a colon or dash follows, or they have a line of their own."""
    after = words[last + 1] if last + 1 < len(words) else ""
    return after == ":" or (after == "-" and leaf.anatomy < 0) or (after == "\n" and (i == 0 or words[i - 1] == "\n"))


def _inside(words: list[str], i: int, text: str, starts: list[int]) -> bool:
    """Whether the full stop at `i` ends no sentence: "Dr. N", "1 . 5 cm"."""
    if not 0 < i < len(words) - 1:
        return False
    if words[i - 1] in _ABBREVIATIONS:
        return words[i + 1] != "\n"
    if words[i - 1] in _CUT_SHORT and text[starts[i - 1] : starts[i]].casefold() in _SHORT_FORMS:
        return text[starts[i + 1]].islower()
    return _UNIT.get(words[min(i + 2, len(words) - 1)]) is not None and _joins(words, i, text, starts)
