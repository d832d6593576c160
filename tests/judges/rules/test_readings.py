"""Every sentence of `readings.yaml` is read as it says there. A failing case prints the reading and why it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from judges.rules import knowledge, reading
from judges.rules.judge import RulesJudge

from .conftest import Read

GROUPS: dict[str, dict[str, dict[str, str]]] = yaml.load(
    Path(__file__).with_name("readings.yaml").read_text("utf-8"), Loader=knowledge.Loader
)


def cases(form: str) -> list[Any]:
    return [
        pytest.param(text, sorted(expected.split()), id=f"{group}: {text}"[:100])
        for group, sentences in GROUPS[form].items()
        for text, expected in sentences.items()
    ]


def check(text: str, found: list[str], expected: list[str]) -> None:
    if found != expected:
        pytest.fail(f"expected: {' '.join(expected)}\nread:     {' '.join(found)}\n{why(text)}", pytrace=False)


def why(text: str) -> str:
    return reading.render(reading.explain(text))


@pytest.mark.parametrize(("text", "expected"), cases("says"))
def test_a_sentence_says(judge: RulesJudge, text: str, expected: list[str]) -> None:
    said = reading.notation(judge.lexicon, judge.encode([text])[0])
    check(text, [one for one in said if one[0] != "0" and not one.endswith("=compared")], expected)


@pytest.mark.parametrize(("text", "expected"), cases("states"))
def test_the_state_of_a_finding(read: Read, text: str, expected: list[str]) -> None:
    check(text, sorted(mark + finding for finding, mark in read(text).items()), expected)


@pytest.mark.parametrize(("text", "expected"), cases("changes"))
def test_what_has_changed(judge: RulesJudge, text: str, expected: list[str]) -> None:
    said = reading.notation(judge.lexicon, judge.encode([text])[0])
    check(text, [one for one in said if "=" in one], expected)


@pytest.mark.parametrize(("text", "expected"), cases("rules_out"))
def test_what_normality_rules_out(read: Read, text: str, expected: list[str]) -> None:
    said = read(text)
    assert not {"+", "?"} & set(said.values()), why(text)
    check(text, sorted(finding for finding in expected if said.get(finding) == "0"), expected)
