"""HTTP/1.1 as uvicorn speaks it with h11, with a time limit for a request's head and the service's own error envelope.

Without the limit, a connection that sends nothing, or a byte a minute, would keep its file descriptor for ever.
docs/architecture.md says what was measured before h11 was chosen.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
from http import HTTPStatus
from typing import Any, ClassVar

import h11
import orjson
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reward_service.api import error_responses as api_errors
from reward_service.errors import MAX_HEAD_BYTES, HeadTooLarge, InvalidRequest

_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)((?:[/?].*)?)", re.IGNORECASE)
_CHUNK_BYTES = 5  # on average; a JSON encoder that yields its tokens sends some 6 for reports of three words
_SHORT_CHUNKS = 2**13  # how many more than that average allows; h11 takes 8 us for each


class StrictConnection(h11.Connection):
    """h11's reading of requests, without the framing that two readers could understand differently.

    Nor does it read a body of very many very short chunks, which costs a thousand times what its bytes do.
    """

    _spare_bytes = _SHORT_CHUNKS * _CHUNK_BYTES

    def next_event(self) -> Any:
        """As h11's. Raises `h11.RemoteProtocolError` for what is refused; the connection must then be closed."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._spare_bytes = StrictConnection._spare_bytes
            _require_one_framing(event)
            return _in_origin_form(event)
        if isinstance(event, h11.Data):
            self._count(event)
        return event

    def _count(self, data: h11.Data) -> None:
        """Each whole chunk costs the average and gives its bytes, so how TCP cuts the body makes no difference.

        What long chunks give beyond the limit is lost: they make no room for more short ones at a time.
        """
        self._spare_bytes += len(data.data)
        if data.chunk_end:
            self._spare_bytes = min(self._spare_bytes - _CHUNK_BYTES, StrictConnection._spare_bytes)
            if self._spare_bytes < 0:
                raise h11.RemoteProtocolError("chunks of a few bytes")


class HttpProtocol(H11Protocol):
    """One connection. The limits of sizes are h11's, set by `h11_max_incomplete_event_size`."""

    head_timeout_s: ClassVar[float] = 30.0
    _head_timer: asyncio.TimerHandle | None = None

    def __init__(self, config: uvicorn.Config, *arguments: Any, **more: Any) -> None:
        super().__init__(config, *arguments, **more)
        self.conn = StrictConnection(h11.SERVER, config.h11_max_incomplete_event_size or MAX_HEAD_BYTES)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():  # what follows a refused request is no request
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


def _require_one_framing(request: h11.Request) -> None:
    """RFC 9112, 6.1: a length beside chunks may be an attempt at smuggling a request; HTTP/1.0 knows no chunks."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
        raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length, or in HTTP/1.0")


def _in_origin_form(request: h11.Request) -> h11.Request:
    """RFC 9112, 3.2.2: a server accepts ``http://host/path`` as target; its host then counts, whatever `Host` says."""
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is None:
        return request
    host, rest = absolute.groups()
    headers = [(b"host", host), *(pair for pair in request.headers if pair[0] != b"host")]
    target = rest if rest.startswith(b"/") else b"/" + rest
    return h11.Request(method=request.method, headers=headers, target=target, http_version=request.http_version)


def _refusal(status: int | None) -> bytes:
    """A whole response. `status` is h11's advice."""
    wrong = (
        "What arrived is not an HTTP/1.1 request, has both Content-Length and Transfer-Encoding, or comes in chunks of "
        "a few bytes."
    )
    too_large = status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    problem = HeadTooLarge() if too_large else InvalidRequest(wrong, code="malformed_http")
    body = orjson.dumps(api_errors.envelope(problem, secrets.token_hex(8)))
    known = HTTPStatus(api_errors.status_of(problem))
    head = (
        f"HTTP/1.1 {known.value} {known.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
