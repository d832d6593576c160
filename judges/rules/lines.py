"""Which line breaks end a statement: those of lists, tables and headings do, those of wrapped lines do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from judges.rules.margins import RULE
from judges.rules.wraps import Line, Words, Wraps, double_spaced

Edit = tuple[int, int, str]

# Quotation marks of mail, then what begins an item or a heading.
_LEAD: Final = re.compile(
    r"[ \t]*(?:>[ \t]*)*(?P<item>(?:(?:[-*+•·●▪–—]|\[[x✓✔]\](?=[ \t]+\S+[ \t]+\S+[ \t]+\S)"
    r"|\(?(?:\d{1,3}(?:\.\d{1,2}){0,3}|[a-z]|(?!X{4})[ivx]{1,5})[.)])[ \t]+|#{1,6}[ \t]*)*)",
    re.I,
)
_CELL: Final = re.compile(r"[ \t]*\|[ \t]*")
_WORD: Final = re.compile(r"[A-Za-z]+")
_ENDED: Final = re.compile(r"[.?!][\"')\]*_]*\Z")
_LABEL: Final = 4  # words of a first cell that names what the others say


def joined_lines(text: str, words: Words) -> Iterator[Edit]:
    """The edits that join wrapped lines, take off what begins an item, and make sentences of a table's rows."""
    lines = list(_lines(text))
    _settle_tables(lines)
    wraps = Wraps(text, lines, words)
    if double_spaced(lines):
        tight = [line for line in lines if not line.blank]
        spaced = Wraps(text, tight, words)
        if spaced.across():
            lines, wraps = tight, spaced
    for i, line in enumerate(lines):
        before = lines[i - 1] if i else None
        if before is not None and wraps.joins(before, line):
            hyphen = before.text.endswith("-") and before.text[-2:-1].isalnum()
            whole = hyphen and words.broken(before.text[:-1], line.text)
            cut = hyphen or words.cut(before.text, line.text)
            yield _stripped(text, before) - whole, line.body, "" if cut else " "
        elif line.body > line.start:
            yield line.start, line.body, ""
        if line.rule and not line.blank:
            yield line.body, line.end, ""
        elif line.cells:
            yield from _row(text, line)


def _stripped(text: str, line: Line) -> int:
    """Where the line's words end, before the blanks at its end."""
    return line.start + len(text[line.start : line.end].rstrip())


def _lines(text: str) -> Iterator[Line]:
    start = 0
    for whole in text.split("\n"):
        end = start + len(whole)
        lead = _LEAD.match(whole)
        rule = RULE.match(whole) is not None
        begin = 0 if rule or lead is None else lead.end()
        content = whole[begin:].rstrip()
        cells = [(start + m.start(), start + m.end()) for m in _CELL.finditer(whole, begin)] if "|" in content else []
        yield Line(start, end, start + begin, content, bool(lead and lead["item"]), cells, rule)
        start = end + 1


def _settle_tables(lines: list[Line]) -> None:
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


def _row(text: str, line: Line) -> Iterator[Edit]:
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
