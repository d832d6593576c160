"""The model's answer, validated: the schema that was sent is checked again, whatever the server enforced.

The answer names statements by their numbers; what they count for is worked out in `accounting`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.prompt import schema

PARSER_VERSION: Final = 1
"""Raised by hand when other answers are valid than before, or a complaint has other words: both form the verdict."""


class Link(NamedTuple):
    """A pair of positions, and whether the error about it is significant."""

    ref: int
    cand: int
    significant: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A validated answer; positions count from 0, duplicates are gone."""

    matched: tuple[tuple[int, int], ...]
    location: tuple[Link, ...]
    severity: tuple[Link, ...]
    missing: dict[int, bool]
    false: dict[int, bool]
    comparison_added: dict[int, bool]
    comparison_omitted: dict[int, bool]
    normal: frozenset[int]
    expected: float | None = None
    """Expected number of errors, where statements were judged by probabilities."""


def parse(text: str, references: int, candidates: int) -> Answer:
    """The answer to a question about R1..Rn and P1..Pm, checked against the very schema that was sent.

    Raises `JudgeInvalidOutput` that says what is wrong, in words that may be shown to the model. An entry given
    twice counts once; where the two disagree about significance, it is significant.
    """
    try:
        raw = json.loads(text, object_pairs_hook=_no_duplicate_keys, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise JudgeInvalidOutput("the answer is not one JSON object") from None
    _check(raw, schema(references, candidates), "answer")

    def flags(name: str, key: str) -> dict[int, bool]:
        found: dict[int, bool] = {}
        for entry in raw[name]:
            position = _position(entry[key])
            found[position] = found.get(position, False) or entry["significant"]
        return found

    def links(name: str) -> tuple[Link, ...]:
        found: dict[tuple[int, int], bool] = {}
        for entry in raw[name]:
            pair = _position(entry["ref"]), _position(entry["cand"])
            found[pair] = found.get(pair, False) or entry["significant"]
        return tuple(Link(*pair, significant) for pair, significant in found.items())

    return Answer(
        matched=tuple(dict.fromkeys((_position(e["ref"]), _position(e["cand"])) for e in raw["matched"])),
        location=links("location"),
        severity=links("severity"),
        missing=flags("missing", "ref"),
        false=flags("false", "cand"),
        comparison_added=flags("comparison_added", "cand"),
        comparison_omitted=flags("comparison_omitted", "ref"),
        normal=frozenset(_position(p) for p in raw["normal"]),
    )


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _position(identifier: str) -> int:
    return int(identifier[1:]) - 1


def _check(value: Any, rule: dict[str, Any], where: str) -> None:
    """The part of JSON schema that `prompt.schema` uses, which is too little to bring a library for."""
    if "enum" in rule:
        # A statement that does not exist, or anything that is not a string.
        ok = isinstance(value, str) and value in rule["enum"]
    elif rule["type"] == "boolean":
        ok = isinstance(value, bool)
    elif rule["type"] == "array":
        ok = isinstance(value, list) and len(value) <= rule["maxItems"]
        for entry in value if ok else ():
            _check(entry, rule["items"], where)
    else:
        ok = isinstance(value, dict) and value.keys() == rule["properties"].keys()
        for key, entry in value.items() if ok else ():
            _check(entry, rule["properties"][key], key)
    if not ok:
        raise JudgeInvalidOutput(f"the answer breaks the schema at {where!r}")
