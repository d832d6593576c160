"""What is served: profiles and schedules of profiles, with their components' runners and their fingerprints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from judges import constants, crimson
from reward_service import __version__
from reward_service.contracts import Runner
from reward_service.errors import InvalidRequest, PinMismatch, quoted
from reward_service.profiles import fingerprint
from reward_service.profiles.profile import Profile
from reward_service.profiles.schedule import Schedule
from reward_service.scoring import composite
from reward_service.scoring.request import Pin
from reward_service.text import guards, normaliser, sections

_PIN = re.compile(r"sha256:[0-9a-f]{1,64}(?:\.[0-9a-f]{0,64})?")


class BoundComponent(NamedTuple):
    """A component as this process runs it; shared by every profile with the same fingerprint."""

    name: str
    fingerprint: str
    document: Mapping[str, object]
    runner: Runner
    uses_prior: bool
    determinism: str

    @property
    def permanent(self) -> bool:
        """First verdict: the stored value is the value from then on, so it never expires."""
        return self.determinism == "first_verdict"


@dataclass(frozen=True, slots=True, eq=False)
class ServedProfile:
    """A profile with its components built, and the fingerprint that a trainer pins."""

    profile: Profile
    components: Mapping[str, BoundComponent]
    document: Mapping[str, object]
    fingerprint: str
    signature: str
    absent: tuple[str, ...] = ()
    """Component keys that only other stages of its schedule have: null in its answers, so that all have equal keys."""

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def bounds(self) -> tuple[float, float]:
        return self.profile.bounds

    @classmethod
    def of(cls, profile: Profile, components: Mapping[str, BoundComponent]) -> ServedProfile:
        """`profile` with its components, its document and what is made of it."""
        document = profile_document(profile, components)
        return cls(
            profile,
            components,
            document,
            fingerprint.of_profile(document),
            signature(profile, components, document),
        )

    def at(self, step: int | None) -> ServedProfile:
        """What pays at that step: itself."""
        return self

    def check_pin(self, pin: Pin, step: int | None = None) -> None:
        """Raises `PinMismatch`, naming the fields that differ, unless `pin` is None or what is served."""
        _check_pin(pin, f"profile '{self.name}'", self.fingerprint, self.document)

    def describe(self) -> dict[str, Any]:
        """Its entry in `/info`."""
        return {
            "description": self.profile.description,
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "bounds": list(self.profile.bounds),
            "components": {
                key: {
                    "component": bound.name,
                    "weight": self.profile.components[key].weight,
                    "when_missing": self.profile.components[key].when_missing,
                    "fingerprint": bound.fingerprint,
                    "determinism": bound.determinism,
                }
                for key, bound in self.components.items()
            },
        }


@dataclass(frozen=True, slots=True, eq=False)
class ServedSchedule:
    """A schedule with the served profiles of its stages, and a fingerprint over all of them."""

    schedule: Schedule
    stages: tuple[ServedProfile, ...]
    document: Mapping[str, object]
    fingerprint: str
    signature: str

    @classmethod
    def of(cls, schedule: Schedule, stages: Sequence[ServedProfile]) -> ServedSchedule:
        """`schedule` with its served profiles, one for each stage."""
        keys = dict.fromkeys(key for stage in stages for key in stage.components)
        stages = [replace(s, absent=tuple(key for key in keys if key not in s.components)) for s in stages]
        document = {
            "schema": fingerprint.SCHEMA,
            "until_steps": list(schedule.until_steps),
            "stages": {str(i): stage.document for i, stage in enumerate(stages, 1)},
            "bounds": list(stages[0].bounds),
        }
        parts = (
            f"{'last' if until is None else f'until:{until}'}:{stage.name}@{fingerprint.digest(stage.document)[:12]}"
            for until, stage in zip(schedule.until_steps, stages, strict=True)
        )
        own = f"fp:{fingerprint.digest(document)[:12]}"
        line = "|".join([f"schedule:{schedule.name}", *parts, own, f"svc:{__version__}"])
        return cls(schedule, tuple(stages), document, fingerprint.of_schedule(document), line)

    @property
    def name(self) -> str:
        return self.schedule.name

    @property
    def bounds(self) -> tuple[float, float]:
        return self.stages[0].bounds

    def at(self, step: int | None) -> ServedProfile:
        """The stage that pays at that step. Raises `InvalidRequest` without one."""
        if step is None:
            raise InvalidRequest(
                f"Profile '{self.name}' is a schedule: the training step chooses its stage. Send 'step' (for files: "
                f"--step), or enable the profile of one stage: {', '.join(stage.name for stage in self.stages)}.",
                code="step_missing",
                param="step",
            )
        return self.stages[self.schedule.stage_at(step)]

    def check_pin(self, pin: Pin, step: int | None = None) -> None:
        """Raises `PinMismatch` unless `pin` is None, this schedule, or the stage that pays at that step."""
        if isinstance(pin, str):
            named = [i for i, stage in enumerate(self.stages) if fingerprint.same(pin, stage.fingerprint)]
            paying = None if step is None else self.schedule.stage_at(step)
            if named and (paying is None or paying in named):
                return
            if named:
                raise PinMismatch(
                    f"The pin names stage {named[0] + 1} of schedule '{self.name}', but at step {step} stage "
                    f"{self.schedule.stage_at(step or 0) + 1} pays. Pin the schedule's fingerprint to go through all.",
                    param="fingerprint",
                    details={"pinned": pin, "served": self.fingerprint, "fields": ["step"]},
                )
        _check_pin(pin, f"schedule '{self.name}'", self.fingerprint, self.document)

    def describe(self) -> dict[str, Any]:
        """Its entry in `/info`."""
        return {
            "description": self.schedule.description,
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "bounds": list(self.bounds),
            "stages": [
                {"until_step": until, "profile": stage.name, **stage.describe()}
                for until, stage in zip(self.schedule.until_steps, self.stages, strict=True)
            ],
        }


Served = ServedProfile | ServedSchedule
"""What a request may name as its profile."""


def _check_pin(pin: Pin, what: str, served: str, document: Mapping[str, object]) -> None:
    """Raises `PinMismatch`, naming the fields that differ, unless `pin` is None, `served` or `document`."""
    if pin is None:
        return
    if isinstance(pin, str):
        if fingerprint.same(pin, served):
            return
        fields = fingerprint.changed_parts(pin, served)
    else:
        fields = list(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(document))))
        if not fields:
            return
        fields = list(dict.fromkeys(quoted(f).strip("'") for f in fields))  # the pin is the caller's
    # Without its part after the dot a fingerprint cannot be told apart by fields.
    unknown = "unknown; compare the documents of /v1/fingerprint" if pin else "the pin is empty; send one, or none"
    differs = ", ".join(fields) or unknown
    raise PinMismatch(
        f"The service serves {what} with another fingerprint than the pinned one. Differs: {differs}. "
        "Go back to the version that was pinned, or start a new run with the new fingerprint.",
        param="fingerprint",
        details={
            "pinned": pin if isinstance(pin, str) and _PIN.fullmatch(pin) else None,
            "served": served,
            "fields": fields,
        },
    )


def profile_document(profile: Profile, bound: Mapping[str, BoundComponent]) -> dict[str, object]:
    """Everything that determines a reward; its hash is what a trainer pins."""
    specs = profile.components
    return {
        "schema": fingerprint.SCHEMA,
        "components": {key: {**bound[key].document, "value": spec.value} for key, spec in specs.items()},
        "weights": {"bias": profile.bias, **{key: spec.weight for key, spec in specs.items()}},
        "transforms": {
            "composer": composite.VERSION,
            **(
                {"crimson": constants.digest(crimson)}
                if any(spec.value == "crimson" for spec in specs.values())
                else {}
            ),
            "by_component": {key: spec.transform.model_dump() for key, spec in specs.items()},
        },
        "policy": {
            key: {"when_missing": spec.when_missing, "cap": spec.cap and spec.cap.model_dump()}
            for key, spec in specs.items()
        },
        "guards": guards.manifest(profile.guards),
        "sections": {**sections.manifest(), **profile.sections.model_dump()},
        "normaliser": normaliser.manifest(profile.normaliser),
        "bounds": list(profile.bounds),
    }


def signature(profile: Profile, bound: Mapping[str, BoundComponent], document: Mapping[str, object]) -> str:
    """One readable line for papers and logs, in the manner of sacreBLEU's."""
    parts = [
        f"{key}:{b.name}.v{b.document['version']}@{b.fingerprint[:8]}*{profile.components[key].weight:g}"
        for key, b in bound.items()
    ]
    norm = f"norm:{profile.normaliser}.v{normaliser.VERSION}"
    return "|".join(
        [f"profile:{profile.name}", *parts, norm, f"fp:{fingerprint.digest(document)[:12]}", f"svc:{__version__}"]
    )
