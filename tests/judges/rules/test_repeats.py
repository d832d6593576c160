"""A sentence that was read before says what it said, and only where it says that anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.data import synthetic_report
from judges.rules import repeats
from judges.rules.clause import Clauses
from judges.rules.judge import RulesJudge
from judges.rules.reader import Reader
from judges.rules.repeats import Repeat
from judges.rules.trace import Trace

READINGS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("readings.yaml").read_text(encoding="utf-8"))
LOOK_AROUND = [
    "FINDINGS:", "IMPRESSION:\n", "\n", "COMPARISON: None.", "HEART: Enlarged.", "LUNGS:", "Heart", "Findings", "1.",
    "It has increased.", "This is stable.", "The tube is in the stomach.", "The tip is too low.", "ETT in place.",
    "The above was dictated in error.", "None of the following is present:", "Pneumothorax?", "No.", "Normal.",
    "Otherwise normal.", "vs.", "1.5 cm nodule.", "?pneumonia.", "Prelim:", "Final:", "CORRECTION:", "Dr. Smith saw it.",
    "There is no.", "No evidence of.", "No, there is not.", "Not true.", "On second look there is none.", "Negative.",
    "Opacity may be edema or pneumonia.", "Mild increase in the effusion.", "which may represent atelectasis.",
]  # fmt: skip
"""What reads otherwise by what stands around it, or changes how the next sentence is read."""


def texts(node: object) -> list[str]:
    if isinstance(node, dict):
        return [
            *(key for key in node if isinstance(key, str) and " " in key),
            *(t for v in node.values() for t in texts(v)),
        ]
    if isinstance(node, list):
        return [t for v in node for t in texts(v)]
    return [node] if isinstance(node, str) else []


SENTENCES = sorted({text for text in texts(READINGS) if " " in text})


@pytest.fixture(scope="module")
def reader(judge: RulesJudge) -> Reader:
    return Reader(judge.lexicon)


def afresh(judge: RulesJudge, text: str) -> object:
    """The findings as one reads them who remembers no sentence: a trace needs every one."""
    return Reader(judge.lexicon).traced(text, Trace())[0]


def test_there_are_sentences_to_try() -> None:
    assert len(SENTENCES) > 500


@given(data=st.data())
def test_what_is_remembered_moves_nothing(judge: RulesJudge, reader: Reader, data: st.DataObject) -> None:
    parts = st.one_of(st.sampled_from(SENTENCES), st.sampled_from(LOOK_AROUND))
    few = data.draw(st.lists(parts, min_size=1, max_size=4))
    text = data.draw(st.sampled_from((" ", "\n", "  "))).join(data.draw(st.permutations(few * 2)))
    expected = afresh(judge, text)
    assert reader.read(text) == expected
    assert reader.read(text) == expected  # now all of it is remembered that can be


def test_reports_in_a_row_read_as_each_alone(judge: RulesJudge) -> None:
    """Texts of random words, in which sentences break off: what one process has read before must move nothing."""
    rng = random.Random(5)
    reader = Reader(judge.lexicon)
    for _ in range(600):
        text = synthetic_report(rng, 20)
        assert reader.read(text) == reader.traced(text, Trace())[0]  # a trace remembers nothing


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The words at which sentences were said again."""
    again: list[int] = []
    say: Callable[[Repeat, Clauses, int], None] = Repeat.say

    def spy(repeat: Repeat, clauses: Clauses, first: int) -> None:
        again.append(first)
        say(repeat, clauses, first)

    monkeypatch.setattr(Repeat, "say", spy)
    return again


def test_a_sentence_is_read_once(judge: RulesJudge, said: list[int]) -> None:
    reader = Reader(judge.lexicon)
    reader.read("No pneumothorax. Small left pleural effusion.")
    assert said == []
    reader.read("Small left pleural effusion. The heart is enlarged. No pneumothorax.")
    assert said == [0, 9]  # articles are no words


@pytest.mark.parametrize(
    "text",
    [
        "It may be edema.",
        "The tip is in the stomach.",
        "A 5 mm nodule.",
        "Effusion? No.",
        "The above is wrong.",
        "Normal.",
    ],
)
def test_a_sentence_that_looks_around_is_read_again(judge: RulesJudge, said: list[int], text: str) -> None:
    reader = Reader(judge.lexicon)
    for _ in range(2):
        reader.read(text)
    assert said == []


def test_the_memory_is_bounded(judge: RulesJudge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST", 3)
    reader = Reader(judge.lexicon)
    for side in ("left", "right"):
        for size in ("tiny", "small", "moderate", "large", "massive"):
            reader.read(f"There is a {size} {side} pleural effusion.")
    assert len(reader._repeats._young) <= 3
    assert len(reader._repeats._old) <= 3
