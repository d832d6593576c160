"""Routes that speak the trainers' own formats: one for each dialect, which this file only connects to HTTP.

These routes hold a request until its deadline instead of shedding it, because the trainers' clients end
their run on a 4xx or 429. Unknown fields are ignored: trainers add some with every release.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from reward_service.api.openapi import body_of, errors
from reward_service.api.request_body import off_loop, read_json
from reward_service.api.steps import (
    cancelled_by_hangup,
    engine_of,
    json_response,
    log_facts,
    refuse_unknown_parameters,
    timing_headers,
)
from reward_service.contracts import ComponentError
from reward_service.errors import InvalidRequest
from reward_service.scoring.engine import Admitted
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, Pin, ScoringRequest, Timings
from reward_service.trainers import DIALECTS
from reward_service.trainers.base import Answered, Body, Dialect, DialectItem
from reward_service.trainers.references import ReferenceStore
from reward_service.wire.decoding import decode_object, is_broken, refuse_too_many_values
from reward_service.wire.schemas import RunId

router = APIRouter(tags=["trainers"])

_STATUSES = (400, 401, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 503)


class ParsedSamples(NamedTuple):
    """A trainer's request, ready to be scored and answered."""

    body: Body
    items: Sequence[DialectItem]
    scoring: ScoringRequest


class Named(NamedTuple):
    """What the address says, because a trainer's body has no place for it."""

    profile: str | None
    pin: Pin
    run_id: str | None
    step: int | None


def _add(dialect: Dialect) -> None:
    async def route(
        request: Request,
        profile: Annotated[str | None, Query(max_length=256, description="default: the first enabled")] = None,
        fingerprint: Annotated[
            str | None, Query(max_length=256, description="pin; another one served is a 409")
        ] = None,
        run_id: Annotated[
            RunId | None, Query(description="of the training run; logged, and counted in /v1/runs")
        ] = None,
        step: Annotated[
            int | None, Query(ge=0, le=2**53, description="training step, for a profile that is a schedule")
        ] = None,
        missing: Annotated[
            float | None, Query(allow_inf_nan=False, description="substitute for a missing reward (rr_valid 0)")
        ] = None,
    ) -> Response:
        named = Named(profile, fingerprint, run_id, step)
        parsed = await parse(request, dialect, named)
        async with cancelled_by_hangup(request), engine_of(request).admit(parsed.scoring) as admitted:
            scored = await admitted.score()
        return render(dialect, parsed, admitted, scored, missing)

    route.__doc__ = f"The format of {dialect.trainer}; see docs/trainers.md."
    schema = {"type": "object", "properties": dict(dialect.fields), "required": list(dialect.required)}
    router.add_api_route(
        dialect.path,
        route,
        methods=["POST"],
        summary=dialect.trainer,
        operation_id=dialect.path.strip("/").replace("/", "_"),
        responses={**errors(*_STATUSES), 200: {"description": "the trainer's own format"}},
        openapi_extra=body_of(schema),
    )


async def parse(request: Request, dialect: Dialect, named: Named) -> ParsedSamples:
    """The request, read by its dialect. Raises `InvalidRequest` and what a pin or profile that is not served raises."""
    engine, timings = engine_of(request), Timings()
    refuse_unknown_parameters(request, ("profile", "fingerprint", "run_id", "step", "missing"))
    settings = engine.settings
    raw = await read_json(request, settings.max_body_bytes, settings.hold_timeout_s)
    served = engine.served(named.profile)
    served.check_pin(named.pin, named.step)  # first: that the reward has changed is the more important news
    body, samples = await off_loop(raw, _read, dialect, settings.max_items, request.app.state.references)
    log_facts(request, profile=served.name, items=len(samples), run_id=named.run_id, step=named.step)
    items = [Item(None, s.candidate, s.reference, s.prior, _fault(s), s.param) for s in samples]
    return ParsedSamples(
        body,
        samples,
        ScoringRequest(items, named.profile, named.pin, named.step, named.run_id, hold=True, timings=timings),
    )


def _read(
    raw: bytes, dialect: Dialect, max_items: int, references: ReferenceStore | None
) -> tuple[Body, list[DialectItem]]:
    """The body and its samples, which are counted before any is looked at. Raises `InvalidRequest`."""
    refuse_too_many_values(raw, max_items)
    body = decode_object(raw)
    given = [len(value) for name in dialect.fields if isinstance(value := body.get(name), list)]
    if given and max(given) > max_items:
        raise InvalidRequest(
            f"The request has {max(given)} samples; the limit is {max_items} (REWARD_MAX_ITEMS). Split it.",
            code="too_many_items",
        )
    return body, dialect.parse(body, references)


def render(
    dialect: Dialect, parsed: ParsedSamples, admitted: Admitted, scored: Sequence[ScoredItem], missing: float | None
) -> Response:
    """The answer in the trainer's format; the fingerprint is a header."""
    composites = [one.composite for one in scored]
    answer = dialect.render(Answered(parsed.body, parsed.items, composites, admitted.stage.bounds, missing))
    headers = {**timing_headers(parsed.scoring.timings), "X-Reward-Fingerprint": admitted.fingerprint}
    if admitted.served.accepted:
        headers["X-Reward-Served-Fingerprint"] = admitted.served.fingerprint
        headers["X-Reward-Accepted-Fingerprints"] = ", ".join(one.fingerprint for one in admitted.served.accepted)
    if admitted.stage is not admitted.served:
        headers["X-Reward-Stage"] = admitted.stage.fingerprint
    return json_response(answer, headers=headers)


def _fault(sample: DialectItem) -> ComponentError | None:
    """A lone surrogate costs its own sample the reward, not the others theirs."""
    if any(map(is_broken, (sample.candidate, sample.reference, sample.prior))):
        return ComponentError("invalid_unicode", f"{sample.param}: a text has a lone surrogate; send valid Unicode.")
    return None


for _dialect in DIALECTS:
    _add(_dialect)
