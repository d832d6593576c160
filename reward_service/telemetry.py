"""Prometheus metrics, defined once. Labels are names and codes; report text is never one.

With several HTTP processes, `PROMETHEUS_MULTIPROC_DIR` (set by `serve`) makes the counts add up over them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_REWARD = tuple(round(-1 + i * 0.1, 1) for i in range(21))
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Observe = Callable[[str, float], None]


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
        self.artefacts = Counter("reward_artefact_requests", "Artefact look-ups", ["component", "result"], registry=r)
        self.missing = Counter("reward_missing", "Components without a score", ["component", "code"], registry=r)
        self.flags = Counter("reward_flags", "Flags raised on candidates", ["flag"], registry=r)
        self.reward = Histogram("reward_value", "Rewards", ["profile"], buckets=_REWARD, registry=r)
        self.groups = Counter("reward_groups", "Rollout groups scored", ["profile"], registry=r)
        self.zero_advantage = Counter(
            "reward_zero_advantage_groups", "Groups whose rewards are all equal", ["profile"], registry=r
        )
        self.group_spread = Histogram(
            "reward_group_std", "Spread of rewards in a group", ["profile"], registry=r,
            buckets=(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
        )  # fmt: skip
        self.judge_tokens = Counter("reward_judge_tokens", "Tokens of the LLM judge", ["kind"], registry=r)
        self.judge_attempts = Counter("reward_judge_attempts", "Calls to judge servers", ["result"], registry=r)
        live = {"multiprocess_mode": "livemax"}
        self.judge_breaker = Gauge("reward_judge_breaker_open", "1 while open", ["server"], registry=r, **live)  # type: ignore[arg-type]
        self.judge_drift = Gauge("reward_judge_drift", "Share of canaries that changed", registry=r, **live)  # type: ignore[arg-type]
        self.worker_ready = Gauge("reward_component_ready", "1 when ready", ["component"], registry=r, **live)  # type: ignore[arg-type]
        self.worker_restarts = Gauge(
            "reward_worker_restarts", "Model worker restarts", ["component"], registry=r, **live  # type: ignore[arg-type]
        )  # fmt: skip
        self.shed = Counter("reward_shed", "Requests answered 429", registry=r)
        self.orphans = Counter("reward_orphaned", "Requests whose client hung up", registry=r)
        self.inflight = Gauge("reward_inflight_items", "Pairs admitted", registry=r, multiprocess_mode="livesum")

    def observer(self, component: str) -> Observe:
        """A callback for runners: `batch_size`, `queue_s`, `compute_s` of one component."""
        stages = {"queue_s": "queue", "compute_s": "compute", "judge_s": "judge"}

        def observe(name: str, value: float) -> None:
            if name == "batch_size":
                self.batch_size.labels(component).observe(value)
            elif name in stages:
                self.latency.labels(stages[name], component).observe(value)

        return observe

    def render(self) -> bytes:
        """The text exposition format, added up over processes when there are several."""
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            merged = CollectorRegistry()
            multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
            return generate_latest(merged)
        return generate_latest(self.registry)
