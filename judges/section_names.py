"""Which names of fields, elements and observations are names of sections: ``clinicalHistory``, "Reason For Exam"."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = re.compile(
    r"\b(?:finding|impression|conclusion|opinion|interpretation|indication|history|reason|technique|comparison|procedure"
    r"|exam|examination|recommendation|addendum|complaint|diagnos[ie]s|narrative|description|heart|lung|pleura"
    r"|mediastinum|bone|device|abdomen|other)s?\b",
    re.I,
)
_JOINT: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\\]+")
_LONGEST: Final = 60  # characters


def spelled_out(name: str) -> str:
    """The name of a field as words: ``lung_fields`` and ``lungFields`` have two."""
    return _JOINT.sub(" ", name).strip()


def section(name: str) -> str:
    """The name as a heading, if it is that of a section; else the empty string."""
    words = spelled_out(name)
    return words if len(words) <= _LONGEST and _WORDS.search(words) else ""
