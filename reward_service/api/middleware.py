"""The outermost layer, plain ASGI: request ids, keys, counting, one log line per request, errors as envelopes."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reward_service.api import errors as api_errors
from reward_service.api.auth import Keys
from reward_service.errors import ServiceError, Unauthorized
from reward_service.telemetry import Telemetry

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN = frozenset({"/health", "/ready", "/metrics"})
"""Routes that need no key: probes and scrapers; they show no report text."""
log = structlog.get_logger("reward_service.http")


class Outermost:
    """Wraps the application; nothing that happens inside leaves without an answer in the one envelope."""

    def __init__(self, app: ASGIApp, *, keys: Keys, telemetry: Telemetry) -> None:
        self._app = app
        self._keys = keys
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        key = None
        try:
            try:
                if scope["path"] not in OPEN:
                    key = self._keys.check(headers.get("authorization"))
                await self._app(scope, receive, send_with_id)
            except Unauthorized as error:
                await api_errors.response(error, request_id)(scope, receive, send_with_id)
            except ClientDisconnect:
                status = 499
            except Exception as error:
                # The type only: a foreign exception's message may quote a report.
                log.error("unexpected_error", request_id=request_id, error=type(error).__name__)
                hidden = ServiceError("An unexpected error; the log has its type under this request id.")
                await api_errors.response(hidden, request_id)(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._telemetry.requests.labels(route, str(status)).inc()
            if scope["path"] not in OPEN:
                log.info(
                    "request", request_id=request_id, route=route, status=status, key=key,
                    ms=round(1e3 * (time.perf_counter() - began), 1), **scope["state"].get("log", {}),
                )  # fmt: skip
