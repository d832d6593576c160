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
from reward_service.runs.samples import smallest
from reward_service.runs.series import points
from reward_service.runs.totals import Totals
from reward_service.wire import schemas

router = APIRouter(tags=["runs"])

RunId = Annotated[str, Path(description="as in the requests, percent-encoded")]


@router.get("/v1/runs", operation_id="runs", summary="Runs, the latest first",
            responses={200: {"model": schemas.Runs}, **errors(401)})  # fmt: skip
async def runs(request: Request) -> Response:
    """Every `run_id` of late requests. `texts_kept`: of so many items a step the texts are kept; of none by default."""
    recorder = engine_of(request).runs
    await recorder.flush()
    runs = [one._asdict() for one in await recorder.store.runs()]
    return json_response({"runs": runs, "texts_kept": recorder.keep_samples})


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


@router.get("/v1/samples", operation_id="samples", summary="Items of a step of a run, with their texts",
            responses={200: {"model": schemas.Samples}, **errors(401, 404, 422)})  # fmt: skip
async def samples(
    request: Request,
    run_id: Annotated[str, Query(max_length=1024, description="as in the requests")],
    step: Annotated[int | None, Query(ge=0, description="default: the latest that has some")] = None,
) -> Response:
    """At most `REWARD_KEEP_SAMPLES` of each of the run's latest steps; none is kept unless that is set."""
    return json_response(await samples_of(request, run_id, step))


async def samples_of(request: Request, run_id: str, step: int | None) -> dict[str, Any]:
    """What `GET /v1/samples` answers. Raises `HTTPException` where there are none."""
    recorder = engine_of(request).runs
    await recorder.flush()
    found = await recorder.store.samples(run_id)
    step = max(found, default=0) if step is None else step
    if step not in found:
        raise HTTPException(404, None if recorder.keep_samples else "No samples: REWARD_KEEP_SAMPLES is 0")
    kept = smallest(found[step], max(1, recorder.keep_samples))
    return {"run_id": run_id, "step": step, "steps": sorted(found), "samples": kept}


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
