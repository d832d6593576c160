"""What is known of statements before a model is asked: by their words, or as the rules judge reads them.

A statement that both reports make needs no model, nor does one that the rules judge reads as a clear error. That saves
requests, a weak model's false alarms, and what it overlooks. The price is that both judges then err alike where the
rules judge reads wrongly, and a cap of one by the other caps less.
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


class Known(NamedTuple):
    """What the words or the rules judge tell of a statement."""

    is_said: bool | None
    """Whether the other report says it; None: the model is asked."""
    kind: str = ""
    """In what it differs, as a letter of question 2, if the rules judge reads an error."""
    significant: bool = True
    """Whether that error is significant."""

    def entry(self) -> dict[str, object]:
        """Of the answer that is stored: probabilities where nobody is asked, and what the rules judge says of an error."""
        read: dict[str, object] = {"rules": [self.kind, self.significant]} if self.kind else {}
        return read if self.is_said is None else {"said": [float(self.is_said), float(not self.is_said), 0.0], **read}


SAID: Final = Known(is_said=True)
_SIDE, _GRADE, _CHANGE, _DENIAL, _ABSENT = LETTERS[Question.KIND]
_KINDS: Final[Mapping[Kind, str]] = {
    "wrong_location": _SIDE,
    "wrong_severity": _GRADE,
    "false_comparison": _CHANGE,
    "missing_comparison": _CHANGE,
    "missing_finding": _DENIAL,
    "false_finding": _ABSENT,
}
_NO_FINDING: Final = frozenset({STUDY, unread.NAME})
"""Names of errors that are about no finding, so that they are no sure sign of one."""


def known(pair: NumberedPair, prefill: Prefill) -> dict[str, Known]:
    """What is known by the names of the statements (P1, ... and R1, ...); of what is withheld, nothing."""
    if prefill == "none":
        return {}
    equal = dict.fromkeys(_equal(pair), SAID)
    return {**_read(pair), **equal} if prefill == "rules" else equal


def manifest(prefill: Prefill) -> Mapping[str, object]:
    """What decides which statements are asked about."""
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


def _read(pair: NumberedPair) -> dict[str, Known]:
    """What the rules judge tells: nothing where it does not hold, and nothing of a statement it does not read."""
    judge = _rules()
    ours = pair.reference.shown
    theirs = [text for n, text in enumerate(pair.shown) if n not in pair.withheld]
    report, draft, earlier = judge.encode(["\n".join(part) for part in (ours, theirs, pair.reference.earlier)])
    if judge.refuses(report) is not None or judge.refuses(draft) is not None:
        return {}
    reference = {f"R{n}": read for n, read in enumerate(judge.encode(ours), 1) if judge.refuses(read) is None}
    names = [f"P{n}" for n in range(1, 1 + len(pair.shown)) if n - 1 not in pair.withheld]
    candidate = {n: read for n, read in zip(names, judge.encode(theirs), strict=True) if judge.refuses(read) is None}
    prior = earlier if pair.reference.earlier else None
    found = dict([*_differing(candidate, report, prior), *_differing(reference, draft, prior)])
    return {**found, **dict.fromkeys(_alike(reference, candidate), SAID)}


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


def _differing(
    statements: Mapping[str, Findings], report: Findings, prior: Findings | None
) -> Iterator[tuple[str, Known]]:
    """Statements of which the rules judge finds something that the report does not say, or denies."""
    count = len(statements)
    judged = _rules().compare([*statements.values()], [report] * count, [prior] * count)
    for name, judgement in zip(statements, judged, strict=True):
        if errors := [one for one in judgement.evidence if one.is_error and one.candidate is not None]:
            worst = max(errors, key=_weight)
            # What the report does not mention, as far as it is read, it may still say: that is for the model.
            sure = worst.significant and worst.finding not in _NO_FINDING and worst.kind != "false_finding"
            yield name, Known(False if sure else None, _KINDS[worst.kind], worst.significant)


def _weight(error: Evidence) -> tuple[bool, bool, float]:
    return error.significant, error.finding not in _NO_FINDING, error.cost


@functools.cache
def _rules() -> RulesJudge:
    return RulesJudge()
