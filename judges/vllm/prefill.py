"""Statements that need no model: those that both reports make, by their words or as the rules judge reads them.

What is matched here is matched whoever judges, so it saves requests and a weak model's false alarms. The price of the
rules judge is that both judges then err alike where it reads wrongly, and a cap of one by the other caps less.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from judges.base import Judgement
from judges.rules.judge import RulesJudge
from judges.vllm.prompt import NumberedPair
from judges.vllm.settings import Prefill


def said_by_both(pair: NumberedPair, prefill: Prefill) -> frozenset[str]:
    """Ids of the statements that are matched without being asked about; what is withheld is none of them."""
    if prefill == "none":
        return frozenset()
    found = _equal(pair)
    return found | _alike(pair) if prefill == "rules" else found


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


def _alike(pair: NumberedPair) -> frozenset[str]:
    """Statements between which the rules judge finds no error, in either direction, and at least one match."""
    judge = _rules()
    ours = dict(zip(range(1, 1 + len(pair.reference.shown)), judge.encode(pair.reference.shown), strict=True))
    theirs = dict(zip(range(1, 1 + len(pair.shown)), judge.encode(pair.shown), strict=True))
    couples = [
        (r, p)
        for r, ref in ours.items()
        for p, cand in theirs.items()
        if p - 1 not in pair.withheld and judge.refuses(ref) is None and judge.refuses(cand) is None
    ]
    refs, cands, none = [ours[r] for r, _ in couples], [theirs[p] for _, p in couples], [None] * len(couples)
    both = zip(couples, judge.compare(cands, refs, none), judge.compare(refs, cands, none), strict=True)
    agreed = [couple for couple, forth, back in both if _agrees(forth) and _agrees(back)]
    return frozenset(f"R{r}" for r, _ in agreed) | frozenset(f"P{p}" for _, p in agreed)


def _agrees(judged: Judgement) -> bool:
    errors = sum(judged.significant.values()) + sum(judged.insignificant.values())
    # A piece that costs something without being an error, such as words that cannot be read, is no agreement either.
    return not errors and judged.matched_findings > 0 and not any(one.cost for one in judged.evidence)


@functools.cache
def _rules() -> RulesJudge:
    return RulesJudge()
