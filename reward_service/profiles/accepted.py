"""Older fingerprints that an operator declares to stand for what is served, so that a run which pins one need not end.

With the old profile document, the keys are known under which the old code has stored its values. They are read for
requests that pin the old fingerprint, and for no others: a pin of the new one is a promise about the new code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reward_service.errors import ConfigurationError
from reward_service.profiles import fingerprint

PIN = re.compile(r"sha256:[0-9a-f]{1,64}(?:\.[0-9a-f]{0,64})?")
_WHOLE = re.compile(r"sha256:[0-9a-f]{64}(?:\.[0-9a-f]{0,64})?")
_FORM = (
    "REWARD_ACCEPTED_FINGERPRINTS lists PROFILE=FINGERPRINT or PROFILE=FILE, where FILE is the answer of "
    "/v1/fingerprint or the output of `reward-service fingerprint --document`, as the run has stored it"
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One older fingerprint, and where its values are."""

    fingerprint: str
    stages: tuple[Mapping[str, str], ...] = ()
    """Old component fingerprints by component key, one for a profile and one for each stage of a schedule; none where
    only the fingerprint is known."""

    def matches(self, pin: str | Mapping[str, object]) -> bool:
        """Whether `pin`, a fingerprint or a document, is this one."""
        pinned = pin if isinstance(pin, str) else f"sha256:{fingerprint.digest(pin)}"
        return fingerprint.same(pinned, self.fingerprint)


def read(entries: Iterable[str]) -> dict[str, tuple[Accepted, ...]]:
    """The accepted fingerprints by profile, from the entries of the setting. Raises `ConfigurationError`."""
    found: dict[str, tuple[Accepted, ...]] = {}
    for entry in entries:
        profile, _, value = entry.partition("=")
        if not profile or not value:
            raise ConfigurationError(f"{_FORM}; {entry!r} is neither.", param="accepted_fingerprints")
        accepted = Accepted(value) if _WHOLE.fullmatch(value) else _from_file(Path(value), profile)
        found[profile] = (*found.get(profile, ()), accepted)
    return found


def _from_file(path: Path, profile: str) -> Accepted:
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        document = content.get("document", content)
        stages = document.get("stages")
        whole = fingerprint.of_schedule(document) if stages else fingerprint.of_profile(document)
        ordered = [stages[str(i)] for i in range(1, len(stages) + 1)] if stages else [document]
        accepted = Accepted(whole, tuple(map(fingerprint.component_fingerprints, ordered)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError(
            f"{_FORM}; {path} cannot be read as one ({type(error).__name__}).", param="accepted_fingerprints"
        ) from None
    stated = content.get("fingerprint", accepted.fingerprint)
    if content.get("profile", profile) != profile or not fingerprint.same(str(stated), accepted.fingerprint):
        raise ConfigurationError(
            f"{path} is not what it says: its profile is not '{profile}', or its document has another fingerprint.",
            param="accepted_fingerprints",
        )
    return accepted
