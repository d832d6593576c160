"""Shadow profiles: pairs that were paid by one profile are scored with a second one, and the two are compared.

The comparison is logged and counted; it begins when the paying rewards are made, runs beside the answer and never
touches it. What it cannot keep up with is dropped and counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import structlog

from reward_service.caching.base import text_digest
from reward_service.contracts import ComponentError
from reward_service.errors import ServiceError
from reward_service.observability.logs import described
from reward_service.observability.telemetry import Telemetry
from reward_service.scoring.profile_scorer import ProfileScorer, ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.scoring.served_profile import Served, ServedProfile
from reward_service.tasks import end

log = structlog.get_logger("reward_service.shadow")

_OPEN_GROUPS, _GROUP_MOST = 4096, 64
_AT_ONCE = 16  # pairs: a group
_IDLE_S = 30.0  # a rollout group whose members come one by one is complete when none has come for so long

Rewards = list[tuple[float, float]]
"""(paid, shadow) for each pair that has both."""


_GroupKey = tuple[str | None, int | None, bytes]
"""Run, step, and the digest of the reference: report texts are not kept."""


class _Compared(NamedTuple):
    rewards: Rewards
    correlations: list[float]


class _LateMean:
    """Mean of what came of late: of all values until there are `most`, from then on each new one weighs 1/`most`."""

    def __init__(self, most: int) -> None:
        self._most, self._count, self.value = most, 0, 0.0

    def add(self, value: float) -> None:
        self._count = min(self._most, self._count + 1)
        self.value += (value - self.value) / self._count


class Shadow:
    """One served profile beside a paying one."""

    def __init__(
        self,
        paying: str,
        served: Served,
        scorer: Callable[[ServedProfile], ProfileScorer],
        telemetry: Telemetry,
        turns: asyncio.Lock,
        *,
        most: int,
        timeout_s: float,
    ) -> None:
        """`paying`: name of the profile that pays. `turns`: shared by all shadows, of which one scores at a time.

        `most`: pairs that may wait. `timeout_s`: for `_AT_ONCE` pairs.
        """
        self.paying, self.served = paying, served
        self.problem: str | None = "its models are loading"
        """Why nothing is compared, or None."""
        self.record: Callable[[str, int | None, str, Rewards], None] = lambda *_: None
        """Told of what was compared for a request that names its run: run, step, name of the shadow, rewards."""
        self._scorer = scorer
        self._telemetry = telemetry
        self._turns = turns
        self._most, self._timeout_s = most, timeout_s
        self._pairs = 0
        self._drift, self._agreement = _LateMean(4096), _LateMean(256)
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: OrderedDict[_GroupKey, tuple[float, Rewards]] = OrderedDict()

    def follow(self, request: ScoringRequest, paid: Sequence[ScoredItem]) -> None:
        """Compare what `paid` the request's items, in a task of its own. Returns at once and never raises."""
        count = len(request.items)
        if self.problem or self._pairs + count > self._most:
            self._count("unavailable" if self.problem else "dropped", count)
            return
        self._pairs += count
        rewards = [scored.composite.reward for scored in paid]
        task = asyncio.create_task(self._follow(request, rewards), name=f"shadow {self.served.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def begin_after(self, starts: Sequence[asyncio.Task[None]]) -> None:
        """Compare from when the models are there that only this shadow needs.

        That one fails is logged, shown in `/info` and otherwise without effect.
        """
        for failure in await asyncio.gather(*starts, return_exceptions=True):
            if isinstance(failure, Exception):
                self.problem = str(failure) if isinstance(failure, ComponentError) else type(failure).__name__
                log.error("shadow_cannot_start", shadow=self.served.name, reason=self.problem)
                return
        self.problem = None

    async def aclose(self) -> None:
        """Give up what is being compared."""
        await end(self._tasks)
        self.settle(all_groups=True)

    def settle(self, *, all_groups: bool = False) -> None:
        """Count the groups, of those that came one by one, that are complete by now."""
        while self._open:
            key, (last, rewards) = next(iter(self._open.items()))
            if not all_groups and len(self._open) <= _OPEN_GROUPS and time.monotonic() - last < _IDLE_S:
                return
            del self._open[key]
            self._correlate([rewards])

    def describe(self) -> dict[str, object]:
        """Its entry in `/info`."""
        return {"profile": self.served.name, "beside": self.paying, "problem": self.problem, **self.served.describe()}

    async def _follow(self, request: ScoringRequest, paid: Sequence[float | None]) -> None:
        try:
            stage = self.served.at(request.step)
            scored = await self._score(stage, request.items)
            compared = self._compare(request, paid, scored)
        except ServiceError as error:
            self._count("failed", len(request.items))
            log.warning("shadow_failed", shadow=self.served.name, code=error.code, reason=error.message)
        except Exception as error:
            self._count("failed", len(request.items))
            log.error("shadow_failed", shadow=self.served.name, **described(error))
        else:
            self._tell(request, stage, compared)
            if request.run_id is not None:
                self.record(request.run_id, request.step, self.served.name, compared.rewards)
        finally:
            self._pairs -= len(request.items)

    async def _score(self, stage: ServedProfile, items: Sequence[Item]) -> list[ScoredItem]:
        """A few pairs at a time, so that no more than these are before a paying pair in a worker that both use."""
        scored: list[ScoredItem] = []
        for begin in range(0, len(items), _AT_ONCE):
            async with self._turns:
                some = items[begin : begin + _AT_ONCE]
                scored += await self._scorer(stage).score(some, time.monotonic() + self._timeout_s)
        return scored

    def _compare(
        self, request: ScoringRequest, paid: Sequence[float | None], scored: Sequence[ScoredItem]
    ) -> _Compared:
        groups: dict[str, Rewards] = {}
        sizes: dict[str, int] = {}
        difference = self._telemetry.shadow_difference.labels(self.paying, self.served.name)
        for item, reward, other in zip(request.items, paid, (s.composite for s in scored), strict=True):
            self._count(other.status, 1)
            sizes[item.reference] = sizes.get(item.reference, 0) + 1
            if reward is not None and other.reward is not None:
                difference.observe(other.reward - reward)
                self._drift.add(other.reward - reward)
                groups.setdefault(item.reference, []).append((reward, other.reward))
        self._telemetry.shadow_drift.labels(self.paying, self.served.name).set(self._drift.value)
        for reference, rewards in groups.items():
            if sizes[reference] == 1:
                self._gather((request.run_id, request.step, text_digest(reference)), rewards)
        self.settle()
        whole = [rewards for reference, rewards in groups.items() if sizes[reference] > 1]
        return _Compared([pair for rewards in groups.values() for pair in rewards], self._correlate(whole))

    def _gather(self, key: _GroupKey, rewards: Rewards) -> None:
        """Members of a group that a trainer posts one by one."""
        known = self._open.pop(key, (0.0, []))[1] + rewards
        if len(known) < _GROUP_MOST:
            self._open[key] = time.monotonic(), known
        else:
            self._correlate([known])

    def _correlate(self, groups: Iterable[Rewards]) -> list[float]:
        found = [rho for group in groups if (rho := rank_correlation(group)) is not None]
        for rho in found:
            self._telemetry.shadow_correlation.labels(self.paying, self.served.name).observe(rho)
            self._agreement.add(rho)
        if found:
            self._telemetry.shadow_agreement.labels(self.paying, self.served.name).set(self._agreement.value)
        return found

    def _count(self, status: str, pairs: int) -> None:
        self._telemetry.shadow_items.labels(self.paying, self.served.name, status).inc(pairs)

    def _tell(self, request: ScoringRequest, stage: ServedProfile, compared: _Compared) -> None:
        rewards, correlations = compared
        facts: dict[str, object] = {"run_id": request.run_id, "step": request.step}
        if rewards:
            facts["mean_difference"] = sum(other - paid for paid, other in rewards) / len(rewards)
        if correlations:
            facts["rank_correlation"] = sum(correlations) / len(correlations)
        log.info(
            "shadow_scored",
            profile=self.paying,
            shadow=self.served.name,
            stage=stage.name,
            fingerprint=stage.fingerprint,
            items=len(request.items),
            compared=len(rewards),
            **{name: value for name, value in facts.items() if value is not None},
        )


def rank_correlation(rewards: Rewards) -> float | None:
    """Spearman's rank correlation, ties at their mean rank, in [-1, 1]; None where a side has no two values."""
    if len(rewards) < 2:
        return None
    paid, shadow = (_ranks([pair[side] for pair in rewards]) for side in (0, 1))
    if not np.ptp(paid) or not np.ptp(shadow):
        return None
    return float(np.clip(np.corrcoef(paid, shadow)[0][1], -1.0, 1.0))


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts, dtype=np.float64)
    return (last - (counts - 1) / 2)[place]
