"""What all dialects share: the description of one, the pairs it parses, and rewards as numbers and logs.

A dialect is one file: `parse` makes pairs of what a trainer posts, `render` makes the trainer's answer of their
scores. Both are pure functions without HTTP; one row in this package's `__init__` serves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_service.contracts import Composite
from reward_service.errors import ComponentsUnavailable, InvalidRequest
from reward_service.trainers.chat_markup import clean
from reward_service.trainers.labels import parse_label
from reward_service.trainers.references import ReferenceStore, resolve

Body = Mapping[str, Any]

# OpenAPI of fields that several trainers send.
TEXT = {"type": "string", "description": "a text"}
TEXTS = {"type": "array", "items": TEXT, "description": "a text per sample"}
LABEL = {"description": "the reference, or an object with reference, study_id, prior"}


@dataclass(frozen=True, slots=True)
class DialectItem:
    """One pair to score, and where in the request it came from."""

    candidate: str
    reference: str
    prior: str | None
    param: str

    @classmethod
    def of(cls, completion: str, label: Any, prompt: str, references: ReferenceStore | None, param: str) -> DialectItem:
        """The pair of a decoded completion and its label. Raises `InvalidRequest` when no reference is found."""
        found = resolve(parse_label(label, param), prompt, references, param)
        return cls(clean(completion), found.reference or "", found.prior, param)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request with what it asked for: what an answer is made of."""

    body: Body
    items: Sequence[DialectItem]
    results: Sequence[Composite]
    """One per item, in their order."""
    bounds: tuple[float, float]
    """Lowest and highest reward of the profile."""
    missing: float | None = None
    """The declared substitute for a missing reward."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One trainer's format."""

    path: str
    trainer: str
    parse: Callable[[Body, ReferenceStore | None], list[DialectItem]]
    """Raises `InvalidRequest` for a body that it cannot read with certainty."""
    render: Callable[[Answered], Any]
    """Raises what `rewards` raises."""
    fields: Mapping[str, Any]
    """OpenAPI of the body's fields; others are ignored, because trainers add some with every release."""
    required: tuple[str, ...] = ()


def rewards(answered: Answered) -> list[float]:
    """Numbers only. A missing reward is the declared substitute; without one the request fails.

    Raises `InvalidRequest` when no later attempt can succeed, else `ComponentsUnavailable`; code ``reward_missing``.
    """
    values = [answered.missing if result.reward is None else result.reward for result in answered.results]
    absent = [pair for pair, value in zip(_pairs(answered), values, strict=True) if value is None]
    if absent:
        lost = [pair for pair in absent if not pair[1].may_heal]
        item, result = (lost or absent)[0]
        why = ", ".join(f"{key}: {error.code}" for key, error in result.missing.items()) or "no reason given"
        raise (InvalidRequest if lost else ComponentsUnavailable)(
            f"{item.param}: no reward ({why}). Fix the cause, or declare a substitute with the query parameter "
            "'missing' (e.g. ?missing=0), which is reported as rr_valid 0.",
            code="reward_missing",
            param=item.param,
            details={"items": [item.param for item, _ in lost or absent]},
        )
    return [value for value in values if value is not None]


def _pairs(answered: Answered) -> Iterator[tuple[DialectItem, Composite]]:
    return zip(answered.items, answered.results, strict=True)


def logs(result: Composite) -> dict[str, float]:
    """Flat floats under the same keys for every sample of a profile.

    ``rr_valid``: 0 when the reward is a substitute. A component without a value is 0 with ``rr_<key>_valid`` 0.
    """
    flat = {"rr_valid": float(result.reward is not None)}
    for key, value in result.components.items():
        flat[f"rr_{key}"] = 0.0 if value is None else value
        flat[f"rr_{key}_valid"] = float(value is not None)
    return flat


def texts(body: Body, key: str) -> list[str]:
    """The field `key`. Raises `InvalidRequest` unless it is a list of texts."""
    value = body.get(key)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidRequest(f"{key}: must be a list of texts.", param=key)
    return value
