"""slime: ``--custom-rm-path reward_client.trainers.slime.custom_rm``, with or without ``--group-rm``.

With ``--reward-key score`` the reward is an object whose other fields are logged; without, a bare number.
"""

from __future__ import annotations

from typing import Any

from reward_client.trainers._shared import async_client, item, missing_value, numbers, options


async def custom_rm(args: Any, sample: Any, **_: Any) -> Any:
    """The reward of one sample, or the list of rewards of a list of samples, in order."""
    samples = sample if isinstance(sample, list) else [sample]
    scores = await async_client(options()).score([item(one.response, one.label) for one in samples])
    rows = [numbers(score, missing_value(None)) for score in scores]
    keyed = getattr(args, "reward_key", None)
    rewards = [{"score": reward, **logs} if keyed else reward for reward, logs in rows]
    return rewards if isinstance(sample, list) else rewards[0]
