"""HTML of one pair, as a fragment without scripts: everything that comes from outside is escaped here.

Significant errors, insignificant ones, deductions and matched findings differ in colour (Okabe and Ito's, which the
colour-blind can tell apart) and in the line under them, so that print in grey shows them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from itertools import pairwise
from typing import Any

_TITLES = {"candidate": "Candidate", "reference": "Reference"}
_ORDER = ("significant", "insignificant", "deduction", "matched")


def style() -> str:
    """The style sheet of all fragments."""
    return resources.files("reward_service.viewer").joinpath("pair.css").read_text(encoding="utf-8")


def pair(candidate: str, reference: str, result: Mapping[str, Any], prefix: str = "pair") -> str:
    """One pair with its result (`results[i]` of an answer at `detail: full`).

    `prefix` begins every id of the fragment: fragments on one page need different ones. Without a judgement the texts
    stand unmarked, with the reason if there is one.
    """
    judgement = result.get("judgement") or {}
    evidence = judgement.get("evidence") or []
    prefix = escape(prefix, quote=True)
    return (
        '<div class="rv-pair">'
        f'<div class="rv-texts">{_text(candidate, "candidate", evidence, prefix)}'
        f"{_text(reference, 'reference', evidence, prefix)}</div>"
        f"{_missing(result)}{_reason(result)}{_list(evidence, prefix)}</div>"
    )


def kind_of(evidence: Mapping[str, Any]) -> str:
    """``matched``, ``deduction``, or the significance of an error."""
    if evidence["kind"] in ("matched", "deduction"):
        return str(evidence["kind"])
    return "significant" if evidence["significant"] else "insignificant"


def _text(text: str, side: str, evidence: Sequence[Mapping[str, Any]], prefix: str) -> str:
    spans = [(i, *one[side]) for i, one in enumerate(evidence) if one.get(side)]
    spans = [(i, max(0, start), min(len(text), end)) for i, start, end in spans if start < min(len(text), end)]
    borders = sorted({0, len(text), *(at for _, start, end in spans for at in (start, end))})
    seen: set[int] = set()
    parts = []
    for start, end in pairwise(borders):
        covering = [i for i, a, b in spans if a <= start and end <= b]
        words = escape(text[start:end])
        if covering:
            covering.sort(key=lambda i: (_ORDER.index(kind_of(evidence[i])), i))
            anchors = "".join(f'<span id="{prefix}-{side[0]}{i}"></span>' for i in covering if i not in seen)
            seen.update(covering)
            first = covering[0]
            words = (
                f'{anchors}<mark class="rv-{kind_of(evidence[first])}">'
                f'<a href="#{prefix}-e{first}" title="{_title(evidence[first])}">{words}</a></mark>'
            )
        parts.append(words)
    shown = "".join(parts) or "<i>empty</i>"
    return (
        f'<div class="rv-side" role="group" aria-label="{_TITLES[side]}"><p class="rv-label">{_TITLES[side]}</p>'
        f'<p class="rv-text">{shown}</p></div>'
    )


def _title(evidence: Mapping[str, Any]) -> str:
    return escape(f"{_words(evidence['kind'])}: {_words(evidence['finding'])}{_about(evidence)}", quote=True)


def _about(evidence: Mapping[str, Any]) -> str:
    """Significance, detail and cost, as far as they are known."""
    kind = kind_of(evidence)
    side = f", {evidence['side']}" if evidence.get("side") else ""
    significance = "" if kind in ("matched", "deduction") else f" · {kind}"
    detail = f" · {_words(evidence['detail'])}" if evidence.get("detail") else ""
    cost = f" · costs {evidence['cost']:.3f}" if evidence.get("cost") else ""
    return side + significance + detail + cost


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _missing(result: Mapping[str, Any]) -> str:
    missing = result.get("missing") or {}
    lines = [f"<li>No {escape(_words(key))}: {escape(str(why['message']))}</li>" for key, why in missing.items()]
    return f'<ul class="rv-missing">{"".join(lines)}</ul>' if lines else ""


def _reason(result: Mapping[str, Any]) -> str:
    return f'<p class="rv-reason">{escape(str(result["reason"]))}</p>' if result.get("reason") else ""


def _list(evidence: Sequence[Mapping[str, Any]], prefix: str) -> str:
    if not evidence:
        return ""
    ranks = [(_ORDER.index(kind_of(one)), -one.get("cost", 0.0), i) for i, one in enumerate(evidence)]
    order = [i for _, _, i in sorted(ranks)]
    return f'<ul class="rv-evidence">{"".join(_entry(i, evidence[i], prefix) for i in order)}</ul>'


def _entry(i: int, one: Mapping[str, Any], prefix: str) -> str:
    kind = kind_of(one)
    links = "".join(f' <a href="#{prefix}-{side[0]}{i}">in the {side}</a>' for side in _TITLES if one.get(side))
    return (
        f'<li id="{prefix}-e{i}" class="rv-{kind}"><b>{escape(_words(one["kind"]))}</b> '
        f"{escape(_words(one['finding']) + _about(one))}{links}</li>"
    )
