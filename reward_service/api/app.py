"""Composes the web application: engine, routes, the outermost layer, and their common life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reward_service import __version__, errors
from reward_service.api import (
    docs_page,
    error_responses,
    job_routes,
    openapi,
    page_routes,
    read_route,
    run_routes,
    score_route,
    state_routes,
    trainer_routes,
)
from reward_service.api.auth import ApiKeys, accepted_keys
from reward_service.api.middleware import RequestMiddleware
from reward_service.observability import tracing
from reward_service.observability.logs import described, on_loop_error
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings
from reward_service.tasks import end
from reward_service.trainers.references import ReferenceStore

log = structlog.get_logger("reward_service")

DESCRIPTION = "Scores radiology-report candidates against references and returns one traceable reward per pair."
_SAMPLE_EVERY_S = 2.0
_AFTER_JOBS_S = 1.5  # of the grace time: for closing what remains


def create_app(settings: Settings | None = None, engine: Engine | None = None) -> FastAPI:
    """The ASGI application; it builds an engine from `settings` when its life begins, unless it is given one.

    Whoever runs it may set `app.state.on_loaded`, `on_fatal` (called when loading has failed for good, which
    `app.state.fatal` then says), `time_left` (seconds that closing may take) and `exposition` (the page of metrics).
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_exception_handler(on_loop_error)
        app.state.engine = running = engine or Engine(settings)
        app.state.jobs = jobs = job_routes.make_jobs(running)
        jobs.start(running.ready)
        tasks = [asyncio.create_task(_load(running, app)), asyncio.create_task(_sample(running))]
        try:
            yield
        finally:
            running.closing = True
            await end(tasks)
            await jobs.aclose(max(0.0, app.state.time_left() - _AFTER_JOBS_S))
            await running.stop(app.state.time_left())
            app.state.tracing.close()

    app = FastAPI(title="Reward service", version=__version__, description=DESCRIPTION, lifespan=life,
                  openapi_url="/openapi.json", docs_url=None, redoc_url=None, redirect_slashes=False)  # fmt: skip
    app.root_path = settings.root_path  # not the server's setting, which would change the paths that arrive
    app.include_router(score_route.router)
    app.include_router(read_route.router)
    app.include_router(state_routes.router)
    app.include_router(trainer_routes.router)
    app.include_router(run_routes.router)
    app.include_router(job_routes.router)
    app.include_router(page_routes.router)
    app.include_router(docs_page.router)
    app.add_exception_handler(errors.ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)
    app.state.engine = engine
    app.state.fatal = None
    app.state.exposition = lambda: _exposition(app)
    app.state.on_loaded = app.state.on_fatal = lambda: None
    app.state.time_left = lambda: settings.shutdown_grace_s
    app.state.references = ReferenceStore.load(settings.references) if settings.references else None
    app.state.tracing = tracing.start(settings)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    # Added last, so it is outermost but for Starlette's own error layer, which it leaves nothing to do.
    app.state.keys = ApiKeys(accepted_keys(settings))
    app.add_middleware(RequestMiddleware, keys=app.state.keys, state=app.state)
    return app


async def _load(engine: Engine, app: FastAPI) -> None:
    """Warm up beside the running server, so that `/health` and `/info` answer meanwhile."""
    try:
        await engine.start()
    except errors.ServiceError as error:
        app.state.fatal = error
    except Exception as error:
        engine.problem = f"starting failed with {type(error).__name__}"
        app.state.fatal = errors.ConfigurationError(engine.problem)
        log.error("cannot_start", **described(error))
    if app.state.fatal:
        app.state.on_fatal()
        return
    log.info("ready", profiles=list(engine.profiles), fingerprints=[p.fingerprint for p in engine.profiles.values()])
    app.state.on_loaded()


async def _exposition(app: FastAPI) -> bytes:
    return app.state.engine.telemetry.render()  # type: ignore[no-any-return]


async def _sample(engine: Engine) -> None:
    """Bring counters that others keep onto `/metrics`, also those of processes that are not the one scraped."""
    while True:
        engine.telemetry.sample(engine.cache.stats(), engine.state.health())
        for shadow in engine.shadows:
            shadow.settle()
        await asyncio.sleep(_SAMPLE_EVERY_S)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ServiceError)
    return error_responses.response(error, request.state.request_id)


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown routes and wrong methods, in the same envelope."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    wrapped = errors.InvalidRequest(
        f"{error.detail}: {request.method} {request.url.path[:100]}. See /docs for the routes.",
        code=codes.get(error.status_code, "invalid_request"),
    )
    answer = error_responses.response(wrapped, request.state.request_id)
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


async def _parameter_error(request: Request, error: Exception) -> Response:
    """A wrong query parameter, in the same envelope."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    wrapped = errors.InvalidRequest(
        f"Query parameter {name}: {first['msg'].removeprefix('Value error, ')}.", param=name
    )
    return error_responses.response(wrapped, request.state.request_id)
