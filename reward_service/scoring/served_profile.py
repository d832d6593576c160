"""A profile as it is served: its components with their runners, the document that its fingerprint hashes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from judges.base import Judgement
from reward_service import __version__
from reward_service.contracts import Pair, Runner
from reward_service.errors import PinMismatch, quoted
from reward_service.profiles import fingerprint, source_code
from reward_service.profiles.accepted import PIN, Accepted
from reward_service.profiles.profile import Profile
from reward_service.scoring import composite
from reward_service.scoring.request import Pin
from reward_service.text import guards, normaliser, sections

_REWARD = (
    "reward_service.scoring.composite",
    "reward_service.scoring.profile_scorer",
    "reward_service.text.guards",
    "reward_service.text.normaliser",
    "reward_service.text.sections",
)
_DECIDING = (*source_code.LIBRARIES, "reward_service.text", "reward_service.profiles.profile", *_REWARD[:2])
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

    @property
    def permanent(self) -> bool:
        """First verdict: the stored value is the value from then on, so it never expires."""
        return self.determinism == "first_verdict"


@dataclass(frozen=True, slots=True)
class ServedProfile:
    """A profile with its components built, and the fingerprint that a trainer pins."""

    profile: Profile
    components: Mapping[str, BoundComponent]
    document: Mapping[str, object]
    fingerprint: str
    signature: str
    accepted: tuple[Accepted, ...] = ()
    """Older fingerprints that the operator lets stand for this one."""
    pinned: Accepted | None = None
    """The one of these that the request pins."""

    @classmethod
    def of(
        cls, profile: Profile, components: Mapping[str, BoundComponent], accepted: tuple[Accepted, ...] = ()
    ) -> ServedProfile:
        """`profile` with its components, its document and what is made of it."""
        document = profile_document(profile, components)
        return cls(
            profile,
            components,
            document,
            fingerprint.of_profile(document),
            signature(profile, components, document),
            accepted,
        )

    @property
    def answers_as(self) -> str:
        """The fingerprint of an answer: what was pinned, if the operator accepts it, else what is served."""
        return self.pinned.fingerprint if self.pinned else self.fingerprint

    def under(self, pin: Pin) -> ServedProfile:
        """What a request with this pin is scored by.

        Raises `PinMismatch`, naming the fields that differ, unless `pin` is None, what is served, or accepted.
        """
        if pin is None:
            return self
        if isinstance(pin, str):
            if fingerprint.same(pin, self.fingerprint):
                return self
            fields = fingerprint.changed_parts(pin, self.fingerprint)
        else:
            fields = list(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(self.document))))
            if not fields:
                return self
            fields = list(dict.fromkeys(quoted(f).strip("'") for f in fields))  # the pin is the caller's
        for accepted in self.accepted:
            if accepted.matches(pin):
                return replace(self, pinned=accepted)
        # Without its part after the dot a fingerprint cannot be told apart by fields.
        unknown = "unknown; compare the documents of /v1/fingerprint" if pin else "the pin is empty; send one, or none"
        differs = ", ".join(fields) or unknown
        raise PinMismatch(
            f"The service serves profile '{self.profile.name}' with another fingerprint than the pinned one. "
            f"Differs: {differs}. {_meaning(pin, fields)}"
            "Go back to the version that was pinned, start a new run with the new fingerprint, or let the "
            "operator accept the pinned one (REWARD_ACCEPTED_FINGERPRINTS).",
            param="fingerprint",
            details={
                "pinned": pin if isinstance(pin, str) and PIN.fullmatch(pin) else None,
                "served": self.fingerprint,
                "fields": fields,
            },
        )

    def describe(self) -> dict[str, Any]:
        """Its entry in `/info`."""
        return {
            "description": self.profile.description,
            "fingerprint": self.fingerprint,
            "signature": self.signature,
            "accepted": [
                {
                    "fingerprint": one.fingerprint,
                    "differs": fingerprint.changed_parts(one.fingerprint, self.fingerprint),
                    "reads_its_cache": bool(one.components),
                }
                for one in self.accepted
            ],
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


def _meaning(pin: str | Mapping[str, object], fields: Sequence[str]) -> str:
    """What the differences say about rewards, as far as that can be known."""
    if fingerprint.is_first_form(pin):
        return "The pin is of an older form, without the parts code and canaries, so it cannot be what is served. "
    parts = {name.split(".")[0] for name in fields}
    if not parts or "canaries" in parts:
        return ""
    return f"{'Only code moved; all' if parts == {'code'} else 'All'} canary rewards are equal. "


def profile_document(profile: Profile, bound: Mapping[str, BoundComponent]) -> dict[str, object]:
    """Everything that determines a reward; its hash is what a trainer pins."""
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
