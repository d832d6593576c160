"""One judge for all tests of the rules judge, and a way to read a text as plain words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judges.base import Judgement
from judges.rules import knowledge
from judges.rules.judge import RulesJudge

_LARGE = ("grammar", "frames", "retraction", "turns", "history")
"""Files of cues that hold three quarters of all phrases, and that no code refers to by a phrase."""

Read = Callable[[str], dict[str, str]]
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
def compare(judge: RulesJudge) -> Compare:
    def run(candidate: str, reference: str, prior: str | None = None) -> Judgement:
        one, other = judge.encode([candidate, reference])
        earlier = None if prior is None else judge.encode([prior])[0]
        return judge.compare([one], [other], [earlier])[0]

    return run


def few_rows() -> dict[str, str]:
    """The files of a smaller lexicon, which compiles in a third of the time."""
    return knowledge.texts() | {f"cues/{name}.yaml": "cues: []\n" for name in _LARGE}


def errors(verdict: Judgement) -> list[tuple[str, str, bool]]:
    """(category, finding, significant) of every error, sorted."""
    return sorted((e.kind, e.finding, e.significant) for e in verdict.evidence if e.is_error)
