"""EasyR1: ``worker.reward.reward_function=.../reward_client/trainers/easyr1.py:compute_score``, batch type.

Settings come from ``worker.reward.reward_function_kwargs`` or from ``REWARD_CLIENT_*``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reward_client.trainers._shared import client, item, missing_value, numbers, options

REWARD_NAME = "radiology"
REWARD_TYPE = "batch"


def compute_score(
    reward_inputs: Sequence[Mapping[str, Any]], missing: float | None = None, **given: Any
) -> list[dict[str, float]]:
    """``{"overall", "rr_valid", "rr_<component>", ...}`` per input, in order; `given` are options of the client."""
    items = [item(one["response"], one["ground_truth"]) for one in reward_inputs]
    rows = [numbers(score, missing_value(missing)) for score in client(options(**given)).score(items)]
    return [{"overall": reward, **logs} for reward, logs in rows]
