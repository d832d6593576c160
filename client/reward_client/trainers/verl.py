"""verl: ``reward.custom_reward_function.path/name``, one call per sample, asynchronous or synchronous.

Settings come as ``+reward.custom_reward_function.reward_kwargs.url=...`` or from ``REWARD_CLIENT_*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_client.trainers._shared import async_client, client, item, missing_value, numbers, options
from reward_client.types import Options

_OPTIONS = ("url", "profile", "fingerprint", "api_key", "timeout_s", "budget_s", "run_id")


async def compute_score(
    data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **given: Any
) -> dict[str, float]:
    """``{"score", "rr_valid", "rr_<component>", ...}``: flat floats under the same keys for every sample.

    `given` may hold options of the client and `missing`; what else verl passes is ignored.
    """
    asked = item(solution_str, ground_truth, (extra_info or {}).get("prior"))
    (score,) = await async_client(_chosen(given)).score([asked])
    reward, logs = numbers(score, missing_value(given.get("missing")))
    return {"score": reward, **logs}


def compute_score_sync(
    data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Mapping[str, Any] | None = None, **given: Any
) -> dict[str, float]:
    """`compute_score` for reward managers that refuse coroutines (``remote``)."""
    asked = item(solution_str, ground_truth, (extra_info or {}).get("prior"))
    (score,) = client(_chosen(given)).score([asked])
    reward, logs = numbers(score, missing_value(given.get("missing")))
    return {"score": reward, **logs}


def _chosen(given: Mapping[str, Any]) -> Options:
    return options(**{name: given[name] for name in _OPTIONS if name in given})
