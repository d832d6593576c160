"""Pairs of reports with the error counts that a judge should find: how they are read, and those that are shipped.

The shipped ones (`judge_cases.jsonl`) were written for this purpose, before any model was measured on them. An error
is counted once, under the category that fits it best: a finding that is denied is missing, a denial that is asserted
is false, a change in the wrong direction is a false comparison. Every study has its reference said in other words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson

from judges.base import CATEGORIES

Part = Literal["open", "kept", "all"]
_SHIPPED: Final = Path(__file__).parent / "judge_cases.jsonl"
CHEST_RADIOGRAPH: Final = "chest radiograph"


class Labelled(NamedTuple):
    """One pair with the counts of people; means over several readers may be fractions."""

    candidate: str
    reference: str
    prior: str | None
    significant: Mapping[str, float]
    insignificant: Mapping[str, float]
    id: str = ""
    """Of the shipped pairs ``study/kind``."""
    examination: str = CHEST_RADIOGRAPH


def shipped(part: Part = "all") -> list[Labelled]:
    """The pairs that come with the package; `kept`: the third that no prompt or threshold has been chosen on.

    Studies are in the order of their digests, so that the first hundred pairs are a mixture of everything.
    """
    cases = sorted(read_labelled(_SHIPPED.read_bytes().split(b"\n")), key=_digest)
    return [case for case in cases if part == "all" or is_kept(case) == (part == "kept")]


def is_kept(case: Labelled) -> bool:
    """Whether a shipped pair belongs to the third that is kept for confirmation; all pairs of a study go together."""
    return _digest(case)[0] % 3 == 0


def _digest(case: Labelled) -> bytes:
    return hashlib.sha256(case.id.partition("/")[0].encode()).digest()


def read_labelled(lines: Iterable[str | bytes]) -> list[Labelled]:
    """Pairs from JSON lines with `candidate`, `reference`, and the counts by category `significant`.

    Optional are `prior`, `insignificant` (a category left out is 0), `id` and `examination`. Raises `ValueError` that
    names the line.
    """
    labelled = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                labelled.append(_read(orjson.loads(line)))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return labelled


def _read(row: object) -> Labelled:
    if not isinstance(row, dict) or not {"candidate", "reference", "significant"} <= row.keys():
        raise ValueError("needs 'candidate', 'reference' and 'significant' (counts by category)")
    counts: list[dict[str, float]] = [row.get(kind) or {} for kind in ("significant", "insignificant")]
    if not all(isinstance(count, dict) and count.keys() <= set(CATEGORIES) for count in counts):
        raise ValueError(f"the categories are {', '.join(CATEGORIES)}")
    if not all(type(n) in (int, float) and n >= 0 for count in counts for n in count.values()):
        raise ValueError("counts are numbers from 0 up")
    candidate, reference, prior = row["candidate"], row["reference"], row.get("prior")
    about, examination = row.get("id", ""), row.get("examination", CHEST_RADIOGRAPH)
    if not all(isinstance(t, str) for t in (candidate, reference, prior or "", about, examination)):
        raise ValueError("texts are strings")
    return Labelled(candidate, reference, prior, counts[0], counts[1], about, examination)
