"""Marks that a dictation wrote out as words: "no effusion period heart size comma lungs normal period"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from judges.rules.words import KNOWN

MARKS: Final = {word: mark for mark, words in KNOWN["spoken"].items() for word in words}
_SAID: Final = re.compile(
    rf"(?:,?\s)?\b(?P<word>{'|'.join(sorted(MARKS, key=len, reverse=True))})\b[.,:;?]?(?=\s|\Z)", re.I
)
_STOPPED: Final = re.compile(r"(?P<last>[A-Za-z]+|\))[.?!]\s+\S")
_WORDS: Final = frozenset(word for words in MARKS for word in words.split())
_LINE: Final = tuple(word for word, mark in MARKS.items() if mark == "\n")
_LEAST: Final = 2  # full stops that make it dictation; "over a period of weeks" has none


def dictated(text: str, is_heading: Callable[[str, int], bool]) -> Iterator[tuple[int, int, str]]:
    """The marks for the words that stand for them, in a text with hardly a full stop; `is_heading`: of what ends here.

    "Colon" is an organ, unless what stands before it is a heading, or a new line follows.
    """
    said = [(m, MARKS[m["word"].lower()]) for m in _SAID.finditer(text)]
    stops = [m.end() for m, mark in said if mark == "."]
    if not stops or not (len(stops) >= _LEAST or stops[-1] == len(text)):
        return
    if len(stops) <= sum(m["last"].lower() not in _WORDS for m in _STOPPED.finditer(text)):
        return  # "period." is written with its mark
    for each, mark in said:
        leads = mark != ":" or is_heading(text, each.start()) or text[each.end() :].lstrip(" ,").startswith(_LINE)
        if leads:
            yield (*each.span(), mark)
