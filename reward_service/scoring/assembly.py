"""Builds what the enabled profiles need: every distinct component once, with its runner, and the served profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from reward_service.components.registry import build, row
from reward_service.contracts import Runner
from reward_service.errors import ConfigurationError, did_you_mean
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles import fingerprint
from reward_service.profiles.loading import load, profiles_of
from reward_service.profiles.profile import JUDGEMENT_VALUES, ComponentSpec, Profile
from reward_service.profiles.schedule import Schedule
from reward_service.scoring.served_profile import BoundComponent, Served, ServedProfile, ServedSchedule
from reward_service.settings import Settings
from reward_service.text import normaliser
from reward_service.workers.placement import Placement

log = structlog.get_logger("reward_service.assembly")


@dataclass(slots=True)
class Assembly:
    """The enabled profiles, and their components with runners by ``name:settings hash``."""

    profiles: dict[str, Served] = field(default_factory=dict)
    runners: dict[str, tuple[Any, Runner]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    """Keys of `runners` that a profile cannot do without: their policy is `fail`."""
    shadows: list[tuple[str, Served]] = field(default_factory=list)
    """(name of the profile that pays, what is scored beside it)."""
    only_shadows: set[str] = field(default_factory=set)
    """Keys of `runners` that no profile which pays needs."""


def assemble(settings: Settings, telemetry: Telemetry, sockets: str | None = None) -> Assembly:
    """Everything that `settings` enable; no weights are loaded yet.

    `sockets`: the directory in which model worker processes listen; without it models run in this process.
    Raises `ConfigurationError` that names the profile and what it lacks.
    """
    assembly, placement = Assembly(), Placement(settings, telemetry, sockets)
    for name in settings.profiles:
        served = _served(assembly, name, settings, placement)
        if served.name in assembly.profiles:
            raise ConfigurationError(
                f"Two enabled profiles are called '{served.name}'; rename one ({name}).", param="profiles"
            )
        assembly.profiles[served.name] = served
    needed, required = set(assembly.runners), set(assembly.required)
    for paying, name in settings.shadows:
        beside = paying or next(iter(assembly.profiles))
        if beside not in assembly.profiles:
            raise ConfigurationError(
                f"REWARD_SHADOW: no enabled profile is called '{beside}'.{did_you_mean(beside, assembly.profiles)}",
                param="shadow",
            )
        assembly.shadows.append((beside, _served(assembly, name, settings, placement)))
    assembly.only_shadows, assembly.required = set(assembly.runners) - needed, required
    return assembly


def _served(assembly: Assembly, name: str, settings: Settings, placement: Placement) -> Served:
    found = load(name)
    if isinstance(found, Schedule):
        stages = [_serve(assembly, profile, settings, placement) for profile in found.profiles]
        return ServedSchedule.of(found, stages)
    return _serve(assembly, found, settings, placement)


def _serve(assembly: Assembly, profile: Profile, settings: Settings, placement: Placement) -> ServedProfile:
    for spec in profile.components.values():
        _require_known(profile, spec.component)
    return ServedProfile.of(
        profile, {key: _bind(assembly, profile, key, settings, placement) for key in profile.components}
    )


def check(settings: Settings) -> None:
    """Raise `ConfigurationError` or `UnknownProfile` for settings that no start can cure; loads no weights."""
    for name in settings.loaded_profiles:
        specs = [item for profile in profiles_of(name) for item in profile.components.items()]
        for key, spec in specs:
            try:
                build(spec.component, settings.for_component(spec.component, spec.settings))
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"Profile '{name}', component '{key}': {error.message}", code=error.code, param="profiles"
                ) from error


def _bind(assembly: Assembly, profile: Profile, key: str, settings: Settings, placement: Placement) -> BoundComponent:
    """The component that `profile` names `key`: one instance and one runner for equal settings in all profiles."""
    spec = profile.components[key]
    own = settings.for_component(spec.component, spec.settings)
    if own.get("model") != spec.settings.get("model", own.get("model")):
        log.info("model_replaced", component=key, profile=profile.name)
    runner_key = f"{spec.component}:{fingerprint.digest(dict(own))[:12]}"
    try:
        if runner_key not in assembly.runners:
            assembly.runners[runner_key] = _build(spec.component, own, placement)
        component, runner = assembly.runners[runner_key]
        document = fingerprint.component_document(spec.component, component, normaliser.manifest(profile.normaliser))
    except Exception as error:
        raise _unavailable(profile, error) from error
    if spec.when_missing == "fail" and spec.weight:
        assembly.required.add(runner_key)
    _require_value(profile, key, spec, component)
    return BoundComponent(
        name=spec.component,
        fingerprint=fingerprint.digest(document)[:40],
        document=document,
        runner=runner,
        uses_prior=component.uses_prior,
        determinism=component.determinism,
    )


def _build(name: str, own: Mapping[str, object], placement: Placement) -> tuple[Any, Runner]:
    wiring = {"observe": placement.telemetry.judge_observer()} if row(name).asynchronous else {}
    component = build(name, own, **wiring)
    return component, placement.runner(name, own, component)


def _require_value(profile: Profile, key: str, spec: ComponentSpec, component: Any) -> None:
    known = (*component.keys, *(JUDGEMENT_VALUES if row(spec.component).judges else ()))
    if spec.value is not None and spec.value not in known:
        raise ConfigurationError(
            f"Profile '{profile.name}': component '{key}' has no value '{spec.value}'."
            f"{did_you_mean(spec.value, known)}",
            param="profiles",
        )


def _require_known(profile: Profile, component: str) -> None:
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
