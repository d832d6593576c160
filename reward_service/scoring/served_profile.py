"""What is served: profiles and schedules of profiles, with their components' runners and their fingerprints."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from judges.base import Judgement
from reward_service import __version__
from reward_service.contracts import Pair, Runner
from reward_service.errors import InvalidRequest, PinMismatch, quoted
from reward_service.profiles import fingerprint, source_code
from reward_service.profiles.accepted import PIN, Accepted
from reward_service.profiles.profile import Profile
from reward_service.profiles.schedule import Schedule
from reward_service.scoring import composite
from reward_service.scoring.request import Pin
from reward_service.text import guards, normaliser, sections

_REWARD = (
    "reward_service.scoring.composite",
    "reward_service.scoring.profile_scorer",
    "reward_service.scoring.references",
    "reward_service.text.guards",
    "reward_service.text.normaliser",
    "reward_service.text.sections",
    "reward_service.workers.pair_computer",
)
_DECIDING = (
    *source_code.LIBRARIES,
    "reward_service.text",
    "reward_service.profiles.profile",
    "reward_service.scoring.composite",
    "reward_service.scoring.profile_scorer",
    "reward_service.scoring.references",
    "reward_service.workers.pair_computer",
)
"""What makes a reward from a report and raw values; the rest of the service only carries these about."""


class BoundComponent(NamedTuple):
    """A component as this process runs it; shared by every profile with the same fingerprint."""

    name: str
    fingerprint: str
    document: Mapping[str, object]
    runner: Runner
    uses_prior: bool
    determinism: str
    code: Mapping[str, str] = {}
    """The sources that decide its values; where the first verdict stays, those that read a verdict."""
    read: Callable[[Pair, Judgement], Judgement] | None = None
    """Computes a stored judgement anew from its verdict; raises what says why it cannot."""
    runner_key: str = ""
    """Equal for components that share a runner."""
    canary_key: str = ""
    """Where its raw values of the canary pairs are committed; empty for settings that no profile file has."""

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
    accepted: tuple[Accepted, ...] = ()
    """Older fingerprints that the operator lets stand for this one."""

    @property
    def name(self) -> str:
        return self.profile.name

    @property
    def bounds(self) -> tuple[float, float]:
        return self.profile.bounds

    @classmethod
    def of(
        cls, profile: Profile, components: Mapping[str, BoundComponent], canaries: Mapping[str, object] | None = None
    ) -> ServedProfile:
        """`profile` with its components, its document and what is made of it; `canaries`: that part of the document."""
        document = {**profile_document(profile, components), "canaries": dict(canaries or {})}
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

    def check_pin(self, pin: Pin, step: int | None = None) -> Accepted | None:
        """The accepted older fingerprint that `pin` names; None if it is None or what is served.

        Raises `PinMismatch`, naming the fields that differ, for any other.
        """
        return _check_pin(pin, f"profile '{self.name}'", self)

    def describe(self) -> dict[str, Any]:
        """Its entry in `/info`."""
        return {
            "description": self.profile.description,
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "accepted": _described(self),
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
    accepted: tuple[Accepted, ...] = ()
    """Older fingerprints that the operator lets stand for this one."""

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
            "code": source_code.of([Schedule.__module__], ()),
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

    def check_pin(self, pin: Pin, step: int | None = None) -> Accepted | None:
        """The accepted older fingerprint that `pin` names; None for no pin, this, or the stage that pays at `step`.

        Raises `PinMismatch` for any other.
        """
        if pin is not None:
            pin = _as_compared(pin)
            named = [i for i, stage in enumerate(self.stages) if _names(pin, stage)]
            paying = None if step is None else self.schedule.stage_at(step)
            if named and (paying is None or paying in named):
                return None
            if named:
                raise PinMismatch(
                    f"The pin names stage {named[0] + 1} of schedule '{self.name}', but at step {step} stage "
                    f"{self.schedule.stage_at(step or 0) + 1} pays. Pin the schedule's fingerprint to go through all.",
                    param="fingerprint",
                    details={
                        "pinned": self.stages[named[0]].fingerprint,
                        "served": self.fingerprint,
                        "fields": ["step"],
                    },
                )
        return _check_pin(pin, f"schedule '{self.name}'", self)

    def describe(self) -> dict[str, Any]:
        """Its entry in `/info`."""
        return {
            "description": self.schedule.description,
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "accepted": _described(self),
            "bounds": list(self.bounds),
            "stages": [
                {"until_step": until, "profile": stage.name, **stage.describe()}
                for until, stage in zip(self.schedule.until_steps, self.stages, strict=True)
            ],
        }


Served = ServedProfile | ServedSchedule
"""What a request may name as its profile."""


def _described(served: Served) -> list[dict[str, Any]]:
    """The accepted older fingerprints in `/info`."""
    return [
        {
            "fingerprint": one.fingerprint,
            "differs": fingerprint.changed_parts(one.fingerprint, served.fingerprint),
            "reads_its_cache": bool(one.stages),
        }
        for one in served.accepted
    ]


def _names(pin: str | Mapping[str, object], served: Served) -> bool:
    """Whether the pin is the fingerprint of `served`, or its document."""
    if isinstance(pin, str):
        return fingerprint.same(pin, served.fingerprint)
    return not any(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(served.document))))


def _as_compared(pin: str | Mapping[str, object]) -> str | Mapping[str, object]:
    """A fingerprint in lower case; of the whole answer of ``/v1/fingerprint``, which a run stores, its document."""
    if isinstance(pin, str):
        return pin.strip().lower()
    document = pin.get("document")
    return document if isinstance(document, Mapping) and "fingerprint" in pin else pin


def _check_pin(pin: Pin, what: str, served: Served) -> Accepted | None:
    """The accepted fingerprint that `pin` names, None if it is None or `served`; else raises `PinMismatch`."""
    if pin is None:
        return None
    pin = _as_compared(pin)
    if _names(pin, served):
        return None
    fields = (
        fingerprint.changed_parts(pin, served.fingerprint)
        if isinstance(pin, str)
        else list(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(served.document))))
    )
    if accepted := next((one for one in served.accepted if one.matches(pin)), None):
        return accepted
    if not isinstance(pin, str):
        fields = list(dict.fromkeys(quoted(f).strip("'") for f in fields))  # the pin is the caller's
    # Without its part after the dot a fingerprint cannot be told apart by fields.
    unknown = "unknown; compare the documents of /v1/fingerprint"
    if not pin:
        unknown = "the pin is empty; send one, or none"
    elif isinstance(pin, str) and not fingerprint.is_whole(pin):
        unknown = "unknown, because the pin is no whole fingerprint (sha256: and 64 digits, as every answer has it)"
        fields = []
    differs = ", ".join(fields) or unknown
    raise PinMismatch(
        f"The service serves {what} with another fingerprint than the pinned one. Differs: {differs}. "
        f"{_meaning(pin, fields)}Go back to the version that was pinned, start a new run with the new fingerprint, or "
        "let the operator accept the pinned one (REWARD_ACCEPTED_FINGERPRINTS).",
        param="fingerprint",
        details={
            "pinned": pin if isinstance(pin, str) and PIN.fullmatch(pin) else None,
            "served": served.fingerprint,
            "fields": fields,
        },
    )


def _meaning(pin: str | Mapping[str, object], fields: Sequence[str]) -> str:
    """What the differences say about rewards, as far as that can be known."""
    if fingerprint.is_first_form(pin):
        return "The pin is of an older form, without the parts code and canaries, so it cannot be what is served. "
    parts = {name.split(".")[0] for name in fields}
    if not parts or "canaries" in parts:
        return ""
    return f"{'Only code moved; all' if parts == {'code'} else 'All'} canary rewards are equal. "


def profile_document(profile: Profile, bound: Mapping[str, BoundComponent]) -> dict[str, object]:
    """Everything that determines a reward; with the canaries, its hash is what a trainer pins."""
    specs = profile.components
    return {
        "schema": fingerprint.SCHEMA,
        "components": {
            key: {**{name: part for name, part in bound[key].document.items() if name != "code"}, "value": spec.value}
            for key, spec in specs.items()
        },
        "weights": {"bias": profile.bias, **{key: spec.weight for key, spec in specs.items()}},
        "transforms": {
            "composer": composite.VERSION,
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
        "code": {
            "components": {key: dict(one.code) for key, one in bound.items() if not one.permanent},
            "verdicts": {key: dict(one.code) for key, one in bound.items() if one.permanent},
            "reward": {
                name: hashed
                for name, hashed in source_code.of(_REWARD, _DECIDING).items()
                if name != "judges.crimson" or any(spec.value == "crimson" for spec in specs.values())
            },
        },
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
