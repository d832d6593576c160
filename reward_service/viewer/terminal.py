"""One pair for a terminal: both texts with what is wrong in colour, and the evidence with what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reward_service.viewer.segments import TITLES, about, kind_of, ordered, segments, words

Paint = Callable[[str, str], str]
"""Text and a kind of evidence, or ``heading`` -> the text in that style."""

_CONTROLS = {c: "\ufffd" for c in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(c) not in "\n\t"}
"""What a report may hold and a terminal would obey."""


def pair(candidate: str, reference: str, result: Mapping[str, Any], paint: Paint) -> str:
    """The pair with its result (`results[i]` of an answer at `detail: full`); it ends without a line break."""
    evidence = (result.get("judgement") or {}).get("evidence") or []
    parts = [_text(candidate, "candidate", evidence, paint), _text(reference, "reference", evidence, paint)]
    if evidence:
        lines = [_line(evidence[i], paint) for i in ordered(evidence)]
        parts.insert(0, "\n".join([paint("Evidence", "heading"), *lines]))
    return "\n\n".join(parts)


def _line(one: Mapping[str, Any], paint: Paint) -> str:
    cost = f"{-one['cost']:+8.3f}" if one.get("cost") else " " * 8
    return f"{cost}  {paint(words(one['kind']), kind_of(one))}: {about(one).translate(_CONTROLS)}"


def _text(text: str, side: str, evidence: Sequence[Mapping[str, Any]], paint: Paint) -> str:
    clean = text.translate(_CONTROLS)
    parts = [
        paint(clean[start:end], kind_of(evidence[covering[0]])) if covering else clean[start:end]
        for start, end, covering in segments(text, side, evidence)
    ]
    return f"{paint(TITLES[side], 'heading')}\n{''.join(parts) or '(empty)'}"
