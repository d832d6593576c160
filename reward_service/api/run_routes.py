"""Routes of the runs: the list, one run as points of charts with its alarms, and its deletion."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from reward_service.api.openapi import errors
from reward_service.api.steps import engine_of, json_response
from reward_service.errors import InvalidRequest
from reward_service.runs.alarms import Alarm, alarms
from reward_service.runs.recorder import Recorder
from reward_service.runs.rows import NO_STEP, RunSummary
from reward_service.runs.samples import Sample, smallest
from reward_service.runs.series import points
from reward_service.runs.totals import Totals
from reward_service.wire import schemas

router = APIRouter(tags=["runs"])

RunId = Annotated[str, Path(description="as in the requests, percent-encoded")]
_ALARMS_S = 0.5  # for the alarms of all runs of a list; those that are left are looked at when it is asked for again


@router.get("/v1/runs", operation_id="runs", summary="Runs, the latest first, with their alarms",
            responses={200: {"model": schemas.Runs}, **errors(401, 503)})  # fmt: skip
async def runs(request: Request) -> Response:
    """Every `run_id` of late requests. `texts_kept`: of so many items a step the texts are kept; of none by default."""
    recorder = engine_of(request).runs
    await recorder.flush()
    found = await recorder.store.runs()
    return json_response({"runs": await _listed(recorder, found), "texts_kept": recorder.keep_samples})


@router.get("/v1/runs/{run_id:path}", operation_id="run", summary="One run by step, and its alarms",
            responses={200: {"model": schemas.Run}, **errors(401, 404, 422, 503)})  # fmt: skip
async def run(
    request: Request,
    run_id: RunId,
    most: Annotated[
        int, Query(alias="points", ge=1, le=1000, description="at most so many; adjacent steps are joined")
    ] = 200,
) -> Response:
    """Requests that name no step are no point; `without_step` has them."""
    recorder = engine_of(request).runs
    await recorder.flush()
    async with recorder.reading:  # ten thousand steps take seconds of a processor
        steps = await recorder.store.steps(run_id)
        if not steps:
            raise _unknown_run()
        return json_response(await asyncio.to_thread(_shown, run_id, steps, most))


@router.get("/v1/samples", operation_id="samples", summary="Items of a step of a run, with their texts",
            responses={200: {"model": schemas.Samples}, **errors(401, 404, 422, 503)})  # fmt: skip
async def samples(
    request: Request,
    run_id: Annotated[str, Query(max_length=1024, description="as in the requests")],
    step: Annotated[
        int | None, Query(ge=NO_STEP, description="-1: items that named none; default: the latest that has some")
    ] = None,
    candidate: Annotated[
        str | None, Query(max_length=64, description="only those with this `candidate_digest`, as an alarm has it")
    ] = None,
) -> Response:
    """At most `REWARD_KEEP_SAMPLES` of each of the run's latest steps; none is kept unless that is set."""
    return json_response(await samples_of(request, run_id, step, candidate))


async def samples_of(request: Request, run_id: str, step: int | None, candidate: str | None) -> dict[str, Any]:
    """What `GET /v1/samples` answers. Raises `InvalidRequest` where there are none."""
    recorder = engine_of(request).runs
    await recorder.flush()
    if not recorder.keep_samples:
        raise _no_samples("No samples: REWARD_KEEP_SAMPLES is 0, so no texts are kept or given out.")
    found = {
        number: _wanted(recorder, kept, candidate) for number, kept in (await recorder.store.samples(run_id)).items()
    }
    having = sorted(number for number, kept in found.items() if kept)
    step = max(having, default=0) if step is None else step
    totals = dict(await recorder.store.steps(run_id, lambda numbers: [n for n in numbers if n == step]))
    if step not in having:
        if not totals and not await recorder.store.steps(run_id, lambda numbers: numbers[:1]):
            raise _unknown_run()
        raise _no_samples(
            f"No samples of that step{' with that candidate' if candidate else ''}. A run keeps them for its latest "
            "steps, from when REWARD_KEEP_SAMPLES was set."
        )
    of_step = totals.get(step, {})
    copies = of_step.get("copies", {})
    return {
        "run_id": run_id,
        "step": step,
        "steps": having,
        "items": of_step.get("items", 0),
        "samples": [{**one, "copies": copies.get(one.get("candidate_digest"))} for one in found[step]],
    }


def _wanted(recorder: Recorder, kept: list[Sample], candidate: str | None) -> list[Sample]:
    chosen = smallest(kept, recorder.keep_samples)
    return [one for one in chosen if candidate is None or one.get("candidate_digest") == candidate]


@router.delete("/v1/runs/{run_id:path}", operation_id="delete_run", summary="Delete what is kept of a run",
               responses={200: {"model": schemas.DeletedRun}, **errors(401, 404, 422, 503)})  # fmt: skip
async def delete(request: Request, run_id: RunId) -> Response:
    """For good, at every process. What is posted under its name afterwards makes it anew."""
    if not await engine_of(request).runs.delete(run_id):
        raise _unknown_run()
    return json_response({"deleted": run_id})


async def _listed(recorder: Recorder, found: list[RunSummary]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    until = time.monotonic() + _ALARMS_S
    for one in found:
        raised: list[Alarm] | None = None
        if time.monotonic() < until:
            async with recorder.reading:
                raised = await recorder.alarms(one.run_id, one.updated_at)
        told = None if raised is None else [alarm._asdict() for alarm in raised]
        listed.append({**one._asdict(), "alarms": told})
    return listed


def _shown(run_id: str, steps: list[tuple[int, Totals]], most: int) -> dict[str, Any]:
    named = [(step, totals) for step, totals in steps if step != NO_STEP]
    unnamed = [(step, totals) for step, totals in steps if step == NO_STEP]
    return {
        "run_id": run_id,
        "alarms": [one._asdict() for one in alarms(named)],
        "points": points(named, most),
        "without_step": next(iter(points(unnamed, 1)), None),
    }


def _unknown_run() -> InvalidRequest:
    return InvalidRequest(
        "No such run: no request named it as run_id, or it was deleted or is older than REWARD_RUNS_TTL_S. "
        "GET /v1/runs lists those there are.",
        code="run_not_found",
        param="run_id",
    )


def _no_samples(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="samples_not_found")
