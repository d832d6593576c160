"""Messages in which hospital systems hand reports on (HL7 version 2), taken off.

The values of observations (OBX-5) and notes (NTE-3) are the report; what says which part they are becomes a heading.
Source: HL7 2.5.1, sections 2.7 (escape sequences), 2.10.4 (NTE), 7.2.2 (suffixes of observations) and 7.4.2 (OBX).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from judges.draft import Draft

_Edit = tuple[int, int, str]

_LINE: Final = re.compile(r"[^\r\n\f\x0b\x1c-\x1e\x85]+")
_SEGMENT: Final = re.compile(r"\s*(?P<name>MSH|EVN|PID|PV[12]|ORC|OBR|OBX|NTE|TXA|DG1|FTS|BTS|Z[A-Z\d]{2})\|")
_VALUES: Final = {"OBX": 5, "NTE": 3}
"""Which field of a segment holds words of the report."""
_OBSERVED: Final = re.compile(r"\b(?:OBX(?:\|[^|\r\n]{0,200}){5}|NTE(?:\|[^|\r\n]{0,200}){3})")
"""Without a value nothing would be left of the text."""
_OBX_TYPE, _OBX_NAME = 2, 3
_CODED: Final = frozenset(("CE", "CWE", "CNE"))
"""Types whose second component is the text."""
_PARTS: Final = {"GDT": "Findings", "IMP": "Impression", "REC": "Recommendation"}
"""What the suffix of an observation's name says it is (HL7 2.5.1, 7.2.2)."""
_HL7_ESCAPE: Final = re.compile(
    r"\\(?:(?P<line>\.(?:br|sp|ce|sk|fi|nf|in|ti)[+-]?\d{0,3}|X0[AD])|(?P<sign>[FSTREHN]))\\"
)
_HL7_SIGNS: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "H": "", "N": ""}


def take_off(draft: Draft) -> None:
    """Take off a message, if the text is one, and the escapes of one of its fields."""
    message = "|" in draft.text and _SEGMENT.match(draft.text) and _OBSERVED.search(draft.text)
    if message:
        draft.edit(_message(draft.text))
    if message or "\\.br" in draft.text or "\\.sp" in draft.text:
        draft.edit((*m.span(), "\n" if m["line"] else _HL7_SIGNS[m["sign"]]) for m in _HL7_ESCAPE.finditer(draft.text))


def _message(text: str) -> Iterator[_Edit]:
    """The values of observations and notes; a line that is no segment goes on with the value before it."""
    part = ""
    for line in _LINE.finditer(text):
        start, end = line.span()
        segment = _SEGMENT.match(line.group())
        if segment is None:
            continue
        borders = [m.start() for m in re.compile(r"\|").finditer(text, start, end)]
        index = _VALUES.get(segment["name"], 0)
        if not index or len(borders) < index:
            yield start, end, ""
            continue
        begin, last = borders[index - 1] + 1, borders[index] if len(borders) > index else end
        name = _part_of(text, borders) if segment["name"] == "OBX" else part
        yield start, begin, f"{name}:\n" if name != part and name else ""
        part = name
        yield from _value(text, begin, last, _field(text, borders, _OBX_TYPE) in _CODED)
        if last < end:
            yield last, end, ""


def _field(text: str, borders: list[int], number: int) -> str:
    return text[borders[number - 1] + 1 : borders[number]] if number < len(borders) else ""


def _part_of(text: str, borders: list[int]) -> str:
    return _PARTS.get(_field(text, borders, _OBX_NAME).partition("^")[0].partition("&")[2].upper(), "")


def _value(text: str, begin: int, end: int, coded: bool) -> Iterator[_Edit]:
    """Lines for repetitions; of a code its text."""
    if coded:
        code, mark, rest = text[begin:end].partition("^")
        if mark:
            yield begin, begin + len(code) + 1, ""
            begin += len(code) + 1
            words = rest.partition("^")[0]
            yield from ((begin + m.start(), begin + m.end(), "\n") for m in re.finditer("~", words))
            yield begin + len(words), end, ""
        return
    yield from ((begin + m.start(), begin + m.end(), "\n") for m in re.finditer("~", text[begin:end]))
