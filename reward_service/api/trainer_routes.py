"""Routes that speak the trainers' own formats: one for each dialect, which this file only connects to HTTP.

These routes hold a request until its deadline instead of shedding it, because the trainers' clients end
their run on a 4xx or 429. Unknown fields are ignored: trainers add some with every release.
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from reward_service.api import request_body as body
from reward_service.api import routes
from reward_service.contracts import ComponentError
from reward_service.errors import InvalidRequest
from reward_service.scoring.profile_scorer import Item, Timings
from reward_service.trainers import DIALECTS
from reward_service.trainers.base import Answered, Dialect, DialectItem

router = APIRouter(tags=["trainers"])

_STATUSES = (400, 401, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503)


def _add(dialect: Dialect) -> None:
    async def route(
        request: Request,
        profile: Annotated[str | None, Query(max_length=256)] = None,
        fingerprint: Annotated[
            str | None, Query(max_length=256, description="pin; another one served is a 409")
        ] = None,
        missing: Annotated[
            float | None, Query(allow_inf_nan=False, description="substitute for a missing reward (rr_valid 0)")
        ] = None,
    ) -> Response:
        engine = routes.engine_of(request)
        timings = Timings()
        routes.refuse_unknown_parameters(request, ("profile", "fingerprint", "missing"))
        body.require_json(request)
        data = body.parse_object(
            await body.read(request, engine.settings.max_body_bytes, engine.settings.hold_timeout_s)
        )
        served = engine.served(profile)
        engine.check_pin(served, fingerprint)
        pairs = dialect.parse(data, request.app.state.references)
        if len(pairs) > engine.settings.max_items:
            raise InvalidRequest(
                f"The request has {len(pairs)} samples; the limit is {engine.settings.max_items} (REWARD_MAX_ITEMS).",
                code="too_many_items",
            )
        routes.about(request, profile=served.profile.name, items=len(pairs))
        items = [Item(None, pair.candidate, pair.reference, pair.prior, _fault(pair), pair.param) for pair in pairs]
        deadline = time.monotonic() + engine.settings.hold_timeout_s
        work = engine.score(served, items, deadline=deadline, hold=True, timings=timings)
        scored = await routes.until_hangup(request, work)
        results = [s.composite for s in scored]
        answer = dialect.render(Answered(data, pairs, results, served.profile.bounds, missing))
        headers = {**routes.timing_headers(timings), "X-Reward-Fingerprint": served.fingerprint}
        return routes.json_response(answer, headers=headers)

    route.__doc__ = f"The format of {dialect.trainer}; see docs/trainers.md."
    schema = {"type": "object", "properties": dict(dialect.fields), "required": list(dialect.required)}
    router.add_api_route(
        dialect.path,
        route,
        methods=["POST"],
        summary=dialect.trainer,
        operation_id=dialect.path.strip("/").replace("/", "_"),
        responses={**routes.errors(*_STATUSES), 200: {"description": "the trainer's own format"}},
        openapi_extra=routes.body_of(schema),
    )


def _fault(pair: DialectItem) -> ComponentError | None:
    """A lone surrogate costs its own sample the reward, not the others theirs."""
    if any(map(body.is_broken, (pair.candidate, pair.reference, pair.prior))):
        return ComponentError("invalid_unicode", f"{pair.param}: a text has a lone surrogate; send valid Unicode.")
    return None


for dialect in DIALECTS:
    _add(dialect)
