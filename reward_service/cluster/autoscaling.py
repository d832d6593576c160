"""How many replicas a deployment should have, from the pairs that its replicas have in work."""

from __future__ import annotations

import math
from typing import Any

PAIRS = "pairs"
"""The name under which a replica tells of its pairs (`record_autoscaling_stats`)."""


class ByPairs:
    """A policy of Ray Serve: requests differ in size by a factor of thousands, so they are not what is counted."""

    def __init__(self, pairs: int) -> None:
        """`pairs`: in work, that one replica should have."""
        self._pairs = pairs

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        """Replicas that are wanted, before Serve's bounds and delays; `context` is Serve's `AutoscalingContext`."""
        told = (context.aggregated_metrics or {}).get(PAIRS, {})
        waiting = context.total_queued_requests or 0.0  # where no replica has room yet; a request has one pair or more
        return math.ceil((sum(told.values()) + waiting) / self._pairs), {}
