"""NeMo Gym: the row of a dataset with the model's response object; the answer echoes the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_service.errors import InvalidRequest
from reward_service.trainers.base import TEXT, Answered, Body, Dialect, DialectItem, logs, rewards
from reward_service.trainers.chat_markup import chat_text
from reward_service.trainers.references import ReferenceStore


def parse(body: Body, references: ReferenceStore | None = None) -> list[DialectItem]:
    """The last assistant message of ``response``; the row's ``label``, or ``reference``, ``study_id``, ``prior``."""
    response = body.get("response")
    output = response.get("output") if isinstance(response, Mapping) else None
    if not isinstance(output, list):
        message = "response.output: must be the list of output items of a response object."
        raise InvalidRequest(message, param="response.output")
    messages = [o for o in output if isinstance(o, Mapping) and o.get("type", "message") == "message"]
    asked = body.get("responses_create_params")
    prompt = chat_text(asked.get("input") if isinstance(asked, Mapping) else None)
    extra = body.get("verifier_metadata")
    row = {**(extra if isinstance(extra, Mapping) else {}), **body}
    label, name = row.get("label"), "label"
    if not label:
        label, name = {key: row.get(key) for key in ("reference", "study_id", "prior")}, "reference"
    return [DialectItem.of(chat_text(messages[-1:]), label, prompt, references, name)]


def render(answered: Answered) -> dict[str, Any]:
    """The request echoed, ``reward``, and ``reward_components`` that sum to it exactly.

    The components are weighted contributions under constant keys; a substitute stands in ``adjustment``.
    """
    value, result = rewards(answered)[0], answered.results[0]
    terms = {**dict.fromkeys(result.components, 0.0), "adjustment": 0.0, **result.contributions}
    if result.reward is None:
        terms = {**dict.fromkeys(terms, 0.0), "adjustment": value}
    return {**answered.body, "reward": value, "reward_components": terms, **logs(result)}


_OUTPUT = {"type": "array", "items": {"type": "object"}}
_FIELDS = {
    "response": {
        "type": "object",
        "properties": {"output": _OUTPUT},
        "required": ["output"],
        "description": "the model's answer; its last message is scored",
    },
    "responses_create_params": {"type": "object", "description": "the request to the model, echoed"},
    "reference": TEXT,
    "study_id": TEXT,
}
DIALECT = Dialect("/verify", "NeMo Gym", parse, render, _FIELDS, ("response",))
