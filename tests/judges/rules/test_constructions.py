"""Every special construction has a sentence in `readings.yaml` that is read otherwise without it."""

from __future__ import annotations

import inspect

import pytest

from judges.rules import attributes, constructions, ellipsis, reading, sentence
from judges.rules.judge import RulesJudge
from judges.rules.reader import Reader
from tests.judges.rules.test_readings import GROUPS, check

WITHOUT = {
    "zone_before": lambda *_: -1,
    "same_side": lambda events, _: events,
    "on_one_side": lambda events, *_: events,
    "past": lambda *_: -1,
    "growth_denied": lambda events: events,
    "litotes": lambda events, *_: events,
    "filled": lambda events, _: events,
    "split": lambda *_: set(),
    "summed_up": lambda *_: 0,
    "new_since": lambda events, *_: events,
    "again_behind": lambda *_: 0,
    "not_so": lambda events, *_: events,
    "corrected_side": lambda events: events,
}
"""What stands for a construction that is left out; a question is answered with no."""
CASES = [
    (name, text, sorted(says.split())) for name, each in GROUPS["constructions"].items() for text, says in each.items()
]


def said(judge: RulesJudge, text: str) -> list[str]:
    return reading.notation(judge.lexicon, judge.encode([text])[0])


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_a_sentence_needs_its_construction(
    judge: RulesJudge, monkeypatch: pytest.MonkeyPatch, name: str, text: str, expected: list[str]
) -> None:
    check(text, said(judge, text), expected)
    home = {"filled": sentence, "split": attributes}.get(name, constructions)
    monkeypatch.setattr(home, name, WITHOUT.get(name, lambda *_: False))
    forgetful = Reader(judge.lexicon)  # the judge's own remembers the sentence
    assert reading.notation(judge.lexicon, forgetful.read(text)) != expected


def test_every_construction_has_a_sentence() -> None:
    public = {
        name
        for module in (constructions, ellipsis)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and name[0] != "_"
    }
    assert public == {name for name, _, _ in CASES}
