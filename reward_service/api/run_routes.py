"""Routes of the runs: the list, one run as points of charts with its alarms, and its deletion."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from reward_service.api.openapi import errors
from reward_service.api.steps import engine_of, json_response
from reward_service.runs.alarms import alarms
from reward_service.runs.series import points
from reward_service.runs.totals import Totals
from reward_service.wire import schemas

router = APIRouter(tags=["runs"])

RunId = Annotated[str, Path(description="as in the requests, percent-encoded")]


@router.get("/v1/runs", operation_id="runs", summary="Runs, the latest first",
            responses={200: {"model": schemas.Runs}, **errors(401)})  # fmt: skip
async def runs(request: Request) -> Response:
    """Every `run_id` of late requests. No report text is kept of any."""
    recorder = engine_of(request).runs
    await recorder.flush()
    return json_response({"runs": [one._asdict() for one in await recorder.store.runs()]})


@router.get("/v1/runs/{run_id:path}", operation_id="run", summary="One run by step, and its alarms",
            responses={200: {"model": schemas.Run}, **errors(401, 404, 422)})  # fmt: skip
async def run(
    request: Request,
    run_id: RunId,
    most: Annotated[
        int, Query(alias="points", ge=1, le=1000, description="at most so many; adjacent steps are joined")
    ] = 200,
) -> Response:
    """Requests without a step count as step 0."""
    recorder = engine_of(request).runs
    await recorder.flush()
    async with recorder.reading:  # ten thousand steps take seconds of a processor
        steps = await recorder.store.steps(run_id)
        if not steps:
            raise HTTPException(404)
        return json_response(await asyncio.to_thread(_shown, run_id, steps, most))


@router.delete("/v1/runs/{run_id:path}", operation_id="delete_run", summary="Delete what is kept of a run",
               responses={200: {"model": schemas.DeletedRun}, **errors(401, 404, 422)})  # fmt: skip
async def delete(request: Request, run_id: RunId) -> Response:
    """What is posted under its name afterwards makes it anew."""
    if not await engine_of(request).runs.delete(run_id):
        raise HTTPException(404)
    return json_response({"deleted": run_id})


def _shown(run_id: str, steps: list[tuple[int, Totals]], most: int) -> dict[str, Any]:
    raised = alarms([totals for _, totals in steps])
    return {"run_id": run_id, "alarms": [one._asdict() for one in raised], "points": points(steps, most)}
