"""`reward-service check`: load everything, score the canary pairs, say what is wrong and how to mend it.

The canaries are 50 pairs whose raw values are committed per component, version and settings, and whose rewards per
profile and all its versions. Numbers that move without a new version are an error here and in the tests: a cached or
pinned score would otherwise change its meaning unnoticed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from reward_service.components.registry import build, row
from reward_service.contracts import ComponentError, Pair
from reward_service.errors import ServiceError
from reward_service.evaluation.canaries import moved, scores
from reward_service.evaluation.golden import Golden, compare_golden, read_golden
from reward_service.profiles.loading import profiles_of
from reward_service.scoring import canaries
from reward_service.scoring.canaries import Canaries
from reward_service.scoring.engine import Engine
from reward_service.scoring.served_profile import BoundComponent, ServedProfile, ServedSchedule
from reward_service.settings import Settings


async def check(profile: str | None, golden: str | None = None) -> int:
    """Print one line per component; exit status 0 when every one loads and nothing differs, else 3.

    `golden`: a file of annotations and labels that the models must reproduce; see `evaluation.golden`.
    """
    settings = Settings(profiles=tuple(part.strip() for part in profile.split(","))) if profile else Settings()
    expected_readings = read_golden(golden) if golden else []
    wrong = compared = 0
    for name in settings.profiles:
        try:
            of_one, lines = await _check_one(name, settings, expected_readings)
            wrong, compared = wrong + of_one, compared + lines
        except ServiceError as error:
            wrong += 1
            sys.stdout.write(f"{name:14} {error.message}\n")
    if golden and not compared and not wrong:
        wrong += 1
        sys.stdout.write(
            f"WRONG: nothing was compared with {golden}: no component of these profiles is what it is about\n"
        )
    return 3 if wrong else 0


async def _check_one(name: str, settings: Settings, golden: Sequence[Golden]) -> tuple[int, int]:
    """The number of things that are wrong with one profile or schedule, and of components compared with `golden`.

    Raises `ServiceError`.
    """
    built, missing = _built(name, settings)
    for (profile, key), problem in missing.items():
        sys.stdout.write(f"{profile:14} {key:16} missing: {problem}\n")
    if missing:
        return len(missing), 0
    wrong = compared = 0
    for (profile, key), (component, metric) in built.items() if golden else ():
        lines = compare_golden(component, metric, golden)
        compared += bool(lines)
        wrong += any(line.startswith("WRONG") for line in lines)
        sys.stdout.writelines(f"{profile:14} {key:16} {line}\n" for line in lines)
    async with Engine(settings.model_copy(update={"profiles": (name,), "shadow": ()})) as engine:
        served = next(iter(engine.profiles.values()))
        for stage in served.stages if isinstance(served, ServedSchedule) else (served,):
            found = canaries.of(stage.profile, stage.components)
            for key, bound in stage.components.items():
                state = await _state_of(bound, found.pairs_of(bound))
                wrong += not state.startswith("ok")
                sys.stdout.write(f"{stage.name:14} {key:16} {state}\n")
            state = _rewards_state(stage, found)
            wrong += not state.startswith("ok")
            sys.stdout.write(f"{stage.name:14} {'rewards':16} {state}\n{stage.name:14} {stage.fingerprint}\n")
        if isinstance(served, ServedSchedule):
            sys.stdout.write(f"{served.name:14} {served.fingerprint}\n")
    return wrong, compared


_Key = tuple[str, str]
"""Names of a profile and of a component key in it."""


def _built(name: str, settings: Settings) -> tuple[dict[_Key, tuple[str, Any]], dict[_Key, str]]:
    """Every component of a profile, with its registry name; and why those that lack something cannot be used."""
    built: dict[_Key, tuple[str, Any]] = {}
    missing: dict[_Key, str] = {}
    for profile in profiles_of(name):
        for key, spec in profile.components.items():
            try:
                component = build(spec.component, settings.for_component(spec.component, spec.settings))
                component.manifest()  # which looks for the weights
                built[profile.name, key] = spec.component, component
            except Exception as error:
                missing[profile.name, key] = getattr(error, "message", f"{type(error).__name__}: {error}")
    return built, missing


async def _state_of(component: BoundComponent, wanted: Mapping[str, Pair]) -> str:
    """`wanted`: the canary pairs as the component receives them, by digest."""
    if row(component.name).asynchronous:
        health = component.runner.health()
        return ("ok: " if health.get("ready") else "down: ") + str(health.get("detail", ""))
    began = time.perf_counter()
    try:
        got = await scores(component, wanted)
    except ComponentError as error:
        return f"failed: {error.message} ({error.code})"
    took = time.perf_counter() - began
    entry = canaries.committed("values.json").get(component.canary_key, {})
    want = entry.get("values", {})
    if entry.get("code") is None or not got.keys() <= want.keys():
        return f"ok: scored {len(got)} canaries in {took:.2f} s (no committed values for these settings)"
    changed = [at[:8] for at in got if moved(component.name, want[at], got[at])]
    if changed:
        return f"WRONG: canaries {', '.join(changed)} moved; the libraries, the weights or the code have changed"
    return f"ok: {len(got)} canaries unchanged in {took:.2f} s"


def _rewards_state(stage: ServedProfile, found: Canaries) -> str:
    """What has become of a profile's canary rewards, over committed raw values."""
    key = canaries.reward_key(stage.profile, stage.document, stage.components)
    want = canaries.committed("rewards.json").get(key)
    if want is None:
        return "ok: no committed canary rewards for this profile"
    if found.rewards != want:
        changed = [i for i, (a, b) in enumerate(zip(found.rewards, want, strict=True)) if a != b]
        return f"WRONG: canary rewards {changed} moved; normaliser, sections, guards or composite have changed"
    return f"ok: {len(want)} canary rewards unchanged, over the committed values of its components"
