"""LLaMA-Factory's PPO: decoded rollouts (prompt + completion) without labels, so the reference store must know them."""

from __future__ import annotations

from typing import Any

from reward_service.trainers.base import TEXT, TEXTS, Answered, Body, Dialect, DialectItem, rewards, texts
from reward_service.trainers.chat_markup import split_query
from reward_service.trainers.references import ReferenceStore


def parse(body: Body, references: ReferenceStore | None = None) -> list[DialectItem]:
    """One pair for each of ``messages``."""
    items = []
    for index, message in enumerate(texts(body, "messages")):
        before, completion = split_query(message, None, f"messages[{index}]")
        items.append(DialectItem.of(completion, None, before, references, f"messages[{index}]"))
    return items


def render(answered: Answered) -> dict[str, Any]:
    """``scores`` in the order of ``messages``."""
    model = str(answered.body.get("model", ""))
    return {"object": "score.evaluation", "model": model, "scores": rewards(answered)}


DIALECT = Dialect(
    "/v1/score/evaluation",
    "LLaMA-Factory",
    parse,
    render,
    {"messages": TEXTS, "model": {**TEXT, "description": "not looked at"}},
    ("messages",),
)
