"""Fingerprints: hashes of documents that say what made a number.

A *component fingerprint* covers what determines a raw value and keys the cache. A *profile fingerprint*
covers everything that determines a reward and is what a trainer pins. Both are sha256 over canonical
JSON, so key order never matters and every hash can be recomputed from the document that is served.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reward_service.profiles import source_code

SCHEMA = 2

_FIRST_PARTS = ("components", "weights", "transforms", "policy", "guards", "sections", "normaliser", "bounds")
PARTS = (*_FIRST_PARTS, "code", "canaries")
"""Sections of a profile document. A fingerprint ends in one short digest of each, so that a server that
knows nothing but a pinned fingerprint can still name the parts that changed. New ones are added at the end."""

SCHEDULE_PARTS = (*PARTS, "until_steps")
"""The same of a schedule: each part over all stages, and the steps at which they end."""


def canonical(document: object) -> bytes:
    """Canonical JSON: sorted keys, no whitespace, UTF-8, no NaN. Tuples become lists."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(document: object) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(document)).hexdigest()


def component_document(name: str, component: object, normaliser: Mapping[str, object]) -> dict[str, object]:
    """What determines a component's raw values: class, version, its manifest, its code, the normaliser before it.

    Code is left out where the first verdict stays: there the manifest tells all that forms a verdict.
    """
    cls = type(component)
    stays = getattr(component, "determinism") == "first_verdict"  # noqa: B009
    return {
        "component": name,
        "class": f"{cls.__module__}.{cls.__qualname__}",
        "version": getattr(component, "version"),  # noqa: B009
        "manifest": json.loads(canonical(getattr(component, "manifest")())),  # noqa: B009
        "normaliser": dict(normaliser),
        **({} if stays else {"code": source_code.of_component(component)}),
    }


def component_fingerprint(document: Mapping[str, object]) -> str:
    """The fingerprint of a component document, which begins its cache keys."""
    return digest(document)[:40]


def component_fingerprints(document: Mapping[str, Any]) -> dict[str, str]:
    """Component fingerprints by key, from a profile document of this or of an earlier form.

    Raises KeyError, TypeError or AttributeError for what is no profile document.
    """
    code = document.get("code", {}).get("components", {})
    return {
        key: component_fingerprint(
            {name: value for name, value in entry.items() if name != "value"}
            | ({"code": code[key]} if key in code else {})
        )
        for key, entry in document["components"].items()
    }


def of_profile(document: Mapping[str, object]) -> str:
    """``sha256:<64 hex>.<4 hex for each of PARTS that the document has>``."""
    parts = "".join(digest(document[part])[:4] for part in PARTS if part in document)
    return f"sha256:{digest(document)}.{parts}"


def is_whole(pin: str) -> bool:
    """Whether a text is a fingerprint, with or without the part after the dot."""
    return re.fullmatch(r"sha256:[0-9a-f]{64}(\.[0-9a-f]*)?", pin) is not None


def is_first_form(pin: str | Mapping[str, object]) -> bool:
    """Whether a fingerprint or a document is from before code was a part of it."""
    if isinstance(pin, str):
        return len(pin.partition(".")[2]) == 4 * len(_FIRST_PARTS)
    return "components" in pin and "code" not in pin


def of_schedule(document: Mapping[str, object]) -> str:
    """``sha256:<64 hex>.<4 hex for each of SCHEDULE_PARTS>``."""
    stages = document["stages"]
    assert isinstance(stages, Mapping)
    own = {"code": [document.get("code")]}
    parts = [digest([*(stage.get(part) for stage in stages.values()), *own.get(part, [])])[:4] for part in PARTS]
    return f"sha256:{digest(document)}.{''.join(parts)}{digest(document['until_steps'])[:4]}"


def same(pin: str, fingerprint: str) -> bool:
    """Whether `pin` names `fingerprint`; a pin may leave out the part after the dot."""
    return pin.split(".")[0] == fingerprint.split(".")[0]


def changed_parts(pin: str, fingerprint: str) -> list[str]:
    """Names of the parts whose short digests differ, or which a pin of an older form does not have.

    Empty when the pin carries no parts, or those of another kind.
    """
    ours, theirs = fingerprint.partition(".")[2], pin.partition(".")[2]
    if len(theirs) not in (len(ours), 4 * len(_FIRST_PARTS)):
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
