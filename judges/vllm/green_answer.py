"""What GREEN's model writes, read strictly (Ostmeier et al., GREEN, 2024; the format is that of `green-score`).

Three sections: significant errors and insignificant ones by the letters (a) to (f), and matched findings. The package's
own parser reads a section that is missing, or a line that it cannot read, as no error. Here either is a failure.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from judges.base import CATEGORIES, Evidence
from judges.scores import MAJOR, MINOR, MODERATE, NORMAL_REPORT
from judges.vllm.accounting import Account
from judges.vllm.errors import JudgeInvalidOutput

_NAMES: Final = ("Clinically Significant Errors", "Clinically Insignificant Errors", "Matched Findings")
_SECTION: Final = re.compile(rf"^[ \t]*\[({'|'.join(_NAMES)})\]:?", re.M)
_LINE: Final = re.compile(r"\(([a-f])\)[^:\n]{0,200}: *(\d{1,2})\.(?!\d)")
_MATCHED: Final = re.compile(r"(\d{1,2})\.(?!\d)")
_NONE: Final = re.compile(r"no\b|none\b", re.I)


class Counts(NamedTuple):
    """Errors in the order of `CATEGORIES`, which is that of the letters, and matched findings."""

    significant: tuple[int, ...]
    insignificant: tuple[int, ...]
    matched: int


def parse(text: str) -> Counts:
    """The counts in an answer. Raises `JudgeInvalidOutput` for a section that is missing, doubled or cannot be read."""
    found = list(_SECTION.finditer(text))
    if [match[1] for match in found] != list(_NAMES):
        raise JudgeInvalidOutput("the answer does not have GREEN's three sections, each once and in order")
    ends = [match.start() for match in found[1:]] + [len(text)]
    bodies = [text[match.end() : end].strip() for match, end in zip(found, ends, strict=True)]
    matched = _MATCHED.match(bodies[2])
    if matched is None and not _NONE.match(bodies[2]):
        raise JudgeInvalidOutput("the answer does not say how many findings match")
    return Counts(_errors(bodies[0]), _errors(bodies[1]), int(matched[1]) if matched else 0)


def _errors(body: str) -> tuple[int, ...]:
    counts = dict.fromkeys("abcdef", -1)
    for line in filter(None, map(str.strip, body.splitlines())):
        match = _LINE.match(line)
        if match is None and _NONE.match(line) and len(body.splitlines()) == 1:
            return (0,) * 6
        if match is None or counts[match[1]] >= 0:
            raise JudgeInvalidOutput("a line of errors is none of GREEN's")
        counts[match[1]] = int(match[2])
    if max(counts.values()) < 0:
        raise JudgeInvalidOutput("a section of errors is empty")
    return tuple(max(0, n) for n in counts.values())


def dump(counts: Counts) -> str:
    """As a verdict is kept: numbers alone, for the explanation quotes the reports."""
    return json.dumps(counts._asdict())


def load(text: str) -> Counts:
    """Raises `JudgeInvalidOutput`."""
    try:
        raw = json.loads(text)
        counts = Counts(tuple(raw["significant"]), tuple(raw["insignificant"]), raw["matched"])
        numbers = [*counts.significant, *counts.insignificant, counts.matched]
        if len(numbers) != 2 * len(CATEGORIES) + 1 or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError
    except (ValueError, LookupError, TypeError):
        raise JudgeInvalidOutput("the stored answer holds no counts") from None
    return counts


def account(counts: Counts, withheld: int) -> Account:
    """What is scored: the counts as they are, and a false finding for each statement that was withheld.

    `signed` follows the weights of the other protocols: the reference is worth what matches, is missing or distorted;
    a missing finding costs 1 of it, an invented or distorted one 1 or 1/4, a comparison 1/2 or 1/4.
    """
    errors = [
        Evidence(category, "counted", significant, None, None)
        for row, significant in ((counts.significant, True), (counts.insignificant, False))
        for category, n in zip(CATEGORIES, row, strict=True)
        for _ in range(n)
    ]
    errors += [Evidence("false_finding", "withheld", True, None, None, "withheld")] * withheld
    lacking = sum(e.kind in ("missing_finding", "wrong_location", "wrong_severity") for e in errors)
    weight = MAJOR * (counts.matched + lacking) or NORMAL_REPORT
    return Account(
        errors=tuple(error._replace(cost=_price(error) / weight) for error in errors),
        deductions=(),
        matches=(Evidence("matched", "counted", False, None, None),) * counts.matched,
        matched=float(counts.matched),
        corrections=0,
        expected=None,
    )


def _price(error: Evidence) -> float:
    if error.kind == "missing_finding":
        return MAJOR
    grave = MODERATE if "comparison" in error.kind else MAJOR
    return grave if error.significant else MINOR
