"""From a model's answer to a judgement: strict validation, then the conservation law, then the scores.

The model names statements; the counts are made here. Whatever it leaves unaccounted is held against the
candidate, so "no errors" cannot merely be asserted, neither by the model nor by a candidate that talks to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final, NamedTuple

from judges.base import CATEGORIES, Category, Evidence, Judgement
from judges.scores import MAJOR, MINOR, MODERATE, NEGATIVE, NORMAL_REPORT, inverse_errors, score
from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.prompt import Pair, schema


class Link(NamedTuple):
    """A pair of positions, and whether the error about it is significant."""

    ref: int
    cand: int
    significant: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A validated answer; positions count from 0, duplicates are gone."""

    matched: tuple[tuple[int, int], ...]
    location: tuple[Link, ...]
    severity: tuple[Link, ...]
    missing: dict[int, bool]
    false: dict[int, bool]
    comparison_added: dict[int, bool]
    comparison_omitted: dict[int, bool]
    normal: frozenset[int]


# --- validation ----------------------------------------------------------------------------------------------------


def parse(text: str, references: int, candidates: int) -> Answer:
    """The answer to a question about R1..Rn and P1..Pm, checked against the very schema that was sent.

    Raises `JudgeInvalidOutput` that says what is wrong, in words that may be shown to the model. An entry given
    twice counts once; where the two disagree about significance, it is significant.
    """
    try:
        raw = json.loads(text, object_pairs_hook=_no_duplicate_keys, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise JudgeInvalidOutput("the answer is not one JSON object") from None
    _check(raw, schema(references, candidates), "answer")

    def flags(name: str, key: str) -> dict[int, bool]:
        found: dict[int, bool] = {}
        for entry in raw[name]:
            position = _position(entry[key])
            found[position] = found.get(position, False) or entry["significant"]
        return found

    def links(name: str) -> tuple[Link, ...]:
        found: dict[tuple[int, int], bool] = {}
        for entry in raw[name]:
            pair = _position(entry["ref"]), _position(entry["cand"])
            found[pair] = found.get(pair, False) or entry["significant"]
        return tuple(Link(*pair, significant) for pair, significant in found.items())

    return Answer(
        matched=tuple(dict.fromkeys((_position(e["ref"]), _position(e["cand"])) for e in raw["matched"])),
        location=links("location"),
        severity=links("severity"),
        missing=flags("missing", "ref"),
        false=flags("false", "cand"),
        comparison_added=flags("comparison_added", "cand"),
        comparison_omitted=flags("comparison_omitted", "ref"),
        normal=frozenset(_position(p) for p in raw["normal"]),
    )


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _position(identifier: str) -> int:
    return int(identifier[1:]) - 1


def _check(value: Any, rule: dict[str, Any], where: str) -> None:
    """The part of JSON schema that `prompt.schema` uses, which is too little to bring a library for."""
    if "enum" in rule:
        # A statement that does not exist, or anything that is not a string.
        ok = isinstance(value, str) and value in rule["enum"]
    elif rule["type"] == "boolean":
        ok = isinstance(value, bool)
    elif rule["type"] == "array":
        ok = isinstance(value, list) and len(value) <= rule["maxItems"]
        for entry in value if ok else ():
            _check(entry, rule["items"], where)
    else:
        ok = isinstance(value, dict) and value.keys() == rule["properties"].keys()
        for key, entry in value.items() if ok else ():
            _check(entry, rule["properties"][key], key)
    if not ok:
        raise JudgeInvalidOutput(f"the answer breaks the schema at {where!r}")


# --- the conservation law ------------------------------------------------------------------------------------------

_LIST: Final = re.compile(r",|;|/|\b(?:and|or|with)\b", re.I)


def _findings_in(text: str) -> int:
    """Most findings that a statement can hold: its list separators and one."""
    return 1 + len(_LIST.findall(text))


@dataclass(frozen=True, slots=True)
class Ledger:
    """One answer after the conservation law: what is scored."""

    errors: tuple[Evidence, ...]
    matches: tuple[Evidence, ...]
    matched: float
    """Matched findings; a matched normal statement counts `NEGATIVE`."""
    credit: float
    penalty: float
    weight: float
    corrections: int
    """How often the answer had to be corrected: unaccounted or contradictory statements."""


def settle(answer: Answer, pair: Pair) -> Ledger:
    """Applies the conservation law.

    Every reference statement ends matched, distorted (location, severity) or missing; every candidate statement
    matched, distorted, false, a comparison error, or normal. Unaccounted means missing or false, significantly.
    - A reference statement that reads normal may be left out at no cost and no credit.
    - A candidate statement that was withheld is false, whatever the answer says of it.
    - A candidate statement matches at most as many findings as it can hold by its words; the rest is missing.
    - Matched *and* missing is believed only of a statement that can hold two findings; else it is missing.
    """
    refs, cands, normal = pair.reference.statements, pair.candidate, pair.reference.normal
    corrections = 0
    errors: list[Evidence] = []

    def error(kind: Category, significant: bool, ref: int | None, cand: int | None, detail: str = "") -> None:
        errors.append(_evidence(kind, significant, pair, ref, cand, detail))

    room = {p: _findings_in(cands[p].text) for p in range(len(cands)) if p not in pair.withheld}
    # Distortions first: such a pair is an error, whatever else the answer says of it. One a reference statement.
    distorted: dict[int, Link] = {}
    kinds: tuple[tuple[Category, tuple[Link, ...]], ...] = (
        ("wrong_location", answer.location),
        ("wrong_severity", answer.severity),
    )
    for kind, links in kinds:
        for link in links:
            if link.ref in distorted or room.get(link.cand, 0) < 1:
                corrections += 1
                continue
            distorted[link.ref] = link
            room[link.cand] -= 1
            error(kind, link.significant, link.ref, link.cand)

    matched: dict[int, int] = {}
    supports: set[int] = {link.cand for link in distorted.values()}
    for ref, cand in answer.matched:
        contradicted = ref in distorted or (ref in answer.missing and _findings_in(refs[ref].text) == 1)
        # Two candidate statements may together state one reference statement: the second only supports it.
        takes = int(ref not in normal and ref not in matched)
        if contradicted or room.get(cand, -1) < takes:
            corrections += 1
            continue
        room[cand] -= takes
        matched.setdefault(ref, cand)
        supports.add(cand)

    for ref in range(len(refs)):
        if ref in answer.missing and ref not in distorted:
            error("missing_finding", answer.missing[ref], ref, None)
        elif ref not in matched and ref not in distorted and ref not in answer.comparison_omitted and ref not in normal:
            corrections += 1
            error("missing_finding", True, ref, None, "unaccounted")
    for ref, significant in answer.comparison_omitted.items():
        error("missing_comparison", significant, ref, matched.get(ref))
    for cand in range(len(cands)):
        if cand in pair.withheld:
            error("false_finding", True, None, cand, "withheld")
        elif cand in answer.false:
            error("false_finding", answer.false[cand], None, cand)
        elif cand not in supports and cand not in answer.comparison_added and cand not in answer.normal:
            corrections += 1
            error("false_finding", True, None, cand, "unaccounted")
        if cand in answer.comparison_added and cand not in pair.withheld:
            error("false_comparison", answer.comparison_added[cand], None, cand)

    # What the reference is worth depends on the reference alone, so it is the same for a whole group.
    findings = [r for r in range(len(refs)) if r not in normal]
    weight = MAJOR * len(findings) if findings else NORMAL_REPORT
    seen = [*matched, *distorted]
    if findings:
        # A statement of which a part is missing earns half.
        credit = sum(MODERATE if r in answer.missing and r in matched else MAJOR for r in seen if r not in normal)
    else:
        credit = NORMAL_REPORT * len(seen) / len(refs)
    serious = {link.ref for link in distorted.values() if link.significant}
    hits = [r for r in seen if r not in serious]
    return Ledger(
        errors=tuple(errors),
        matches=tuple(_evidence("matched", False, pair, ref, cand) for ref, cand in matched.items()),
        matched=sum(NEGATIVE if r in normal else 1.0 for r in hits),
        credit=credit,
        penalty=sum(_penalty(e) for e in errors),
        weight=weight,
        corrections=corrections,
    )


def _penalty(error: Evidence) -> float:
    """What an error costs beyond credit not earned: all that a candidate asserts, and a lost comparison."""
    if error.kind == "missing_finding" or (error.kind == "missing_comparison" and error.candidate is None):
        return 0.0
    if "comparison" in error.kind:
        return MODERATE if error.significant else MINOR
    return MAJOR if error.significant else MINOR


def _evidence(
    kind: Any, significant: bool, pair: Pair, ref: int | None, cand: int | None, detail: str = ""
) -> Evidence:
    r = None if ref is None else pair.reference.statements[ref]
    c = None if cand is None else pair.candidate[cand]
    names = ([] if ref is None else [f"R{ref + 1}"]) + ([] if cand is None else [f"P{cand + 1}"])
    return Evidence(kind, "/".join(names), significant, c and (c.start, c.end), r and (r.start, r.end), detail)


# --- the judgement -------------------------------------------------------------------------------------------------


def judgement(
    ledgers: Sequence[Ledger], pair: Pair, *, significant_only: bool, details: dict[str, object]
) -> Judgement:
    """The verdict of one vote, or of the mean of several; the scores are those of the mean counts.

    The evidence is that of the vote whose number of errors is the median. An empty candidate has no vote: it is
    all missing, and at the floor of every scale.
    """
    empty = not ledgers
    ledgers = ledgers or [settle(Answer((), (), (), {}, {}, {}, {}, frozenset()), pair)]
    counts = [_counts(ledger.errors) for ledger in ledgers]
    significant = {c: fmean(n[c, True] for n in counts) for c in CATEGORIES}
    insignificant = {c: fmean(n[c, False] for n in counts) for c in CATEGORIES}
    matched = fmean(ledger.matched for ledger in ledgers)
    values = score(
        significant,
        insignificant,
        matched=matched,
        credit=fmean(ledger.credit for ledger in ledgers),
        penalty=fmean(ledger.penalty for ledger in ledgers),
        weight=ledgers[0].weight,
        empty=empty,
    )
    if significant_only:
        values["inverse_errors"] = inverse_errors(max(sum(significant.values()), float(empty)))
    totals = [sum(n.values()) for n in counts]
    if len(ledgers) > 1:
        details = {**details, "spread": {"errors": [min(totals), max(totals)]}}
    median = ledgers[sorted(range(len(ledgers)), key=lambda i: (totals[i], i))[(len(ledgers) - 1) // 2]]
    if corrections := sum(ledger.corrections for ledger in ledgers):
        details = {**details, "corrections": corrections}
    return Judgement(
        significant=significant,
        insignificant=insignificant,
        matched_findings=matched,
        evidence=median.errors + median.matches,
        values=values,
        notes=pair.notes,
        details=details,
    )


def _counts(errors: Iterable[Evidence]) -> dict[tuple[Category, bool], int]:
    counts = {(c, s): 0 for c in CATEGORIES for s in (True, False)}
    for error in errors:
        counts[error.kind, error.significant] += 1  # type: ignore[index]  # an error's kind is never "matched"
    return counts
