"""Chooses how each component runs: by its declared cost, and by what the settings offer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from reward_service.cache import MemoryCache, ScoreCache
from reward_service.cache_redis import RedisCache
from reward_service.compute import ArtefactCache
from reward_service.contracts import AsyncJudge, PairMetric, Runner
from reward_service.errors import ConfigurationError
from reward_service.judge_runner import JudgeRunner
from reward_service.registry import build, row
from reward_service.settings import Settings
from reward_service.telemetry import Telemetry
from reward_service.worker_batcher import BatchLimits
from reward_service.worker_client import SocketWorker
from reward_service.worker_pool import PoolRunner
from reward_service.worker_process import WorkerConfig, component_identity
from reward_service.workers import InlineRunner, ThreadWorker


def make_cache(settings: Settings) -> ScoreCache:
    """The score cache that the settings ask for."""
    url = settings.cache_url.get_secret_value()
    if url.startswith("memory:"):
        return MemoryCache(settings.cache_memory_bytes)
    if url.startswith(("redis:", "rediss:", "unix:")):
        memory = MemoryCache(settings.cache_memory_bytes)
        return RedisCache(url, memory, ttl_s=settings.cache_ttl_s, namespace=settings.cache_namespace)
    raise ConfigurationError("REWARD_CACHE_URL starts with memory://, redis:// or rediss://.", param="cache_url")


@cache
def _shared_artefacts(max_bytes: int) -> ArtefactCache:
    """One bound for the small artefacts of all components in a process."""
    return ArtefactCache(max_bytes)


def make_runner(
    name: str, component_settings: Mapping[str, object], component: Any, settings: Settings, telemetry: Telemetry
) -> Runner:
    """The runner for a component that was just built."""
    observe = telemetry.observer(name)
    if row(name).asynchronous:
        return JudgeRunner(cast(AsyncJudge, component), observe)
    factory = cast("partial[PairMetric]", partial(build, name, dict(component_settings)))
    artefacts = _shared_artefacts(settings.artefact_bytes)
    # The engine admits; a runner's queue only has to hold all that, and as much again that nobody awaits any more.
    queue = 2 * settings.workers * max(settings.queue_items, settings.max_items, settings.batch_items)
    match component.cost:
        case "inline":
            return InlineRunner(factory, artefacts, limits=BatchLimits(32, 50_000, queue), observe=observe)
        case "pool" if not settings.pool_workers:
            limits = BatchLimits(32, 50_000, queue)
            return InlineRunner(factory, artefacts, inline_characters=6_000, limits=limits, observe=observe)
        case "pool":
            limits = BatchLimits(32, 100_000, queue)
            return PoolRunner(factory, artefacts, processes=settings.pool_workers, limits=limits, observe=observe)
        case _:
            limits = BatchLimits(pairs=settings.batch_items, queue=queue)
            if settings.runtime_dir:
                identity = component_identity(component)
                path = str(Path(settings.runtime_dir) / f"{name}-{identity[:12]}.sock")
                config = WorkerConfig(factory, path, settings.embedding_bytes, limits)
                return SocketWorker(config, identity=identity, observe=observe)
            return ThreadWorker(factory, ArtefactCache(settings.embedding_bytes), limits=limits, observe=observe)
