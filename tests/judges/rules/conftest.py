"""One judge for all tests of the rules judge, and a way to read a text as plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from judges.base import Judgement
from judges.rules import lexicon as lx
from judges.rules.judge import RulesJudge

Read = Callable[[str], dict[str, str]]
Describe = Callable[[str], set[str]]
Compare = Callable[..., Judgement]


@pytest.fixture(scope="session")
def judge() -> RulesJudge:
    return RulesJudge()


@pytest.fixture(scope="session")
def read(judge: RulesJudge) -> Read:
    """Concept -> ``+`` asserted, ``?`` possible, ``-`` denied by name, ``~`` denied in part, ``0`` ruled out by normality."""
    names = [c.name for c in judge.lexicon.concepts]

    def run(text: str) -> dict[str, str]:
        found = judge.encode([text])[0]
        said = {names[c]: "+" if any(f.certain for f in s.values()) else "?" for c, s in found.positive.items()}
        for concept, denial in found.negative.items():
            said[names[concept]] = "~" if denial.partial else "-" if denial.explicit else "0"
        return said

    return run


@pytest.fixture(scope="session")
def describe(judge: RulesJudge) -> Describe:
    """Everything a text says of findings, in short.

    ``?finding:side.grade^zone@place#millimetres`` (``?`` = possible; what is not said is left out), ``-finding`` denied by
    name, ``~finding`` denied in part, ``finding=change`` compared with an earlier study.
    """
    names = [c.name for c in judge.lexicon.concepts]
    sides, bands = ("", "left", "right", "both"), ("trace", "small", "moderate", "large")
    zones, places = ("upper", "middle", "lower", "central"), judge.lexicon.places
    changes = {lx.STABLE: "stable", lx.WORSE: "worse", lx.BETTER: "better", lx.NEW: "new", lx.RESOLVED: "resolved"}

    def bits(mask: int, words: Sequence[str]) -> str:
        return "-".join(word for i, word in enumerate(words) if mask >> i & 1)

    def run(text: str) -> set[str]:
        found = judge.encode([text])[0]
        said = {("~" if d.partial else "-") + names[c] for c, d in found.negative.items() if d.explicit}
        for x in (x for by_side in found.positive.values() for x in by_side.values()):
            size = f"{x.size:g}" if x.size else ""
            parts = zip(
                ":.^@#",
                (sides[x.side], bits(x.severity, bands), bits(x.zone, zones), bits(x.place, places), size),
                strict=True,
            )
            said.add(
                ("" if x.certain else "?") + names[x.concept] + "".join(mark + part for mark, part in parts if part)
            )
        said |= {
            f"{name}={changes[bit]}" for (name, _), (mask, _) in found.changes.items() for bit in changes if mask & bit
        }
        return said

    return run


@pytest.fixture(scope="session")
def compare(judge: RulesJudge) -> Compare:
    def run(candidate: str, reference: str, prior: str | None = None) -> Judgement:
        one, other = judge.encode([candidate, reference])
        earlier = None if prior is None else judge.encode([prior])[0]
        return judge.compare([one], [other], [earlier])[0]

    return run


def errors(verdict: Judgement) -> list[tuple[str, str, bool]]:
    """(category, finding, significant) of every error, sorted."""
    return sorted((e.kind, e.finding, e.significant) for e in verdict.evidence if e.kind != "matched")
