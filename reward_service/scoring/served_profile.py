"""A profile as it is served: its components with their runners, the document that its fingerprint hashes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from judges import constants, crimson
from reward_service import __version__
from reward_service.contracts import Runner
from reward_service.errors import PinMismatch, quoted
from reward_service.profiles import fingerprint
from reward_service.profiles.profile import Profile
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


@dataclass(frozen=True, slots=True)
class ServedProfile:
    """A profile with its components built, and the fingerprint that a trainer pins."""

    profile: Profile
    components: Mapping[str, BoundComponent]
    document: Mapping[str, object]
    fingerprint: str
    signature: str

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

    def check_pin(self, pin: Pin) -> None:
        """Raises `PinMismatch`, naming the fields that differ, unless `pin` is None or what is served."""
        if pin is None:
            return
        if isinstance(pin, str):
            if fingerprint.same(pin, self.fingerprint):
                return
            fields = fingerprint.changed_parts(pin, self.fingerprint)
        else:
            fields = list(fingerprint.changed_fields(pin, json.loads(fingerprint.canonical(self.document))))
            if not fields:
                return
            fields = list(dict.fromkeys(quoted(f).strip("'") for f in fields))  # the pin is the caller's
        # Without its part after the dot a fingerprint cannot be told apart by fields.
        unknown = "unknown; compare the documents of /v1/fingerprint" if pin else "the pin is empty; send one, or none"
        differs = ", ".join(fields) or unknown
        raise PinMismatch(
            f"The service serves profile '{self.profile.name}' with another fingerprint than the pinned one. "
            f"Differs: {differs}. "
            "Go back to the version that was pinned, or start a new run with the new fingerprint.",
            param="fingerprint",
            details={
                "pinned": pin if isinstance(pin, str) and _PIN.fullmatch(pin) else None,
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
