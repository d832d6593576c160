"""What may never happen: a prompt scored as a report, or a border between them that the policy moves."""

from __future__ import annotations

from typing import Any, SupportsIndex

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reward_service.errors import InvalidRequest
from reward_service.trainers.chat_markup import chat_text, clean, split_query

REPORT = "No pneumothorax. Small left pleural effusion."

# (template name, everything before the completion, what generation puts behind it)
TEMPLATES = [
    (
        "chatml",
        "<|im_start|>system\nHi<|im_end|>\n<|im_start|>user\nReport?<|im_end|>\n<|im_start|>assistant\n",
        "<|im_end|>",
    ),
    (
        "llama3",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nReport?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|eot_id|>",
    ),
    ("mistral", "<s>[INST] Report? [/INST]", "</s>"),
    ("gemma", "<bos><start_of_turn>user\nReport?<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn><eos>"),
    ("vicuna", "A chat. USER: Report? ASSISTANT:", "</s>"),
]


@pytest.mark.parametrize(("name", "prompt", "eos"), TEMPLATES)
@pytest.mark.parametrize("padding", ["", "<pad><pad>", "<|endoftext|>" * 40])
@pytest.mark.parametrize("thinking", ["", "<think>\nLeft or right?\n</think>\n\n"])
@pytest.mark.parametrize("given_prompt", [True, False])
def test_the_report_is_isolated(
    name: str, prompt: str, eos: str, padding: str, thinking: str, given_prompt: bool
) -> None:
    query = padding + prompt + thinking + REPORT + eos + padding
    before, completion = split_query(query, prompt if given_prompt else "other", "query[0]")
    assert clean(completion) == REPORT
    assert before.rstrip().endswith(prompt.rstrip())


def test_an_earlier_assistant_turn_is_prompt() -> None:
    prompt = "<|im_start|>assistant\nold report<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n"
    assert split_query(prompt + REPORT, None, "q")[1] == REPORT


@pytest.mark.parametrize(("name", "prompt", "eos"), TEMPLATES)
def test_a_marker_that_the_policy_writes_does_not_move_the_border(name: str, prompt: str, eos: str) -> None:
    """Else it could have anything that it wrote before left out of its score."""
    rest = f"{REPORT} Large mass.{eos}{TEMPLATES[0][1].split('user')[0]}assistant\n{REPORT}"
    assert split_query(prompt + rest, None, "q")[1].lstrip() == rest


@pytest.mark.parametrize(
    ("query", "prompt"),
    [
        ("Describe the image. " + REPORT, "Describe this image. "),  # the prompt was re-worded
        ("Describe the image. " + REPORT, ""),
        ("prior words Describe. " + REPORT, "Describe. "),  # text, not padding, precedes the prompt
        ("<|im_start|>assistant\nold<|im_end|>\n<|im_start|>user\nWhat now?", None),  # the last turn is the user's
        ("USER: Report? ASSISTANT: Clear. USER: And now? ASSISTANT: " + REPORT, None),  # who wrote the second turn?
    ],
)
def test_what_cannot_be_isolated_is_refused_without_repeating_it(query: str, prompt: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split_query(query, prompt, "query[0]")
    assert (caught.value.code, caught.value.param) == ("response_not_isolated", "query[0]")
    assert "image" not in caught.value.message


@given(st.text(), st.text())
def test_an_exact_prompt_is_never_scored(prompt: str, completion: str) -> None:
    assume(prompt)
    assert split_query(prompt + completion, prompt, "q") == (prompt, completion)


@given(st.text(alphabet="ab <|>/think\n[]", max_size=80))
def test_cleaning_is_idempotent_and_only_removes(text: str) -> None:
    once = clean(text)
    assert once in text
    assert "</think>" in once or clean(once) == once


class Watched(str):
    """A text that counts the characters copied out of it, one by one or in slices."""

    copied = 0

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        piece = super().__getitem__(key)
        self.copied += len(piece)
        return piece


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a" + " " * 200_000 + "b" + "<pad> " * 20_000, "a" + " " * 200_000 + "b"),
        ("<s>" * 100_000 + REPORT, REPORT),
    ],
)
def test_cleaning_copies_no_more_than_the_text(text: str, left: str) -> None:
    watched = Watched(text)
    assert clean(watched) == left
    assert watched.copied <= len(text)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Report?", "Report?"),
        ([{"role": "system", "content": "a"}, {"role": "user", "content": [{"text": "b"}, {"image": "x"}]}], "a\nb"),
        ([{"role": "user"}, "words", 3, {"content": 4}], ""),
        (None, ""),
        ({"content": "a"}, ""),
    ],
)
def test_the_text_of_a_chat(prompt: Any, text: str) -> None:
    assert chat_text(prompt) == text
