"""From a report to its findings: words here, then `sections`, `sentence`, `clause` and `merge`.

One pass over the words finds every phrase of the lexicon (the longest that fits, in a trie); all that follows is
work on short lists of integers, linear in the length of the text.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from judges.rules import lexicon as lx
from judges.rules.clause import Clauses
from judges.rules.examination import Examiner
from judges.rules.findings import Findings, Span
from judges.rules.layout import Layout, is_gap
from judges.rules.merge import merge
from judges.rules.repeats import Repeats
from judges.rules.sections import Sections
from judges.rules.trace import Trace
from judges.rules.unread import statements, strange
from judges.rules.words import (
    ARTICLES,
    CONTRACTED,
    MEMO_LENGTH,
    MEMO_LIMIT,
    PIECE,
    PRONOUNS,
    SHORTENED,
    fold,
    plain,
)

_LOW, _CAPITAL, _ARTICLE, _TAKEN_OUT, _MARK, _NOT, _SHORT = (1 << n for n in range(7))  # forms of a token
_NO_PHRASE: Final[lx.Trie] = {}
_STANDS: Final = frozenset((":", "no", "not"))
"""A gap behind one of these stands for something: "COMPARISON: XXXX.", "no XXXX change". Elsewhere it is left out."""

_Token = tuple[str, int, int, lx.Trie | None]
"""The word that a token is, its length, its form, and how the phrases go on that begin with it (None: none does)."""
_STOP: Final[_Token] = (".", 0, 0, _NO_PHRASE)


class Reader:
    """Reads reports with one lexicon. Keeps nothing between texts but words and sentences that were read before."""

    def __init__(self, lexicon: lx.Lexicon) -> None:
        self.lexicon = lexicon
        self._known: dict[str, _Token] = {}
        self._examiner = Examiner(lexicon.examination)
        self._layout = Layout(lexicon)
        self._repeats = Repeats()

    def read(self, text: str) -> Findings:
        """All findings of `text`, with spans into `text` as given. Any string is valid."""
        return self._read(text, None)[0]

    def traced(self, text: str, trace: Trace) -> tuple[Findings, Callable[[int, int], Span], Clauses]:
        """The same with a trace; also what turns words into characters, and what the clauses say that count."""
        return self._read(text, trace)

    def _read(self, text: str, trace: Trace | None) -> tuple[Findings, Callable[[int, int], Span], Clauses]:
        clean, where = plain(text)
        draft = self._layout.undo(clean)
        clean = clean if draft is None else draft.text
        tokens, starts = self._tokens(clean)
        words, nodes = [token[0] for token in tokens], [token[3] for token in tokens]
        clauses = Clauses(self.lexicon, words, trace)
        stops = [i for i, word in enumerate(words) if word == "." or word == "\n"]
        repeats = self._repeats if trace is None else None  # a trace tells how each sentence is read
        sections = Sections(clauses, clean, words, starts, nodes, stops, repeats)
        sections.read()

        def locate(first: int, last: int) -> Span:
            start, end = starts[first], starts[last] + tokens[last][1]
            if draft is not None:
                start, end = draft.starts[start], draft.ends[end - 1]
            return (start, end) if where is None else (where[start], where[end - 1] + 1)

        def sentence(word: int) -> int:
            return bisect(stops, word)

        empty = not any(w[0].isalnum() for w in words)
        findings = merge(
            self.lexicon, clauses.mentions, clauses.implied, clauses.changes, locate, sentence, empty=empty
        )
        unknown = strange(self.lexicon, words)
        if unknown:
            unread = statements(self.lexicon, words, unknown, clauses.silent, locate)
            findings = replace(findings, unread=unread, strange=unknown)
        if outside := self._examiner.look(text, words, sections.headings, clauses.heard, unknown, locate):
            findings = replace(findings, outside=outside)
        clauses.release()
        return findings, locate, clauses

    def _tokens(self, text: str) -> tuple[list[_Token], list[int]]:
        """Words and punctuation, and where each starts.

        Articles and hyphens are left out.
        """
        tokens: list[_Token] = []
        starts: list[int] = []
        known = self._known
        length = len(text)
        low = 0  # was the last word lower case and able to end a sentence?
        end = 0
        for piece in PIECE.findall(text):
            token = known.get(piece) or self._learn(piece)
            word, size, form, _ = token
            end += len(piece)
            start = end - size
            if form:
                if form & _MARK:
                    if word == "*":
                        if not text[start - 1 : start].isspace() or not text[end : end + 1].isspace():
                            continue  # emphasis: "**Heart**: large"; between blanks it begins an item
                    elif (
                        word != "\n"
                        and start
                        and end < length
                        and not (text[start - 1].isspace() or text[end].isspace())
                    ):
                        continue
                else:
                    if low and form & _CAPITAL:  # "... normal limits The lungs ...": a sentence without its full stop
                        tokens.append(_STOP)
                        starts.append(start)
                    low = form & _LOW
                    if form & _NOT and tokens and self._contracted(tokens):
                        token = ("not", size, form, self.lexicon.trie["not"])
                    elif form & _SHORT and tokens and tokens[-1][0] in PRONOUNS:  # "I'd call this"
                        verb = SHORTENED[word]
                        token = verb, size, form, self.lexicon.trie.get(verb)
                    if form & _ARTICLE or (form & _TAKEN_OUT and not (tokens and tokens[-1][0] in _STANDS)):
                        continue
            else:
                low = 0
            tokens.append(token)
            starts.append(start)
        return tokens, starts

    def _contracted(self, tokens: list[_Token]) -> bool:
        """Whether the last token is the verb of a contraction, "isn" of "isn't": then it becomes the verb."""
        word, size, form, _ = tokens[-1]
        if word not in CONTRACTED:
            return False
        verb = CONTRACTED[word]
        tokens[-1] = verb, size, form, self.lexicon.trie.get(verb)
        return True

    def _learn(self, piece: str) -> _Token:
        """What a token with the blanks before it is. It is remembered."""
        lexicon = self.lexicon
        token = piece.lstrip() or piece[piece.index("\n") :]
        if token[0] == "\n":
            word, form = "\n", _MARK
        elif token in "-'’*":  # inside a word they are left out: "isn't"
            word, form = token, _MARK
        else:
            word = lexicon.spelling.correct(fold(lexicon.spelling.misread(token)))
            form = _LOW * (token.islower() and word not in lexicon.links) | _ARTICLE * (word in ARTICLES)
            form |= _TAKEN_OUT * is_gap(word) | _NOT * (word == "t") | _SHORT * (word in SHORTENED)
            if len(token) > 1 and token[0].isupper() and token[1:].islower() and word not in lexicon.names:
                form |= _CAPITAL
        node = lexicon.trie.get(word, None if word[0].isalpha() else _NO_PHRASE)
        learnt = word, len(token), form, node
        if len(self._known) < MEMO_LIMIT and len(piece) <= MEMO_LENGTH:  # texts are not trusted
            self._known[piece] = learnt
        return learnt
