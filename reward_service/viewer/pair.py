"""HTML of one pair, as a fragment without scripts: everything that comes from outside is escaped here.

Significant errors, insignificant ones, deductions and matched findings differ in colour (Okabe and Ito's, which the
colour-blind can tell apart) and in the line under them, so that print in grey shows them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from reward_service.viewer.segments import TITLES, about, kind_of, ordered, segments, words


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


def judged(result: Mapping[str, Any]) -> str:
    """What was found about a pair whose texts are not at hand: reason and evidence, which link to no words."""
    evidence = (result.get("judgement") or {}).get("evidence") or []
    placeless = [{**one, "candidate": None, "reference": None} for one in evidence]
    return f'<div class="rv-pair">{_missing(result)}{_reason(result)}{_list(placeless, "")}</div>'


def _text(text: str, side: str, evidence: Sequence[Mapping[str, Any]], prefix: str) -> str:
    seen: set[int] = set()
    parts = []
    for start, end, covering in segments(text, side, evidence):
        shown = escape(text[start:end])
        if covering:
            anchors = "".join(f'<span id="{prefix}-{side[0]}{i}"></span>' for i in covering if i not in seen)
            seen.update(covering)
            first = covering[0]
            shown = (
                f'{anchors}<mark class="rv-{kind_of(evidence[first])}">'
                f'<a href="#{prefix}-e{first}" title="{_title(evidence[first])}">{shown}</a></mark>'
            )
        parts.append(shown)
    marked = "".join(parts) or "<i>empty</i>"
    return (
        f'<div class="rv-side" role="group" aria-label="{TITLES[side]}"><p class="rv-label">{TITLES[side]}</p>'
        f'<p class="rv-text">{marked}</p></div>'
    )


def _title(evidence: Mapping[str, Any]) -> str:
    return escape(f"{words(evidence['kind'])}: {_about(evidence)}", quote=True)


def _about(evidence: Mapping[str, Any]) -> str:
    cost = f" · costs {evidence['cost']:.3f}" if evidence.get("cost") else ""
    return about(evidence) + cost


def _missing(result: Mapping[str, Any]) -> str:
    missing = result.get("missing") or {}
    lines = [f"<li>No {escape(words(key))}: {escape(str(why['message']))}</li>" for key, why in missing.items()]
    return f'<ul class="rv-missing">{"".join(lines)}</ul>' if lines else ""


def _reason(result: Mapping[str, Any]) -> str:
    return f'<p class="rv-reason">{escape(str(result["reason"]))}</p>' if result.get("reason") else ""


def _list(evidence: Sequence[Mapping[str, Any]], prefix: str) -> str:
    if not evidence:
        return ""
    return f'<ul class="rv-evidence">{"".join(_entry(i, evidence[i], prefix) for i in ordered(evidence))}</ul>'


def _entry(i: int, one: Mapping[str, Any], prefix: str) -> str:
    kind = kind_of(one)
    links = "".join(f' <a href="#{prefix}-{side[0]}{i}">in the {side}</a>' for side in TITLES if one.get(side))
    return (
        f'<li id="{prefix}-e{i}" class="rv-{kind}"><b>{escape(words(one["kind"]))}</b> '
        f"{escape(_about(one))}{links}</li>"
    )
