"""Where an answer begins, and which texts reason or repeat a prompt without a marker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.text import answer
from reward_service.text.guards import GuardSettings, inspect
from reward_service.text.normaliser import normalise
from reward_service.trainers.chat_markup import clean
from tests.work import assert_linear, some_now

REPORT = "Small left effusion. No pneumothorax."
CUT = (
    "analysisMaybe pneumothorax? No.assistantfinal", "analysis\nThe user wants it.\nassistantfinal\n",
    "[INST] Comment on consolidation, mass. [/INST] ", "Comment on mass. [/INST] ", "user\nA mass?\nassistant\n",
    "system\nYou are a radiologist.\nuser\nDescribe.\nassistant\n", "User: Is there pneumonia? Assistant: ",
    "Human: Is there pneumonia?\n\nAssistant: ", "### Instruction:\nA mass?\n\n### Response:\n",
    "<|user|>\nA mass?<|end|>\n<|assistant|>\n", "<|im_start|>user\nA mass?<|im_end|>\n<|im_start|>assistant\n",
    "<start_of_turn>user\nA mass?<end_of_turn>\n<start_of_turn>model\n",
    "Okay, let me look. Maybe a pneumothorax. I need to check the heart. Final report: ",
    "Let me think step by step. The user wants a report. Therefore, the final answer is:\n\n",
    "Sure! Here is the radiology report:\n\n", "Report: ", "Assistant: ", "**Answer:** ", "Question: An effusion? Answer: ",
)  # fmt: skip
FLAGGED = (
    "Okay, let me look at the image. There may be a pneumothorax, hmm. I need to check. ",
    "You are an expert radiologist. Write the findings of this chest X-ray. ",
    "Write a radiology report for the given image. ", "Given the chest X-ray, please describe the findings. ",
    "<image>\nDescribe the findings in this chest x-ray.\n", "We need to look at the heart. We should write a report. ",
    "First, I will examine the lungs. Now I write. ", "Thought process: heart? lungs? I will check each. ",
)  # fmt: skip
HONEST = (
    "I discussed these findings with Dr. Smith by telephone. I agree with the above. ",
    "I have personally reviewed the image. I think the opacity is atelectasis. ",
    "I see no mass. Please correlate clinically. ", "FINAL REPORT\nReason for exam: describe the tube position. ",
    "Preliminary report: no change. Final report: as above. ", "The assistant was informed. ",
)  # fmt: skip


@pytest.mark.parametrize("before", CUT)
def test_what_stands_before_a_sure_marker_is_no_part_of_the_report(before: str) -> None:
    assert normalise(before + REPORT).text == REPORT
    assert clean(before + REPORT) in (REPORT, REPORT.strip())
    assert inspect(normalise(before + REPORT), normalise(REPORT), GuardSettings()).flags == ()


@pytest.mark.parametrize("before", FLAGGED)
def test_without_a_marker_it_is_flagged_and_paid_a_quarter(before: str) -> None:
    found = inspect(normalise(before + REPORT), normalise(REPORT), GuardSettings())
    assert "not_a_report" in found.flags
    assert found.floor or found.multiplier <= 0.25
    assert "not_a_report" not in inspect(normalise(before + REPORT), normalise(before), GuardSettings()).flags


@pytest.mark.parametrize("before", HONEST)
def test_an_author_may_speak_of_himself(before: str) -> None:
    found = inspect(normalise(before + REPORT), normalise(REPORT), GuardSettings())
    assert found.flags == ()
    assert normalise(before + REPORT).text.endswith(REPORT)


@pytest.mark.parametrize("after", ["<|im_end|>\n<|im_start|>assistant\n", " [/INST]", "\nassistant\n"])
def test_a_marker_that_nothing_follows_cuts_nothing(after: str) -> None:
    assert normalise(REPORT + after).text.startswith(REPORT)


@given(st.sampled_from(CUT), st.text(max_size=40))
def test_the_answer_lies_within_the_text(before: str, report: str) -> None:
    assert 0 <= answer.start(before + report) <= len(before + report)


SHAPES = (
    "assistant: ", "user: answer: ", "here is a ", "let me ", "write a b c ", "[/INST]", "report ", "i will ",
    "as an ai model. ", "sure. ", "based on the image ",
)  # fmt: skip


@pytest.mark.parametrize("shape", some_now(SHAPES, 4))
def test_cost_is_linear(shape: str) -> None:
    assert_linear(answer.start, shape)
    assert_linear(answer.end, shape)
    assert_linear(answer.deliberates, shape)
