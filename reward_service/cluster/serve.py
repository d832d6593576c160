"""The service as an application of Ray Serve: `build` is what a Serve configuration imports.

The ingress deployment is the ASGI application that `serve` runs, with text metrics and rules inline; each model
component is a deployment of its own, a micro-batcher before one thread as everywhere. `build` computes the profiles'
fingerprints, and a replica that computes others does not start.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.exceptions import BackPressureError

from reward_service.api.app import create_app
from reward_service.cluster import metrics
from reward_service.cluster.autoscaling import PAIRS
from reward_service.cluster.handle_worker import HandleWorker, Scored
from reward_service.cluster.settings import ClusterSettings, Replicas
from reward_service.contracts import ComponentError, Pair
from reward_service.errors import ConfigurationError
from reward_service.observability.logs import configure_logs
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings
from reward_service.workers.batcher import Observe
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.placement import model_configs
from reward_service.workers.remote_process import WorkerConfig, digest_of_component
from reward_service.workers.thread import ThreadWorker, load_error

INGRESS = "reward"
_STARTS = 3  # attempts at a replica: what it says then is what the deployment has failed with


def build(args: dict[str, Any]) -> serve.Application:
    """The application; `args` are the fields of `ClusterSettings`.

    Raises `ConfigurationError` for settings that cannot be served.
    """
    cluster = ClusterSettings.model_validate(args)
    settings = cluster.of_service()
    with ThreadPoolExecutor(1) as beside:  # whoever calls this may have an event loop already, as notebooks do
        pins = cluster.fingerprints or beside.submit(asyncio.run, _fingerprints(settings)).result()
    models = {}
    for config, component in model_configs(settings, ""):
        name = Path(config.path).stem
        deployed = _deployment(Model, name, cluster.models, settings)
        models[name] = deployed.bind(config, digest_of_component(component))
    return _deployment(serve.ingress()(Ingress), INGRESS, cluster.ingress, settings).bind(settings, pins, models)


async def _fingerprints(settings: Settings) -> dict[str, str]:
    return {name: served.fingerprint for name, served in Engine(settings, sockets="").profiles.items()}


def _deployment(cls: Any, name: str, replicas: Replicas, settings: Settings) -> Any:
    policy = AutoscalingPolicy(
        policy_function="reward_service.cluster.autoscaling:ByPairs", policy_kwargs={"pairs": replicas.pairs}
    )
    return serve.deployment(
        cls,
        name=name,
        autoscaling_config=AutoscalingConfig(
            min_replicas=replicas.least, max_replicas=replicas.most, policy=policy, upscale_delay_s=5.0
        ),
        ray_actor_options={"num_cpus": replicas.cpus, "num_gpus": replicas.gpus if cls is Model else 0},
        max_ongoing_requests=settings.queue_items,  # the engine admits pairs, and batches what waits
        graceful_shutdown_timeout_s=settings.shutdown_grace_s,
        graceful_shutdown_wait_loop_s=settings.drain_delay_s,
        max_constructor_retry_count=_STARTS,
    )


class Ingress:
    """One replica of the ASGI application. Serve calls its methods."""

    def __init__(self, settings: Settings, pins: Mapping[str, str], models: Mapping[str, Any]) -> None:
        """`models`: handles of the deployments of model components by name."""
        self._settings = settings
        self._pins = pins
        self._models = models
        self._engine: Engine | None = None
        self._app: FastAPI | None = None
        self._loaded = asyncio.Event()

    def __serve_build_asgi_app__(self) -> FastAPI:  # its name is Serve's
        """Called on the replica's event loop. Raises `ConfigurationError` for another fingerprint than `build`'s."""
        _set_up_process(self._settings)
        self._engine = engine = Engine(self._settings, sockets="", remote=self._runner)
        _require_pins(engine, self._pins)
        self._app = app = create_app(self._settings, engine)
        app.state.on_loaded = app.state.on_fatal = self._loaded.set
        app.state.exposition = self._exposition_of_all
        return app

    def _runner(self, config: WorkerConfig, *, component_digest: str, observe: Observe) -> HandleWorker:
        handle = self._models[Path(config.path).stem]
        return HandleWorker(handle, config, component_digest=component_digest, observe=observe, explain=_explained)

    async def check_health(self) -> None:
        """Returns once everything is loaded: until then Serve sends no request, except to other replicas."""
        await self._loaded.wait()
        assert self._app is not None
        if self._app.state.fatal:
            raise self._app.state.fatal

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `ByPairs` adds up."""
        return {PAIRS: float(self._engine.admission.admitted if self._engine else 0)}

    async def exposition(self) -> tuple[str, str]:
        """This replica's id and its page of metrics."""
        assert self._engine is not None
        self._engine.telemetry.sample(self._engine.cache.stats(), self._engine.state.health())
        return serve.get_replica_context().replica_id.unique_id, self._engine.telemetry.render().decode()

    async def _exposition_of_all(self) -> bytes:
        here = serve.get_replica_context()
        handle = serve.get_deployment_handle(here.deployment, here.app_name)
        return metrics.of_all(dict(await handle.broadcast("exposition").results_async()))


class _Worker(ThreadWorker):
    """A hung thread would keep the GPU: only the end of the process gives that free, and Serve starts another."""

    def abandon_thread(self) -> None:
        os._exit(1)


class Model:
    """One replica of a model component. Serve calls its methods."""

    async def __init__(self, config: WorkerConfig, component_digest: str) -> None:  # type: ignore[misc]
        """Load the component. Raises `ConfigurationError` for another one than `build` has seen."""
        self._observed: list[tuple[str, float]] = []
        self._pairs = 0
        self._worker = _Worker(
            config.factory,
            ArtefactCache(config.artefact_bytes),
            limits=config.limits,
            observe=lambda name, value: self._observed.append((name, value)),
        )
        try:
            await self._worker.start()
        except Exception as error:
            raise ConfigurationError(load_error(error).message) from None
        assert self._worker.metric is not None
        self._digest = digest_of_component(self._worker.metric)
        if self._digest != component_digest:
            raise ConfigurationError("This replica has another component (code, weights or libraries) than `build`.")

    def digest(self) -> str:
        """Of the component."""
        return self._digest

    async def score(self, component_digest: str, pairs: list[Pair], timeout_s: float) -> Scored:
        """One result for each pair, for a caller that has the same component: during an upgrade it may not."""
        if component_digest != self._digest:
            wrong = ComponentError("wrong_component", "the model's replica has another component", retryable=True)
            return Scored([wrong] * len(pairs), [])
        self._pairs += len(pairs)
        try:
            futures = self._worker.submit(pairs, time.monotonic() + timeout_s)
            results = await asyncio.gather(*futures, return_exceptions=True)
        finally:
            self._pairs -= len(pairs)
        observed, self._observed[:] = self._observed[:], []
        return Scored([_as_result(result) for result in results], observed)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `ByPairs` adds up."""
        return {PAIRS: float(self._pairs)}

    def check_health(self) -> None:
        """Raises while the worker is down."""
        health = self._worker.health()
        if not health["ready"]:
            raise ConfigurationError(str(health["detail"]))


def _as_result(result: Any) -> Any:
    if isinstance(result, BaseException) and not isinstance(result, ComponentError):
        return ComponentError("component_error", type(result).__name__)
    return result


def _set_up_process(settings: Settings) -> None:
    configure_logs(settings)
    sys.setswitchinterval(0.0005)  # as in `serving.server`


def _require_pins(engine: Engine, pins: Mapping[str, str]) -> None:
    """Raises `ConfigurationError` where this replica's fingerprint is not the one that all are to have."""
    for name, served in engine.profiles.items():
        if pins.get(name) != served.fingerprint:
            raise ConfigurationError(
                f"Profile '{name}' has fingerprint {served.fingerprint} on this replica and {pins.get(name)} in the "
                "application: all machines need the same image and weights.",
                param="fingerprints",
            )


def _explained(error: BaseException) -> ComponentError:
    if isinstance(error, BackPressureError):
        return ComponentError("queue_full", "too many pairs are waiting; retry", retryable=True)
    if isinstance(error, RayActorError):
        return ComponentError("worker_died", "the model's replica died while this pair waited for it", retryable=True)
    retryable = isinstance(error, RayError)
    return ComponentError("worker_unavailable", f"the replica: {type(error).__name__}", retryable=retryable)
