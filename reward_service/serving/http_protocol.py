"""HTTP/1.1 as uvicorn speaks it, with a time limit for a request's head and the service's own envelope for 400.

Without the limit, a connection that sends nothing, or a byte a minute, would keep its file descriptor for ever.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from reward_service.api import error_responses as api_errors
from reward_service.errors import InvalidRequest


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    head_timeout_s: ClassVar[float] = 30.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        answered = self.cycle is not None and self.cycle.response_complete
        if answered and self.timeout_keep_alive_task is None and self._head_timer is None:
            self._await_head()  # the rest of a body that nobody wanted, which may come a byte a minute

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What no request could be read from gets the same envelope as everything else."""
        self._head_arrived()
        problem = InvalidRequest("What arrived is not an HTTP/1.1 request.", code="malformed_http")
        body = orjson.dumps(api_errors.envelope(problem, secrets.token_hex(8)))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._head_arrived()
        self._head_timer = asyncio.get_running_loop().call_later(self.head_timeout_s, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
