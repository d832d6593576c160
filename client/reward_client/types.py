"""What goes in and what comes out: items, groups, scores and the client's options, all frozen.

A reward that is missing is None with a code in `missing`; nothing here ever turns it into a number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Detail = Literal["reward", "components", "full"]


@dataclass(frozen=True, slots=True)
class Item:
    """One candidate report to score against its reference."""

    candidate: str
    reference: str
    prior: str | None = None
    """The patient's earlier report, for components that judge comparisons."""
    id: str | None = None
    """Any name, for errors and logs; need not be unique."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rollouts of one prompt: candidates that share a reference."""

    candidates: tuple[str, ...]
    reference: str
    prior: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a component has no value."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Score:
    """The service's answer for one item."""

    id: str
    """The item's id, or its position in the call (``"3"``; in a group ``"0/3"``)."""
    reward: float | None
    """Finite, within the profile's bounds; None exactly when `status` is ``null``."""
    status: str
    """``ok``, ``degraded`` (a declared substitute was used) or ``null``."""
    components: Mapping[str, float | None] = field(default_factory=dict)
    contributions: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, Missing] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    cache: str = ""
    judgement: Mapping[str, Any] | None = None
    """With detail ``full``: counts and evidence, each piece with its `cost`."""
    reason: str | None = None
    """With detail ``full``: what the judge takes points for and what else cuts the reward, in one sentence."""
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """With detail ``full``: every raw value of every component, by component key."""
    stage: str | None = None
    """The profile that paid, where the profile asked for is a schedule."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The service's answer for one group, candidates in the order sent."""

    id: str
    scores: tuple[Score, ...]
    mean: float | None
    std: float | None
    """Population standard deviation over the rewards that are not None."""
    zero_advantage: bool
    """All rewards are equal: the group teaches nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to talk to one service. Hashable, so that adapters can keep one client for each."""

    url: str
    """Root of the service, e.g. ``http://reward:8000``. Raises `ValueError` for another scheme, and for a key in it:
    logs and errors show the URL."""
    profile: str | None = None
    """None: the service's default profile."""
    fingerprint: str | None = None
    """Pin: refuse any other reward function from the first answer on. None: pin what the service has at start.
    A stored `fingerprint_document` is taken for the fingerprint in it. Raises `ValueError` for one that has none."""
    api_key: str | None = field(default=None, repr=False)
    detail: Detail = "components"
    request_items: int = 256
    """Candidates per request; longer lists are split, a group never is."""
    concurrency: int = 8
    """Requests in flight at once (per event loop, for the asynchronous client)."""
    timeout_s: float = 100.0
    """Time for one attempt; also sent, so that the service gives up at the same moment."""
    budget_s: float = 600.0
    """Time for one call of `score` or `score_groups` with all its retries; then `BudgetSpent`."""
    ready_s: float = 300.0
    """How long the first call may wait for the service to be ready, within the budget."""
    run_id: str | None = None
    """Names the training run: the service adds its requests up by `step`, with alarms, at ``/runs``."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("the service's url begins with http:// or https://, e.g. http://reward:8000")
        if "@" in self.url:
            raise ValueError("give the key as api_key (REWARD_CLIENT_API_KEY), not in the url, which logs show")
        if isinstance(self.fingerprint, Mapping):
            found = self.fingerprint.get("fingerprint")
            if not isinstance(found, str):
                raise ValueError("the fingerprint's document has no 'fingerprint'; store fingerprint_document as it is")
            object.__setattr__(self, "fingerprint", found)

    @classmethod
    def from_env(cls, **given: Any) -> Options:
        """Options from the environment: ``REWARD_CLIENT_URL``, and the same with ``PROFILE``, ``FINGERPRINT``,
        ``API_KEY``, ``RUN_ID``, ``TIMEOUT_S`` and ``BUDGET_S``; what is `given` (and not None) wins.

        Raises `ValueError` when there is no URL in either.
        """
        names = ("url", "profile", "fingerprint", "api_key", "run_id", "timeout_s", "budget_s")
        found: dict[str, Any] = {n: v for n in names if (v := os.environ.get(f"REWARD_CLIENT_{n.upper()}"))}
        found |= {name: float(found[name]) for name in ("timeout_s", "budget_s") if name in found}
        found |= {name: value for name, value in given.items() if value is not None}
        if not found.get("url"):
            raise ValueError("no reward service given: pass url=... or set REWARD_CLIENT_URL")
        return cls(**found)
