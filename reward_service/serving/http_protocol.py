"""HTTP/1.1 as uvicorn speaks it with h11, with a time limit for a request's head and the service's own error envelope.

Without the limit, a connection that sends nothing, or a byte a minute, would keep its file descriptor for ever.
docs/architecture.md says what was measured before h11 was chosen.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from http import HTTPStatus
from typing import ClassVar

import h11
import orjson
from uvicorn.protocols.http.h11_impl import H11Protocol

from reward_service.api import error_responses as api_errors
from reward_service.errors import HeadTooLarge, InvalidRequest

_LARGE_SEGMENT = 2**14
_TINY_CHUNK = 16  # bytes from one line's end to the next; clients send thousands


class HttpProtocol(H11Protocol):
    """One connection. The limits of sizes are h11's, set by `h11_max_incomplete_event_size`."""

    head_timeout_s: ClassVar[float] = 30.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self._is_of_tiny_chunks(data):
            self.send_400_response("")
            return
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What no request could be read from gets the same envelope as everything else."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else an answer has begun
            self.transport.write(_refusal(getattr(sys.exception(), "error_status_hint", None)))
        self.transport.close()

    def _is_of_tiny_chunks(self, data: bytes) -> bool:
        """Whether it is a body in chunks of a few bytes: h11 would hold up everybody for a second over 256 KB of it."""
        if len(data) < _LARGE_SEGMENT or data.count(b"\r\n") * _TINY_CHUNK < len(data):
            return False
        if self.conn.their_state is h11.SEND_BODY:
            return any(name == b"transfer-encoding" for name, _ in self.headers)
        return b"chunked" in data.lower()

    def _watch(self) -> None:
        """The application has time limits of its own; between two requests the client owes a head, or a body's rest."""
        if self.conn.our_state in (h11.SEND_RESPONSE, h11.SEND_BODY):
            self._stop_watching()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _refusal(status: int | None) -> bytes:
    """A whole response. `status` is h11's advice."""
    wrong = "What arrived is not an HTTP/1.1 request, or comes in chunks of a few bytes."
    too_large = status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    problem = HeadTooLarge() if too_large else InvalidRequest(wrong, code="malformed_http")
    body = orjson.dumps(api_errors.envelope(problem, secrets.token_hex(8)))
    known = HTTPStatus(api_errors.status_of(problem))
    head = (
        f"HTTP/1.1 {known.value} {known.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
