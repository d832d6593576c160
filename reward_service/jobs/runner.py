"""Works on jobs, beside whatever else the service does, and answers whoever asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from reward_service.errors import Overloaded
from reward_service.jobs.store import MOST_ATTEMPTS, JobStore, Kept, State
from reward_service.observability.logs import described
from reward_service.observability.telemetry import Telemetry
from reward_service.supervision import Backoff
from reward_service.tasks import end

log = structlog.get_logger("reward_service.jobs")

_AT_ONCE = 64  # jobs that are read and wait for room; the pairs of these are bounded by the queue
_EVERY_S = 2.0  # between a look at the holds, which last a few times as long, and at what others left
_ASK_S = (0.1, 1.0)  # between two looks at a job that another process works on: at first, at most
_WRITE_S = (0.25, 2.0)


class Ended(NamedTuple):
    """What became of a request."""

    state: State
    answer: bytes
    """JSON."""


Work = Callable[[bytes], Awaitable[Ended]]
"""From a request's JSON to its answer. Raises nothing but `CancelledError`."""


class JobRunner:
    """The jobs of one process, and those of processes that have died where the store is shared."""

    def __init__(
        self, store: JobStore, work: Work, telemetry: Telemetry, *, abandoned: Ended, too_large: Ended
    ) -> None:
        """`abandoned`: what becomes of a job with which `MOST_ATTEMPTS` processes have ended; `too_large`: of one whose
        answer the store cannot keep.
        """
        self.store = store
        self._work, self._abandoned, self._too_large = work, abandoned, too_large
        self._telemetry = telemetry
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._keeper: asyncio.Task[None] | None = None

    def start(self, ready: asyncio.Event) -> None:
        """Begin to hold what runs here and, once `ready`, to take what others left."""
        self._keeper = asyncio.create_task(self._keep(ready), name="jobs")

    async def submit(self, request: bytes) -> str:
        """Keep the request and begin with it; returns the job's id. Raises `Overloaded`."""
        job = secrets.token_urlsafe(18)
        await self.store.add(job, request)
        self._telemetry.jobs.labels("submitted").inc()
        self._begin(job, request)
        return job

    async def result(self, job: str, wait_s: float) -> Kept | None:
        """The job once it has ended, or as it is after `wait_s` seconds. None where there is none of that id.

        Raises `Overloaded` when the store does not answer.
        """
        until = time.monotonic() + wait_s
        pauses = Backoff(*_ASK_S)
        while True:
            kept = await self.store.get(job)
            left = until - time.monotonic()
            if kept is None or kept.state != "pending" or left <= 0:
                return kept
            if (task := self._running.get(job)) is not None:
                await asyncio.wait({task}, timeout=left)
            else:
                await asyncio.sleep(min(left, pauses.pause_s()))

    async def delete(self, job: str) -> bool:
        """Forget it; work on it ends. Returns whether there was such a job."""
        if (task := self._running.pop(job, None)) is not None:
            await end({task})
        return await self.store.delete(job)

    async def aclose(self, within_s: float) -> None:
        """Finish what runs within the time. What does not stays pending for others, or is lost, and the log says so."""
        if self._keeper is not None:
            await end({self._keeper})
        if self._running:
            await asyncio.wait(self._running.values(), timeout=within_s)
        left = dict(self._running)
        await end(left.values())
        if left and self.store.shared:
            log.warning("jobs_left_pending", count=len(left))
            with contextlib.suppress(Overloaded):  # then the holds run out
                await self.store.release(left)
        elif left:
            log.error("jobs_lost", count=len(left))
        await self.store.aclose()

    def _begin(self, job: str, request: bytes) -> None:
        task = self._running[job] = asyncio.create_task(self._run(job, request), name=f"job {job}")
        task.add_done_callback(lambda _: self._running.pop(job, None))

    async def _run(self, job: str, request: bytes) -> None:
        async with self._slots:
            with structlog.contextvars.bound_contextvars(job=job):
                await self._finish(job, await self._work(request))

    async def _finish(self, job: str, ended: Ended) -> None:
        """Kept as soon as the store takes it."""
        if len(ended.answer) > self.store.largest:
            ended = self._too_large
        pauses = Backoff(*_WRITE_S)
        while True:
            try:
                await self.store.finish(job, *ended)
            except Overloaded:
                await asyncio.sleep(pauses.pause_s())
            else:
                self._telemetry.jobs.labels(ended.state).inc()
                return

    async def _keep(self, ready: asyncio.Event) -> None:
        while True:
            try:
                await self.store.hold([*self._running])
                if ready.is_set():
                    await self._take()
            except Overloaded:
                pass  # Redis is away; the connection has said so
            except Exception as error:
                log.error("jobs_not_kept", **described(error))
            await asyncio.sleep(_EVERY_S)

    async def _take(self) -> None:
        for job, request in (await self.store.take(self._running)).items():
            if request is None:
                log.error("job_abandoned", job=job, attempts=MOST_ATTEMPTS)
                await self._finish(job, self._abandoned)
            else:
                self._telemetry.jobs.labels("taken_over").inc()
                self._begin(job, request)
