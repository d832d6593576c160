"""Cut a report to its findings or its impression, whatever way its headings are written.

Profiles may score one section only, and published test sets do. A report that has headings but lacks the wanted
section has none (the caller decides what that means); a text without any heading is one section and taken whole.
"""

from __future__ import annotations

import re
from typing import Literal

VERSION = 3
"""Raised by hand whenever any output changes; part of the profile fingerprint."""

Scope = Literal["all", "findings", "impression"]

_FINDINGS = "findings?"
_IMPRESSION = "impressions?|conclusions?|opinion|assessment|summary|interpretation"
_OTHER = (
    "indications?|reasons? for (?:the )?(?:exam(?:ination)?|study|visit)|(?:clinical |patient )?(?:history|information)"
    "|clinical (?:indications?|data|details|statement)|techniques?|comparisons?|procedures?|exam(?:ination)?(?: type)?"
    "|study|views|notifications?|communication|(?:prior|previous) (?:study|exam(?:ination)?)"
)
_HEADING = re.compile(
    rf"\b(?:(?P<both>findings?(?: and |[ ]?[/&][ ]?)impressions?)|(?P<findings>{_FINDINGS})"
    rf"|(?:final |radiological )?(?P<impression>{_IMPRESSION})|(?P<other>{_OTHER}))\b",
    re.IGNORECASE,
)
_AFTER = re.compile(r"[*_ ]{0,4}(?:(?P<colon>:)|(?P<dash>[ ]?-(?= ))|(?P<line>(?=\n|\Z)))[*_]{0,3}\s?")
_LINE_LEAD = re.compile(r"\n\f?[#*_>\-\d.) ]{0,8}\Z")
_TAG = re.compile(r"<(?P<close>/?)(?P<name>findings|impression)>", re.IGNORECASE)


def manifest() -> dict[str, object]:
    """What determines where a section is, as plain JSON for the fingerprint."""
    return {"version": VERSION}


def select(text: str, scope: Scope) -> tuple[str, int] | None:
    """The text of one section and its start offset in `text`; None where the report has headings but not that one.

    ``all`` is the whole text. A section ends at the next heading of another kind, and the first of several counts.
    Text ahead of the first heading counts as findings if that heading is the impression's. A blank section is none.
    Linear in the length of `text`.
    """
    if scope == "all":
        return text, 0
    marks = _headings(text)
    if not marks:
        return text, 0
    if marks[0][0] == "impression":
        marks.insert(0, ("findings", 0, 0))
    ends = [begin for _, begin, _ in marks[1:]] + [len(text)]
    for (kind, _, start), end in zip(marks, ends, strict=True):
        section = text[start:end].strip() if kind in (scope, "both") else ""
        if section:
            return section, text.index(section, start)
    return None


def _headings(text: str) -> list[tuple[str, int, int]]:
    """(kind, start, end) of each heading, in order."""
    marks = [("end" if m["close"] else m["name"].lower(), m.start(), m.end()) for m in _TAG.finditer(text)]
    for name in _HEADING.finditer(text):
        after = _AFTER.match(text, name.end())
        if after is None:
            continue
        lead = text[name.start() - 12 : name.start()] if name.start() >= 12 else "\n" + text[: name.start()]
        line = _LINE_LEAD.search(lead)
        if line is not None:
            start = name.start() - len(line.group()) + 1
        elif after["colon"] and (lead.rstrip()[-1:] in ".!?" or name.group().isupper()):
            start = name.start()  # a heading inside a line: after a sentence, or in capitals
        else:
            continue
        marks.append((name.lastgroup or "", start, after.end()))
    marks.sort(key=lambda mark: mark[1])
    return [mark for previous, mark in zip([("", 0, 0), *marks], marks, strict=False) if mark[0] != previous[0]]
