"""A trainer's label: the reference report, or the study it belongs to, in the shapes in which trainers send it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reward_service.errors import InvalidRequest

# The client has the same rule (`reward_client.trainers._shared`); a test holds both to one table.
_STRUCTURE = re.compile(
    r"""(?:```\w*\s*)?["']?\s*(?:\{|[\[(]\s*["'{\[(\])])"""
)  # object or list, also quoted or fenced
_VISIBLE = re.compile(r"[!-~]|[^\W_]")
_WORD = re.compile(r"[\W_]*([^\W\d_]+(?:['’/,;:-]+[^\W\d_]+)*)[\W_]*")
_NO_VALUE = frozenset(
    ("n/a", "na", "nan", "nat", "nil", "none", "null", "undefined", "true", "false", "inf", "infinity")
)


def _without_margin(label: str) -> str:
    """The text from its first visible character on; JSON needs no more."""
    first = _VISIBLE.search(label)
    return label[first.start() :].rstrip() if first else ""


def _is_report(text: str) -> bool:
    """Whether a text can be a report, and not the name of a study or the printed form of other data.

    That takes two words of letters alone, or one where no digit is ("Normal."). What stands for a missing value is no
    word. A text with no letter and no digit, as "___", may be a report with nothing left in it.
    """
    if _STRUCTURE.match(text):
        return False
    found = filter(None, map(_WORD.fullmatch, text.split()))
    words = (word for word in found if word[1].lower() not in _NO_VALUE)
    number = len(tuple(itertools.islice(words, 2)))
    if number == 2:
        return True
    return not any(map(str.isdigit if number else str.isalnum, text))


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

    None is an empty label. Raises `InvalidRequest` (``bad_label``) for any other shape, and for a text that is neither
    an object nor words: scored as a report it would give every candidate a reward that means nothing.
    """
    if isinstance(label, str):
        text = _without_margin(label)
        if _is_report(text):
            return Label(reference=json_string(label))
        label = json_object(text)
        if label is None:
            raise InvalidRequest(
                f"{param}: neither a report in words nor a JSON object. Send a report of this kind as 'reference' of "
                "an object, and the name of a study as its 'study_id'.",
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


def json_string(text: str) -> str:
    """The text that a JSON string holds, as `json.dumps` makes it of a text; any other text as it is."""
    stripped = text.strip()
    if not (stripped.startswith('"') and stripped.endswith('"')):
        return text
    try:
        value = json.loads(stripped)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


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
