"""Chooses how each component runs: by its declared cost, and by what the settings offer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Protocol, cast

from reward_service.caching.base import MemoryCache, ScoreCache
from reward_service.caching.codec import Shape
from reward_service.caching.redis import RedisCache
from reward_service.components.registry import build, row
from reward_service.contracts import AsyncJudge, ModelRunner, PairMetric, Runner
from reward_service.errors import ConfigurationError
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles.fingerprint import digest
from reward_service.profiles.loading import profiles_of
from reward_service.settings import Settings
from reward_service.supervision import Job
from reward_service.workers.batcher import BatchLimits, Observe
from reward_service.workers.judge import JudgeRunner
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.process_pool import PoolRunner
from reward_service.workers.remote_client import SocketWorker
from reward_service.workers.remote_process import WorkerConfig, digest_of_component, model_job
from reward_service.workers.replicas import Replicas
from reward_service.workers.thread import ThreadWorker


class Remote(Protocol):
    """Makes the runner for a model that runs in another process, which must have the component of that digest."""

    def __call__(self, config: WorkerConfig, *, component_digest: str, observe: Observe) -> ModelRunner: ...


def make_cache(settings: Settings, shapes: Mapping[str, Shape] | None = None) -> ScoreCache:
    """The score cache that the settings ask for. `shapes`: see `RedisCache`."""
    url = settings.cache_url.get_secret_value()
    if url.startswith("memory:"):
        return MemoryCache(settings.cache_memory_bytes)
    if url.startswith(("redis:", "rediss:", "unix:")):
        memory = MemoryCache(settings.cache_memory_bytes)
        return RedisCache(url, memory, ttl_s=settings.cache_ttl_s, namespace=settings.cache_namespace, shapes=shapes)
    raise ConfigurationError("REWARD_CACHE_URL starts with memory://, redis:// or rediss://.", param="cache_url")


@cache
def _shared_artefacts(max_bytes: int) -> ArtefactCache:
    """One bound for the small artefacts of all components in a process."""
    return ArtefactCache(max_bytes)


class Placement:
    """Gives each component of a process the runner it needs."""

    def __init__(
        self, settings: Settings, telemetry: Telemetry, sockets: str | None = None, remote: Remote = SocketWorker
    ) -> None:
        """With `sockets`, a directory, models run in the processes of `model_jobs`, else in this process.

        `remote` makes the runner of one that does not run here.
        """
        self._settings = settings
        self.telemetry = telemetry
        self._sockets = sockets
        self._remote = remote

    def runner(self, name: str, component_settings: Mapping[str, object], component: Any) -> Runner:
        """The runner for `component`, which was just built from these settings."""
        observe = self.telemetry.observer(name)
        if row(name).asynchronous:
            return JudgeRunner(cast(AsyncJudge, component), observe)
        if component.cost == "model":
            workers = [
                self._model_worker(config, component, observe)
                for config in _configs(name, component_settings, self._settings, self._sockets or "")
            ]
            return workers[0] if len(workers) == 1 else Replicas(workers)
        factory = _factory(name, component_settings)
        artefacts = _shared_artefacts(self._settings.artefact_bytes)
        processes = self._settings.pool_workers if component.cost == "pool" else 0
        queue = _queue(self._settings)
        limits = BatchLimits(
            pairs=min(32, queue),
            characters=50_000,
            queue=queue,
            inline_characters=6_000 if component.cost == "pool" else 16_000,  # either takes less than 10 ms
            hang_s=60.0 if processes else 600.0,
        )
        if processes:
            return PoolRunner(factory, artefacts, processes=processes, limits=limits, observe=observe)
        return ThreadWorker(factory, artefacts, limits=limits, observe=observe)

    def _model_worker(self, config: WorkerConfig, component: Any, observe: Observe) -> ModelRunner:
        if self._sockets is not None:
            return self._remote(config, component_digest=digest_of_component(component), observe=observe)
        return ThreadWorker(config.factory, ArtefactCache(config.artefact_bytes), limits=config.limits, observe=observe)


def model_jobs(settings: Settings, sockets: str) -> list[Job]:
    """The model worker processes that the enabled profiles need, for a supervisor to keep.

    Whoever outlives the HTTP processes keeps them, so that none of those takes a worker with it when it dies.
    Raises `ConfigurationError` for a component that cannot be built, `ComponentError` for `sockets` that won't do.
    """
    return [model_job(config) for config, _ in model_configs(settings, sockets)]


def model_configs(settings: Settings, sockets: str) -> list[tuple[WorkerConfig, PairMetric]]:
    """What each model worker of the enabled profiles is started with, and the component that it must have."""
    found: dict[str, tuple[WorkerConfig, PairMetric]] = {}
    for profile in (profile for name in settings.loaded_profiles for profile in profiles_of(name)):
        for spec in profile.components.values():
            wanted = settings.for_component(spec.component, spec.settings)
            if row(spec.component).asynchronous:
                continue
            component = cast(PairMetric, build(spec.component, wanted))
            if component.cost == "model":
                configs = _configs(spec.component, wanted, settings, sockets)
                found |= {config.path: (config, component) for config in configs}
    return list(found.values())


def _configs(
    name: str, component_settings: Mapping[str, object], settings: Settings, sockets: str
) -> Iterator[WorkerConfig]:
    """What each worker of a model component is made of: one for each device, if it is a component that has one."""
    limits = BatchLimits(pairs=settings.batch_items, queue=_queue(settings))
    stem = f"{name}-{digest(dict(component_settings))[:12]}"
    for i, device in enumerate(settings.device if "device" in component_settings else ("",)):
        own = {**component_settings, "device": device} if device else component_settings
        yield WorkerConfig(
            _factory(name, own), str(Path(sockets) / f"{stem}-{i}.sock"), settings.embedding_bytes, limits
        )


def _factory(name: str, component_settings: Mapping[str, object]) -> Callable[[], PairMetric]:
    return cast("partial[PairMetric]", partial(build, name, dict(component_settings)))


def _queue(settings: Settings) -> int:
    # The engine admits; a runner's queue only has to hold all that, and as much again that nobody awaits any more.
    return 2 * settings.workers * max(settings.queue_items, settings.max_items, settings.batch_items)
