"""slime: one sample, whose ``response`` comes without the prompt; the answer is a bare number or an object."""

from __future__ import annotations

from reward_service.errors import InvalidRequest
from reward_service.trainers.base import LABEL, TEXT, Answered, Body, Dialect, DialectItem, logs, rewards
from reward_service.trainers.chat_markup import chat_text
from reward_service.trainers.references import ReferenceStore


def parse(body: Body, references: ReferenceStore | None = None) -> list[DialectItem]:
    """``response`` with ``label``; or without, for a ``prompt`` that `references` knows."""
    response = body.get("response")
    if not isinstance(response, str):
        raise InvalidRequest("response: must be the completion as text.", param="response")
    return [DialectItem.of(response, body.get("label"), chat_text(body.get("prompt")), references, "label")]


def render(answered: Answered) -> float:
    """A bare number."""
    return rewards(answered)[0]


def render_object(answered: Answered) -> dict[str, float]:
    """For ``--reward-key reward``."""
    return {"reward": rewards(answered)[0], **logs(answered.results[0])}


_FIELDS = {
    "response": TEXT,
    "label": LABEL,
    "prompt": {"description": "text or messages; the study id is looked for in it"},
}
NUMBER = Dialect("/compat/slime", "slime", parse, render, _FIELDS, ("response",))
OBJECT = Dialect("/compat/slime/object", "slime with --reward-key", parse, render_object, _FIELDS, ("response",))
