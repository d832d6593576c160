"""Requests as the trainers' own clients build them, and what may never happen: a prompt scored as a report.

Shapes come from the trainers' sources: OpenRLHF 0.11 `SingleTurnAgentExecutor`, slime `remote_rm`, LLaMA-Factory
`get_rewards_from_server`, LightRFT `request_api_wrapper`, NeMo Gym `BaseVerifyRequest`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reward_service.contracts import ComponentError
from reward_service.errors import ComponentsUnavailable, ConfigurationError, InvalidRequest
from reward_service.trainers import dialects
from reward_service.trainers.dialects import DialectItem, ReferenceStore

REPORT = "No pneumothorax. Small left pleural effusion."
REFERENCE = "Small left effusion, no pneumothorax."


@dataclass
class Result:
    reward: float | None
    components: Mapping[str, float | None] = field(default_factory=lambda: {"bleu2": 0.25, "clinical": 0.5})
    contributions: Mapping[str, float] = field(
        default_factory=lambda: {"bleu2": 0.125, "clinical": 0.5, "adjustment": 0}
    )
    missing: Mapping[str, ComponentError] = field(default_factory=dict)

    @property
    def blocking(self) -> tuple[str, ...]:
        return tuple(self.missing)


OK = Result(0.625)
LOST = Result(
    None, {"bleu2": 0.25, "clinical": None}, {}, {"clinical": ComponentError("judge_down", "x", retryable=True)}
)
NO_REFERENCE = Result(None, {"bleu2": None, "clinical": None}, {}, {"bleu2": ComponentError("empty_reference", "x")})
ITEM = DialectItem("c", "r", None, "labels[0]")

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
    before, completion = dialects.split_query(query, prompt if given_prompt else "other", "query[0]")
    assert dialects.clean(completion) == REPORT
    assert before.rstrip().endswith(prompt.rstrip())


def test_an_earlier_assistant_turn_is_prompt() -> None:
    prompt = "<|im_start|>assistant\nold report<|im_end|>\n<|im_start|>user\nAgain<|im_end|>\n<|im_start|>assistant\n"
    assert dialects.split_query(prompt + REPORT, None, "q")[1] == REPORT


@pytest.mark.parametrize(("name", "prompt", "eos"), TEMPLATES)
def test_a_marker_that_the_policy_writes_does_not_move_the_border(name: str, prompt: str, eos: str) -> None:
    """Else it could have anything that it wrote before left out of its score."""
    rest = f"{REPORT} Large mass.{eos}{TEMPLATES[0][1].split('user')[0]}assistant\n{REPORT}"
    assert dialects.split_query(prompt + rest, None, "q")[1].lstrip() == rest


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
        dialects.split_query(query, prompt, "query[0]")
    assert (caught.value.code, caught.value.param) == ("response_not_isolated", "query[0]")
    assert "image" not in caught.value.message


@given(st.text(), st.text())
def test_an_exact_prompt_is_never_scored(prompt: str, completion: str) -> None:
    assume(prompt)
    assert dialects.split_query(prompt + completion, prompt, "q") == (prompt, completion)


@given(st.text(alphabet="ab <|>/think\n[]", max_size=80))
def test_cleaning_is_idempotent_and_only_removes(text: str) -> None:
    once = dialects.clean(text)
    assert once in text
    assert "</think>" in once or dialects.clean(once) == once


def test_cleaning_is_linear_in_white_space_and_padding() -> None:
    assert dialects.clean("a" + " " * 200_000 + "b" + "<pad> " * 20_000) == "a" + " " * 200_000 + "b"


@pytest.mark.parametrize(
    "label",
    [
        REFERENCE,
        {"reference": REFERENCE},
        json.dumps({"reference": REFERENCE, "more": 1}),
        "  " + json.dumps({"reference": REFERENCE}),
    ],
)
def test_labels(label: Any) -> None:
    assert dialects.parse_label(label, "labels[0]").reference == REFERENCE


def test_label_objects_carry_prior_and_study() -> None:
    label = dialects.parse_label('{"study_id": 50, "prior": "Older."}', "labels[0]")
    assert (label.reference, label.study_id, label.prior) == (None, "50", "Older.")
    assert dialects.parse_label("{not json", "l").reference == "{not json"


@pytest.mark.parametrize("label", [3, 0.5, True, [REFERENCE], {"reference": 3}, {"reference": "a", "prior": ["b"]}])
def test_other_labels_are_refused(label: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialects.parse_label(label, "labels[2]")
    assert caught.value.code == "bad_label"
    assert (caught.value.param or "").startswith("labels[2]")


@pytest.fixture
def store(tmp_path: Path) -> ReferenceStore:
    path = tmp_path / "references.jsonl"
    entries = [
        {"study_id": "s50", "reference": REFERENCE, "prior": "Older."},
        {"study_id": 51, "reference": "Normal."},
        {"prompt": "<s>[INST] Report for room 4? [/INST]", "reference": "By prompt."},
        {"prompt_sha256": dialects.prompt_key("hashed prompt"), "reference": "By hash."},
    ]
    path.write_text("\n".join(map(json.dumps, entries)) + "\n\n", encoding="utf-8")
    return ReferenceStore.load(path)


def test_references_are_found_by_study_and_prompt(store: ReferenceStore) -> None:
    assert len(store) == 4
    found = dialects.resolve(dialects.parse_label({"study_id": "s50"}, "l"), "", store, "l")
    assert (found.reference, found.prior) == (REFERENCE, "Older.")
    for prompt, reference in [
        ("[INST] Please report study_id: 51. [/INST]", "Normal."),
        ('Study ID="s50"', REFERENCE),
        ("<pad><s>[INST]  Report for room 4?\n[/INST]", "By prompt."),
        ("hashed  prompt", "By hash."),
    ]:
        assert dialects.resolve(dialects.Label(), prompt, store, "l").reference == reference


@pytest.mark.parametrize(
    ("label", "prompt"),
    [
        ({"study_id": "s99"}, "study_id: 51"),  # a study that is named and unknown is never replaced by another
        (None, "study_id: s50 and study_id: 51"),
        (None, "an unknown prompt"),
    ],
)
def test_a_reference_that_is_not_found_is_an_error(store: ReferenceStore, label: Any, prompt: str) -> None:
    for known in (store, None):
        with pytest.raises(InvalidRequest) as caught:
            dialects.resolve(dialects.parse_label(label, "l"), prompt, known, "l")
        assert caught.value.code == "reference_not_found"


@pytest.mark.parametrize("label", ["  ", {"reference": ""}])
def test_a_blank_reference_stays_blank_so_that_a_substitute_may_stand_in(store: ReferenceStore, label: Any) -> None:
    for known in (store, None):
        found = dialects.resolve(dialects.parse_label(label, "l"), "an unknown prompt", known, "l")
        assert found.reference is not None
        assert not found.reference.strip()
    assert dialects.resolve(dialects.parse_label(label, "l"), "study_id: 51", store, "l").reference == "Normal."


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (['{"study_id": "a", "reference": "r"}', "not json"], 2),
        (['{"study_id": "a"}'], 1),
        (['{"reference": "r"}'], 1),
        (['{"study_id": "a", "reference": "r"}', '{"study_id": "a", "reference": "other"}'], 2),
    ],
)
def test_bad_reference_files_name_the_line(tmp_path: Path, lines: list[str], number: int) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"line {number}"):
        ReferenceStore.load(path)


def test_openrlhf(store: ReferenceStore) -> None:
    prompt = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    body = {
        "query": [prompt + REPORT + "<|im_end|>", prompt + "Other.<|im_end|>"],
        "prompts": [prompt, prompt],
        "labels": [REFERENCE, {"study_id": "51", "prior": "P."}],
        "unknown": 1,
    }
    first, second = dialects.parse_get_reward(body, store)
    assert first == DialectItem(REPORT, REFERENCE, None, "labels[0]")
    assert second == DialectItem("Other.", "Normal.", "P.", "labels[1]")


def test_openrlhf_with_several_urls_sends_empty_lists() -> None:
    items = dialects.parse_get_reward({"query": [], "prompts": [], "labels": []})
    assert dialects.render_get_reward(items, [], (-1, 1)) == {"rewards": [], "scores": [], "extra_logs": {}}


def test_lightrft() -> None:
    body = {"queries": ["p" + REPORT], "prompts": ["p"], "references": [REFERENCE], "images": ["aGk="]}
    assert dialects.parse_get_reward(body)[0].reference == REFERENCE
    text_mode = {"queries": ["study_id: 1 " + REPORT], "prompts": ["study_id: 1 "]}
    with pytest.raises(InvalidRequest, match="REWARD_REFERENCES"):
        dialects.parse_get_reward(text_mode)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": "text", "prompts": ["p"]},
        {"query": [3], "prompts": ["p"], "labels": ["l"]},
        {"query": ["pa", "pb"], "prompts": ["p", "p"], "labels": ["only one"]},
        {"query": ["pa"], "prompts": ["p"], "labels": "text"},
    ],
)
def test_malformed_get_reward(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialects.parse_get_reward(body)
    assert caught.value.param in ("query", "prompts", "labels")


def test_get_reward_answers_numbers_only() -> None:
    answer = dialects.render_get_reward([ITEM, ITEM], [OK, LOST], (-1.0, 1.0), missing=-2.0)
    assert answer["rewards"] == [0.625, -2.0]
    assert answer["scores"] == [0.8125, 0.0]  # (0.625 + 1) / 2; the substitute is clipped
    assert answer["extra_logs"]["rr_valid"] == [1.0, 0.0]
    assert answer["extra_logs"]["rr_clinical"] == [0.5, 0.0]
    assert answer["extra_logs"]["rr_clinical_valid"] == [1.0, 0.0]
    values = [x for xs in answer["extra_logs"].values() for x in xs]
    assert all(type(x) is float and math.isfinite(x) for x in values)


@pytest.mark.parametrize(("result", "kind"), [(LOST, ComponentsUnavailable), (NO_REFERENCE, InvalidRequest)])
def test_a_missing_reward_is_an_error_by_default(result: Result, kind: type[Exception]) -> None:
    """Later attempts can bring a judge back (503), but never a reference (422)."""
    for render in (
        lambda: dialects.render_get_reward([ITEM], [result], (0, 1)),
        lambda: dialects.render_slime([ITEM], [result]),
        lambda: dialects.render_slime_object([ITEM], [result]),
        lambda: dialects.render_score_evaluation([ITEM], [result], "m"),
        lambda: dialects.render_verify([ITEM], [result], {}),
    ):
        with pytest.raises(kind, match=r"labels\[0\]"):
            render()


def test_slime() -> None:
    body = {"prompt": [{"role": "user", "content": "?"}], "response": REPORT + "<|im_end|>", "label": REFERENCE}
    assert dialects.parse_slime(body) == [DialectItem(REPORT, REFERENCE, None, "label")]
    assert dialects.render_slime([ITEM], [OK]) == 0.625
    assert dialects.render_slime_object([ITEM], [OK])["reward"] == 0.625
    assert dialects.render_slime_object([ITEM], [LOST], missing=0.0)["rr_valid"] == 0.0
    with pytest.raises(InvalidRequest):
        dialects.parse_slime({"prompt": "p", "label": REFERENCE})


def test_slime_without_a_label_looks_the_chat_up(store: ReferenceStore) -> None:
    body = {"prompt": [{"role": "user", "content": [{"type": "text", "text": "study_id: 51"}]}], "response": "x"}
    assert dialects.parse_slime(body, store)[0].reference == "Normal."


def test_llama_factory(store: ReferenceStore) -> None:
    message = "<|im_start|>user\nstudy_id: s50<|im_end|>\n<|im_start|>assistant\n" + REPORT + "<|im_end|><|endoftext|>"
    items = dialects.parse_score_evaluation({"model": "model", "messages": [message]}, store)
    assert items == [DialectItem(REPORT, REFERENCE, "Older.", "messages[0]")]
    assert dialects.render_score_evaluation(items, [OK], "model")["scores"] == [0.625]


def test_nemo_gym() -> None:
    body = {
        "responses_create_params": {"input": [{"role": "user", "content": "Report?"}]},
        "response": {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": REPORT}]},
            ]
        },
        "verifier_metadata": {"reference": REFERENCE, "prior": "P."},
        "row": 7,
    }
    assert dialects.parse_verify(body) == [DialectItem(REPORT, REFERENCE, "P.", "reference")]
    answer = dialects.render_verify([ITEM], [OK], body)
    assert answer["row"] == 7
    assert sum(answer["reward_components"].values()) == answer["reward"] == 0.625
    substituted = dialects.render_verify([ITEM], [LOST], body, missing=0.1)
    assert sum(substituted["reward_components"].values()) == substituted["reward"] == 0.1
    assert set(substituted["reward_components"]) == set(answer["reward_components"])


def test_leading_tokens_cost_no_more_than_their_length() -> None:
    def spent(n: int) -> float:
        began = time.process_time()
        assert dialects.clean("<s>" * n + REPORT) == REPORT
        return time.process_time() - began

    assert spent(100_000) < 40 * spent(10_000) + 0.05
