"""The engine: builds every enabled profile's components, runs them, and scores requests.

It knows no HTTP, so the CLI, the tests and the web application use the same one.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from reward_service import __version__
from reward_service.caching.base import ScoreCache
from reward_service.components.registry import build, did_you_mean, row, shown
from reward_service.contracts import ComponentError, Runner
from reward_service.errors import (
    ComponentsUnavailable,
    ConfigurationError,
    Overloaded,
    PinMismatch,
    UnknownProfile,
)
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles import fingerprint
from reward_service.profiles.profile import ERROR_COUNTS, Profile, load, shipped
from reward_service.scoring.admission import Admission
from reward_service.scoring.profile_scorer import BoundComponent, Item, Scored, Scorer, ServedProfile, Timings
from reward_service.scoring.served_profile import describe, profile_document, signature
from reward_service.scoring.single_flight import Flights
from reward_service.settings import Settings
from reward_service.text import normaliser as normalise
from reward_service.workers.placement import Placement, make_cache

log = structlog.get_logger("reward_service.scoring.engine")

_LIMITS = ("max_items", "max_text_chars", "max_body_bytes", "queue_items", "timeout_s", "hold_timeout_s")
_PIN = re.compile(r"sha256:[0-9a-f]{1,64}(?:\.[0-9a-f]{0,64})?")
_FREE_AGAIN = 0.8  # of the queue: enough work left to keep every component busy
_RETRY_FIRST_S, _RETRY_MOST_S = 0.25, 4.0


class Engine:
    """All enabled profiles, ready to score. Use `start`/`stop`, or ``async with``."""

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None, sockets: str | None = None) -> None:
        """`sockets`: the directory in which `placement.model_jobs` listen; without, models run in this process."""
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self._placement = Placement(settings, self.telemetry, sockets)
        self.profiles: dict[str, ServedProfile] = {}
        self.ready = asyncio.Event()
        self.problem: str | None = None
        """Why start-up failed, if it did."""
        self._runners: dict[str, tuple[Any, Runner]] = {}
        self._required: set[str] = set()
        self._shipped: dict[str, str] = {}
        for name in settings.profiles:
            profile = load(name)
            if profile.name in self.profiles:
                raise ConfigurationError(
                    f"Two enabled profiles are called '{profile.name}'; rename one ({name}).", param="profiles"
                )
            self.profiles[profile.name] = self._serve(profile)
        self.default = next(iter(self.profiles))
        self.cache: ScoreCache = make_cache(settings)
        self.flights = Flights(self.cache, orphan_grace_s=settings.orphan_grace_s)
        self._scorers = {
            name: Scorer(served, self.cache, self.flights, self.telemetry, settings.max_text_chars)
            for name, served in self.profiles.items()
        }
        self.admission = Admission(settings.queue_items)
        self._shedding = False
        self.closing = False

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Raise `ConfigurationError` or `UnknownProfile` for settings that no start can cure; loads no weights."""
        for name in settings.profiles:
            for key, spec in load(name).components.items():
                try:
                    build(spec.component, settings.for_component(spec.component, spec.settings))
                except ConfigurationError as error:
                    raise ConfigurationError(
                        f"Profile '{name}', component '{key}': {error.message}", code=error.code, param="profiles"
                    ) from error

    # -- life ------------------------------------------------------------------------------------

    async def __aenter__(self) -> Engine:
        try:
            await self.start()
        except BaseException:
            await self.stop(0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load and warm up everything. Raises `ConfigurationError` for what will not heal by itself."""
        try:
            await self.cache.start()
            async with asyncio.TaskGroup() as tasks:
                for runner in self._distinct_runners():
                    tasks.create_task(runner.start())
        except* ComponentError as group:
            error = group.exceptions[0]
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            self.problem = str(error)
            raise ConfigurationError(str(error), code=getattr(error, "code", None)) from None
        self.ready.set()

    async def stop(self, grace_s: float | None = None) -> None:
        """Finish what has started within the grace time, then release everything."""
        grace = self.settings.shutdown_grace_s if grace_s is None else grace_s
        self.closing = True
        stopped = await asyncio.gather(
            *(runner.stop(grace) for runner in self._distinct_runners()), return_exceptions=True
        )
        for error in stopped:
            if error is not None:
                log.error("stopping_failed", error=type(error).__name__)
        await self.flights.aclose()
        await self.cache.aclose()

    def _distinct_runners(self) -> list[Runner]:
        return [runner for _, runner in self._runners.values()]

    # -- profiles --------------------------------------------------------------------------------

    def _serve(self, profile: Profile) -> ServedProfile:
        normaliser = normalise.manifest(profile.normaliser)
        bound: dict[str, BoundComponent] = {}
        for spec in profile.components.values():
            _exists(profile, spec.component)
        for key, spec in profile.components.items():
            settings = self.settings.for_component(spec.component, spec.settings)
            if settings.get("model") != spec.settings.get("model", settings.get("model")):
                log.info("model_replaced", component=key, profile=profile.name)
            try:
                component, runner = self._component(spec.component, settings)
                document = fingerprint.component_document(spec.component, component, normaliser)
            except Exception as error:
                raise _unavailable(profile, error) from error
            if spec.when_missing == "fail" and spec.weight:
                self._required.add(_runner_id(spec.component, settings))
            known = (*component.keys, *(ERROR_COUNTS if row(spec.component).judges else ()))
            if spec.value is not None and spec.value not in known:
                raise ConfigurationError(
                    f"Profile '{profile.name}': component '{key}' has no value '{spec.value}'."
                    f"{did_you_mean(spec.value, known)}",
                    param="profiles",
                )
            bound[key] = BoundComponent(
                name=spec.component,
                fingerprint=fingerprint.digest(document)[:40],
                document=document,
                runner=runner,
                uses_prior=component.uses_prior,
                determinism=component.determinism,
            )
        document = profile_document(profile, bound, normaliser)
        return ServedProfile(
            profile, bound, document, fingerprint.of_profile(document), signature(profile, bound, document)
        )

    def _component(self, name: str, settings: Mapping[str, object]) -> tuple[Any, Runner]:
        """One instance and one runner for equal settings, whatever number of profiles and keys use it."""
        identity = _runner_id(name, settings)
        if identity not in self._runners:
            wiring = {"observe": self.telemetry.judge_observer()} if row(name).asynchronous else {}
            component = build(name, settings, **wiring)
            self._runners[identity] = component, self._placement.runner(name, settings, component)
        return self._runners[identity]

    def served(self, name: str | None) -> ServedProfile:
        """The profile of that name, or the default. Raises `UnknownProfile`."""
        found = self.profiles.get(name or self.default)
        if found is None:
            if name in shipped():
                raise UnknownProfile(
                    f"Profile '{name}' exists but is not enabled; add it to REWARD_PROFILES. "
                    f"Enabled: {', '.join(self.profiles)}.",
                    code="profile_not_enabled",
                    param="profile",
                )
            known = did_you_mean(str(name)[:64], self.profiles)
            raise UnknownProfile(f"There is no profile {shown(name)}.{known}", param="profile")
        return found

    @staticmethod
    def check_pin(served: ServedProfile, pin: str | Mapping[str, object] | None) -> None:
        """Raises `PinMismatch`, naming the fields that differ, unless `pin` is what is served."""
        if pin is None:
            return
        if isinstance(pin, str):
            if fingerprint.same(pin, served.fingerprint):
                return
            fields = fingerprint.changed_parts(pin, served.fingerprint)
        else:
            fields = list(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(served.document))))
            if not fields:
                return
            fields = list(dict.fromkeys(shown(f).strip("'") for f in fields))  # the pin is the caller's
        # Without its part after the dot a fingerprint cannot be told apart by fields.
        unknown = "unknown; compare the documents of /v1/fingerprint" if pin else "the pin is empty; send one, or none"
        differs = ", ".join(fields) or unknown
        raise PinMismatch(
            f"The service serves profile '{served.profile.name}' with another fingerprint than the pinned one. "
            f"Differs: {differs}. "
            "Go back to the version that was pinned, or start a new run with the new fingerprint.",
            param="fingerprint",
            details={
                "pinned": pin if isinstance(pin, str) and _PIN.fullmatch(pin) else None,
                "served": served.fingerprint,
                "fields": fields,
            },
        )

    # -- scoring ---------------------------------------------------------------------------------

    async def score(
        self,
        served: ServedProfile,
        items: Sequence[Item],
        *,
        deadline: float,
        hold: bool = False,
        timings: Timings | None = None,
    ) -> list[Scored]:
        """One `Scored` per item, in order.

        With `hold`, waits for room and repeats what may still succeed until the deadline, because the
        caller's client would end its run on a 429 or 503. Raises `Overloaded`, `ComponentsUnavailable`.
        """
        await self._admit(len(items), deadline, hold)
        self.telemetry.inflight.inc(len(items))
        if timings is not None:
            timings.queue_ms = timings.total_ms
        try:
            scorer = self._scorers[served.profile.name]
            scored = await scorer.score(items, deadline, timings)
            if hold:
                scored = await self._retry(scorer, items, scored, deadline)
            scorer.count(scored)
        finally:
            self.telemetry.inflight.dec(len(items))
            self.admission.leave(len(items))
        self._require(scored, items)
        return scored

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

    async def _admit(self, count: int, deadline: float, hold: bool) -> None:
        ready = self.ready.is_set()
        if ready and not hold and not self.admission.fits(count):
            raise self._overloaded(f"{self.admission.admitted} pairs are being scored and {count} more are too many")
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self.ready.wait()
                await self.admission.enter(count)
        except TimeoutError:
            raise Overloaded(
                self.problem or "No room before the deadline: the service is starting or overloaded."
            ) from None

    async def _retry(
        self, scorer: Scorer, items: Sequence[Item], scored: list[Scored], deadline: float
    ) -> list[Scored]:
        pause = _RETRY_FIRST_S
        while again := [i for i, s in enumerate(scored) if _may_heal(s)]:
            if time.monotonic() + pause >= deadline or self.closing:
                break
            await asyncio.sleep(pause)
            pause = min(_RETRY_MOST_S, 2 * pause)
            for i, fresh in zip(again, await scorer.score([items[i] for i in again], deadline), strict=True):
                scored[i] = fresh
        return scored

    def _require(self, scored: Sequence[Scored], items: Sequence[Item]) -> None:
        failed = {i: s.composite.failed for i, s in enumerate(scored) if s.composite.failed}
        if failed:
            names = [items[i].id or items[i].where or f"items[{i}]" for i in failed]
            shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
            keys = sorted({key for keys in failed.values() for key in keys})
            raise ComponentsUnavailable(
                f"No score from {', '.join(keys)}, which this profile cannot do without, for {shown}. Retry later.",
                details={"components": keys, "items": names},
            )

    # -- state -----------------------------------------------------------------------------------

    def readiness(self) -> dict[str, Any]:
        """``{"ready", "degraded", "components"}``: red for start-up, local workers and required components."""
        down, red = {}, not self.ready.is_set() or self.closing
        for identity, (component, runner) in self._runners.items():
            health = runner.health()
            name = identity.split(":", 1)[0]
            self.telemetry.worker_ready.labels(name).set(bool(health.get("ready")))
            if not health.get("ready"):
                down[name] = str(health.get("detail", "not ready"))
                local = component.determinism != "first_verdict"
                red = red or local or identity in self._required
        out: dict[str, Any] = {"ready": not red, "degraded": down}
        if self.problem:
            out["problem"] = self.problem
        return out

    def health(self) -> dict[str, Mapping[str, object]]:
        """What every component's runner says of itself, by ``name:settings hash``; and its `cost`."""
        return {
            identity: {**runner.health(), "cost": getattr(component, "cost", "remote")}
            for identity, (component, runner) in self._runners.items()
        }

    def info(self) -> dict[str, Any]:
        """What this process serves and in what state; no secrets."""
        if not self._shipped:  # builds components, so once
            self._shipped = {n: "enabled" if n in self.profiles else self._why_not(n) for n in shipped()}
        return {
            "service": "reward-service",
            "version": __version__,
            "default_profile": self.default,
            "profiles": {name: describe(served) for name, served in self.profiles.items()},
            "shipped_profiles": self._shipped,
            "limits": {name: getattr(self.settings, name) for name in _LIMITS},
            "readiness": self.readiness(),
            "components": {identity: dict(health) for identity, health in self.health().items()},
            "cache": self.cache.stats(),
            "flights": self.flights.stats(),
        }

    def _why_not(self, name: str) -> str:
        try:
            self.check(self.settings.model_copy(update={"profiles": (name,)}))
        except ConfigurationError as error:
            return f"unavailable: {error.message}"
        return "not enabled"


def _exists(profile: Profile, component: str) -> None:
    """A component that this version does not have is a better reason than another one's missing weights."""
    try:
        row(component)
    except ConfigurationError as error:
        raise _unavailable(profile, error) from None


def _unavailable(profile: Profile, error: Exception) -> ConfigurationError:
    """Why a profile cannot be served; what raised has seen no report, so its words may be shown."""
    reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
    code = getattr(error, "code", None)
    return ConfigurationError(
        f"Profile '{profile.name}' is unavailable: {reason}",
        code=code if isinstance(code, str) else "configuration",
        param="profiles",
    )


def _runner_id(name: str, settings: Mapping[str, object]) -> str:
    return f"{name}:{fingerprint.digest(dict(settings))[:12]}"


def _may_heal(scored: Scored) -> bool:
    made = scored.composite
    return bool(made.blocking) and all(made.missing[key].retryable for key in made.blocking)
