"""When a request is tried again, and after how long: the one policy of both clients and all adapters."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter. How often does not matter: the call's budget ends it."""

    first_pause_s: float = 0.25
    longest_pause_s: float = 8.0

    def may_heal(self, status: int) -> bool:
        """Whether another attempt may succeed after this HTTP status: 408, 429 and 5xx but 501."""
        return status in (408, 429) or (status >= 500 and status != 501)

    def pause_s(self, failures: int, headers: Mapping[str, str]) -> float:
        """Seconds before the next attempt, after so many failures (at least 1); not less than ``Retry-After`` says."""
        pause = min(self.first_pause_s * 2.0 ** min(failures - 1, 32), self.longest_pause_s)
        # Full jitter would let a herd of trainers come back at once after zero seconds; keep half of the pause.
        return max(_retry_after_s(headers), pause * random.uniform(0.5, 1.0))


SCORING = RetryPolicy()
STARTING = RetryPolicy(longest_pause_s=2.0)
"""For a service that is loading its models: a run begins soon after it is ready."""


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """0 when absent or not a number of seconds (the service never sends the date form)."""
    try:
        return max(0.0, float(headers.get("retry-after", 0)))
    except ValueError:
        return 0.0
