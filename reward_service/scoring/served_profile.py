"""What a served profile is: the document that its fingerprint hashes, its signature line, its entry in `/info`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_service import __version__
from reward_service.profiles import fingerprint
from reward_service.profiles.profile import Profile
from reward_service.scoring import composite
from reward_service.scoring.profile_scorer import BoundComponent, ServedProfile
from reward_service.text import guards, sections
from reward_service.text import normaliser as normalise


def profile_document(
    profile: Profile, bound: Mapping[str, BoundComponent], normaliser: Mapping[str, object]
) -> dict[str, object]:
    """Everything that determines a reward; its hash is what a trainer pins."""
    specs = profile.components
    return {
        "schema": fingerprint.SCHEMA,
        "components": {key: {**bound[key].document, "value": spec.value} for key, spec in specs.items()},
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
        "normaliser": dict(normaliser),
        "bounds": list(profile.bounds),
    }


def signature(profile: Profile, bound: Mapping[str, BoundComponent], document: Mapping[str, object]) -> str:
    """One readable line for papers and logs, in the manner of sacreBLEU's."""
    parts = [
        f"{key}:{b.name}.v{b.document['version']}@{b.fingerprint[:8]}*{profile.components[key].weight:g}"
        for key, b in bound.items()
    ]
    norm = f"norm:{profile.normaliser}.v{normalise.VERSION}"
    return "|".join(
        [f"profile:{profile.name}", *parts, norm, f"fp:{fingerprint.digest(document)[:12]}", f"svc:{__version__}"]
    )


def describe(served: ServedProfile) -> dict[str, Any]:
    return {
        "description": served.profile.description,
        "fingerprint": served.fingerprint,
        "signature": served.signature,
        "bounds": list(served.profile.bounds),
        "components": {
            key: {
                "component": bound.name,
                "weight": served.profile.components[key].weight,
                "when_missing": served.profile.components[key].when_missing,
                "fingerprint": bound.fingerprint,
                "determinism": bound.determinism,
            }
            for key, bound in served.components.items()
        },
    }
