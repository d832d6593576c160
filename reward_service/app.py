"""Composes the web application: engine, routes, the outermost layer, and their common life."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from reward_service import __version__, errors
from reward_service.api import dialect_routes, routes, wire
from reward_service.api import errors as api_errors
from reward_service.api.auth import Keys
from reward_service.api.middleware import Outermost
from reward_service.dialects import ReferenceStore
from reward_service.engine import Engine
from reward_service.logs import configure_logs
from reward_service.settings import Settings

log = structlog.get_logger("reward_service")

DESCRIPTION = "Scores radiology-report candidates against references and returns one traceable reward per pair."


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. Raises `ConfigurationError` when the settings cannot work."""
    settings = settings or Settings()
    configure_logs(settings)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        engine = app.state.engine = Engine(settings)
        loading = asyncio.create_task(_load(engine, app))
        try:
            yield
        finally:
            engine.closing = True
            loading.cancel()
            await engine.stop()

    app = FastAPI(title="Reward service", version=__version__, description=DESCRIPTION, lifespan=life,
                  openapi_url="/openapi.json", docs_url="/docs", redoc_url=None)  # fmt: skip
    app.include_router(routes.router)
    app.include_router(dialect_routes.router)
    app.add_exception_handler(errors.ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _parameter_error)
    app.state.fatal = None
    app.state.references = ReferenceStore.load(settings.references) if settings.references else None
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    # Added last, so it is outermost but for Starlette's own error layer, which it leaves nothing to do.
    app.add_middleware(Outermost, keys=Keys(settings.api_keys), telemetry=_LazyTelemetry(app))  # type: ignore[arg-type]
    return app


class _LazyTelemetry:
    """The engine's telemetry, which exists once the lifespan has begun."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app.state.engine.telemetry, name)


async def _load(engine: Engine, app: FastAPI) -> None:
    """Warm up beside the running server, so that `/health` and `/info` answer meanwhile."""
    try:
        await engine.start()
        log.info(
            "ready", profiles=list(engine.profiles), fingerprints=[p.fingerprint for p in engine.profiles.values()]
        )
    except errors.ConfigurationError as error:
        app.state.fatal = error.message
        log.error("cannot_start", code=error.code, message=error.message)
        signal.raise_signal(signal.SIGTERM)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ServiceError)
    return api_errors.response(error, request.state.request_id)


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown routes and wrong methods, in the same envelope."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    wrapped = errors.InvalidRequest(
        f"{error.detail}: {request.method} {request.url.path}. See /docs for the routes.",
        code=codes.get(error.status_code, "invalid_request"),
    )
    answer = api_errors.response(wrapped, request.state.request_id)
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


async def _parameter_error(request: Request, error: Exception) -> Response:
    """A wrong query parameter, in the same envelope."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    wrapped = errors.InvalidRequest(f"Query parameter {name}: {first['msg']}.", param=name)
    return api_errors.response(wrapped, request.state.request_id)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's schema plus the request models, which the routes parse themselves."""
    if app.openapi_schema:
        return app.openapi_schema
    schema = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    _, models = models_json_schema([(wire.ScoreRequest, "validation")], ref_template="#/components/schemas/{model}")
    schema["components"]["schemas"].update(models["$defs"])
    schema["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"bearer": []}, {}]
    app.openapi_schema = schema
    return schema
