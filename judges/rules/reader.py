"""From a report to its findings: words, phrases, sections, sentences, clauses; `clause` and `merge` do the rest.

One pass over the words finds every phrase of the lexicon (the longest that fits, in a trie); all that follows is
work on short lists of integers, linear in the length of the text.
"""

from __future__ import annotations

from typing import Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.ellipsis import filled
from judges.rules.findings import Event, Findings, Implied, Span
from judges.rules.merge import merge
from judges.rules.words import ARTICLES, TOKEN, fold, plain

_COMMA, _COLON, _QUERY = lx.Leaf(cue=lx.COMMA), lx.Leaf(cue=lx.COLON), lx.Leaf(cue=lx.UNC)
_STABLE: Final = lx.Leaf(change=lx.STABLE)
_PLUS: Final = lx.Leaf(cue=lx.EXIST)
_SLASH, _BREAK = lx.Leaf(cue=lx.OR | lx.SLASH), lx.Leaf(cue=lx.COMMA | lx.BREAK)
_PUNCTUATION: Final = {
    ",": _COMMA, "(": _COMMA, ")": _COMMA, "[": _COMMA, "]": _COMMA, ":": _COLON, "/": _SLASH, ";": _BREAK
}  # fmt: skip
_ABBREVIATIONS: Final = frozenset(("dr", "vs", "approx", "e", "g", "i", "mr", "mrs", "ms", "st", "fig", "incl"))
_CUT_SHORT: Final = frozenset(("increased", "decreased"))
"""Their short forms may have a full stop: "incr. edema"."""
_UNIT: Final = {"mm": 1.0, "cm": 10.0, "millimeter": 1.0, "centimeter": 10.0}
_MEMO_LIMIT: Final = 50_000
_LOW, _CAPITAL, _ARTICLE, _MARK = (1 << n for n in range(4))  # forms of a token
_SUBJECT, _STATEMENT, _VERB, _DENIED, _WITHOUT = (1 << n for n in range(5))
"""What the clause under construction holds so far; the last: a denial that follows a subject, as in "effusion without

...", whose list is short."""
_SPLITS: Final = lx.EXIST | lx.COMMA | lx.AND | lx.CONTRAST
_HEADED: Final = 8  # words of a report that says no more than a heading and "normal"
_AHEAD: Final = 12  # how many phrases after a comma decide whether it begins a statement
_LOW_TIP, _HIGH_TIP = 20.0, 70.0  # millimetres above the carina between which an airway tube lies well
_BESIDE: Final = 3  # words from a measurement to what it measures: "1 cm directly above the carina"
_SAME: Final = 0.1  # share by which two measurements of one thing may differ


class Reader:
    """Reads reports with one lexicon. Keeps nothing between texts but how words are spelt."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        self._known: dict[str, tuple[str, int]] = {}

    def read(self, text: str) -> Findings:
        """All findings of `text`, with spans into `text` as given. Any string is valid."""
        clean, where = plain(text)
        words, starts = self._words(clean)
        clauses = Clauses(self.lexicon)
        self._run(clean, words, starts, clauses)

        def locate(first: int, last: int) -> Span:
            start, end = starts[first], _end(clean, starts[last])
            return (start, end) if where is None else (where[start], where[end - 1] + 1)

        if not (clauses.mentions or clauses.implied or clauses.changes):
            clauses.implied += self._whole(words)
        empty = not any(w[0].isalnum() for w in words)
        return merge(self.lexicon, clauses.mentions, clauses.implied, clauses.changes, locate, empty=empty)

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
        normal: lx.Leaf = self.lexicon.trie["chest"]["normal"][None]
        for start in range(len(said)):
            node: lx.Trie | None = self.lexicon.trie.get(only[start])
            leaf, last = _longest(node, only, start) if node else (None, start)
            if leaf is None:
                return []
            if last == len(only) - 1:
                return [(normal.absent, said[start][0], said[-1][0], False, 0)] if leaf.cue & lx.NORMAL else []
            if start or not leaf.cue & lx.BODY:
                return []
        return []

    def _words(self, text: str) -> tuple[list[str], list[int]]:
        """Folded words and punctuation and where each starts; articles, hyphens and wrapped lines are left out."""
        words: list[str] = []
        starts: list[int] = []
        known = self._known
        length = len(text)
        low = 0  # was the last word lower case and able to end a sentence?
        for match in TOKEN.finditer(text):
            token = match.group()
            start = match.start()
            word, form = known.get(token) or self._learn(token)
            if form:
                if form & _MARK:
                    end = match.end()
                    if word == "\n":
                        if token.count("\n") == 1 and end < length and text[end].islower():
                            continue  # a wrapped line goes on; a list item, a heading or a blank line does not
                    elif start and end < length and not (text[start - 1].isspace() or text[end].isspace()):
                        continue
                    words.append(word)
                    starts.append(start)
                    continue
                if low and form & _CAPITAL:
                    words.append(".")  # "... normal limits The lungs ...": a sentence without its full stop
                    starts.append(start)
                low = form & _LOW
                if form & _ARTICLE:
                    continue
            else:
                low = 0
            words.append(word)
            starts.append(start)
        return words, starts

    def _learn(self, token: str) -> tuple[str, int]:
        """The word that a token is, and its form."""
        lexicon = self.lexicon
        if token[0] == "\n":
            word, form = "\n", _MARK
        elif token in "-'’":  # inside a word they are left out: "isn't"
            word, form = token, _MARK
        else:
            word = lexicon.spelling.correct(fold(token))
            form = _LOW * (token.islower() and word not in lexicon.links) | _ARTICLE * (word in ARTICLES)
            if len(token) > 1 and token[0].isupper() and token[1:].islower() and word not in lexicon.names:
                form |= _CAPITAL
        if len(self._known) < _MEMO_LIMIT:  # bounded: texts are not trusted; the result does not depend on it
            self._known[token] = word, form
        return word, form

    def _run(self, text: str, words: list[str], starts: list[int], clauses: Clauses) -> None:
        """Sections and sentences. What follows a heading like "Indication:" is not a finding of this study."""
        trie = self.lexicon.trie
        count = len(words)
        events: list[Event] = []
        fresh = blank = True  # at the start of a sentence; blank: not even a number or gap in it
        skipping = study = False
        size = former = 0.0  # the measurement that the sentence gives, and the one it had
        held: tuple[int, ...] | None = None  # what there was when a section began that only a later heading drops
        i = 0
        while i < count:
            word = words[i]
            node = trie.get(word)
            if node is None and word[0].isalpha():  # most words that are no phrase
                fresh = False
                i += 1
                continue
            leaf, last = None, i
            if node is not None:
                leaf = node.get(None)
                if i + 1 < count and words[i + 1] in node:
                    leaf, last = _longest(node, words, i)
            if leaf is not None:
                if leaf.cue & (lx.BODY | lx.SKIP) and (
                    (_heads(words, i, last, leaf) and not self._answers(words, last, leaf))
                    if fresh
                    else leaf.rare & lx.ANYWHERE and words[last + 1 : last + 2] == [":"] and text[starts[i]].isupper()
                ):  # "COMPARISON: None FINDINGS: ..."
                    if not skipping or held is not None:
                        _sentence(clauses, events, i)
                    if held is not None:
                        clauses.forget(held)
                    events, held, skipping, clauses.topic = [], None, bool(leaf.cue & lx.SKIP), []
                    study = bool(leaf.cue & lx.STUDY)
                    i = last + 2
                    continue
                if leaf.place and events and words[last] == "carina" and leaf.place & self.lexicon.above_carina:
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
                    _sentence(clauses, events, i)
                    if study and held is not None and any(e.leaf.cue & lx.EXIST for e in events):
                        held = clauses.known()  # "COMPARISON: None. There is a mass.": no heading drops that
                events, fresh, blank, size, former = [], True, True, 0.0, 0.0
                if word == "\n":
                    clauses.topic = []
                    if study and held is not None:
                        skipping, held = False, None
            i = last + 1
        if not skipping or held is not None:
            _sentence(clauses, events, i)

    def _height(self, leaf: lx.Leaf, before: Event, i: int) -> lx.Leaf:
        """The place "above the carina", which starts at word `i`, by the measurement before it."""
        size = before.leaf.size
        if not size or i - before.last > _BESIDE or _LOW_TIP <= size <= _HIGH_TIP:
            return leaf
        return lx.Leaf(place=self.lexicon.heights[size > _HIGH_TIP])

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


def _end(text: str, start: int) -> int:
    """Where the token ends that starts here."""
    match = TOKEN.match(text, start)
    return match.end() if match else start


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
    if words[i - 1] in _CUT_SHORT and text[starts[i - 1] : starts[i]].casefold() in ("inc", "incr", "decr"):
        return text[starts[i + 1]].islower()
    return _UNIT.get(words[min(i + 2, len(words) - 1)]) is not None and _joins(words, i, text, starts)


def _sentence(clauses: Clauses, events: list[Event], stop: int) -> None:
    """Split where a new statement begins and read each clause; the sentence ends before word `stop`."""
    if not events:
        clauses.begin()
        return
    kinds = cues = rares = sides = 0
    for _, _, leaf in events:
        kinds |= leaf.kind
        cues |= leaf.cue
        rares |= leaf.rare
        sides |= leaf.side
    clauses.begin(sided=sides > 0)
    if kinds & lx.GROWTH and cues & lx.NEG:
        events = _of_growth(events, clauses.lexicon.enlarged)
    if sides or rares & lx.EXCEPT:
        events = filled(events, stop)
    if not (kinds or cues & lx.NORMAL):
        return  # nothing is named
    if not (cues & _SPLITS or kinds & lx.BARE):
        clauses.read(events, stop)
        return
    clause: list[Event] = []
    seen = 0
    for k, event in enumerate(events):
        leaf = event.leaf
        cue, kind = leaf.cue, leaf.kind
        if cue & _SPLITS:
            if cue & lx.CONTRAST and _modifies(events, k):
                continue
            if clause and _starts_clause(events, k, seen):
                clauses.read(clause, event.first)
                clause, seen = [], 0
                if cue & (lx.COMMA | lx.AND):
                    continue
        elif kind & lx.BARE and seen & _STATEMENT and _runs_on(events, k):
            clauses.read(clause, event.first)
            clause, seen = [], 0
        clause.append(event)
        if kind & lx.SAYS or cue & lx.NORMAL:
            seen |= _SUBJECT | _STATEMENT
        elif kind & lx.NAMED:
            seen |= _SUBJECT
        if cue & lx.NEG:
            seen = (seen & _SUBJECT) | _STATEMENT | _DENIED | (_WITHOUT if seen & _SUBJECT else 0)
        elif cue & lx.EXIST or (cue & lx.VERB and seen & _SUBJECT):
            seen |= _VERB
    if clause:
        clauses.read(clause, stop)


def _of_growth(events: list[Event], enlarged: int) -> list[Event]:
    """Where growth of a finding is denied, the finding is there and stable: "no enlargement of the nodule"."""
    found: list[Event] = []
    for k, event in enumerate(events):
        if enlarged in event.leaf.descriptors and found and found[-1].leaf.cue & lx.NEG and _of_finding(events, k):
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


def _starts_clause(events: list[Event], k: int, seen: int) -> bool:
    """Whether the words after this comma, "and" or "there is" are a statement of their own: [subject] verb ..."""
    here = events[k].leaf.cue
    stated = bool(seen & _STATEMENT)
    if here & (lx.EXIST | lx.CONTRAST | lx.BREAK):
        return stated
    closed = here & lx.COMMA and seen & _DENIED and seen & _VERB  # "no pneumothorax is seen, ..."
    finding = anatomy = False
    for j in range(k + 1, min(k + _AHEAD, len(events))):
        leaf = events[j].leaf
        cue = leaf.cue
        if cue & lx.EXIST:
            return stated
        if cue & lx.NEG and not (finding or anatomy):
            return bool(seen & (_VERB | _WITHOUT))
        if cue & (lx.COMMA | lx.AND | lx.OR | lx.TERM):
            return bool(closed and finding and not cue & (lx.OR | lx.AND))
        if cue & lx.VERB and finding:
            if seen & _VERB or (seen & _WITHOUT and here & lx.COMMA):
                return True
            return bool(seen & _DENIED) and _predicate(events, j)
        if cue & lx.VERB and (anatomy or j > k + 1):
            return stated and (anatomy or bool(events[j - 1].leaf.side))
        finding = finding or leaf.concept >= 0
        anatomy = anatomy or leaf.anatomy >= 0
    return bool(closed and finding)


def _modifies(events: list[Event], k: int) -> bool:
    """Whether this "but" stands between two words for one finding: "small but increasing effusion"."""
    if not 0 < k < len(events) - 1:
        return False
    before, here, after = events[k - 1], events[k], events[k + 1]
    return (
        bool(before.leaf.severity | before.leaf.change and after.leaf.severity | after.leaf.change)
        and before.last + 1 == here.first
        and here.last + 1 == after.first
    )


def _predicate(events: list[Event], j: int) -> bool:
    """Whether this verb says something of its subject, other than that it is seen: "effusions are small"."""
    if events[j].leaf.change:
        return True
    if j + 1 >= len(events):
        return False
    leaf = events[j + 1].leaf
    if leaf.cue & lx.VERB and j + 3 < len(events) and events[j + 2].leaf.cue & lx.PREP:
        return bool(events[j + 3].leaf.side | events[j + 3].leaf.zone)  # "... are seen in the left lung"
    return bool(leaf.severity or leaf.change) and not leaf.cue & (lx.NEG | lx.NEG_AFTER)


def _runs_on(events: list[Event], k: int) -> bool:
    """Whether a sentence begins here without a full stop before: "no pneumothorax | heart is enlarged"."""
    if k + 1 >= len(events) or not events[k + 1].leaf.cue & lx.VERB:
        return False
    before, here, after = events[k - 1], events[k], events[k + 1]
    if before.last + 1 != here.first or here.last + 1 != after.first:
        return False
    return before.leaf.concept >= 0 or bool(before.leaf.cue & (lx.NORMAL | lx.VERB))
