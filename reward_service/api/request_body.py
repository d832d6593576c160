"""Reading a request's body: bounded in size and time while it arrives, and JSON by its own account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

from starlette.requests import Request

from reward_service.errors import InvalidRequest, TooLarge, TooSlow
from reward_service.wire.decoding import LARGE_BYTES

P = ParamSpec("P")
T = TypeVar("T")


async def read_json(request: Request, limit: int, timeout_s: float) -> bytes:
    """The body of a request that sends JSON. Raises as `read` does, and `InvalidRequest` for another media type."""
    require_json(request)
    return await read(request, limit, timeout_s)


async def read(request: Request, limit: int, timeout_s: float) -> bytes:
    """The body, at most `limit` bytes, within `timeout_s`.

    Raises `TooLarge` as soon as more is announced or arrives, `TooSlow`, and `InvalidRequest` for a compressed body.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidRequest("Send the body uncompressed (no Content-Encoding).", code="unsupported_media_type")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        _too_large(limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {timeout_s:g} s (REWARD_TIMEOUT_S).") from None
    return b"".join(chunks)


async def off_loop(raw: bytes, parse: Callable[Concatenate[bytes, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """``parse(raw, ...)``, for a large body on a thread, so that other requests are answered meanwhile."""
    if len(raw) > LARGE_BYTES:
        return await asyncio.to_thread(parse, raw, *args, **kwargs)
    return parse(raw, *args, **kwargs)


def require_json(request: Request) -> None:
    """Raises `InvalidRequest` (``unsupported_media_type``) for a body that says it is something else.

    This is also what keeps a web page from posting here unasked: browsers let forms and plain text through.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequest("Send JSON, with Content-Type: application/json.", code="unsupported_media_type")


def _too_large(limit: int) -> NoReturn:
    raise TooLarge(f"The body is larger than {limit} bytes (REWARD_MAX_BODY_BYTES). Send fewer items per request.")
