"""Which line breaks end a statement: those of lists, tables and headings do, those of wrapped lines do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from judges.rules.words import KNOWN

GAP: Final = "XXXX"
"""What stands for a word that was taken out: the spelling that reads as a word nobody knows."""
Edit = tuple[int, int, str]
CutInTwo = Callable[[list[str], str], bool]
"""(last words of a line, first word of the next) -> whether they are one phrase."""

# Quotation marks of mail, then what begins an item or a heading.
_LEAD: Final = re.compile(
    r"[ \t]*(?:>[ \t]*)*(?P<item>(?:(?:[-*+•·●▪–—]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)])[ \t]+|#{1,6}[ \t]*)*)", re.I
)
_RULE: Final = re.compile(r"[\s|:+=_*~-]*\Z")
_CELL: Final = re.compile(r"[ \t]*\|[ \t]*")
_WORD: Final = re.compile(r"[A-Za-z]+")
_FIRST: Final = re.compile(r"\S+?(?:-|(?=\s)|\Z)")
_ENDED: Final = re.compile(r"[.?!][\"')\]*_]*\Z")
_LABEL: Final = 4  # words of a first cell that names what the others say
_NARROWEST: Final = 30  # characters; a list of short items looks wrapped at any width
_SHARE: Final = 0.9  # of the breaks within paragraphs that are as of wrapped lines
_ACROSS: Final = 3  # words of a line in which a phrase may begin that the next line ends
_OPEN: Final = frozenset(KNOWN["lines"]["open"])
_CONTINUES: Final = frozenset(KNOWN["lines"]["continues"])


@dataclass(slots=True)
class _Line:
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

    def ends(self, marks: str) -> bool:
        return self.text.rstrip("*_\"')]")[-1:] in tuple(marks)


def joined_lines(text: str, cut_in_two: CutInTwo) -> Iterator[Edit]:
    """The edits that join wrapped lines, take off what begins an item, and make sentences of a table's rows."""
    lines = list(_lines(text))
    _settle_tables(lines)
    wraps = _Wraps(text, lines, cut_in_two)
    for i, line in enumerate(lines):
        before = lines[i - 1] if i else None
        if before is not None and wraps.joins(before, line):
            hyphen = before.text.endswith("-") and before.text[-2:-1].isalnum()
            yield before.end - (before.end - _stripped(text, before)), line.body, "" if hyphen else " "
        elif line.body > line.start:
            yield line.start, line.body, ""
        if line.rule and not line.blank:
            yield line.body, line.end, ""
        elif line.cells:
            yield from _row(text, line)


def _stripped(text: str, line: _Line) -> int:
    """Where the line's words end, before the blanks at its end."""
    return line.start + len(text[line.start : line.end].rstrip())


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for whole in text.split("\n"):
        end = start + len(whole)
        lead = _LEAD.match(whole)
        rule = _RULE.match(whole) is not None
        begin = 0 if rule or lead is None else lead.end()
        content = whole[begin:].rstrip()
        cells = [(start + m.start(), start + m.end()) for m in _CELL.finditer(whole, begin)] if "|" in content else []
        yield _Line(start, end, start + begin, content, bool(lead and lead["item"]), cells, rule)
        start = end + 1


def _settle_tables(lines: list[_Line]) -> None:
    """Which lines with ``|`` are rows: those framed by it, and neighbours with as many cells. A header is no row."""
    for i, line in enumerate(lines):
        if not line.cells:
            continue
        framed = line.text.startswith("|")
        beside = [lines[j] for j in (i - 1, i + 1) if 0 <= j < len(lines)]
        if not framed and not any(len(other.cells) == len(line.cells) for other in beside):
            line.cells = []
    for line, following in pairwise(lines):
        if line.cells and following.rule and "-" in following.text:
            line.rule = True


def _row(text: str, line: _Line) -> Iterator[Edit]:
    """A row as a sentence: "| Heart | Normal |" is "Heart: Normal." A number in the first cell is none of its words."""
    borders = line.cells
    inner = [(a, b) for a, b in borders if a > line.body and b < _stripped(text, line)]
    if borders[0][0] <= line.body:
        yield *borders[0], ""
    begin = max(line.body, borders[0][1] if borders[0][0] <= line.body else line.body)
    for n, (start, end) in enumerate(inner):
        cell = text[begin:start].strip()
        if n == 0 and not _WORD.search(cell):
            yield begin, end, ""
        elif n == 0 and len(cell.split()) <= _LABEL and not _ENDED.search(cell):
            yield start, end, ": "
        else:
            yield start, end, " " if not cell or _ENDED.search(cell) else ". "
        begin = end
    if len(borders) > 1 and borders[-1][1] >= _stripped(text, line):
        yield borders[-1][0], line.end, ""


class _Wraps:
    """Tells wrapped lines from lines of their own."""

    def __init__(self, text: str, lines: list[_Line], cut_in_two: CutInTwo) -> None:
        self._cut_in_two = cut_in_two
        self._cased = any(c.islower() for c in text) and any(c.isupper() for c in text)
        # Of a line with a gap nobody knows how long it was: what was taken out had another length.
        pairs = [(a, b) for a, b in pairwise(lines) if _neighbours(a, b) and GAP not in a.text]
        self._width = max((a.end - a.start for a, _ in pairs), default=0)
        full = [(a, b) for a, b in pairs if self._full(a, b)]
        within = [a for a, _ in full if not a.ends(".?!:;")]  # breaks in the middle of a sentence
        stops = sum(line.ends(".") or ". " in line.text for line in lines)
        self._wrapped = self._width >= _NARROWEST and bool(within) and stops > 0 and len(full) >= _SHARE * len(pairs)

    def joins(self, before: _Line, line: _Line) -> bool:
        """Whether the line goes on with the statement of the one before it."""
        if not _neighbours(before, line):
            return False
        if before.ends(":"):
            return True
        if self._wrapped and self._full(before, line):
            return True
        if before.ends(".?!"):
            return False
        if before.ends(",;(/") or before.text.endswith("-"):
            return True
        begin = line.text.removeprefix(GAP).lstrip()
        if self._cased and begin[:1].islower():
            return True
        words = [word for word in _WORD.findall(before.text) if word != GAP][-_ACROSS:]
        first = _WORD.match(begin)
        if not first or not words or before.text[-1:].isdigit():
            return False
        if words[-1].lower() in _OPEN or first.group().lower() in _CONTINUES:
            return True
        return self._cut_in_two(words, first.group())

    def _full(self, before: _Line, line: _Line) -> bool:
        """Whether the first word of the line had no room any more in the one before it, as far as one can tell."""
        if GAP in before.text:
            return True
        first = _FIRST.match(line.text)
        return before.end - before.start + 1 + len(first.group() if first else "") > self._width


def _neighbours(before: _Line, line: _Line) -> bool:
    """Two lines of one paragraph."""
    return not (before.blank or line.blank or line.item or before.rule or line.rule or before.cells or line.cells)
