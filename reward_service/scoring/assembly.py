"""Builds what the enabled profiles need: every distinct component once, with its runner, and the served profiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import structlog

from judges.base import Judgement
from reward_service.caching.codec import Shape
from reward_service.components.registry import build, row
from reward_service.contracts import Pair, Runner
from reward_service.errors import ConfigurationError, did_you_mean
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles import accepted, fingerprint, source_code
from reward_service.profiles.loading import load, profiles_of
from reward_service.profiles.profile import JUDGEMENT_VALUES, ComponentSpec, Profile
from reward_service.profiles.schedule import Schedule
from reward_service.scoring import canaries
from reward_service.scoring.served_profile import BoundComponent, Served, ServedProfile, ServedSchedule
from reward_service.settings import Settings
from reward_service.text import normaliser
from reward_service.workers.placement import Placement, Remote
from reward_service.workers.remote_client import SocketWorker

log = structlog.get_logger("reward_service.assembly")


class ShadowProfile(NamedTuple):
    """A profile that is scored beside the one that pays."""

    paying: str
    served: Served
    own_runners: set[str]
    """Keys of the runners that it needs and no profile which pays does."""


@dataclass(slots=True)
class Assembly:
    """The enabled profiles, and their components with runners by ``name:settings hash``."""

    profiles: dict[str, Served] = field(default_factory=dict)
    runners: dict[str, tuple[Any, Runner]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    """Keys of `runners` that a profile cannot do without: their policy is `fail`."""
    shapes: dict[str, Shape] = field(default_factory=dict)
    """By component fingerprint: what every score of that component has."""
    shadows: list[ShadowProfile] = field(default_factory=list)

    @property
    def only_shadows(self) -> set[str]:
        """Keys of `runners` that no profile which pays needs."""
        return {key for shadow in self.shadows for key in shadow.own_runners}


def assemble(
    settings: Settings, telemetry: Telemetry, sockets: str | None = None, remote: Remote = SocketWorker
) -> Assembly:
    """Everything that `settings` enable; no weights are loaded yet. `sockets` and `remote`: see `Placement`.

    Raises `ConfigurationError` that names the profile and what it lacks.
    """
    assembly, placement = Assembly(), Placement(settings, telemetry, sockets, remote)
    older = accepted.read(settings.accepted_fingerprints)
    for name in settings.profiles:
        served = _served(assembly, name, settings, placement)
        if served.name in assembly.profiles:
            raise ConfigurationError(
                f"Two enabled profiles are called '{served.name}'; rename one ({name}).", param="profiles"
            )
        assembly.profiles[served.name] = replace(served, accepted=older.get(served.name, ()))
    if unknown := sorted(older.keys() - assembly.profiles.keys()):
        log.warning("accepted_fingerprints_of_no_enabled_profile", profiles=unknown)
    needed, required = set(assembly.runners), set(assembly.required)
    for paying, name in settings.shadows:
        beside = paying or next(iter(assembly.profiles))
        if beside not in assembly.profiles:
            raise ConfigurationError(
                f"REWARD_SHADOW: no enabled profile is called '{beside}'.{did_you_mean(beside, assembly.profiles)}",
                param="shadow",
            )
        served = _served(assembly, name, settings, placement)
        if any((beside, served.name) == (shadow.paying, shadow.served.name) for shadow in assembly.shadows):
            raise ConfigurationError(f"REWARD_SHADOW: '{name}' stands twice beside '{beside}'.", param="shadow")
        stages = served.stages if isinstance(served, ServedSchedule) else (served,)
        uses = {bound.runner_key for stage in stages for bound in stage.components.values()}
        assembly.shadows.append(ShadowProfile(beside, served, uses - needed))
    assembly.required = required
    _warn_of_no_replacement(settings)
    return assembly


def _warn_of_no_replacement(settings: Settings) -> None:
    """A misspelt model would leave the hub's in place."""
    replaced, _ = settings.replaced_bertscore
    profiles = [profile for name in settings.loaded_profiles for profile in profiles_of(name)]
    models = {spec.settings.get("model") for one in profiles for spec in one.components.values()}
    if replaced and replaced not in models:
        log.warning("bertscore_model_replaces_nothing", named=replaced)


def _served(assembly: Assembly, name: str, settings: Settings, placement: Placement) -> Served:
    found = load(name)
    if isinstance(found, Schedule):
        stages = [_serve(assembly, profile, settings, placement) for profile in found.profiles]
        return ServedSchedule.of(found, stages)
    return _serve(assembly, found, settings, placement)


def _serve(assembly: Assembly, profile: Profile, settings: Settings, placement: Placement) -> ServedProfile:
    for spec in profile.components.values():
        _require_known(profile, spec.component)
    bound = {key: _bind(assembly, profile, key, settings, placement) for key in profile.components}
    return ServedProfile.of(profile, bound, canaries.of(profile, bound).document)


def check(settings: Settings) -> None:
    """Raise `ConfigurationError` or `UnknownProfile` for settings that no start can cure; loads no weights."""
    for name in settings.loaded_profiles:
        specs = [item for profile in profiles_of(name) for item in profile.components.items()]
        for key, spec in specs:
            try:
                component = build(spec.component, settings.for_component(spec.component, spec.settings))
                _require_lasting_cache(settings, key, component)
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
    _require_lasting_cache(settings, key, component)
    if spec.when_missing == "fail" and spec.weight:
        assembly.required.add(runner_key)
    digest = fingerprint.component_fingerprint(document)
    assembly.shapes[digest] = Shape(frozenset(component.keys), row(spec.component).judges)
    _require_value(profile, key, spec, component)
    return BoundComponent(
        name=spec.component,
        fingerprint=digest,
        document=document,
        runner=runner,
        runner_key=runner_key,
        uses_prior=component.uses_prior,
        determinism=component.determinism,
        code=source_code.of_component(component),
        read=_reader(component),
        canary_key=canaries.key_of(spec.component, component.version, spec.settings) if _as_written(own, spec) else "",
    )


def _as_written(own: Mapping[str, object], spec: ComponentSpec) -> bool:
    """Whether the deployment leaves alone what the profile's file says of a component's arithmetic."""
    return own.get("precision", "float32") == "float32" and all(own[key] == spec.settings[key] for key in spec.settings)


def _reader(component: Any) -> Callable[[Pair, Judgement], Judgement] | None:
    read = getattr(component, "read", None)
    return None if read is None else lambda pair, stored: read(*pair, stored)


def _require_lasting_cache(settings: Settings, key: str, component: Any) -> None:
    """Raise `ConfigurationError` where two processes could give out different first verdicts, or none could be kept."""
    if component.determinism != "first_verdict" or not settings.cache_url.get_secret_value().startswith("memory:"):
        return
    reason = "" if settings.cache_memory_bytes else "REWARD_CACHE_MEMORY_BYTES=0 keeps none"
    if settings.workers > 1:
        reason = f"each of {settings.workers} processes or more would have its own"
    if reason:
        raise ConfigurationError(
            f"Component '{key}' gives verdicts of which the first must stay, and with memory:// {reason}. "
            "Set REWARD_CACHE_URL to a Redis that all processes share, or run one process.",
            param="cache_url",
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
