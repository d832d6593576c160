"""Where the evidence about a pair stands in one of its texts, whatever shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

ORDER = ("significant", "insignificant", "deduction", "matched")
"""Kinds of evidence, the gravest first."""
TITLES = {"candidate": "Candidate", "reference": "Reference"}


class Segment(NamedTuple):
    """A part of a text that the same evidence covers."""

    start: int
    end: int
    covering: tuple[int, ...]
    """Positions in the evidence, the gravest first."""


def kind_of(evidence: Mapping[str, Any]) -> str:
    """``matched``, ``deduction``, or the significance of an error."""
    if evidence["kind"] in ("matched", "deduction"):
        return str(evidence["kind"])
    return "significant" if evidence["significant"] else "insignificant"


def ordered(evidence: Sequence[Mapping[str, Any]]) -> list[int]:
    """Positions in the evidence, the gravest first, of one kind the costliest."""
    ranks = [(ORDER.index(kind_of(one)), -one.get("cost", 0.0), i) for i, one in enumerate(evidence)]
    return [i for _, _, i in sorted(ranks)]


def segments(text: str, side: str, evidence: Sequence[Mapping[str, Any]]) -> Iterator[Segment]:
    """The whole text in parts, in order. `side`: ``candidate`` or ``reference``. Spans outside of the text are cut."""
    spans = [(i, *one[side]) for i, one in enumerate(evidence) if one.get(side)]
    spans = [(i, max(0, start), min(len(text), end)) for i, start, end in spans if start < min(len(text), end)]
    borders = sorted({0, len(text), *(at for _, start, end in spans for at in (start, end))})
    for start, end in pairwise(borders):
        covering = [i for i, a, b in spans if a <= start and end <= b]
        covering.sort(key=lambda i: (ORDER.index(kind_of(evidence[i])), i))
        yield Segment(start, end, tuple(covering))


def words(name: object) -> str:
    """A machine word as words."""
    return str(name).replace("_", " ")


def about(evidence: Mapping[str, Any]) -> str:
    """Finding, side, significance and detail of one piece of evidence, as far as they are known."""
    kind = kind_of(evidence)
    side = f", {evidence['side']}" if evidence.get("side") else ""
    significance = "" if kind in ("matched", "deduction") else f" · {kind}"
    detail = f" · {words(evidence['detail'])}" if evidence.get("detail") else ""
    return f"{words(evidence['finding'])}{side}{significance}{detail}"
