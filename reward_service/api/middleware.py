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
from reward_service.scoring.engine import Engine

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN = frozenset({"/health", "/ready", "/metrics"})
"""Routes that need no key: probes and scrapers; they show no report text."""
_PAGES = re.compile(r"/|/runs|/docs|/openapi\.json|/(web|docs)/[^/]+")
"""What a browser must get before it can ask for a key: pages, style sheets, modules; nothing of any deployment."""
_HUNG_UP = 499  # in logs and metrics only, also of a cancelled task: there is nobody to send it to
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
        engine: Engine = self._state.engine
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        answer = _Answer(send, given if _ID.fullmatch(given) else secrets.token_hex(8), engine)
        scope.setdefault("state", {})["request_id"] = answer.request_id
        structlog.contextvars.bind_contextvars(request_id=answer.request_id)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        probe = path in OPEN
        keyless = probe or (scope["method"] in ("GET", "HEAD") and _PAGES.fullmatch(path))
        with (
            contextlib.nullcontext(_untold) if probe else self._state.tracing.request(scope["method"], headers) as tell
        ):
            try:
                await self._handle(scope, receive, answer, None if keyless else self._keys)
            finally:
                route, status = getattr(scope.get("route"), "path", "unknown"), answer.status
                engine.telemetry.requests.labels(route, str(status)).inc()
                if status == _HUNG_UP:
                    engine.telemetry.orphans.inc()
                if not probe:
                    ms = round(1e3 * (time.perf_counter() - began), 1)
                    more = scope["state"].get("log", {})
                    log.info("request", route=route, status=status, key=scope["state"].get("key"), ms=ms, **more)
                    told = {"http.route": route, "http.response.status_code": status, "request_id": answer.request_id}
                    tell({**told, **more})

    async def _handle(self, scope: Scope, receive: Receive, answer: _Answer, keys: ApiKeys | None) -> None:
        """Let the request in and run the application; what fails becomes an answer, unless one has begun."""
        try:
            if _head_bytes(scope) > MAX_HEAD_BYTES:
                raise HeadTooLarge
            if keys is not None:
                scope["state"]["key"] = keys.check(Headers(scope=scope).get("authorization"))
            await self._app(scope, receive, answer.send)
            return
        except ClientDisconnect:
            answer.status = _HUNG_UP
            return
        except asyncio.CancelledError:
            if answer.status or not answer.engine.closing:
                answer.status = _HUNG_UP
                raise
            problem: ServiceError = Overloaded(
                "The service is shutting down; another replica may answer.", code="shutting_down"
            )
        except Exception as error:
            if answer.status:  # the server can only break the connection
                raise
            problem = error if isinstance(error, ServiceError) else _unexpected(error)
        await api_errors.response(problem, answer.request_id)(scope, receive, answer.send)


class _Answer:
    """Sends an answer with the request's id; `status` is 0 until it has begun."""

    def __init__(self, send: Send, request_id: str, engine: Engine) -> None:
        self._send = send
        self.request_id = request_id
        self.engine = engine
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            out = MutableHeaders(scope=message)
            out["X-Request-Id"] = self.request_id
            if self.engine.closing:
                out["Connection"] = "close"  # so that the next request goes to another replica
        await self._send(message)


def _head_bytes(scope: Scope) -> int:
    """Size of the request's head; a server limits only what has not arrived whole."""
    fields = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope["query_string"])


def _untold(_: dict[str, Any]) -> None:
    """In place of a trace, for probes."""


def _unexpected(error: Exception) -> ServiceError:
    """Neither the answer nor the log has its message: it may quote a report."""
    log.error("unexpected_error", **described(error))
    return ServiceError("An unexpected error; the log has its type and place under this request id.")
