"""Submit and poll: `/v1/jobs` takes what `/score` takes and answers at once; the rewards are fetched later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.responses import Response

from reward_service.api import error_responses
from reward_service.api.openapi import MEANINGS, body_of, errors
from reward_service.api.request_body import off_loop, read_json
from reward_service.api.score_route import answer_of
from reward_service.api.steps import cancelled_by_hangup, engine_of, json_response, log_facts, refuse_unknown_parameters
from reward_service.errors import ConfigurationError, InvalidRequest, ServiceError
from reward_service.jobs.runner import Ended, JobRunner, Work
from reward_service.jobs.store import MOST_ATTEMPTS, Kept, make_store
from reward_service.observability.logs import described
from reward_service.scoring.engine import Engine
from reward_service.wire import parsing, schemas

log = structlog.get_logger("reward_service.jobs")
router = APIRouter(tags=["jobs"])

JobId = Annotated[str, Path(description="as `POST /v1/jobs` answered", max_length=64)]
_LONGEST_WAIT_S = 60.0


@router.post("/v1/jobs", operation_id="submit_job", summary="Score later: answers with the id of a job",
             status_code=202, responses={202: {"model": schemas.JobOut}, **errors(*MEANINGS)},
             openapi_extra=body_of({"$ref": "#/components/schemas/ScoreRequest"}))  # fmt: skip
async def submit(request: Request) -> Response:
    """What is wrong with the request itself is answered here, as by `/score`."""
    refuse_unknown_parameters(request, ())
    engine, jobs = engine_of(request), jobs_of(request)
    raw = await read_json(request, engine.settings.max_body_bytes, engine.settings.timeout_s)
    parsed = await off_loop(raw, parsing.parse, engine.settings.max_items)
    served = engine.served(parsed.scoring.profile)
    served.check_pin(parsed.scoring.pin, parsed.scoring.step)
    served.at(parsed.scoring.step)
    engine.refuse_asleep()
    job = await jobs.submit(raw)
    scoring = parsed.scoring
    log_facts(request, profile=served.name, items=len(scoring.items), run_id=scoring.run_id, step=scoring.step, job=job)
    answer = json_response({"id": job, "state": "pending"}, 202)
    answer.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/jobs/{job}"
    return answer


@router.get("/v1/jobs/{job_id}", operation_id="job", summary="A job's answer, once there is one",
            responses={200: {"model": schemas.JobOut}, **errors(401, 404, 422, 503)})  # fmt: skip
async def job(
    request: Request,
    job_id: JobId,
    wait_s: Annotated[
        float, Query(ge=0, le=_LONGEST_WAIT_S, description="seconds to wait for it; then it is answered as it is")
    ] = 0.0,
) -> Response:
    """`state` is `pending`, `done` with `answer` as `/score` would have given it, or `failed` with `error`."""
    jobs = jobs_of(request)
    async with cancelled_by_hangup(request):
        kept = await jobs.result(job_id, wait_s)
    if kept is None:
        raise _unknown(jobs)
    return Response(_shown(job_id, kept), media_type="application/json")


@router.delete("/v1/jobs/{job_id}", operation_id="delete_job", summary="Forget a job; one that is worked on ends",
               responses={200: {"model": schemas.DeletedJob}, **errors(401, 404, 422, 503)})  # fmt: skip
async def delete(request: Request, job_id: JobId) -> Response:
    """Its request or answer is deleted at once."""
    jobs = jobs_of(request)
    if not await jobs.delete(job_id):
        raise _unknown(jobs)
    return json_response({"deleted": job_id})


def make_jobs(engine: Engine) -> JobRunner:
    """The jobs of this process. Raises `ConfigurationError`."""
    abandoned = ConfigurationError(
        f"{MOST_ATTEMPTS} processes ended while they worked on this job. Send its items in smaller requests.",
        code="job_abandoned",
    )
    store = make_store(engine.settings)
    too_large = ConfigurationError(
        f"The answer has more than {store.largest} bytes, 32 times REWARD_JOBS_BYTES. Submit several jobs.",
        code="job_too_large",
    )
    return JobRunner(
        store, _work_of(engine), engine.telemetry, abandoned=_failed(abandoned), too_large=_failed(too_large)
    )


def jobs_of(request: Request) -> JobRunner:
    """The jobs of this process."""
    app: FastAPI = request.app
    jobs: JobRunner = app.state.jobs
    return jobs


def _work_of(engine: Engine) -> Work:
    """The way of a request, waiting for room as a trainer's routes do."""
    settings = engine.settings

    async def work(raw: bytes) -> Ended:
        try:
            parsed = await off_loop(raw, parsing.parse, settings.max_items)
            timeout_s = parsed.scoring.timeout_s or settings.jobs_timeout_s
            scoring = replace(parsed.scoring, hold=True, timeout_s=timeout_s)
            async with engine.admit(scoring) as admitted:
                scored = await admitted.score()
            answer = answer_of(engine, parsed, admitted, scored)
            log.info("job", profile=admitted.served.name, items=len(scored), run_id=scoring.run_id, step=scoring.step)
            return Ended("done", orjson.dumps(answer))
        except ServiceError as error:
            return _failed(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("job_failed", **described(error))
            return _failed(ServiceError("An unexpected error; the service's log has it under the job's id."))

    return work


def _failed(error: ServiceError) -> Ended:
    content = {"status": error_responses.status_of(error), **error_responses.envelope(error, "")}
    return Ended("failed", orjson.dumps(content))


def _shown(job_id: str, kept: Kept) -> bytes:
    """What is kept is JSON already; a large answer is not decoded to be encoded again."""
    head = {"id": job_id, "state": kept.state}
    if kept.state == "pending":
        return orjson.dumps(head)
    name = "answer" if kept.state == "done" else "failure"
    return orjson.dumps({**head, name: orjson.Fragment(kept.content)})


def _unknown(jobs: JobRunner) -> InvalidRequest:
    message = "No such job: it was never submitted, is deleted, or is older than REWARD_JOBS_TTL_S."
    if not jobs.store.shared:
        message = (
            "No such job in this process. Without Redis (REWARD_CACHE_URL) a job lives in the process that took it and "
            "ends with it, so with several processes or after a restart it can be out of reach. Submit it again."
        )
    return InvalidRequest(message, code="job_not_found")
