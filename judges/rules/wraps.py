"""Tells wrapped lines from lines that are statements of their own: by their width, and by how they go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from judges.rules.words import KNOWN

GAP: Final = "XXXX"
"""What stands for a word that was taken out: the spelling that reads as a word nobody knows."""

_WORD: Final = re.compile(r"[A-Za-z]+")
_FIRST: Final = re.compile(r"\S+?(?:(?<=[A-Za-z]{2})-|(?=\s)|\Z)")  # "T-spine" stays whole
_LABELLED: Final = re.compile(r"[*_]{0,2}[A-Za-z][\w/()&'-]*(?: [\w/()&'-]+){0,4}[*_]{0,2} ?[:=][*_]{0,2}\s*\S")
"""A line that begins with a label and its value: "Edema: mild"."""
_ORDINAL: Final = re.compile(r"\d{1,2}(?:st|nd|rd|th)\b")
_BEFORE_ORDINAL: Final = frozenset((
    "right", "left", "posterior", "anterior", "lateral", "of", "the", "and", "through", "bilateral", "old", "healed",
))  # fmt: skip
_NARROWEST: Final = 30  # characters; a list of short items looks wrapped at any width
_SHARE: Final = 0.9  # of the breaks within paragraphs that are as of wrapped lines
_ODD: Final = 4  # breaks of which one may be otherwise, where words tell that lines are wrapped
_ACROSS: Final = 3  # words of a line in which a phrase may begin that the next line ends
_LABEL: Final = 3  # words of a line that is a label of what follows
_OPEN: Final = frozenset(KNOWN["lines"]["open"])
_CONTINUES: Final = frozenset(KNOWN["lines"]["continues"])


class Words(NamedTuple):
    """What the lexicon knows of the words beside a line break."""

    cut_in_two: Callable[[list[str], str], bool]
    """(last words of a line, first word of the next) -> whether they are one phrase."""
    broken: Callable[[str, str], bool]
    cut: Callable[[str, str], bool]
    """(what stands before the hyphen at the end of a line, the first word of the next) -> whether they are one word."""
    heading: Callable[[str, int], bool]
    """(text, end) -> whether the words that end here are a heading."""


@dataclass(slots=True)
class Line:
    start: int
    end: int
    body: int
    """Where its words begin, behind bullets and numbers."""
    text: str
    item: bool
    cells: list[tuple[int, int]]
    """The borders of its cells, if it is the row of a table."""
    rule: bool
    """Nothing but dashes and the like."""

    @property
    def blank(self) -> bool:
        return not self.text

    @property
    def stands_alone(self) -> bool:
        return self.blank or self.rule or bool(self.cells)

    def ends(self, marks: str) -> bool:
        return self.text.rstrip("*_\"')]")[-1:] in tuple(marks)


Pair = tuple[Line, Line]


def double_spaced(lines: Sequence[Line]) -> bool:
    """Whether hardly a line follows another one at once: a blank line does not tell a paragraph's end then."""
    beside = sum(not (a.blank or b.blank) for a, b in pairwise(lines))
    return 1 + beside / (1 - _SHARE) <= sum(not line.blank for line in lines) and any(line.blank for line in lines)


class Wraps:
    """The wrapped lines of one text."""

    def __init__(self, text: str, lines: Sequence[Line], words: Words) -> None:
        self._words = words
        self._cased = any(c.islower() for c in text) and any(c.isupper() for c in text)
        self._beside = [(a, b) for a, b in pairwise(lines) if _neighbours(a, b) and not self._heads(a)]
        # Of a line with a gap nobody knows how long it was: what was taken out had another length.
        pairs = [(a, b) for a, b in self._beside if GAP not in a.text]
        self._width = max((a.end - a.start for a, _ in pairs), default=0)
        full = [(a, b) for a, b in pairs if self._full(a, b)]
        within = any(not a.ends(".?!:;") for a, _ in (self._beside if _stopped(lines) else full))
        self._stops = any(line.ends(".") or ". " in line.text for line in lines)
        wide = self._width >= _NARROWEST or not pairs
        self._wrapped = wide and within and self._stops and len(full) >= _SHARE * len(pairs)
        self._listed = _listed(lines)

    def across(self) -> bool:
        """Whether lines that stand apart are wrapped ones: their width alone does not tell it, only how they go on.

        A line that ends a sentence may be the last of a paragraph, and shorter for that.
        """
        runs_on = [(a, b) for a, b in self._beside if not a.ends(".?!:;")]
        short = sum(not self._full(a, b) for a, b in runs_on)
        few = short <= max((1 - _SHARE) * len(runs_on), len(runs_on) > _ODD)
        sure = self._stops and few and any(self._goes_on(a, b) for a, b in runs_on)
        self._wrapped = self._wrapped or sure
        return sure

    def joins(self, before: Line, line: Line) -> bool:
        """Whether the line goes on with the statement of the one before it."""
        if not _neighbours(before, line) or (_LABELLED.match(before.text) and _LABELLED.match(line.text)):
            return False
        if line.ends(":") and len(line.text.split()) <= _LABEL:
            return False  # "pleura:" begins something
        if before.ends(":") or (self._wrapped and self._full(before, line)):
            return True
        if before.ends(".?!"):
            return False
        return (before.start in self._listed and not self._heads(line)) or self._goes_on(before, line)

    def _goes_on(self, before: Line, line: Line) -> bool:
        """Whether the words tell that the line goes on with the sentence of the one before it."""
        if before.ends(",;(/") or before.text.endswith("-") or line.text[0] in "/(":
            return True
        begin = line.text.removeprefix(GAP).lstrip()
        if self._cased and begin[:1].islower():
            return not self._heads(before)
        if _ORDINAL.match(begin):  # "the right posterior" / "5th rib"
            return before.text.rpartition(" ")[2].lower() in _BEFORE_ORDINAL
        words = [word for word in _WORD.findall(before.text) if word != GAP][-_ACROSS:]
        first = _WORD.match(begin)
        if not first or not words or before.text[-1:].isdigit():
            return False
        if words[-1] == "no" and self._cased and first.group().istitle():
            return False  # "Pneumothorax no" and "Devices pacemaker" are two lines
        if words[-1].lower() in _OPEN or first.group().lower() in _CONTINUES:
            return True
        return not (self._cased and first.group().istitle()) and self._words.cut_in_two(words, first.group())

    def _heads(self, line: Line) -> bool:
        text = line.text
        return line.ends(":") or (
            len(text) < _NARROWEST and text[-1:].isalpha() and self._words.heading(text, len(text))
        )

    def _full(self, before: Line, line: Line) -> bool:
        """Whether the first word of the line had no room any more in the one before it, as far as one can tell."""
        if GAP in before.text:
            return True
        first = _FIRST.match(line.text)
        return before.end - before.start + 1 + len(first.group() if first else "") > self._width


def _neighbours(before: Line, line: Line) -> bool:
    """Two lines of one paragraph."""
    return not (before.stands_alone or line.stands_alone or line.item)


def _stopped(lines: Sequence[Line]) -> bool:
    """Whether sentences end with full stops here, those of a paragraph's end too: "Lungs clear. No focal" / "mass."."""
    last = [a for a, b in zip(lines, [*lines[1:], None], strict=True) if not a.blank and (b is None or b.blank)]
    return 2 * sum(line.ends(".?!") for line in last) >= len(last) and any(". " in line.text for line in lines)


def _listed(lines: Sequence[Line]) -> frozenset[int]:
    """Where the lines of items start, if items end with full stops: one that does not goes on in the next line."""
    items: list[list[Line]] = []
    inside = False
    for line in lines:
        if line.item and not line.stands_alone:
            items.append([])
        inside = not line.stands_alone and (line.item or inside)
        if inside:
            items[-1].append(line)
    stopped = sum(item[-1].ends(".?!") for item in items)
    if len(items) < 2 or 2 * stopped < len(items):
        return frozenset()
    return frozenset(line.start for item in items for line in item)
