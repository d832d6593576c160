"""`reward-service check`: load everything, score the canary pairs, say what is wrong and how to mend it.

The canaries are 50 pairs whose raw component values are committed per component, version and settings.
Numbers that move without a new version are an error here and in the tests: a cached or pinned score would
otherwise change its meaning unnoticed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib import resources
from typing import Any

import orjson

from reward_service.components.registry import build, row
from reward_service.contracts import ComponentError, Pair
from reward_service.errors import ConfigurationError, ServiceError
from reward_service.evaluation.golden import Golden, compare_golden, read_golden
from reward_service.profiles import fingerprint
from reward_service.profiles.loading import profiles_of
from reward_service.scoring.engine import Engine
from reward_service.scoring.served_profile import BoundComponent, ServedSchedule
from reward_service.settings import Settings

TOLERANCE = 1e-5
"""Float32 encoders differ by about 1e-6 between processors; exact components by nothing."""
_FOLDER = resources.files("reward_service.components") / "canaries"


def pairs() -> list[Pair]:
    """The canary pairs: written for this purpose, every kind of error and style."""
    lines = (_FOLDER / "pairs.jsonl").read_bytes().splitlines()
    return [Pair(**orjson.loads(line)) for line in lines]


def expected() -> dict[str, Any]:
    """``{"<component>.v<version>:<settings>": [[value, ...] per pair]}``."""
    found: dict[str, Any] = orjson.loads((_FOLDER / "expected.json").read_bytes())
    return found


def key_of(name: str, version: object, settings: object) -> str:
    """Under which key a component's expected values are stored."""
    return f"{name}.v{version}:{fingerprint.digest(settings)[:8]}"


async def values(component: BoundComponent) -> list[list[float]]:
    """Raw values of all canaries. Raises `ComponentError` for the first that has none."""
    deadline = time.monotonic() + 300
    wanted = [pair if component.uses_prior else pair._replace(prior=None) for pair in pairs()]
    return [list((await future).values.values()) for future in component.runner.submit(wanted, deadline)]


def differences(got: list[list[float]], want: list[list[float]]) -> list[int]:
    """Indices of the canaries whose values moved."""
    return [
        i
        for i, (a, b) in enumerate(zip(got, want, strict=True))
        if len(a) != len(b) or any(abs(x - y) > TOLERANCE for x, y in zip(a, b, strict=True))
    ]


async def check(profile: str | None, golden: str | None = None) -> int:
    """Print one line per component; exit status 0 when every one loads and nothing differs, else 3.

    `golden`: a file of annotations and labels that the models must reproduce; see `evaluation.golden`.
    """
    settings = Settings(profiles=tuple(part.strip() for part in profile.split(","))) if profile else Settings()
    expected_readings = read_golden(golden) if golden else []
    wrong = 0
    for name in settings.profiles:
        try:
            wrong += await _check_one(name, settings, expected_readings)
        except ServiceError as error:
            wrong += 1
            sys.stdout.write(f"{name:14} {error.message}\n")
    return 3 if wrong else 0


async def _check_one(name: str, settings: Settings, golden: Sequence[Golden]) -> int:
    """The number of things that are wrong with one profile or schedule. Raises `ServiceError`."""
    built, missing = _built(name, settings)
    for key, problem in missing.items():
        sys.stdout.write(f"{name:14} {key:16} missing: {problem}\n")
    if missing:
        return len(missing)
    wrong = 0
    async with Engine(settings.model_copy(update={"profiles": (name,), "shadow": ()})) as engine:
        served = next(iter(engine.profiles.values()))
        for stage in served.stages if isinstance(served, ServedSchedule) else (served,):
            for key, bound in stage.components.items():
                state = await _state_of(bound, stage.profile.components[key].settings)
                wrong += not state.startswith("ok")
                sys.stdout.write(f"{stage.name:14} {key:16} {state}\n")
            sys.stdout.write(f"{stage.name:14} {stage.fingerprint}\n")
        if isinstance(served, ServedSchedule):
            sys.stdout.write(f"{served.name:14} {served.fingerprint}\n")
    for key, (component, metric) in built.items() if golden else ():
        lines = compare_golden(component, metric, golden)
        wrong += any(line.startswith("WRONG") for line in lines)
        sys.stdout.writelines(f"{name:14} {key:16} {line}\n" for line in lines)
    return wrong


def _built(name: str, settings: Settings) -> tuple[dict[str, tuple[str, Any]], dict[str, str]]:
    """Every component of a profile by key, with its registry name; and why those that cannot be built cannot."""
    built: dict[str, tuple[str, Any]] = {}
    missing: dict[str, str] = {}
    for profile in profiles_of(name):
        for key, spec in profile.components.items():
            try:
                component = build(spec.component, settings.for_component(spec.component, spec.settings))
                built[key] = spec.component, component
            except ConfigurationError as error:
                missing[key] = error.message
    return built, missing


async def _state_of(component: BoundComponent, settings: dict[str, Any]) -> str:
    if row(component.name).asynchronous:
        health = component.runner.health()
        return ("ok: " if health.get("ready") else "down: ") + str(health.get("detail", ""))
    began = time.perf_counter()
    try:
        got = await values(component)
    except ComponentError as error:
        return f"failed: {error.message} ({error.code})"
    took = time.perf_counter() - began
    want = expected().get(key_of(component.name, component.document["version"], settings))
    if want is None:
        return f"ok: scored {len(got)} canaries in {took:.2f} s (no committed values for these settings)"
    moved = differences(got, want)
    if moved:
        return f"WRONG: canaries {moved} moved; the libraries, the weights or the code have changed"
    return f"ok: {len(got)} canaries unchanged in {took:.2f} s"


async def write() -> None:
    """Renew `expected.json` from the shipped profiles that run without a GPU or a server."""
    found: dict[str, Any] = {}
    async with Engine(Settings(profiles=("text", "embedded"))) as engine:
        for served in (profile.at(None) for profile in engine.profiles.values()):
            for key, component in served.components.items():
                settings = served.profile.components[key].settings
                at = key_of(component.name, component.document["version"], settings)
                found[at] = [[round(v, 9) for v in vs] for vs in await values(component)]
    lines = [f"{orjson.dumps(k).decode()}:{orjson.dumps(v).decode()}" for k, v in sorted(found.items())]
    with open(str(_FOLDER / "expected.json"), "w", encoding="utf-8") as out:  # noqa: ASYNC230
        out.write("{" + ",\n".join(lines) + "}\n")
