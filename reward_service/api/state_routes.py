"""Routes that say what is served and in what state: fingerprint, health, readiness, info, metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from reward_service.api.openapi import errors
from reward_service.api.steps import engine_of, json_response
from reward_service.scoring.served_profile import ServedSchedule
from reward_service.wire import schemas

router = APIRouter()


@router.get("/v1/fingerprint", operation_id="fingerprint", summary="The document that a fingerprint is the hash of",
            responses={200: {"model": schemas.FingerprintResponse}, **errors(401, 404, 422)})  # fmt: skip
async def fingerprint(
    request: Request,
    profile: Annotated[str | None, Query(max_length=256, description="default: the first enabled")] = None,
) -> Response:
    """Store it beside a run: it says what made every reward of that run."""
    served = engine_of(request).served(profile)
    answer: dict[str, object] = {
        "profile": served.name,
        "fingerprint": served.fingerprint,
        "signature": served.signature,
        "accepted": [one.fingerprint for one in served.accepted],
        "document": served.document,
    }
    if isinstance(served, ServedSchedule):
        answer["stages"] = [
            {"until_step": until, "profile": stage.name, "fingerprint": stage.fingerprint}
            for until, stage in zip(served.schedule.until_steps, served.stages, strict=True)
        ]
    return json_response(answer)


@router.get(
    "/health", operation_id="health", summary="The process is alive", responses={200: {"model": schemas.Health}}
)
async def health() -> Response:
    """Always 200 while the event loop turns."""
    return json_response({"status": "alive"})


@router.get("/ready", operation_id="ready", summary="Ready to score",
            responses={200: {"model": schemas.Readiness}, 503: {"model": schemas.Readiness}})  # fmt: skip
async def ready(request: Request) -> Response:
    """503 during start-up, drain, and while a local worker or a required component is down."""
    state = engine_of(request).state.readiness()
    return json_response(state, 200 if state["ready"] else 503)


for _path, _route in (("/health", health), ("/ready", ready)):  # what some load balancers ask with
    router.add_api_route(_path, _route, methods=["HEAD"], include_in_schema=False)


@router.post("/v1/sleep", operation_id="sleep", summary="Models release their memory",
             responses={200: {"model": schemas.Readiness}, **errors(401, 503)})  # fmt: skip
async def sleep(request: Request) -> Response:
    """For trainers whose models share the GPU: what has begun is finished, and pairs wait until `/v1/wake`."""
    return await _switched(request, asleep=True)


@router.post("/v1/wake", operation_id="wake", summary="Models load again",
             responses={200: {"model": schemas.Readiness}, **errors(401, 503)})  # fmt: skip
async def wake(request: Request) -> Response:
    """Answers once they are there."""
    return await _switched(request, asleep=False)


async def _switched(request: Request, *, asleep: bool) -> Response:
    engine = engine_of(request)
    await engine.set_asleep(asleep)
    return json_response(engine.state.readiness())


@router.get("/info", operation_id="info", summary="What is served, limits, state",
            responses={200: {"model": schemas.Info}, **errors(401)})  # fmt: skip
async def info(request: Request) -> Response:
    """Profiles with fingerprints and determinism, limits, load progress, caches; no secrets."""
    return json_response(await asyncio.to_thread(engine_of(request).state.info))


@router.get("/metrics", operation_id="metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Text exposition format, added up over all HTTP processes."""
    engine = engine_of(request)
    engine.telemetry.sample(engine.cache.stats(), engine.state.health())
    page = await request.app.state.exposition()
    return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")
