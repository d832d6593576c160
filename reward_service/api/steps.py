"""The steps that every scoring route takes: the engine, the body, the hang-up, the log facts, the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import structlog
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from reward_service.errors import InvalidRequest, did_you_mean, quoted
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Timings


def engine_of(request: Request) -> Engine:
    """The engine of this process."""
    engine: Engine = request.app.state.engine
    return engine


def refuse_unknown_parameters(request: Request, known: Sequence[str]) -> None:
    """A misspelt pin must not go unnoticed. Raises `InvalidRequest`."""
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean(name[:64], known) if known else " Here everything goes into the body."
            raise InvalidRequest(f"There is no query parameter {quoted(name)}.{hint}", param="query")


def log_facts(request: Request, **facts: str | int | None) -> None:
    """What the request's log line and trace say of it, as do all log lines written on its behalf."""
    request.state.log = {name: value for name, value in facts.items() if value is not None}
    structlog.contextvars.bind_contextvars(**{k: v for k, v in request.state.log.items() if k in ("run_id", "step")})


@asynccontextmanager
async def cancelled_by_hangup(request: Request) -> AsyncIterator[None]:
    """Cancels the block when the client hangs up, which the framework would not. Raises `ClientDisconnect` then."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone and task.cancelling() == 1:  # nobody else wants it cancelled
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()
        if gone:
            task.uncancel()


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """orjson, so that floats keep their shortest exact form."""
    try:
        text = orjson.dumps(content)
    except TypeError:  # an echoed lone surrogate, which only an escape can carry
        try:
            text = json.dumps(content, allow_nan=False).encode()
        except (ValueError, RecursionError):
            raise InvalidRequest("The body nests too deeply, or holds a number that JSON has not.") from None
    return Response(text, status, headers, "application/json")


def timing_headers(timings: Timings) -> dict[str, str]:
    """`X-Queue-Ms`: from arrival until the pairs were admitted; `X-Compute-Ms`: the rest."""
    queue_ms = timings.queue_ms
    return {"X-Queue-Ms": f"{queue_ms:.1f}", "X-Compute-Ms": f"{timings.total_ms - queue_ms:.1f}"}
