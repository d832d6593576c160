"""Evidence in one English sentence: what a candidate lost points for, the costliest first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from judges.base import SILENT, STUDY, Evidence

MOST_PARTS: Final = 6
MOST_CHARACTERS: Final = 300
"""Bounds of a sentence, but for what it says of the rest; a first part that is longer stands alone."""
SHOWN: Final = 0.005
"""What costs less is not told: it would be shown as nothing."""

_VOTES: Final = re.compile(r" ?\d+/\d+ votes$")
_COUNTED: Final = {"counted": "finding", "withheld": "a_statement"}
"""Names in the evidence of a judge that counts findings without naming them."""
_ABBREVIATIONS: Final = frozenset(("ards", "cabg", "copd", "picc", "rds"))


def reason(evidence: Iterable[Evidence], notes: Sequence[str] = ()) -> str:
    """``Misses the left pleural effusion (−.50); wrong side of the PICC (−.25).``, with no text of a report in it.

    A figure is a cost. What reads alike is told once, with its cost together. `notes` come last and are always told:
    what changes the reward besides.
    """
    costs: dict[str, float] = {}
    for one in evidence:
        if one.cost:
            words = in_words(one)
            costs[words] = costs.get(words, 0.0) + one.cost
    told = sorted(((words, cost) for words, cost in costs.items() if cost >= SHOWN), key=lambda pair: -pair[1])
    parts: list[str] = []
    for words, cost in told[:MOST_PARTS]:
        part = f"{words} ({figure(cost)})"
        if parts and sum(map(len, parts)) + len(part) > MOST_CHARACTERS:
            break
        parts.append(part)
    if rest := told[len(parts) :]:
        parts.append(f"{len(rest)} more ({figure(sum(cost for _, cost in rest))})")
    sentence = "; ".join((*(parts or ["nothing is lost"]), *notes))
    return f"{sentence[0].upper()}{sentence[1:]}."


def figure(cost: float) -> str:
    """``−.25``."""
    return f"−{cost + 1e-9:.2f}".replace("−0.", "−.")  # halves up, whatever the last bit


def in_words(one: Evidence) -> str:
    """What an error or a deduction is, without its cost: ``misses the left pleural effusion``."""
    return _KINDS[one.kind](one._replace(detail=_VOTES.sub("", one.detail)))


def name(one: Evidence) -> str:
    """``left pleural effusion``, ``PICC``, ``R2/P3``."""
    finding = _COUNTED.get(one.finding, one.finding.lstrip("@"))
    words = [word.upper() if word in _ABBREVIATIONS else word for word in finding.split("_")]
    return " ".join((one.side, *words)).strip()


def _missing(one: Evidence) -> str:
    if "contradicted" in one.detail:
        return f"asserts and denies the {name(one)}"
    if one.detail == "unread":
        return "misses what cannot be read"
    return f"{'denies' if 'denied' in one.detail else 'misses'} the {name(one)}"


def _false(one: Evidence) -> str:
    if one.detail == "unread":
        return "says what cannot be read"
    return f"addresses the grader in {name(one)}" if "withheld" in one.detail else f"invents {name(one)}"


def _location(one: Evidence) -> str:
    said, _, meant = one.detail.partition("/")
    unsided = name(one._replace(side="")) if meant else name(one)
    if said == "unspecified":
        return f"no side of the {unsided}"
    return f"wrong {'side' if meant else _DETAILS.get(said, said) or 'location'} of the {unsided}"


def _severity(one: Evidence) -> str:
    said, _, meant = one.detail.partition("/")
    if not meant:
        return f"wrong {said or 'severity'} of the {name(one)}"
    return f"{said} instead of {meant} {name(one)}"


def _comparison(verb: str) -> Callable[[Evidence], str]:
    def told(one: Evidence) -> str:
        change = f"'{one.detail}'" if one.detail.isalpha() else "a comparison"
        return f"{verb} {change}" + ("" if one.finding == STUDY else f" of the {name(one)}")

    return told


def _deduction(one: Evidence) -> str:
    detail = one.detail
    if detail in _CHANGES:
        return _comparison(
            "differs in" if one.candidate and one.reference else "invents" if one.candidate else "omits"
        )(one)
    if detail in _DEDUCTIONS:
        return _DEDUCTIONS[detail].format(name(one), one.finding.replace("_", " "))
    said, _, meant = detail.partition("/")
    if meant:
        return f"says {said.replace('_', ' ')} for the {name(one)}"
    return f"no exact {_DETAILS.get(said, said)} of the {name(one)}"


_DETAILS: Final = {
    "tip": "tip position", "number": "count", "spine_region": "spinal region", "dissection": "type", "third": "part",
    "fluid": "form", "edema_form": "form", "acuity": "age", "station": "site",
}  # fmt: skip
_CHANGES: Final = ("stable", "worse", "better", "new", "resolved", "compared")
_DEDUCTIONS: Final = {
    "unrepeated": "no 'no {1}'",
    "unnamed": "does not name the {0}",
    "certain/possible": "is too sure of the {0}",
    "possible/certain": "is not sure of the {0}",
    "unspecified/bilateral": "no side of the {1}",
    "grade": "no grade of the {0}",
    "zones": "several zones of the {0}",
    SILENT: "says nothing",
    "candidate_in_another_language": "is in another language",
    "candidate_of_another_examination": "is of another examination",
    "candidate_not_read": "cannot be read",
    "no_report": "says nothing of a chest",
    "nothing_to_earn": "the reference has nothing to earn",
}
_KINDS: Final[dict[str, Callable[[Evidence], str]]] = {
    "matched": lambda one: f"has the {name(one)}",
    "missing_finding": _missing,
    "false_finding": _false,
    "wrong_location": _location,
    "wrong_severity": _severity,
    "false_comparison": _comparison("invents"),
    "missing_comparison": _comparison("omits"),
    "deduction": _deduction,
}
