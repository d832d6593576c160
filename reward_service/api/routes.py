"""The native routes: scoring, fingerprints, state. Trainer dialects are in `dialect_routes.py`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any, TypeVar

import orjson
import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from reward_service.api import rendering as answers
from reward_service.api import request_body as body
from reward_service.api import schemas as wire
from reward_service.components.registry import did_you_mean, shown
from reward_service.contracts import ComponentError
from reward_service.errors import InvalidRequest
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import Item, Timings

T = TypeVar("T")
router = APIRouter()

_MEANINGS = {
    400: "not JSON, or not UTF-8",
    401: "no valid API key",
    404: "no such profile, or not enabled",
    405: "no such method",
    408: "the body did not arrive in time",
    409: "another fingerprint is served than the pinned one",
    413: "the body is too large",
    415: "the body is not JSON, or compressed",
    422: "a field is wrong; `param` names it",
    429: "the queue is full; see Retry-After",
    500: "an unexpected error; the log has its type under the request id",
    503: "a required component has no score, or the service is shutting down",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses in the one envelope."""
    return {status: {"model": wire.ErrorEnvelope, "description": _MEANINGS[status]} for status in statuses}


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI of a JSON body that the route reads by itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def engine_of(request: Request) -> Engine:
    """The engine of this process."""
    engine: Engine = request.app.state.engine
    return engine


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


@router.post(
    "/v1/score",
    operation_id="score",
    summary="Score candidates against references",
    responses={200: {"model": wire.ScoreResponse}, **errors(*_MEANINGS)},
    openapi_extra=body_of({"$ref": "#/components/schemas/ScoreRequest"}),
)
async def score(request: Request) -> Response:
    """Every item is answered, in order: with a reward, or with null and the reason."""
    engine = engine_of(request)
    timings = Timings()
    engine.refuse_unread()
    refuse_unknown_parameters(request, ())
    body.require_json(request)
    data, broken = body.parse(await body.read(request, engine.settings.max_body_bytes, engine.settings.timeout_s))
    wanted = body.validate(wire.ScoreRequest, data)
    items, bounds = build_items(wanted, broken, engine.settings.max_items)
    served = engine.served(wanted.profile)
    about(request, profile=served.profile.name, items=len(items), run_id=wanted.run_id, step=wanted.step)
    engine.check_pin(served, wanted.fingerprint)
    deadline = time.monotonic() + (wanted.timeout_s or engine.settings.timeout_s)
    scored = await until_hangup(request, engine.score(served, items, deadline=deadline, timings=timings))
    out: dict[str, Any] = {
        "profile": served.profile.name,
        "fingerprint": served.fingerprint,
        "signature": served.signature,
        **answers.results_and_groups(wanted, scored, bounds),
    }
    for group in out["groups"]:
        count_group(engine, served.profile.name, group)
    if wanted.run_id is not None:
        out["run_id"] = wanted.run_id
    if wanted.step is not None:
        out["step"] = wanted.step
    total = timings.total_ms
    queued = round(timings.queue_ms, 3)
    out["timing_ms"] = {"total": round(total, 3), "queue": queued, "components": timings.components}
    return json_response(out, headers=timing_headers(timings))


def refuse_unknown_parameters(request: Request, known: Sequence[str]) -> None:
    """A misspelt pin must not go unnoticed. Raises `InvalidRequest`."""
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean(name[:64], known) if known else " Here everything goes into the body."
            raise InvalidRequest(f"There is no query parameter {shown(name)}.{hint}", param="query")


router.add_api_route("/score", score, methods=["POST"], include_in_schema=False)


@router.get("/v1/fingerprint", operation_id="fingerprint", summary="The document that a fingerprint is the hash of",
            responses={200: {"model": wire.FingerprintResponse}, **errors(401, 404, 422)})  # fmt: skip
async def fingerprint(
    request: Request,
    profile: Annotated[str | None, Query(max_length=256, description="default: the first enabled")] = None,
) -> Response:
    """Store it beside a run: it says what made every reward of that run."""
    served = engine_of(request).served(profile)
    return json_response(
        {
            "profile": served.profile.name,
            "fingerprint": served.fingerprint,
            "signature": served.signature,
            "document": served.document,
        }
    )


@router.get("/health", operation_id="health", summary="The process is alive", responses={200: {"model": wire.Health}})
async def health() -> Response:
    """Always 200 while the event loop turns."""
    return json_response({"status": "alive"})


@router.get("/ready", operation_id="ready", summary="Ready to score",
            responses={200: {"model": wire.Readiness}, 503: {"model": wire.Readiness}})  # fmt: skip
async def ready(request: Request) -> Response:
    """503 during start-up, drain, and while a local worker or a required component is down."""
    state = engine_of(request).readiness()
    return json_response(state, 200 if state["ready"] else 503)


@router.get("/info", operation_id="info", summary="What is served, limits, state",
            responses={200: {"model": wire.Info}, **errors(401)})  # fmt: skip
async def info(request: Request) -> Response:
    """Profiles with fingerprints and determinism, limits, load progress, caches; no secrets."""
    return json_response(await asyncio.to_thread(engine_of(request).info))


@router.get("/metrics", operation_id="metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Text exposition format, added up over all HTTP processes."""
    engine = engine_of(request)
    engine.telemetry.sample(engine.cache.stats(), engine.health())
    return Response(engine.telemetry.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def build_items(
    wanted: wire.ScoreRequest, broken: body.Broken, max_items: int
) -> tuple[list[Item], list[tuple[int, int]]]:
    """Items of `items` and `groups` in one list, and where each group lies in it. Raises `InvalidRequest`."""
    count = len(wanted.items) + sum(len(group.candidates) for group in wanted.groups)
    if count > max_items:
        raise InvalidRequest(
            f"The request has {count} pairs; the limit is {max_items} (REWARD_MAX_ITEMS). Split it.",
            code="too_many_items",
            param="items" if len(wanted.items) > max_items else "groups",
        )
    _refuse_duplicates([item.id for item in wanted.items], "items")
    _refuse_duplicates([group.id for group in wanted.groups], "groups")
    items = [
        Item(item.id, item.candidate, item.reference, item.prior, _fault(broken.get(("items", i))))
        for i, item in enumerate(wanted.items)
    ]
    bounds = []
    for g, group in enumerate(wanted.groups):
        start = len(items)
        for c, candidate in enumerate(group.candidates):
            fault = _fault(broken.get(("groups", g)) or broken.get(("groups", g, c)))
            where = f"groups[{g}].candidates[{c}]"
            items.append(Item(None, candidate, group.reference, group.prior, fault, where))
        bounds.append((start, len(items)))
    return items, bounds


def _fault(at: str | None) -> ComponentError | None:
    if at is None:
        return None
    return ComponentError("invalid_unicode", f"{at} has a lone surrogate; send valid Unicode.")


def _refuse_duplicates(ids: Sequence[str | None], where: str) -> None:
    seen: set[str] = set()
    for i, id in enumerate(ids):
        if id is None:
            continue
        if id in seen:
            raise InvalidRequest(f"{where}[{i}].id repeats an earlier id; ids must be unique.", code="duplicate_id",
                                 param=f"{where}[{i}].id")  # fmt: skip
        seen.add(id)


def count_group(engine: Engine, profile: str, group: dict[str, Any]) -> None:
    """Group statistics on `/metrics`: a group of equal rewards teaches nothing."""
    engine.telemetry.groups.labels(profile).inc()
    if group["std"] is not None:
        engine.telemetry.group_spread.labels(profile).observe(group["std"])
    if group["zero_advantage"]:
        engine.telemetry.zero_advantage.labels(profile).inc()


def timing_headers(timings: Timings) -> dict[str, str]:
    """`X-Queue-Ms`: from arrival until the pairs were admitted; `X-Compute-Ms`: the rest."""
    queue_ms = timings.queue_ms
    return {"X-Queue-Ms": f"{queue_ms:.1f}", "X-Compute-Ms": f"{timings.total_ms - queue_ms:.1f}"}


def about(request: Request, **facts: str | int | None) -> None:
    """What the request's log line and trace say of it, as do all log lines written on its behalf."""
    request.state.log = {name: value for name, value in facts.items() if value is not None}
    structlog.contextvars.bind_contextvars(**{k: v for k, v in request.state.log.items() if k in ("run_id", "step")})


async def until_hangup(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client hangs up (the framework would not)."""
    task = asyncio.ensure_future(work)
    hangup = asyncio.ensure_future(_hangup(request))
    try:
        await asyncio.wait({task, hangup}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            engine_of(request).telemetry.orphans.inc()
            task.cancel()
        return await task
    except asyncio.CancelledError:
        task.cancel()
        if hangup.done():
            raise ClientDisconnect from None
        raise
    finally:
        hangup.cancel()


async def _hangup(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
