"""The engine: the enabled profiles with everything they need, ready to admit and score requests.

It knows no HTTP, so the command line, the tests and the web application use the same one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import cast

import structlog

from reward_service.caching.base import ScoreCache
from reward_service.contracts import ComponentError, ModelRunner, Runner
from reward_service.errors import (
    ComponentsUnavailable,
    ConfigurationError,
    InvalidRequest,
    Overloaded,
    UnknownProfile,
    did_you_mean,
    quoted,
)
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles.accepted import Accepted
from reward_service.profiles.loading import shipped
from reward_service.runs.recorder import Recorder
from reward_service.runs.samples import Told
from reward_service.runs.store import make_store
from reward_service.runs.totals import Scored
from reward_service.scoring.admission import Admission
from reward_service.scoring.assembly import assemble
from reward_service.scoring.profile_scorer import ProfileScorer, ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.scoring.served_profile import Served, ServedProfile, ServedSchedule
from reward_service.scoring.shadow import Shadow
from reward_service.scoring.single_flight import SingleFlight
from reward_service.scoring.state import EngineState
from reward_service.settings import Settings
from reward_service.tasks import end, finish
from reward_service.workers.placement import Remote, make_cache
from reward_service.workers.remote_client import SocketWorker

log = structlog.get_logger("reward_service.engine")

_FREE_AGAIN = 0.8  # of the queue: enough work left to keep every component busy
_RETRY_FIRST_S, _RETRY_MOST_S = 0.25, 4.0
_START_S = 1800.0  # for loading, which may mean downloading
_RELEASE_S = 3.0  # for what has nothing more to finish


class Engine:
    """All enabled profiles, ready to score. Use `start`/`stop`, or ``async with``."""

    def __init__(
        self,
        settings: Settings,
        telemetry: Telemetry | None = None,
        sockets: str | None = None,
        remote: Remote = SocketWorker,
    ) -> None:
        """`sockets`: the directory in which model worker processes listen; without it models run in this process.

        `remote`: see `Placement`.

        Raises `ConfigurationError` for profiles that cannot be served.
        """
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self.ready = asyncio.Event()
        self.closing = False
        self.problem: str | None = None
        """Why start-up failed, if it did."""
        self.assembly = assemble(settings, self.telemetry, sockets, remote)
        self.profiles = self.assembly.profiles
        self.default = next(iter(self.profiles))
        self.cache: ScoreCache = make_cache(settings, self.assembly.shapes)
        self.flights = SingleFlight(self.cache, orphan_grace_s=settings.orphan_grace_s)
        turns = asyncio.Lock()
        self.shadows = [
            Shadow(shadow.paying, shadow.served, self.scorer, self.telemetry, turns,
                   most=settings.queue_items, timeout_s=settings.timeout_s)
            for shadow in self.assembly.shadows
        ]  # fmt: skip
        self.runs = Recorder(make_store(settings), self.telemetry, settings.keep_samples)
        for shadow in self.shadows:
            shadow.record = self.runs.record_shadow
        self._shadow_starts: list[asyncio.Task[None]] = []
        self.admission = Admission(settings.queue_items)
        self._shedding = False
        self.state = EngineState(self)

    # -- life ------------------------------------------------------------------------------------

    async def __aenter__(self) -> Engine:
        try:
            await self.start()
        except BaseException:
            await self.stop(0)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.stop(0 if kind else None)  # after an error or Ctrl-C nobody waits for what has started

    async def start(self) -> None:
        """Load and warm up everything. Raises `ConfigurationError` for what will not heal by itself."""
        await self.cache.start()
        try:
            await self._start_runners(self.assembly.runners.keys() - self.assembly.only_shadows)
        except ComponentError as error:
            self.problem = str(error)
            raise ConfigurationError(str(error), code=error.code) from None
        self.runs.start()
        self.ready.set()
        starts = {
            key: asyncio.create_task(self._start_runners({key}), name=f"start of {key}")
            for key in self.assembly.only_shadows
        }
        self._shadow_starts = [*starts.values()]
        for shadow, of in zip(self.shadows, self.assembly.shadows, strict=True):
            own = [starts[key] for key in of.own_runners]
            self._shadow_starts.append(asyncio.create_task(shadow.begin_after(own), name=f"start of {of.served.name}"))

    async def _start_runners(self, keys: Collection[str]) -> None:
        """All at once. Raises what the first one to fail raises; the others are then given up."""
        starts = [asyncio.create_task(self.assembly.runners[key][1].start(), name=f"start of {key}") for key in keys]
        if not starts:
            return
        try:
            await asyncio.wait(starts, timeout=_START_S, return_when=asyncio.FIRST_EXCEPTION)
            failures = [error for task in starts if task.done() and (error := task.exception())]
            if failures:
                raise failures[0]
            if unfinished := [task.get_name() for task in starts if not task.done()]:
                raise ComponentError("load_failed", f"not finished after {_START_S:g} s: {', '.join(unfinished)}")
        finally:
            await end(starts)

    def models(self) -> dict[str, ModelRunner]:
        """Runners of components that hold a model, by ``name:settings hash``."""
        return {
            key: cast(ModelRunner, runner)
            for key, (component, runner) in self.assembly.runners.items()
            if getattr(component, "cost", None) == "model"
        }

    @property
    def asleep(self) -> bool:
        """Whether a model's memory is lent to somebody else."""
        return any(runner.health().get("asleep") for runner in self.models().values())

    async def set_asleep(self, asleep: bool) -> None:
        """Have all models release their memory, or load again. Raises `ComponentsUnavailable` where one does not."""
        if not self.ready.is_set() or self.closing:
            raise Overloaded("The service is starting or ending.", code="no_room_in_time")
        models = self.models()
        tried = await asyncio.gather(*(m.set_asleep(asleep) for m in models.values()), return_exceptions=True)
        failures = {key: error for key, error in zip(models, tried, strict=True) if isinstance(error, BaseException)}
        for error in failures.values():
            if not isinstance(error, ComponentError):
                raise error
        if failures:
            wish = "fall asleep" if asleep else "wake"
            reasons = "; ".join(f"{key.split(':')[0]}: {error}" for key, error in failures.items())
            raise ComponentsUnavailable(f"Not every model could {wish} ({reasons}). Retry.", code="not_switched")
        log.info("asleep" if asleep else "awake", models=[key.split(":")[0] for key in models])

    async def stop(self, grace_s: float | None = None) -> None:
        """Finish what has started within the grace time, then release everything; a few seconds later at most."""
        grace = self.settings.shutdown_grace_s if grace_s is None else grace_s
        self.closing = True
        await end(self._shadow_starts)
        for shadow in self.shadows:
            await shadow.aclose()
        waits = {key: 0.0 if key in self.assembly.only_shadows else grace for key in self.assembly.runners}
        await asyncio.gather(
            *(_stop_runner(key, runner, waits[key]) for key, (_, runner) in self.assembly.runners.items())
        )
        await finish(self.runs.aclose(), within_s=_RELEASE_S, name="closing the runs")
        await finish(self.flights.aclose(), within_s=_RELEASE_S, name="closing the flights")
        await finish(self.cache.aclose(), within_s=2 * _RELEASE_S, name="closing the score cache")

    # -- scoring ---------------------------------------------------------------------------------

    def served(self, name: str | None) -> Served:
        """The profile or schedule of that name, or the default. Raises `UnknownProfile`."""
        found = self.profiles.get(name or self.default)
        if found is not None:
            return found
        if name in shipped():
            raise UnknownProfile(
                f"Profile '{name}' exists but is not enabled; add it to REWARD_PROFILES. "
                f"Enabled: {', '.join(self.profiles)}.",
                code="profile_not_enabled",
                param="profile",
            )
        known = did_you_mean(str(name)[:64], self.profiles)
        raise UnknownProfile(f"There is no profile {quoted(name)}.{known}", param="profile")

    def refuse_asleep(self) -> None:
        """Raises `Overloaded` while models are asleep, where the settings want that."""
        if self.settings.asleep == "refuse" and self.asleep:
            raise Overloaded("The models are asleep; POST /v1/wake wakes them.", code="asleep")

    @asynccontextmanager
    async def admit(self, request: ScoringRequest) -> AsyncIterator[Admitted]:
        """A place in the queue for the request's pairs, for as long as the block runs.

        Raises `UnknownProfile`, `PinMismatch`, `InvalidRequest` for a schedule without a step, and `Overloaded` when
        there is no room (with `request.hold`: none before the deadline).
        """
        self.refuse_asleep()
        served = self.served(request.profile)
        accepted = served.check_pin(request.pin, request.step)
        stage = served.at(request.step)
        settings = self.settings
        default_s = settings.hold_timeout_s if request.hold else settings.timeout_s
        deadline = time.monotonic() + (default_s if request.timeout_s is None else request.timeout_s)
        count = len(request.items)
        await self._enter(count, deadline, request.hold)
        request.timings.queue_ms = request.timings.total_ms
        self.telemetry.inflight.inc(count)
        try:
            yield Admitted(self, served, stage, request, deadline, accepted)
        finally:
            self.telemetry.inflight.dec(count)
            self.admission.leave(count)

    async def score(self, request: ScoringRequest) -> list[ScoredItem]:
        """Admit and score; see `admit` and `Admitted.score`."""
        async with self.admit(request) as admitted:
            return await admitted.score()

    def scorer(self, served: ServedProfile) -> ProfileScorer:
        """What scores pairs with this profile."""
        return ProfileScorer(served, self.cache, self.flights, self.telemetry, self.settings.max_text_chars)

    def refuse_unread(self) -> None:
        """Raise `Overloaded` without looking at the request, from a refusal until some of the queue is free again.

        Reading and parsing what is then refused would take the time of what has been admitted.
        """
        if self._shedding:
            self._shedding = self.admission.admitted > _FREE_AGAIN * self.settings.queue_items
        if self._shedding:
            raise self._overloaded(f"{self.admission.admitted} pairs are being scored")

    def _overloaded(self, why: str) -> Overloaded:
        self.telemetry.shed.inc()
        self._shedding = True
        limit = self.settings.queue_items
        return Overloaded(f"{why}; the limit is {limit} (REWARD_QUEUE_ITEMS). Retry after a moment.")

    async def _enter(self, count: int, deadline: float, hold: bool) -> None:
        if self.ready.is_set() and not hold and not self.admission.fits(count):
            raise self._overloaded(f"{self.admission.admitted} pairs are being scored and {count} more are too many")
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self.ready.wait()
                await self.admission.enter(count)
        except TimeoutError:
            raise Overloaded(
                self.problem or "No room before the deadline: the service is starting or overloaded.",
                code="no_room_in_time",
            ) from None


class Admitted:
    """A request whose pairs have their place in the queue."""

    def __init__(
        self,
        engine: Engine,
        served: Served,
        stage: ServedProfile,
        request: ScoringRequest,
        deadline: float,
        accepted: Accepted | None = None,
    ) -> None:
        """`deadline` is `time.monotonic()` seconds. `accepted`: the older fingerprint that the request pins."""
        self.served = served
        """What the request named."""
        self.stage = stage
        """The profile that pays: that of the schedule's stage, else `served` itself."""
        self.fingerprint = accepted.fingerprint if accepted else served.fingerprint
        """Of the answer: the older one that was pinned, if the operator accepts it."""
        at = served.stages.index(stage) if isinstance(served, ServedSchedule) else 0
        self._older = accepted.stages[at] if accepted and at < len(accepted.stages) else {}
        self._engine = engine
        self._request = request
        self._deadline = deadline

    async def score(self) -> list[ScoredItem]:
        """One `ScoredItem` per item, in order. Raises `ComponentsUnavailable`."""
        items = self._request.items
        scorer = self._engine.scorer(self.stage)
        scored = await scorer.score(items, self._deadline, self._request.timings, self._older)
        if self._request.hold:
            await self._retry(scorer, scored)
        scorer.count(scored)
        _require(scored, items)
        self._record(scored)
        for shadow in self._engine.shadows:
            if shadow.paying == self.served.name:
                shadow.follow(self._request, scored)
        return scored

    def _record(self, scored: Sequence[ScoredItem]) -> None:
        """Enter it into its run, if it names one."""
        request = self._request
        if request.run_id is None:
            return
        items, composites = request.items, [one.composite for one in scored]
        judges = next(([k for k, s in one.scores.items() if s.judgement] for one in scored if one.scores), [])
        candidates, references = [item.candidate for item in items], [item.reference for item in items]
        milliseconds = request.timings.total_ms
        told = Scored(candidates, references, composites, judges, self.stage.name, milliseconds)
        runs = self._engine.runs
        runs.record(request.run_id, request.step, told)
        if runs.keep_samples:
            whole = [
                Told(item.candidate, item.reference, item.prior, one.composite, one.judgement)
                for item, one in zip(items, scored, strict=True)
            ]
            runs.keep(request.run_id, request.step, whole)

    async def _retry(self, scorer: ProfileScorer, scored: list[ScoredItem]) -> None:
        """Score again, in place, what has no reward yet and may still get one before the deadline."""
        items = self._request.items
        pause = _RETRY_FIRST_S
        while again := [i for i, s in enumerate(scored) if s.composite.reward is None and s.composite.may_heal]:
            if time.monotonic() + pause >= self._deadline or self._engine.closing:
                break
            if any(s.composite.failed and not s.composite.may_heal for s in scored):
                break  # whatever heals, the request as a whole does not
            await asyncio.sleep(pause)
            pause = min(_RETRY_MOST_S, 2 * pause)
            fresh = await scorer.score([items[i] for i in again], self._deadline, older=self._older)
            for i, one in zip(again, fresh, strict=True):
                scored[i] = one


def _require(scored: Sequence[ScoredItem], items: Sequence[Item]) -> None:
    """Raises for items that lack a component whose policy is `fail`: first for those that no other try can heal."""
    failed = [i for i, s in enumerate(scored) if s.composite.failed]
    lost = [i for i in failed if not scored[i].composite.may_heal]
    if not failed:
        return
    told = lost or failed
    places = [items[i].where or f"items[{i}]" for i in told]
    names = [items[i].id or place for i, place in zip(told, places, strict=True)]
    first = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    keys = sorted({key for i in told for key in scored[i].composite.failed})
    message = f"No score from {', '.join(keys)}, which this profile cannot do without, for {first}. "
    details = {"components": keys, "items": names}
    if lost:
        codes = sorted({error.code for i in lost for error in scored[i].composite.missing.values()})
        message += f"Another try would not help ({', '.join(codes)}): leave these items out, or mend them."
        raise InvalidRequest(message, code="reward_missing", param=places[0], details=details)
    raise ComponentsUnavailable(f"{message}Retry later.", details=details)


async def _stop_runner(key: str, runner: Runner, grace_s: float) -> None:
    # The runner's coroutine is made here: where this task is cancelled before it began, none is left unawaited.
    await finish(runner.stop(grace_s), within_s=grace_s + _RELEASE_S, name=f"stop of {key}")
