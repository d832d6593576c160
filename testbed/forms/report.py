"""A report as its forms need it: two sections, each cut into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

# A full stop before a capital or a number of a list; not the one of a list's number, a title or an initial.
_STOP: Final = re.compile(r"(?<=[.?!])(?<!\d\.)(?<!\b[A-Z]\.)(?<!\b[DM]r\.)\s+(?=[A-Z\d(\"'])")
_NUMBER: Final = re.compile(r"(?:^|(?<=[.?!:]\s))\(?\d{1,2}[.)]\s+")
_POINTS_BACK: Final = re.compile(r"(?:Th(?:is|ese|ose|at|ey)|It|Such|Otherwise|However|Again)\b")
_ORGANS: Final = (
    ("devices", r"\b(?:tube|catheter|line|lead|pacemaker|picc|clips?|wires?|sternotomy)\b"),
    ("pleura", r"pleura|pneumothora|effusion|costophrenic"),
    ("heart", r"heart|cardi|aort|mediastin|hilar?\b"),
    ("bones", r"bon[ey]|osseous|spine|\bribs?\b|fracture|skelet|vertebra|thoracic"),
    ("lungs", r"lung|pulmonary|opaci|consolid|atelect|infiltrat|nodul|airspace|lobe|granuloma|emphysema"),
)


class Written(NamedTuple):
    """What a report says, without a form: findings and impression; one of them may be empty."""

    findings: str
    impression: str

    @property
    def plain(self) -> str:
        """Both sections as one line without headings."""
        return f"{self.findings} {self.impression}".strip()

    @property
    def sections(self) -> list[tuple[str, str]]:
        """(name, text) of each section that says something."""
        named = (("Findings", self.findings), ("Impression", self.impression))
        return [(name, text) for name, text in named if text]

    @property
    def sentences(self) -> list[str]:
        """All sentences of both sections, without the numbers of lists."""
        return [sentence for _, text in self.sections for sentence in sentences(text)]


def sentences(text: str) -> list[str]:
    """The sentences of one section with their full stops, without the numbers of lists."""
    return [part.strip() for part in _STOP.split(_NUMBER.sub("", text)) if part.strip()]


def bare(sentence: str) -> str:
    """A sentence without the stop at its end."""
    return sentence.rstrip(".") or sentence


def by_organ(report: Written) -> Iterator[tuple[str, list[str]]]:
    """(organ, sentences) in the order in which the report comes to them; what names no organ is under ``other``.

    A sentence that speaks of the one before it stays with it.
    """
    found: dict[str, list[str]] = {}
    organ = "other"
    for sentence in report.sentences:
        if not _POINTS_BACK.match(sentence):
            organ = next((name for name, words in _ORGANS if re.search(words, sentence, re.I)), "other")
        found.setdefault(organ, []).append(sentence)
    yield from found.items()
