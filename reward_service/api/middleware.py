"""The outermost layer, plain ASGI: request ids, keys, counting, one log line per request, errors as envelopes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders, State
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reward_service.api import error_responses as api_errors
from reward_service.api.auth import ApiKeys
from reward_service.errors import MAX_HEAD_BYTES, HeadTooLarge, Overloaded, ServiceError
from reward_service.observability.logs import described

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN = frozenset({"/health", "/ready", "/metrics"})
"""Routes that need no key: probes and scrapers; they show no report text."""
_HUNG_UP = 499  # in logs and metrics only: there is nobody to send it to
log = structlog.get_logger("reward_service.http")


class RequestMiddleware:
    """Wraps the application; nothing that happens inside leaves without an answer in the one envelope."""

    def __init__(self, app: ASGIApp, *, keys: ApiKeys, state: State) -> None:
        """`state` is the application's: `engine` (once its life has begun) and `tracing`."""
        self._app = app
        self._keys = keys
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        engine = self._state.engine
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-Id"] = request_id
                if engine.closing:
                    out["Connection"] = "close"  # so that the next request goes to another replica
            await send(message)

        key = None
        probe = scope["path"] in OPEN
        with (
            contextlib.nullcontext(_untold) if probe else self._state.tracing.request(scope["method"], headers) as tell
        ):
            try:
                if _head_bytes(scope) > MAX_HEAD_BYTES:
                    raise HeadTooLarge
                if not probe:
                    key = self._keys.check(headers.get("authorization"))
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = _HUNG_UP
            except (Exception, asyncio.CancelledError) as error:
                if status:  # the answer has begun; the server can only break the connection
                    raise
                problem = _as_service_error(error, closing=engine.closing)
                await api_errors.response(problem, request_id)(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path", "unknown")
                engine.telemetry.requests.labels(route, str(status)).inc()
                if not probe:
                    ms = round(1e3 * (time.perf_counter() - began), 1)
                    more = scope["state"].get("log", {})
                    log.info("request", route=route, status=status, key=key, ms=ms, **more)
                    tell({"http.route": route, "http.response.status_code": status, "request_id": request_id, **more})


def _head_bytes(scope: Scope) -> int:
    """Size of the request's head; a server limits only what has not arrived whole."""
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope["query_string"])


def _untold(_: dict[str, Any]) -> None:
    """In place of a trace, for probes."""


def _as_service_error(error: BaseException, *, closing: bool) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, asyncio.CancelledError):
        if not closing:
            raise error
        return Overloaded("The service is shutting down; another replica may answer.", code="shutting_down")
    # Neither the answer nor the log has its message: it may quote a report.
    log.error("unexpected_error", **described(error))
    return ServiceError("An unexpected error; the log has its type and place under this request id.")
