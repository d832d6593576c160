"""Routes that speak the trainers' own formats; `dialects.py` knows them, this file only connects.

These routes hold a request until its deadline instead of shedding it, because the trainers' clients end
their run on a 4xx or 429. Unknown fields are ignored: trainers add some with every release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from reward_service.api.openapi import body_of, errors
from reward_service.api.request_body import read_json
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
from reward_service.profiles.profile import Profile
from reward_service.scoring.composite import Composite
from reward_service.scoring.request import Item, ScoringRequest, Timings
from reward_service.trainers import dialects
from reward_service.trainers.dialects import DialectItem, ReferenceStore
from reward_service.wire.decoding import decode_object, is_broken

router = APIRouter(tags=["trainers"])

Body = Mapping[str, Any]
Parse = Callable[[Body, ReferenceStore | None], list[DialectItem]]
Render = Callable[[Sequence[DialectItem], Sequence[Composite], Body, Profile, float | None], Any]

_STATUSES = (400, 401, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503)
_TEXTS = {"type": "array", "items": {"type": "string"}}
_MESSAGES = {"type": "array", "items": {"type": "object"}}
_LABEL = {"description": "the reference, or an object with reference, study_id, prior"}
_GET_REWARD = {"query": _TEXTS, "queries": _TEXTS, "prompts": _TEXTS, "labels": {"type": "array", "items": _LABEL}}
_SLIME = {"response": {"type": "string"}, "label": _LABEL, "prompt": {}}
_EVALUATION = {"messages": _TEXTS, "model": {"type": "string"}}
_VERIFY = {
    "response": {"type": "object", "properties": {"output": _MESSAGES}, "required": ["output"]},
    "responses_create_params": {"type": "object"},
    "reference": {"type": "string"},
    "study_id": {"type": "string"},
}


def _add(path: str, trainer: str, parse: Parse, render: Render, fields: Body, *required: str) -> None:
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
        engine, timings = engine_of(request), Timings()
        refuse_unknown_parameters(request, ("profile", "fingerprint", "missing"))
        raw = await read_json(request, engine.settings.max_body_bytes, engine.settings.hold_timeout_s)
        data = decode_object(raw)
        served = engine.served(profile)
        pairs = parse(data, request.app.state.references)
        if len(pairs) > engine.settings.max_items:
            raise InvalidRequest(
                f"The request has {len(pairs)} samples; the limit is {engine.settings.max_items} (REWARD_MAX_ITEMS).",
                code="too_many_items",
            )
        log_facts(request, profile=served.profile.name, items=len(pairs))
        items = [Item(None, pair.candidate, pair.reference, pair.prior, _fault(pair), pair.param) for pair in pairs]
        wanted = ScoringRequest(items, profile, fingerprint, hold=True, timings=timings)
        async with cancelled_by_hangup(request), engine.admit(wanted) as admitted:
            scored = await admitted.score()
        answer = render(pairs, [s.composite for s in scored], data, served.profile, missing)
        headers = {**timing_headers(timings), "X-Reward-Fingerprint": served.fingerprint}
        return json_response(answer, headers=headers)

    route.__doc__ = f"The format of {trainer}; see docs/trainers.md."
    router.add_api_route(
        path, route, methods=["POST"], summary=trainer, operation_id=path.strip("/").replace("/", "_"),
        responses={**errors(*_STATUSES), 200: {"description": "the trainer's own format"}},
        openapi_extra=body_of({"type": "object", "properties": dict(fields), "required": list(required)}),
    )  # fmt: skip


def _fault(pair: DialectItem) -> ComponentError | None:
    """A lone surrogate costs its own sample the reward, not the others theirs."""
    if any(map(is_broken, (pair.candidate, pair.reference, pair.prior))):
        return ComponentError("invalid_unicode", f"{pair.param}: a text has a lone surrogate; send valid Unicode.")
    return None


def _get_reward(items: Any, results: Any, _: Body, profile: Profile, missing: float | None) -> Any:
    return dialects.render_get_reward(items, results, profile.bounds, missing)


def _slime(items: Any, results: Any, _: Body, __: Profile, missing: float | None) -> Any:
    return dialects.render_slime(items, results, missing)


def _slime_object(items: Any, results: Any, _: Body, __: Profile, missing: float | None) -> Any:
    return dialects.render_slime_object(items, results, missing)


def _score_evaluation(items: Any, results: Any, data: Body, _: Profile, missing: float | None) -> Any:
    return dialects.render_score_evaluation(items, results, str(data.get("model", "")), missing)


def _verify(items: Any, results: Any, data: Body, _: Profile, missing: float | None) -> Any:
    return dialects.render_verify(items, results, data, missing)


_add("/get_reward", "OpenRLHF and LightRFT", dialects.parse_get_reward, _get_reward, _GET_REWARD)
_add("/compat/slime", "slime", dialects.parse_slime, _slime, _SLIME, "response")
_add("/compat/slime/object", "slime with --reward-key", dialects.parse_slime, _slime_object, _SLIME, "response")
_add(
    "/v1/score/evaluation", "LLaMA-Factory", dialects.parse_score_evaluation, _score_evaluation, _EVALUATION, "messages"
)
_add("/verify", "NeMo Gym", dialects.parse_verify, _verify, _VERIFY, "response")
