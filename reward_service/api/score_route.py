"""`POST /score`, the native route: parse, admit, score, render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from reward_service.api.openapi import MEANINGS, body_of, errors
from reward_service.api.request_body import off_loop, read_json
from reward_service.api.steps import (
    cancelled_by_hangup,
    engine_of,
    json_response,
    log_facts,
    refuse_unknown_parameters,
    timing_headers,
)
from reward_service.scoring.engine import Admitted, Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Timings
from reward_service.wire import parsing, rendering, schemas
from reward_service.wire.parsing import ParsedRequest

router = APIRouter()


@router.post(
    "/v1/score",
    operation_id="score",
    summary="Score candidates against references",
    responses={200: {"model": schemas.ScoreResponse}, **errors(*MEANINGS)},
    openapi_extra=body_of({"$ref": "#/components/schemas/ScoreRequest"}),
)
async def score(request: Request) -> Response:
    """Every item is answered, in order: with a reward, or with null and the reason."""
    parsed = await parse(request)
    async with cancelled_by_hangup(request), engine_of(request).admit(parsed.scoring) as admitted:
        scored = await admitted.score()
    return render(request, parsed, admitted, scored)


router.add_api_route("/score", score, methods=["POST"], include_in_schema=False)


async def parse(request: Request) -> ParsedRequest:
    """The request, read and validated. Raises `Overloaded` before reading it while the queue is full."""
    engine, timings = engine_of(request), Timings()
    engine.refuse_unread()
    refuse_unknown_parameters(request, ())
    raw = await read_json(request, engine.settings.max_body_bytes, engine.settings.timeout_s)
    parsed = await off_loop(raw, parsing.parse, engine.settings.max_items, timings)
    profile = engine.served(parsed.scoring.profile).name
    body = parsed.body
    log_facts(request, profile=profile, items=len(parsed.scoring.items), run_id=body.run_id, step=body.step)
    return parsed


def render(request: Request, parsed: ParsedRequest, admitted: Admitted, scored: Sequence[ScoredItem]) -> Response:
    """The answer as a response."""
    answer = answer_of(engine_of(request), parsed, admitted, scored)
    return json_response(answer, headers=timing_headers(parsed.scoring.timings))


def answer_of(
    engine: Engine, parsed: ParsedRequest, admitted: Admitted, scored: Sequence[ScoredItem]
) -> dict[str, Any]:
    """The answer's content, with its timings; its groups are counted on `/metrics`."""
    answer = rendering.render(parsed, admitted, scored)
    for group in answer["groups"]:
        engine.telemetry.count_group(admitted.stage.name, group["std"], group["zero_advantage"])
    timings = parsed.scoring.timings
    answer["timing_ms"] = {
        "total": round(timings.total_ms, 3),
        "queue": round(timings.queue_ms, 3),
        "components": timings.components,
    }
    return answer
