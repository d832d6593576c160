"""The two clients: httpx carries out what `reward_client.core` decides.

Both keep their connections; the synchronous one runs the requests of a large list in threads, the asynchronous one in
tasks with one pool for each running event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from reward_client.answers import group_scores, item_scores, scores_of
from reward_client.calls import Call, Job, calls_of, group_calls, item_calls, items_of
from reward_client.core import Core, Failure, Reply, Send, Steps
from reward_client.errors import BudgetSpent
from reward_client.types import Group, GroupScore, Item, Options, Score

E = TypeVar("E")
T = TypeVar("T")


class _Client:
    def __init__(self, options: Options | str, **settings: Any) -> None:
        """`options`, or the service's URL with the fields of `Options` as keywords."""
        self.options = Options(options, **settings) if isinstance(options, str) else options
        self._core = Core(self.options)

    @property
    def fingerprint(self) -> str | None:
        """Of every reward this client returns; None before the first call when no pin was given."""
        return self._core.fingerprint

    @property
    def fingerprint_document(self) -> Mapping[str, Any] | None:
        """The whole document behind `fingerprint`, to be stored beside the run; None before the first call."""
        return self._core.document

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest reward of the profile; (0, 1) before the first call."""
        low, high = ((self._core.document or {}).get("document") or {}).get("bounds", (0.0, 1.0))
        return low, high

    def _run_id(self, run_id: str | None) -> str:
        if run_id is None and self.options.run_id is None:
            raise ValueError("give a run_id, here or to the client")
        return run_id if run_id is not None else str(self.options.run_id)

    def _run_path(self, run_id: str | None) -> str:
        return f"/v1/runs/{quote(self._run_id(run_id), safe='')}"

    def _http_settings(self) -> dict[str, Any]:
        limits = httpx.Limits(max_connections=self.options.concurrency, max_keepalive_connections=None)
        return {"base_url": self.options.url.rstrip("/"), "limits": limits}


def _timeout(step: Send) -> httpx.Timeout:
    left = step.time_left()
    return httpx.Timeout(left, connect=min(10.0, left), pool=None)


def _failure(error: httpx.HTTPError) -> Failure:
    return Failure(f"{type(error).__name__}: {error}")


class RewardClient(_Client):
    """Synchronous client; safe to share between threads, not across a fork.

    The first call waits for the service to be ready and pins its fingerprint. All methods raise `RewardClientError`s.
    """

    def __init__(self, options: Options | str, **settings: Any) -> None:
        super().__init__(options, **settings)
        self._http = httpx.Client(**self._http_settings())
        self._starting = threading.Lock()
        # httpx waits for a connection without a limit, or takes the wait for a failure; here it counts as time spent.
        self._slots = threading.Semaphore(self.options.concurrency)

    def score(
        self,
        items: Sequence[Item] | Sequence[str],
        references: str | Sequence[str] | None = None,
        prior: str | Sequence[str | None] | None = None,
        *,
        step: int | None = None,
    ) -> list[Score]:
        """One score per item, in order. `step`: of the training, which a profile that is a schedule asks for.

        As the service's `Scorer`, also texts: candidates, their references (or one for all) and earlier reports.
        """
        calls = item_calls(items_of(items, references, prior), self.options.request_items, step)
        return [score for call, body in self._run(calls) for score in item_scores(call, body)]

    def score_groups(self, groups: Sequence[Group], *, step: int | None = None) -> list[GroupScore]:
        """One answer per group, in order, candidates in order within. `step`: see `score`."""
        calls = group_calls(groups, self.options.request_items, step)
        return [group for call, body in self._run(calls) for group in group_scores(call, body)]

    def submit(self, entries: Sequence[Item] | Sequence[Group], *, step: int | None = None) -> Job:
        """Hands items or groups over to be scored while the caller goes on; `result` fetches the answer."""
        calls = calls_of(entries, self.options.request_items, step)
        return Job(tuple(zip(calls, self._carry(calls, self._core.submit), strict=True)))

    def result(self, job: Job) -> list[Score] | list[GroupScore]:
        """What `score` or `score_groups` would have returned, once it is there; within the budget of one call."""
        bodies = self._carry(job.submitted, self._core.result)
        return scores_of([call for call, _ in job.submitted], bodies)

    def runs(self) -> list[dict[str, Any]]:
        """The service's training runs, the latest first, each with its `alarms`, the worst first."""
        found: list[dict[str, Any]] = (self._drive(self._core.ask("GET", "/v1/runs")))["runs"]
        return found

    def run(self, run_id: str | None = None) -> dict[str, Any]:
        """One run by step, with its alarms; this client's own (`Options.run_id`) by default."""
        return self._drive(self._core.ask("GET", self._run_path(run_id)))

    def samples(
        self, run_id: str | None = None, *, step: int | None = None, candidate: str | None = None
    ) -> dict[str, Any]:
        """Items of a step with their texts, where the service keeps some; the latest step that has such by default.

        `candidate`: only those with this digest, as an alarm has it.
        """
        query = {"run_id": self._run_id(run_id), "step": step, "candidate": candidate}
        return self._drive(self._core.ask("GET", "/v1/samples", query))

    def delete_run(self, run_id: str) -> None:
        """For good. Raises `ApiError` (``run_not_found``) where there is none."""
        self._drive(self._core.ask("DELETE", self._run_path(run_id)))

    def sleep(self) -> dict[str, Any]:
        """The service's models release their memory; what is sent then waits. Answers what `/ready` says."""
        return self._drive(self._core.ask("POST", "/v1/sleep"))

    def wake(self) -> dict[str, Any]:
        """Models load again; returns once they are there."""
        return self._drive(self._core.ask("POST", "/v1/wake"))

    def start(self) -> None:
        """Waits for the service and pins its fingerprint now rather than at the first call."""
        self._start(self._core.deadline())

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, calls: Sequence[Call]) -> list[tuple[Call, dict[str, Any]]]:
        return list(zip(calls, self._carry(calls, self._core.score), strict=True))

    def _carry(self, calls: Sequence[E], of: Callable[[E, float], Steps[T]]) -> list[T]:
        """The end of each call's steps, in order, several calls at once."""
        if not calls:
            return []
        deadline = self._core.deadline()
        self._start(deadline)
        if len(calls) == 1:
            return [self._drive(of(calls[0], deadline))]
        stop = threading.Event()
        pool = ThreadPoolExecutor(min(self.options.concurrency, len(calls)))
        futures = [pool.submit(self._drive, of(call, deadline), stop) for call in calls]
        try:
            failed = next((f for f in wait(futures, return_when=FIRST_EXCEPTION).done if f.exception()), None)
            if failed is not None:
                failed.result()  # raises; the others' retries would be for nothing
            return [future.result() for future in futures]
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, deadline: float) -> None:
        if self._core.document is not None:
            return
        if not self._starting.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise BudgetSpent(self.options.budget_s, "waiting for another thread's first call", "no time is left")
        try:
            self._drive(self._core.start(deadline))
        finally:
            self._starting.release()

    def _drive(self, steps: Steps[T], stop: threading.Event | None = None) -> T:
        """Carries out `steps`, until `stop` is set: then nobody waits for the result."""
        stop = stop or threading.Event()
        reply: Reply | Failure | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if stop.is_set():
                raise CancelledError
            reply = self._carry_out(step) if isinstance(step, Send) else None
            if not isinstance(step, Send):
                stop.wait(step.seconds)

    def _carry_out(self, step: Send) -> Reply | Failure:
        if not self._slots.acquire(timeout=step.time_left()):
            return Failure("no connection was free in time")
        try:
            answer = self._http.request(
                step.method, step.path, content=step.content, headers=step.headers, timeout=_timeout(step)
            )
            return Reply(answer.status_code, answer.headers, answer.content)
        except httpx.TransportError as error:
            return _failure(error)
        finally:
            self._slots.release()


class AsyncRewardClient(_Client):
    """Asynchronous client; usable from several event loops, one after another or at once, in threads of their own.

    Calls made at the same time share `concurrency` connections per loop. All methods raise `RewardClientError`s.
    """

    def __init__(self, options: Options | str, **settings: Any) -> None:
        super().__init__(options, **settings)
        self._sessions: dict[asyncio.AbstractEventLoop, _Session] = {}

    async def score(
        self,
        items: Sequence[Item] | Sequence[str],
        references: str | Sequence[str] | None = None,
        prior: str | Sequence[str | None] | None = None,
        *,
        step: int | None = None,
    ) -> list[Score]:
        """One score per item, in order. `step`: of the training, which a profile that is a schedule asks for.

        As the service's `Scorer`, also texts: candidates, their references (or one for all) and earlier reports.
        """
        calls = item_calls(items_of(items, references, prior), self.options.request_items, step)
        return [score for call, body in await self._run(calls) for score in item_scores(call, body)]

    async def score_groups(self, groups: Sequence[Group], *, step: int | None = None) -> list[GroupScore]:
        """One answer per group, in order, candidates in order within. `step`: see `score`."""
        calls = group_calls(groups, self.options.request_items, step)
        return [group for call, body in await self._run(calls) for group in group_scores(call, body)]

    async def submit(self, entries: Sequence[Item] | Sequence[Group], *, step: int | None = None) -> Job:
        """Hands items or groups over to be scored while the caller goes on; `result` fetches the answer."""
        calls = calls_of(entries, self.options.request_items, step)
        return Job(tuple(zip(calls, await self._carry(calls, self._core.submit), strict=True)))

    async def result(self, job: Job) -> list[Score] | list[GroupScore]:
        """What `score` or `score_groups` would have returned, once it is there; within the budget of one call."""
        bodies = await self._carry(job.submitted, self._core.result)
        return scores_of([call for call, _ in job.submitted], bodies)

    async def runs(self) -> list[dict[str, Any]]:
        """The service's training runs, the latest first, each with its `alarms`, the worst first."""
        found: list[dict[str, Any]] = (await self._session().drive(self._core.ask("GET", "/v1/runs")))["runs"]
        return found

    async def run(self, run_id: str | None = None) -> dict[str, Any]:
        """One run by step, with its alarms; this client's own (`Options.run_id`) by default."""
        return await self._session().drive(self._core.ask("GET", self._run_path(run_id)))

    async def samples(
        self, run_id: str | None = None, *, step: int | None = None, candidate: str | None = None
    ) -> dict[str, Any]:
        """Items of a step with their texts, where the service keeps some; the latest step that has such by default.

        `candidate`: only those with this digest, as an alarm has it.
        """
        query = {"run_id": self._run_id(run_id), "step": step, "candidate": candidate}
        return await self._session().drive(self._core.ask("GET", "/v1/samples", query))

    async def delete_run(self, run_id: str) -> None:
        """For good. Raises `ApiError` (``run_not_found``) where there is none."""
        await self._session().drive(self._core.ask("DELETE", self._run_path(run_id)))

    async def sleep(self) -> dict[str, Any]:
        """The service's models release their memory; what is sent then waits. Answers what `/ready` says."""
        return await self._session().drive(self._core.ask("POST", "/v1/sleep"))

    async def wake(self) -> dict[str, Any]:
        """Models load again; returns once they are there."""
        return await self._session().drive(self._core.ask("POST", "/v1/wake"))

    async def start(self) -> None:
        """Waits for the service and pins its fingerprint now rather than at the first call."""
        session = self._session()
        async with session.starting:
            await session.drive(self._core.start(self._core.deadline()))

    async def aclose(self) -> None:
        """Closes the running loop's connections (those of loops that are gone went with them)."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session:
            await session.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _session(self) -> _Session:
        loop = asyncio.get_running_loop()
        if loop not in self._sessions:
            for old in [known for known in self._sessions if known.is_closed()]:
                self._sessions.pop(old, None)
            self._sessions[loop] = _Session(httpx.AsyncClient(**self._http_settings()), self.options.concurrency)
        return self._sessions[loop]

    async def _run(self, calls: Sequence[Call]) -> list[tuple[Call, dict[str, Any]]]:
        return list(zip(calls, await self._carry(calls, self._core.score), strict=True))

    async def _carry(self, calls: Sequence[E], of: Callable[[E, float], Steps[T]]) -> list[T]:
        """The end of each call's steps, in order, several calls at once."""
        if not calls:
            return []
        deadline, session = self._core.deadline(), self._session()
        if self._core.document is None:
            async with session.starting:
                await session.drive(self._core.start(deadline))
        tasks = [asyncio.ensure_future(session.drive(of(call, deadline))) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()


class _Session:
    """One event loop's connections."""

    def __init__(self, http: httpx.AsyncClient, concurrency: int) -> None:
        self.http = http
        self.starting = asyncio.Lock()
        # httpx's own queue for a connection costs time linear in its length; thousands may wait here instead.
        self.slots = asyncio.Semaphore(concurrency)

    async def drive(self, steps: Steps[T]) -> T:
        reply: Reply | Failure | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            if not isinstance(step, Send):
                await asyncio.sleep(step.seconds)
                reply = None
                continue
            async with self.slots:
                try:
                    answer = await self.http.request(
                        step.method, step.path, content=step.content, headers=step.headers, timeout=_timeout(step)
                    )
                    reply = Reply(answer.status_code, answer.headers, answer.content)
                except httpx.TransportError as error:
                    reply = _failure(error)
