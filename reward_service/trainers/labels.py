"""A trainer's label: the reference report, or the study it belongs to, in the shapes in which trainers send it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reward_service.errors import InvalidRequest

# The client has the same rule (`reward_client.trainers._shared`); a test holds both to one table.
_LIKE_JSON = re.compile(
    r"""(?: ```\w*\s* )? ["']? \s* (?: \{ | \[ \s* ["'{\[] )  # an object or a list, also one quoted or fenced
      | (?: \[ [\s\d.,eE+-]* \] | [+-]? \d [\d.]* (?: e[+-]?\d+ )? | [+-]?inf(?:inity)? | nan | null | none | undefined
          | true | false ) \Z""",
    re.VERBOSE | re.IGNORECASE,
)
_BLANK = " \t\r\n\v\f\u00a0\u200b\ufeff"


@dataclass(frozen=True, slots=True)
class Label:
    """What a trainer's label says: the reference itself, or the study it belongs to."""

    reference: str | None = None
    study_id: str | None = None
    prior: str | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Label:
        """The fields of an object; a blank study or prior is none, a study's number is text."""
        study = entry.get("study_id")
        if isinstance(study, int) and not isinstance(study, bool):
            study = str(study)
        return cls(entry.get("reference"), text_or_none(study), text_or_none(entry.get("prior")))


def parse_label(label: Any, param: str) -> Label:
    """A label that is a reference text, or JSON (text or object) with `reference`, `study_id`, `prior`.

    None is an empty label. Raises `InvalidRequest` (``bad_label``) for any other shape, and for a text that looks like
    JSON and is no object: scored as a report it would give every candidate a reward that means nothing.
    """
    if isinstance(label, str):
        text = label.strip(_BLANK)
        if not _LIKE_JSON.match(text):
            return Label(reference=label)
        label = json_object(text)
        if label is None:
            raise InvalidRequest(
                f"{param}: looks like JSON and is no JSON object. Send a report that begins so as 'reference' of an "
                "object.",
                code="bad_label",
                param=param,
            )
    if label is None:
        return Label()
    if not isinstance(label, Mapping):
        shape = "the reference text, or an object with 'reference', 'study_id', 'prior'"
        raise InvalidRequest(f"{param}: a label is {shape}.", code="bad_label", param=param)
    for key in ("reference", "prior"):
        if not isinstance(label.get(key), str | None):
            raise InvalidRequest(f"{param}.{key}: must be text.", code="bad_label", param=f"{param}.{key}")
    return Label.of(label)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that `text` holds; None if it holds none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def text_or_none(value: object) -> str | None:
    """A text that is not blank."""
    return value if isinstance(value, str) and value.strip() else None
