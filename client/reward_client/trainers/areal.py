"""AReaL: pass `reward_fn` (or ``"reward_client.trainers.areal.reward_fn"``) to a workflow.

AReaL gives a reward 15 s, four times, and then trains on 0. This gives up before that and raises instead.
"""

from __future__ import annotations

from typing import Any

from reward_client.trainers._shared import client, item, missing_value, numbers, options

_BUDGET_S = 14.0


def reward_fn(prompt: str, completions: str, prompt_ids: Any, completion_ids: Any, **row: Any) -> float:
    """The reward of one completion against the row's `reference` (a text or a label object) and `prior`."""
    asked = item(completions, row.get("reference"), row.get("prior"))
    (score,) = client(options(timeout_s=_BUDGET_S, budget_s=_BUDGET_S)).score([asked])
    return numbers(score, missing_value(None))[0]
