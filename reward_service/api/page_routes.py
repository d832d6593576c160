"""The pages for people, what they load, and the one answer that only they need: scores with the texts marked."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reward_service.api.run_routes import samples_of
from reward_service.api.score_route import parse, render
from reward_service.api.steps import cancelled_by_hangup, engine_of, json_response
from reward_service.viewer import pair
from reward_service.web import pages
from reward_service.wire.parsing import ParsedRequest

router = APIRouter(include_in_schema=False)


@router.get("/")
async def playground(request: Request) -> Response:
    """Paste reports and see how they are scored."""
    return shown(request, "playground")


@router.get("/runs")
async def runs(request: Request) -> Response:
    """Watch training runs."""
    return shown(request, "runs")


@router.get("/web/samples")
async def samples(request: Request, run_id: str, step: int | None = None, candidate: str | None = None) -> Response:
    """As `GET /v1/samples`; `html` has each item's texts with its errors marked."""
    found = await samples_of(request, run_id, step, candidate)
    shown = [
        {**one, "html": pair.pair(one["candidate"], one["reference"], one["result"], f"s{i}")}
        for i, one in enumerate(found["samples"])
    ]
    return json_response({**found, "samples": shown})


@router.get("/web/{name}")
async def asset(name: str) -> Response:
    """What a page loads."""
    found = pages.asset(name)
    if found is None:
        raise HTTPException(404)
    content, media_type = found
    return Response(content, headers=dict(pages.HEADERS), media_type=media_type)


@router.post("/web/score")
async def score(request: Request) -> Response:
    """As `POST /score`, with the same admission and limits; `pairs` has each item's texts with its errors marked."""
    parsed = await parse(request)
    async with cancelled_by_hangup(request), engine_of(request).admit(parsed.scoring) as admitted:
        scored = await admitted.score()
    answer = render(request, parsed, admitted, scored)
    return await asyncio.to_thread(_with_pairs, bytes(answer.body), parsed)


def _with_pairs(answer: bytes, parsed: ParsedRequest) -> Response:
    content = orjson.loads(answer)
    content["pairs"] = [
        pair.pair(item.candidate, item.reference, result, prefix=f"c{i}")
        for i, (item, result) in enumerate(zip(parsed.body.items, content["results"], strict=True))
    ]
    return json_response(content)


def shown(request: Request, name: str) -> Response:
    """That page, under the path at which the service is published."""
    html = pages.page(name, request.scope.get("root_path", ""))
    headers = pages.DOCS_HEADERS if name == "docs" else pages.HEADERS
    return Response(html, headers=dict(headers), media_type=pages.TYPES["html"])
