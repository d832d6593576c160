"""A candidate with several references: each pair is scored and cached as a pair, the best one is paid."""

from __future__ import annotations

from collections.abc import Sequence


def best(rewards: Sequence[float | None], may_change: Sequence[bool]) -> int:
    """Index of the pair that is paid: the highest reward, the first of equal ones.

    A pair without a reward never wins while another has one, but where another try may still give it one
    (`may_change`) nothing is paid yet: its index is the answer, and its null stands.
    """
    for i, changing in enumerate(may_change):
        if rewards[i] is None and changing:
            return i
    known = [i for i, reward in enumerate(rewards) if reward is not None]
    return max(known, key=lambda i: (rewards[i], -i), default=0)
