"""OpenRLHF with a reward file: ``--reward.remote_url .../reward_client/trainers/openrlhf.py``.

Posting to the service's ``/get_reward`` needs no file; this one adds retries that outlive five attempts, the pinned
fingerprint, and errors that name their cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reward_client.trainers._shared import client, item, missing_value, numbers, options


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """`queries` are prompts + completions. Returns ``rewards``, ``scores`` (the same) and ``extra_logs`` as lists."""
    items = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        if not query.startswith(prompt):
            raise ValueError("a query does not begin with its prompt, so its report cannot be told from the prompt")
        items.append(item(query[len(prompt) :], label))
    substitute = missing_value(None)
    rows = [numbers(score, substitute) for score in client(options()).score(items)]
    rewards = [reward for reward, _ in rows]
    keys = rows[0][1] if rows else {}
    return {
        "rewards": rewards,
        "scores": rewards,
        "extra_logs": {key: [logs[key] for _, logs in rows] for key in keys},
    }
