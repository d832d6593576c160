"""OpenRLHF with a reward file: ``--reward.remote_url .../reward_client/trainers/openrlhf.py``.

Posting to the service's ``/get_reward`` needs no file; this one adds retries that outlive five attempts, the pinned
fingerprint, and errors that name their cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reward_client.trainers._shared import client, item, missing_value, numbers, options


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """`queries` are prompts + completions. Returns lists: ``rewards``, ``scores`` (in 0..1), ``extra_logs``."""
    items = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        if not query.startswith(prompt):
            raise ValueError("a query does not begin with its prompt, so its report cannot be told from the prompt")
        items.append(item(query[len(prompt) :], label))
    service = client(options())
    rows = [numbers(score, missing_value(None)) for score in service.score(items)]
    rewards = [reward for reward, _ in rows]
    low, high = service.bounds
    return {
        "rewards": rewards,
        "scores": [min(1.0, max(0.0, (reward - low) / (high - low))) for reward in rewards],
        "extra_logs": {key: [logs[key] for _, logs in rows] for key in (rows[0][1] if rows else ())},
    }
