"""Messages in which hospital systems hand reports on (HL7 version 2), taken off.

The values of observations (OBX-5) and notes (NTE-3) are the report; what says which part they are becomes a heading.
Source: HL7 2.5.1, sections 2.7 (escape sequences), 2.10.4 (NTE), 7.2.2 (suffixes of observations) and 7.4.2 (OBX).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from judges.attachments import decoded
from judges.draft import Draft
from judges.section_names import section

_Edit = tuple[int, int, str]

_LINE: Final = re.compile(r"[^\r\n\f\x0b\x1c-\x1e\x85]+")
_MESSAGE: Final = re.compile(r"\s*(?:MSH|FHS|BHS|EVN|PID|PV1|ORC|OBR|OBX|NTE|TXA)\|")
_SEGMENT: Final = re.compile(r"\s*(?P<name>[A-Z][A-Z\d]{2})\|")
_VALUES: Final = {"OBX": 5, "NTE": 3}
"""Which field of a segment holds words of the report."""
_OBSERVED: Final = re.compile(r"\b(?:OBX(?:\|[^|\r\n]{0,200}){4}\||NTE(?:\|[^|\r\n]{0,200}){2}\|)")
"""Without a value nothing would be left of the text."""
_TYPE, _NAME, _STATUS = 2, 3, 11
_CODED: Final = frozenset(("CE", "CWE", "CNE"))
"""Types whose second component is the text."""
_FOREIGN: Final = frozenset(("ED", "RP"))
"""Types of files and of pointers to them; a file may be a text."""
_VOID: Final = frozenset("DWX")
"""Results that were deleted, sent in error, or cannot be had."""
_PARTS: Final = {
    "GDT": "Findings", "IMP": "Impression", "REC": "Recommendation", "ADT": "Addendum", "ADD": "Addendum",
}  # fmt: skip
"""What the suffix of an observation's name says it is."""
_HL7_ESCAPE: Final = re.compile(
    r"\\(?:(?P<line>\.(?:br|sp|ce|sk|fi|nf|in|ti)[+-]?\d{0,3}|X0[AD])|(?P<sign>[FSTREHN]))\\"
)
_HL7_SIGNS: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "H": "", "N": ""}


def take_off(draft: Draft) -> None:
    """Take off a message, if the text is one, and the escapes of one of its fields."""
    message = "|" in draft.text and _MESSAGE.match(draft.text) and _OBSERVED.search(draft.text)
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
        borders = [start + m.start() for m in re.finditer(r"\|", line.group())]
        index = _VALUES.get(segment["name"], 0)
        kind = _field(text, borders, _TYPE, end) if segment["name"] == "OBX" else ""
        if not index or len(borders) < index or _field(text, borders, _STATUS, end) in _VOID:
            yield start, end, ""
            continue
        begin, last = borders[index - 1] + 1, borders[index] if len(borders) > index else end
        name = _part(_field(text, borders, _NAME, end)) if segment["name"] == "OBX" else part
        yield start, begin, f"{name}:\n" if name != part and name else ""
        part = name
        if kind in _FOREIGN:
            yield begin, last, decoded(text[begin:last].rpartition("^")[2])
        else:
            yield from _value(text, begin, last, kind in _CODED)
        if last < end:
            yield last, end, ""


def _field(text: str, borders: list[int], number: int, end: int) -> str:
    """The field of that number; empty where the segment has none."""
    if number > len(borders):
        return ""
    return text[borders[number - 1] + 1 : borders[number] if number < len(borders) else end]


def _part(name: str) -> str:
    """The heading for an observation: what the suffix of its code says, else its name if that is one of a section."""
    code, _, rest = name.partition("^")
    return _PARTS.get(code.partition("&")[2].upper(), "") or section(rest.partition("^")[0])


def _value(text: str, begin: int, end: int, coded: bool) -> Iterator[_Edit]:
    """A line for each repetition; of a code its text."""
    at = begin
    for repetition in text[begin:end].split("~"):
        if at > begin:
            yield at - 1, at, "\n"
        stop = at + len(repetition)
        code, mark, rest = repetition.partition("^")
        if coded and mark:
            words = at + len(code) + 1
            yield at, words, ""
            yield words + len(rest.partition("^")[0]), stop, ""
        at = stop + 1
