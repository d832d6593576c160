"""Prometheus metrics, defined once. Labels are names and codes; report text is never one.

With several HTTP processes, `PROMETHEUS_MULTIPROC_DIR` (set by `serve`) makes the counts add up over them.
Counters that caches and workers keep for themselves are brought over by `sample`, as increments.
"""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

from reward_service.observability import logs

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_REWARD = tuple(round(-1 + i * 0.1, 1) for i in range(21))
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LOOK_UPS = {"hits": "hit", "misses": "miss"}

disable_created_metrics()  # type: ignore[no-untyped-call]

Observe = Callable[[str, float], None]
JudgeObserve = Callable[[str, float, Mapping[str, str]], None]

_MOST_FLAGS = 100  # guards and components raise some thirty


class Telemetry:
    """The service's metrics in one registry of their own, so that several engines can live in one process."""

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.requests = Counter("reward_requests", "HTTP requests", ["route", "status"], registry=r)
        self.items = Counter("reward_items", "Scored pairs", ["profile", "status"], registry=r)
        self.latency = Histogram(
            "reward_latency_seconds", "Time by stage", ["stage", "component"], buckets=_SECONDS, registry=r
        )
        self.batch_size = Histogram("reward_batch_size", "Pairs per batch", ["component"], buckets=_BATCH, registry=r)
        self.cache = Counter("reward_cache_requests", "Score cache look-ups", ["level", "result"], registry=r)
        self.cache_events = Counter(
            "reward_cache_events",
            "Errors, outages, writes, drops ... of the score cache",
            ["level", "event"],
            registry=r,
        )
        self.cache_state = _gauge(r, "reward_cache_state", "Whether a level is up; writes queued", ["level", "what"])
        self.artefacts = Counter("reward_artefact_requests", "Artefact look-ups", ["cache", "result"], registry=r)
        self.missing = Counter("reward_missing", "Components without a score", ["component", "code"], registry=r)
        self._flags = Counter("reward_flags", "Flags raised on candidates", ["flag"], registry=r)
        self._seen_flags: set[str] = set()
        self.reward = Histogram("reward_value", "Rewards", ["profile"], buckets=_REWARD, registry=r)
        beside = ["profile", "shadow"]
        self.shadow_items = Counter("reward_shadow_items", "Pairs of a shadow profile", [*beside, "status"], registry=r)
        self.shadow_difference = Histogram(
            "reward_shadow_difference", "Shadow reward less paid reward", beside, buckets=_REWARD, registry=r
        )
        self.shadow_correlation = Histogram(
            "reward_shadow_rank_correlation", "Spearman within a group, shadow against paid", beside,
            buckets=_REWARD, registry=r,
        )  # fmt: skip
        # A histogram with negative buckets has no sum, so the means are gauges.
        self.shadow_drift = Gauge(
            "reward_shadow_drift", "Mean of the differences of late", beside, registry=r,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.shadow_agreement = Gauge(
            "reward_shadow_agreement", "Mean of the rank correlations of late", beside, registry=r,
            multiprocess_mode="livemostrecent",
        )  # fmt: skip
        self.run_alarms = _gauge(r, "reward_run_alarms", "Runs of late that have this alarm", ["alarm"])
        self.jobs = Counter("reward_jobs", "Jobs by what became of them", ["event"], registry=r)
        self.groups = Counter("reward_groups", "Rollout groups scored", ["profile"], registry=r)
        self.zero_advantage = Counter(
            "reward_zero_advantage_groups", "Groups whose rewards are all equal", ["profile"], registry=r
        )
        self.group_spread = Histogram(
            "reward_group_std", "Spread of rewards in a group", ["profile"], registry=r,
            buckets=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
        )  # fmt: skip
        self.judge_tokens = Counter("reward_judge_tokens", "Tokens of the LLM judge", ["kind"], registry=r)
        self.judge_attempts = Counter(
            "reward_judge_attempts", "Calls to judge servers", ["server", "result"], registry=r
        )
        self.judge_seconds = Histogram(
            "reward_judge_attempt_seconds", "Time of one call", ["server"], buckets=_SECONDS, registry=r
        )
        self.judge_invalid = Counter(
            "reward_judge_invalid_answers", "Answers refused", ["code", "repaired"], registry=r
        )
        self.judge_limit = _gauge(r, "reward_judge_concurrency_limit", "Calls allowed at once", ["server"])
        self.judge_breaker = _gauge(r, "reward_judge_breaker_open", "1 while open", ["server"])
        self.judge_drift = _gauge(r, "reward_judge_drift", "Share of canaries that changed")
        self.judge_canaries_wrong = _gauge(r, "reward_judge_canaries_wrong", "Canaries answered wrongly")
        self.worker_ready = Gauge(
            "reward_component_ready", "1 when ready", ["component"], registry=r, multiprocess_mode="livemin"
        )
        self.worker_restarts = _gauge(r, "reward_worker_restarts", "Worker restarts", ["component"])
        self.queue = _gauge(r, "reward_component_queue", "Pairs waiting for a component's worker", ["component"])
        self.shed = Counter("reward_shed", "Requests answered 429", registry=r)
        self.orphans = Counter("reward_orphaned", "Requests whose client hung up", registry=r)
        self.inflight = Gauge("reward_inflight_items", "Pairs admitted", registry=r, multiprocess_mode="livesum")
        self.tasks = Gauge("reward_event_loop_tasks", "Tasks", registry=r, multiprocess_mode="livesum")
        self.log_lost = Counter("reward_log_lines_lost", "Log lines that could not be written", registry=r)
        self._seen: dict[Counter, float] = {}

    def count_group(self, profile: str, std: float | None, zero_advantage: bool) -> None:
        """Enter one group of rollouts: a group of equal rewards teaches nothing."""
        self.groups.labels(profile).inc()
        if std is not None:
            self.group_spread.labels(profile).observe(std)
        if zero_advantage:
            self.zero_advantage.labels(profile).inc()

    def count_flag(self, flag: str) -> None:
        """Count a flag by its name, or as ``other`` when a hundred other names have been seen.

        Flags can come out of a cache that others can write to, and every name is kept for good.
        """
        if len(self._seen_flags) < _MOST_FLAGS:
            self._seen_flags.add(flag)
        self._flags.labels(flag if flag in self._seen_flags else "other").inc()

    def observer(self, component: str) -> Observe:
        """A callback for runners: `batch_size`, `queue_s`, `compute_s` of one component."""
        stages = {"queue_s": "queue", "compute_s": "compute", "judge_s": "judge"}

        def observe(name: str, value: float) -> None:
            if name == "batch_size":
                self.batch_size.labels(component).observe(value)
            elif name in stages:
                self.latency.labels(stages[name], component).observe(value)

        return observe

    def judge_observer(self) -> JudgeObserve:
        """A callback for LLM judges; the names are those that they document."""

        def observe(name: str, value: float, labels: Mapping[str, str]) -> None:
            server = labels.get("server", "")
            if name == "judge_request_seconds":
                self.judge_seconds.labels(server).observe(value)
                self.judge_attempts.labels(server, labels["outcome"]).inc()
            elif name == "judge_tokens":
                self.judge_tokens.labels(labels["kind"]).inc(value)
            elif name == "judge_invalid_answers":
                self.judge_invalid.labels(labels["code"], labels["repaired"]).inc(value)
            elif name == "judge_concurrency_limit":
                self.judge_limit.labels(server).set(value)
            elif name == "judge_canary_drift":
                self.judge_drift.set(value)
            elif name == "judge_canaries_wrong":
                self.judge_canaries_wrong.set(value)

        return observe

    def sample(self, cache: Mapping[str, Mapping[str, int]], components: Mapping[str, Mapping[str, Any]]) -> None:
        """Bring over what `ScoreCache.stats` and the runners' `health` count; to be called on the event loop."""
        for level, stats in cache.items():
            for event, count in stats.items():
                if event in _LOOK_UPS:
                    self._advance(self.cache.labels(level, _LOOK_UPS[event]), count)
                elif event in ("up", "queued"):
                    self.cache_state.labels(level, event).set(count)
                elif event not in ("entries", "bytes", "held"):
                    self._advance(self.cache_events.labels(level, event), count)
        runners: dict[str, list[Mapping[str, Any]]] = {}  # two profiles may use one component with other settings
        for identity, health in components.items():
            runners.setdefault(identity.partition(":")[0], []).append(health)
        for name, each in runners.items():
            self.worker_ready.labels(name).set(all(health.get("ready") for health in each))
            # A restart of a worker process shows as a lost connection: the new one begins to count anew.
            self.worker_restarts.labels(name).set(sum(h.get("restarts", 0) + h.get("losses", 0) for h in each))
            self.queue.labels(name).set(sum(health.get("queue", 0) for health in each))
            for number, server in enumerate(server for health in each for server in health.get("servers", ())):
                self.judge_breaker.labels(str(number)).set(not server["well"])
        for name, stats in _artefact_caches(components).items():
            for event, result in _LOOK_UPS.items():
                self._advance(self.artefacts.labels(name, result), stats[event])
        self._advance(self.log_lost, logs.lost())
        self.tasks.set(len(asyncio.all_tasks()))

    def _advance(self, counter: Counter, total: float) -> None:
        """Add what `total`, a count kept elsewhere, has grown by; one that has shrunk began anew."""
        before = self._seen.get(counter, 0.0)
        counter.inc(total - before if total >= before else total)
        self._seen[counter] = total

    def render(self) -> bytes:
        """The text exposition format, added up over processes when there are several."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            merged = CollectorRegistry()
            multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
            return generate_latest(merged)
        return generate_latest(self.registry)


def _artefact_caches(components: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, int]]:
    """Counters by cache: the one that inline components share, and each other component's own."""
    shared: Mapping[str, int] = {"hits": 0, "misses": 0}
    own: dict[str, Mapping[str, int]] = {}
    for identity, health in components.items():
        if stats := health.get("artefacts"):
            if health.get("cost") == "inline":
                shared = stats
            else:
                own[identity] = stats
    caches: dict[str, collections.Counter[str]] = {"shared": collections.Counter(shared)}
    for identity, stats in own.items():
        if components[identity].get("cost") == "pool":  # its small submissions run inline, and it adds those up
            stats = {event: max(0, stats[event] - shared[event]) for event in _LOOK_UPS}
        caches.setdefault(identity.partition(":")[0], collections.Counter()).update(stats)
    return caches


def _gauge(registry: CollectorRegistry, name: str, text: str, labels: list[str] | None = None) -> Gauge:
    """A gauge whose value over several processes is the greatest of those alive."""
    return Gauge(name, text, labels or [], registry=registry, multiprocess_mode="livemax")
