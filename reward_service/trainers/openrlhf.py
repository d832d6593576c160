"""OpenRLHF with its forks, and LightRFT: decoded rollouts (prompt + completion), prompts and labels in lists."""

from __future__ import annotations

from typing import Any

from reward_service.errors import InvalidRequest
from reward_service.trainers.base import LABEL, TEXTS, Answered, Body, Dialect, DialectItem, logs, rewards, texts
from reward_service.trainers.chat_markup import split_query
from reward_service.trainers.references import ReferenceStore


def parse(body: Body, references: ReferenceStore | None = None) -> list[DialectItem]:
    """``query|queries``, ``prompts`` and ``labels|references`` in equal numbers; only the first must be there."""
    key = "queries" if "queries" in body else "query"
    queries = texts(body, key)
    prompts = texts(body, "prompts") if body.get("prompts") is not None else [None] * len(queries)
    label_key = "references" if body.get("labels") is None and body.get("references") is not None else "labels"
    labels = body.get(label_key)
    if labels is None:
        labels = [None] * len(queries)
    if not isinstance(labels, list) or not len(queries) == len(prompts) == len(labels):
        message = f"{label_key}: '{key}', 'prompts' and 'labels' must be lists of one length."
        raise InvalidRequest(message, code="unequal_lengths", param=label_key)
    items = []
    for index, (query, prompt, label) in enumerate(zip(queries, prompts, labels, strict=True)):
        before, completion = split_query(query, prompt, f"{key}[{index}]")
        items.append(DialectItem.of(completion, label, before, references, f"{label_key}[{index}]"))
    return items


def render(answered: Answered) -> dict[str, Any]:
    """``scores`` are the rewards rescaled from the profile's bounds to 0..1; every value is a list."""
    values, (low, high) = rewards(answered), answered.bounds
    flat = [logs(result) for result in answered.results]
    return {
        "rewards": values,
        "scores": [min(1.0, max(0.0, (value - low) / (high - low))) for value in values],
        "extra_logs": {key: [entry[key] for entry in flat] for key in (flat[0] if flat else ())},
    }


DIALECT = Dialect(
    "/get_reward",
    "OpenRLHF and LightRFT",
    parse,
    render,
    {
        "query": TEXTS,
        "queries": TEXTS,
        "prompts": TEXTS,
        "labels": {"type": "array", "items": LABEL, "description": "one per sample"},
    },
)
