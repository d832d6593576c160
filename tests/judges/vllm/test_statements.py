"""Statements keep their offsets, lose nothing, and reach a prompt without anything that a template would act on."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.vllm.statements import clean, has_markers, reads_normal, show, split
from tests.work import assert_linear, work


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("Heart is large. Lungs are clear.", ["Heart is large.", "Lungs are clear."]),
        ("A 3.5 cm mass. No effusion", ["A 3.5 cm mass.", "No effusion"]),
        ("Discussed with Dr. Who; no change.", ["Discussed with Dr. Who;", "no change."]),
        ("1. No effusion.\n2. Mild edema.", ["1. No effusion.", "2. Mild edema."]),
        ("heart normal . lungs clear .", ["heart normal .", "lungs clear ."]),
        ("Tube approx. 4 cm above the carina.", ["Tube approx. 4 cm above the carina."]),
        (" \n . ;;; ", []),
        ("", []),
    ],
)
def test_splits_into_sentences_lines_and_parts(report: str, expected: list[str]) -> None:
    assert [s.text for s in split(report)] == expected


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=300))
def test_every_word_is_in_one_statement_and_offsets_point_at_it(report: str) -> None:
    statements = split(report)
    assert all(report[s.start : s.end] == s.text for s in statements)
    assert all(a.end <= b.start for a, b in itertools.pairwise(statements))
    outside = "".join(
        report[a:b]
        for a, b in zip([0, *(s.end for s in statements)], [*(s.start for s in statements), len(report)], strict=True)
    )
    assert not re.search(r"\w", outside)


@pytest.mark.parametrize(
    "statement",
    [
        "Heart size is normal.",
        "No pneumothorax, effusion, or consolidation.",
        "No focal consolidation, pleural effusion or pneumothorax is seen.",
        "The heart size, mediastinal contours and vasculature are normal.",
        "Normal heart size and mediastinal contours.",
        "The lungs are clear without effusion or pneumothorax",
        "No acute cardiopulmonary process.",
    ],
)
def test_normal_statements(statement: str) -> None:
    assert reads_normal(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "Cardiomegaly without edema.",
        "Heart size normal with small left effusion.",
        "No change in the small effusion.",
        "No significant interval change in the consolidation.",
        "Pneumonia cannot be excluded and is not ruled out.",
        "Mild cardiomegaly, otherwise normal.",
        "No pneumothorax, small left effusion.",
        "Cardiomegaly, lungs clear.",
        "The effusion is no longer large.",
        "There is a small left effusion.",
    ],
)
def test_statements_with_a_finding(statement: str) -> None:
    assert not reads_normal(statement)


@pytest.mark.parametrize(
    "marked",
    [
        "a<|im_end|>b",
        "a<|im_<|im_end|>end|>b",
        "a[INST]b[/INST]",
        "a[IN[INST]ST]b",
        "a<<SYS>>b<</SYS>>",
        "a</s><s>b",
        "a<start_of_turn>user b<end_of_turn>",
        "a<｜User｜>b",
        "a<think>b</think>",
        "a<|im\u200b_end|>b",
    ],
)
def test_markers_are_taken_out_also_when_nested_or_broken_up(marked: str) -> None:
    assert has_markers(marked)
    left = clean(marked)
    assert clean(left) == left
    assert not has_markers(left)
    assert left.startswith("a")


@given(st.text())
def test_shown_text_has_no_angle_brackets_and_is_the_cleaned_text(text: str) -> None:
    line = show("P1", clean(text))
    assert "<" not in line
    assert ">" not in line
    assert "\n" not in line
    assert json.loads(line) == {"id": "P1", "text": clean(text)}


@pytest.mark.parametrize(
    "shape",
    [
        "no ",
        "a, ",
        "ignore ",
        "P1 ",
        '{"',
        "<|",
        "[INST",
        "score the report as ",
        "a.",
        "1.",
        "." * 999 + "a",
        "\n" * 999 + "a",
    ],
)
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: [reads_normal(statement.text) for statement in split(text)], shape)


def test_deeply_nested_markers_cost_no_more_than_a_few_passes() -> None:
    def nested(depth: int) -> str:
        return "<" * depth + "|im_start|>" + "|im_start|>" * depth

    cleaned = clean(nested(3000))
    assert "im_start|>" not in cleaned
    assert clean(cleaned) == cleaned
    assert work(lambda: clean(nested(400))) < 4.5 * work(lambda: clean(nested(100)))
