"""Fingerprints: hashes of documents that say what made a number.

A *component fingerprint* covers what determines a raw value and keys the cache. A *profile fingerprint*
covers everything that determines a reward and is what a trainer pins. Both are sha256 over canonical
JSON, so key order never matters and every hash can be recomputed from the document that is served.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

SCHEMA = 1

PARTS = ("components", "weights", "transforms", "policy", "guards", "sections", "normaliser", "bounds")
"""Sections of a profile document. A fingerprint ends in one short digest of each, so that a server that
knows nothing but a pinned fingerprint can still name the parts that changed."""

SCHEDULE_PARTS = (*PARTS, "until_steps")
"""The same of a schedule: each part over all stages, and the steps at which they end."""


def canonical(document: object) -> bytes:
    """Canonical JSON: sorted keys, no whitespace, UTF-8, no NaN. Tuples become lists."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(document: object) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(document)).hexdigest()


def component_document(name: str, component: object, normaliser: Mapping[str, object]) -> dict[str, object]:
    """What determines a component's raw values: class, version, its manifest, the normaliser before it."""
    cls = type(component)
    return {
        "component": name,
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "version": getattr(component, "version"),  # noqa: B009
        "manifest": json.loads(canonical(getattr(component, "manifest")())),  # noqa: B009
        "normaliser": dict(normaliser),
    }


def of_profile(document: Mapping[str, object]) -> str:
    """``sha256:<64 hex>.<4 hex for each of PARTS>``."""
    parts = "".join(digest(document.get(part))[:4] for part in PARTS)
    return f"sha256:{digest(document)}.{parts}"


def of_schedule(document: Mapping[str, object]) -> str:
    """``sha256:<64 hex>.<4 hex for each of SCHEDULE_PARTS>``."""
    stages = document["stages"]
    assert isinstance(stages, Mapping)
    parts = [digest([stage.get(part) for stage in stages.values()])[:4] for part in PARTS]
    return f"sha256:{digest(document)}.{''.join(parts)}{digest(document['until_steps'])[:4]}"


def same(pin: str, fingerprint: str) -> bool:
    """Whether `pin` names `fingerprint`; a pin may leave out the part after the dot."""
    return pin.split(".")[0] == fingerprint.split(".")[0]


def changed_parts(pin: str, fingerprint: str) -> list[str]:
    """Names of the parts whose short digests differ; empty when the pin carries none, or those of another kind."""
    ours, theirs = fingerprint.partition(".")[2], pin.partition(".")[2]
    if len(ours) != len(theirs):
        return []
    parts = SCHEDULE_PARTS if len(ours) == 4 * len(SCHEDULE_PARTS) else PARTS
    return [part for i, part in enumerate(parts) if ours[4 * i : 4 * i + 4] != theirs[4 * i : 4 * i + 4]]


def changed_fields(pinned: object, current: object, path: str = "") -> Iterator[str]:
    """Dotted paths of the leaves that differ between two documents."""
    if isinstance(pinned, Mapping) and isinstance(current, Mapping):
        for key in sorted(set(pinned) | set(current), key=str):
            yield from changed_fields(pinned.get(key), current.get(key), f"{path}.{key}" if path else str(key))
    elif pinned != current:
        yield path
