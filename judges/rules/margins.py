"""What a printer or a program puts at the sides of every line: numbers of the lines, a frame."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from judges.rules.measures import UNIT

Edit = tuple[int, int, str]

RULE: Final = re.compile(r"[\s|:+=_*~#─═┌┐└┘├┤╔╗╚╝-]*\Z")
"""A line of nothing but dashes and the like."""
_NUMBER: Final = re.compile(r"[ \t]*(?P<number>\d{1,4})(?:[ \t]*[|:][ \t]*|[ \t]+|\Z)")
_TIME: Final = re.compile(r"[ \t]*[\[(]?\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d{1,3})?[\])]?[ \t]*(?:-[ \t]+)?")
_SIGNS: Final = frozenset("*|#!│║┃")
_CELL: Final = "|"


def without_margins(text: str) -> list[Edit]:
    """The edits that take off what stands at the side of every line; none where a line is without it."""
    lines = text.split("\n")
    first = text.lstrip()[:1]
    if not (first.isdigit() or first in _SIGNS or first == "[" or RULE.match(lines[0])):
        return []
    starts = itertools.accumulate((len(line) + 1 for line in lines), initial=0)
    told = [(start, line) for start, line in zip(starts, lines, strict=False) if line.strip()]
    return list(_frame(told)) or list(_numbers(told)) or list(_times(told))


def _times(told: list[tuple[int, str]]) -> Iterator[Edit]:
    """When each line was dictated: "[00:00:06] No effusion."."""
    found = [_TIME.match(line) for _, line in told]
    if len(told) > 1 and all(found):
        yield from ((start, start + each.end(), "") for (start, _), each in zip(told, found, strict=True) if each)


def _numbers(told: list[tuple[int, str]]) -> Iterator[Edit]:
    """Numbers that count the lines, as no list has them: without a full stop or bracket."""
    found = [_NUMBER.match(line) for _, line in told]
    numbers = [int(each["number"]) for each in found if each is not None]
    if len(numbers) < max(2, len(told)) or any(b != a + 1 for a, b in itertools.pairwise(numbers)):
        return
    rest = [line[each.end() :].split(maxsplit=1) for (_, line), each in zip(told, found, strict=True) if each]
    if sum(bool(words) and words[0].lower() in UNIT for words in rest) > len(rest) // 2:
        return  # "1 cm nodule", "2 cm nodule"
    yield from ((start, start + each.end(), "") for (start, _), each in zip(told, found, strict=True) if each)


def _frame(told: list[tuple[int, str]]) -> Iterator[Edit]:
    """The same sign at both ends of every line that says something."""
    ruled = [RULE.match(line) is not None for _, line in told]
    said = [(start, line, line.strip()) for (start, line), rule in zip(told, ruled, strict=True) if not rule]
    signs = {(each[0], each[-1], each[1:2].isspace()) for _, _, each in said}
    if len(signs) != 1 or len(told) < 2:
        return
    ((first, last, apart),) = signs
    if first != last or first not in _SIGNS or not apart:
        return
    if first == _CELL and any(
        _CELL in (line.strip(" \t+") if rule else line.strip(" \t|"))
        for (_, line), rule in zip(told, ruled, strict=True)
    ):
        return  # a table: the rule below its head has the sign, or a row has it between two cells
    for start, line, each in said:
        begin = line.index(first)
        yield start, start + begin + 1, ""
        yield start + begin + len(each[:-1].rstrip()), start + len(line), ""
