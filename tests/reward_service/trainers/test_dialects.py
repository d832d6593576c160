"""Requests as the trainers' own clients build them, and the answers that these expect.

Shapes come from the trainers' sources: OpenRLHF 0.11 `SingleTurnAgentExecutor`, slime `remote_rm`, LLaMA-Factory
`get_rewards_from_server`, LightRFT `request_api_wrapper`, NeMo Gym `BaseVerifyRequest`.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from reward_service.contracts import ComponentError, Composite
from reward_service.errors import ComponentsUnavailable, InvalidRequest
from reward_service.trainers import DIALECTS, llama_factory, nemo_gym, openrlhf, slime
from reward_service.trainers.base import Answered, Dialect, DialectItem
from reward_service.trainers.references import ReferenceStore

REPORT = "No pneumothorax. Small left pleural effusion."
REFERENCE = "Small left effusion, no pneumothorax."
ITEM = DialectItem("c", "r", None, "labels[0]")
OK = Composite(
    reward=0.625,
    status="ok",
    components={"bleu2": 0.25, "clinical": 0.5},
    contributions={"bleu2": 0.125, "clinical": 0.5, "adjustment": 0},
    missing={},
    failed=(),
    blocking=(),
    flags=(),
)


def null(components: dict[str, float | None], key: str, error: ComponentError) -> Composite:
    return Composite(None, "null", components, {}, {key: error}, (), (key,), ())


LOST = null({"bleu2": 0.25, "clinical": None}, "clinical", ComponentError("judge_down", "x", retryable=True))
NO_REFERENCE = null({"bleu2": None, "clinical": None}, "bleu2", ComponentError("empty_reference", "x"))


def answered(
    *results: Composite,
    body: dict[str, Any] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    missing: float | None = None,
) -> Answered:
    return Answered(body or {}, [ITEM] * len(results), results, bounds, missing)


def test_no_two_dialects_share_a_path() -> None:
    assert len({dialect.path for dialect in DIALECTS}) == len(DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.path)
def test_an_empty_body_is_refused_by_the_name_of_a_field(dialect: Dialect) -> None:
    with pytest.raises(InvalidRequest) as caught:
        dialect.parse({}, None)
    param = (caught.value.param or "").partition(".")[0]
    assert param in (dialect.required or ("query",))
    assert set(dialect.required) <= dialect.fields.keys()


def test_openrlhf(store: ReferenceStore) -> None:
    prompt = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"
    body = {
        "query": [prompt + REPORT + "<|im_end|>", prompt + "Other.<|im_end|>"],
        "prompts": [prompt, prompt],
        "labels": [REFERENCE, {"study_id": "51", "prior": "P."}],
        "unknown": 1,
    }
    first, second = openrlhf.parse(body, store)
    assert first == DialectItem(REPORT, REFERENCE, None, "labels[0]")
    assert second == DialectItem("Other.", "Normal.", "P.", "labels[1]")


def test_openrlhf_with_several_urls_sends_empty_lists() -> None:
    assert openrlhf.parse({"query": [], "prompts": [], "labels": []}) == []
    assert openrlhf.render(answered()) == {"rewards": [], "scores": [], "extra_logs": {}}


def test_lightrft() -> None:
    body = {"queries": ["p" + REPORT], "prompts": ["p"], "references": [REFERENCE], "images": ["aGk="]}
    assert openrlhf.parse(body)[0].reference == REFERENCE
    text_mode = {"queries": ["study_id: 1 " + REPORT], "prompts": ["study_id: 1 "]}
    with pytest.raises(InvalidRequest, match="REWARD_REFERENCES"):
        openrlhf.parse(text_mode)


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
        openrlhf.parse(body)
    assert caught.value.param in ("query", "prompts", "labels")


def test_get_reward_answers_numbers_only() -> None:
    answer = openrlhf.render(answered(OK, LOST, bounds=(-1.0, 1.0), missing=-2.0))
    assert answer["rewards"] == [0.625, -2.0]
    assert answer["scores"] == [0.8125, 0.0]  # (0.625 + 1) / 2; the substitute is clipped
    assert answer["extra_logs"]["rr_valid"] == [1.0, 0.0]
    assert answer["extra_logs"]["rr_clinical"] == [0.5, 0.0]
    assert answer["extra_logs"]["rr_clinical_valid"] == [1.0, 0.0]
    values = [x for xs in answer["extra_logs"].values() for x in xs]
    assert all(type(x) is float and math.isfinite(x) for x in values)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.path)
@pytest.mark.parametrize(("result", "kind"), [(LOST, ComponentsUnavailable), (NO_REFERENCE, InvalidRequest)])
def test_a_missing_reward_is_an_error_by_default(dialect: Dialect, result: Composite, kind: type[Exception]) -> None:
    """Later attempts can bring a judge back (503), but never a reference (422)."""
    with pytest.raises(kind, match=r"labels\[0\]"):
        dialect.render(answered(result))


def test_one_reward_that_is_lost_for_good_makes_the_request_not_worth_another_try() -> None:
    with pytest.raises(InvalidRequest, match="empty_reference"):
        openrlhf.render(answered(LOST, NO_REFERENCE))


def test_slime() -> None:
    body = {"prompt": [{"role": "user", "content": "?"}], "response": REPORT + "<|im_end|>", "label": REFERENCE}
    assert slime.parse(body) == [DialectItem(REPORT, REFERENCE, None, "label")]
    assert slime.render(answered(OK)) == 0.625
    assert slime.render_object(answered(OK))["reward"] == 0.625
    assert slime.render_object(answered(LOST, missing=0.0))["rr_valid"] == 0.0
    with pytest.raises(InvalidRequest):
        slime.parse({"prompt": "p", "label": REFERENCE})


def test_slime_without_a_label_looks_the_chat_up(store: ReferenceStore) -> None:
    body = {"prompt": [{"role": "user", "content": [{"type": "text", "text": "study_id: 51"}]}], "response": "x"}
    assert slime.parse(body, store)[0].reference == "Normal."


def test_llama_factory(store: ReferenceStore) -> None:
    message = "<|im_start|>user\nstudy_id: s50<|im_end|>\n<|im_start|>assistant\n" + REPORT + "<|im_end|><|endoftext|>"
    body = {"model": "model", "messages": [message]}
    assert llama_factory.parse(body, store) == [DialectItem(REPORT, REFERENCE, "Older.", "messages[0]")]
    answer = {"object": "score.evaluation", "model": "model", "scores": [0.625]}
    assert llama_factory.render(answered(OK, body=body)) == answer


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
    assert nemo_gym.parse(body) == [DialectItem(REPORT, REFERENCE, "P.", "reference")]
    answer = nemo_gym.render(answered(OK, body=body))
    assert answer["row"] == 7
    assert sum(answer["reward_components"].values()) == answer["reward"] == 0.625
    substituted = nemo_gym.render(answered(LOST, body=body, missing=0.1))
    assert sum(substituted["reward_components"].values()) == substituted["reward"] == 0.1
    assert set(substituted["reward_components"]) == set(answer["reward_components"])
