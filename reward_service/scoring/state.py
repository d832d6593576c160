"""What an engine says of itself: readiness, the health of its runners, and what it serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reward_service import __version__
from reward_service.errors import ConfigurationError
from reward_service.profiles.loading import shipped
from reward_service.scoring.assembly import check

if TYPE_CHECKING:
    from reward_service.scoring.engine import Engine

_LIMITS = ("max_items", "max_text_chars", "max_body_bytes", "queue_items", "timeout_s", "hold_timeout_s")


class EngineState:
    """Reads an engine; changes nothing but its gauges on `/metrics`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shipped: dict[str, str] = {}

    def readiness(self) -> dict[str, Any]:
        """``{"ready", "degraded"[, "asleep", "problem"]}``: red for start-up, local workers, required components, and
        for models that are asleep where requests are refused meanwhile."""
        engine = self._engine
        down, red = {}, not engine.ready.is_set() or engine.closing
        for key, (component, runner) in engine.assembly.runners.items():
            health = runner.health()
            name = key.split(":", 1)[0]
            engine.telemetry.worker_ready.labels(name).set(bool(health.get("ready")))
            if key in engine.assembly.only_shadows:
                continue
            if not health.get("ready"):
                down[name] = str(health.get("detail", "not ready"))
                local = component.determinism != "first_verdict"
                red = red or local or key in engine.assembly.required
        asleep = engine.asleep
        red = red or (asleep and engine.settings.asleep == "refuse")
        out: dict[str, Any] = {"ready": not red, "degraded": down}
        if asleep:
            out["asleep"] = True
        if engine.problem:
            out["problem"] = engine.problem
        return out

    def health(self) -> dict[str, Mapping[str, object]]:
        """What every component's runner says of itself, by ``name:settings hash``; and its `cost`."""
        return {
            key: {**runner.health(), "cost": getattr(component, "cost", "remote")}
            for key, (component, runner) in self._engine.assembly.runners.items()
        }

    def info(self) -> dict[str, Any]:
        """What this process serves and in what state; no secrets."""
        engine = self._engine
        if not self._shipped:  # builds components, so once
            self._shipped = {n: "enabled" if n in engine.profiles else self._why_not(n) for n in shipped()}
        return {
            "service": "reward-service",
            "version": __version__,
            "default_profile": engine.default,
            "profiles": {name: served.describe() for name, served in engine.profiles.items()},
            "shadows": [shadow.describe() for shadow in engine.shadows],
            "shipped_profiles": self._shipped,
            "runs": {"dropped": engine.runs.dropped, "texts_kept": engine.runs.keep_samples},
            "limits": {name: getattr(engine.settings, name) for name in _LIMITS},
            "readiness": self.readiness(),
            "components": {key: dict(health) for key, health in self.health().items()},
            "cache": engine.cache.stats(),
            "flights": engine.flights.stats(),
        }

    def _why_not(self, name: str) -> str:
        try:
            check(self._engine.settings.model_copy(update={"profiles": (name,)}))
        except ConfigurationError as error:
            return f"unavailable: {error.message}"
        return "not enabled"
