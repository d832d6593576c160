"""What is known of statements before a model is asked: by their words, or as the rules judge reads them.

A statement that both reports make needs no model: that saves requests and a weak model's false alarms. Where the rules
judge reads an error in one, the model is asked all the same, and its answer is weighed together with that. The price of
the rules judge is that both judges then err alike where it reads wrongly, and a cap of one by the other caps less.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from judges.base import STUDY, Evidence, Judgement, Kind
from judges.rules import unread
from judges.rules.findings import Findings
from judges.rules.judge import RulesJudge
from judges.vllm.letters import LETTERS, Question
from judges.vllm.prompt import NumberedPair
from judges.vllm.settings import Prefill


class Differs(NamedTuple):
    """An error that the rules judge reads in a statement."""

    kind: str
    """In what it differs, as a letter of question 2."""
    significant: bool


class Known(NamedTuple):
    """What is known of the statements of a pair, by their names: P1, ... and R1, ..."""

    said: frozenset[str]
    """Those that both reports make; no model is asked about them."""
    differing: Mapping[str, Differs]
    """Those in which the rules judge reads an error."""


_SIDE, _GRADE, _CHANGE, _DENIAL, _ABSENT = list(LETTERS[Question.KIND])
_KINDS: Final[Mapping[Kind, str]] = {
    "wrong_location": _SIDE,
    "wrong_severity": _GRADE,
    "false_comparison": _CHANGE,
    "missing_comparison": _CHANGE,
    "missing_finding": _DENIAL,
    "false_finding": _ABSENT,
}
_NO_FINDING: Final = frozenset({STUDY, unread.NAME})
"""Names of errors that are about no finding."""


def known(pair: NumberedPair, prefill: Prefill) -> Known:
    """What is known of the pair's statements; of those that are withheld, nothing."""
    if prefill == "none":
        return Known(frozenset(), {})
    equal = _equal(pair)
    if prefill == "equal":
        return Known(equal, {})
    read = _read(pair)
    said = equal | read.said
    return Known(said, {name: error for name, error in read.differing.items() if name not in said})


def manifest(prefill: Prefill) -> Mapping[str, object]:
    """What decides which statements are asked about, and what is known of them."""
    if prefill != "rules":
        return {"prefill": prefill}
    return {"prefill": prefill, "rules": {"version": RulesJudge.version, **_rules().manifest()}}


def plain(text: str) -> str:
    """The words of a statement alone; equal for statements that differ in capitals, blanks and punctuation."""
    return " ".join(re.findall(r"\w+(?:\.\w+)?", text.lower()))


def _equal(pair: NumberedPair) -> frozenset[str]:
    ours = {f"R{n}": plain(text) for n, text in enumerate(pair.reference.shown, 1)}
    theirs = {f"P{n}": plain(text) for n, text in enumerate(pair.shown, 1) if n - 1 not in pair.withheld}
    both = set(ours.values()) & set(theirs.values())
    return frozenset(name for name, words in {**ours, **theirs}.items() if words in both)


def _read(pair: NumberedPair) -> Known:
    """What the rules judge tells: nothing where it does not hold, and nothing of a statement that it does not read."""
    ours = {f"R{n}": text for n, text in enumerate(pair.reference.shown, 1)}
    theirs = {f"P{n}": text for n, text in enumerate(pair.shown, 1) if n - 1 not in pair.withheld}
    report, draft, earlier = _rules().encode(
        ["\n".join(part) for part in (ours.values(), theirs.values(), pair.reference.earlier)]
    )
    if _rules().refuses(report) is not None or _rules().refuses(draft) is not None:
        return Known(frozenset(), {})
    prior = earlier if pair.reference.earlier else None
    reference, candidate = _each(ours), _each(theirs)
    differing = {**_differing(candidate, report, prior), **_differing(reference, draft, prior)}
    return Known(frozenset(_alike(reference, candidate)), differing)


def _each(statements: Mapping[str, str]) -> dict[str, Findings]:
    read = zip(statements, _rules().encode([*statements.values()]), strict=True)
    return {name: findings for name, findings in read if _rules().refuses(findings) is None}


def _alike(reference: Mapping[str, Findings], candidate: Mapping[str, Findings]) -> Iterator[str]:
    """Statements between which the rules judge finds no error, in either direction, and at least one match."""
    couples = [(r, p) for r in reference for p in candidate]
    refs, cands = [reference[r] for r, _ in couples], [candidate[p] for _, p in couples]
    both = zip(couples, _rules().compare(cands, refs), _rules().compare(refs, cands), strict=True)
    for couple, forth, back in both:
        if _agrees(forth) and _agrees(back):
            yield from couple


def _agrees(judged: Judgement) -> bool:
    errors = sum(judged.significant.values()) + sum(judged.insignificant.values())
    # A piece that costs something without being an error, such as words that cannot be read, is no agreement either.
    return not errors and judged.matched_findings > 0 and not any(one.cost for one in judged.evidence)


def _differing(statements: Mapping[str, Findings], report: Findings, prior: Findings | None) -> dict[str, Differs]:
    """Statements of which something is an error against the report; the worst of each."""
    count = len(statements)
    judged = _rules().compare([*statements.values()], [report] * count, [prior] * count)
    worst = {name: _worst(each.evidence) for name, each in zip(statements, judged, strict=True)}
    return {name: Differs(_KINDS[one.kind], one.significant) for name, one in worst.items() if one is not None}


def _worst(evidence: tuple[Evidence, ...]) -> Evidence | None:
    """Of the errors that the statement makes, not of what it leaves out."""
    own = [e for e in evidence if e.is_error and e.candidate is not None and e.finding not in _NO_FINDING]
    return max(own, key=lambda error: (error.significant, error.cost), default=None)


@functools.cache
def _rules() -> RulesJudge:
    return RulesJudge()
