"""Component scores as bytes for a shared cache: compact, exact, and refused when anything about them is off.

A value carries its schema and a checksum over its own key, so a truncated value, an older format or
another key's value decodes to None, which is a miss, never to a wrong number. The checksum is no signature: whoever can
write to the cache can make one. So a value is also validated whole, against what its component gives.
"""

from __future__ import annotations

import zlib
from hashlib import blake2b
from typing import Annotated, NamedTuple

import orjson
from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from judges.base import CATEGORIES, Category, Evidence, Judgement, Kind
from reward_service.contracts import ComponentScore

SCHEMA = 2
"""Raised when the layout below changes; part of every Redis key too, so that two releases do not fight."""

_HEADER = 10  # schema, compression flag, checksum
_COMPRESS_ABOVE = 400  # bytes; below it zlib gains little and costs more than the rest
_MOST_BYTES = 2**20  # of one value's JSON; a long judgement has some 30 KB
_LARGEST = 1e12

_Number = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)] | Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
_Count = Annotated[int, Field(ge=0, le=_LARGEST)] | Annotated[float, Field(ge=0, le=_LARGEST)]
_Offset = Annotated[int, Field(ge=0)]
_Counts = dict[Category, _Count]
_Note = Annotated[str, Field(pattern=r"\A[a-z0-9_]{1,64}\z")]
_Notes = Annotated[tuple[_Note, ...], Field(max_length=16)]  # they become flags, and labels of a metric
_Span = tuple[_Offset, _Offset] | None
_Cost = Annotated[float, Field(ge=0, le=_LARGEST)]
_Evidence = tuple[Kind, str, bool, _Span, _Span, str, _Cost, str]
_Judged = tuple[
    _Counts,
    _Counts,
    _Count,
    Annotated[list[_Evidence], Field(max_length=4096)],
    dict[str, _Number],
    _Notes,
    dict[str, JsonValue],
]
_Stored = tuple[dict[str, _Number], _Notes, _Judged | None]
_STORED: TypeAdapter[_Stored] = TypeAdapter(_Stored, config=ConfigDict(strict=True, allow_inf_nan=False))


class Shape(NamedTuple):
    """What every score of one component has."""

    keys: frozenset[str]
    judges: bool
    """Whether a judgement comes with the values."""


def encode(key: str, score: ComponentScore) -> bytes:
    """Bytes that `decode` turns back into an equal score, floats bit for bit.

    Raises TypeError for a score that `decode` would refuse, e.g. with a NaN value, a note that is no word of ``a-z``,
    ``0-9`` and ``_``, more than 16 notes or 4,096 rows of evidence, or that JSON cannot carry exactly.
    """
    judged = None
    if (j := score.judgement) is not None:
        judged = [
            dict(j.significant),
            dict(j.insignificant),
            j.matched_findings,
            [tuple(span) for span in j.evidence],
            dict(j.values),
            j.notes,
            dict(j.details),
        ]
    body = orjson.dumps([dict(score.values), score.notes, judged])
    if _read(body, None) is None:
        raise TypeError("a score holds a value that is not a finite number, or is not what a component gives")
    flag = 0
    if len(body) > _COMPRESS_ABOVE:
        flag, body = 1, zlib.compress(body, 1)
    return bytes((SCHEMA, flag)) + _checksum(key, flag, body) + body


def decode(key: str, blob: bytes, shape: Shape | None = None) -> ComponentScore | None:
    """The score stored under `key`, or None if these bytes are not one. `shape`: of the key's component, if known."""
    if not _HEADER < len(blob) <= _HEADER + _MOST_BYTES or blob[0] != SCHEMA:
        return None
    flag, body = blob[1], blob[_HEADER:]
    if blob[2:_HEADER] != _checksum(key, flag, body):
        return None
    return _read(_inflated(body) if flag else body, shape)


def _inflated(body: bytes) -> bytes:
    """What was compressed, as far as it is no longer than a value may be."""
    try:
        return zlib.decompressobj().decompress(body, _MOST_BYTES + 1)
    except zlib.error:
        return b""


def _read(body: bytes, shape: Shape | None) -> ComponentScore | None:
    if len(body) > _MOST_BYTES:
        return None
    try:
        values, notes, judged = _STORED.validate_json(body)
    except ValidationError:  # right checksum, wrong shape: a bug or a forgery
        return None
    judgement = None if judged is None else _judgement(judged)
    if judged is not None and judgement is None:
        return None
    if shape is not None:
        given = [values] if judgement is None else [values, judgement.values]
        if (judgement is not None) != shape.judges or any(found.keys() != shape.keys for found in given):
            return None
    return ComponentScore(values, notes, judgement)


def _judgement(judged: _Judged) -> Judgement | None:
    significant, insignificant, matched, evidence, values, notes, details = judged
    spans = [span for entry in evidence for span in entry[3:5] if span is not None]
    if not significant.keys() == insignificant.keys() == set(CATEGORIES) or any(b > e for b, e in spans):
        return None
    found = tuple(Evidence(*entry) for entry in evidence)
    return Judgement(significant, insignificant, matched, found, values, notes, details)


def _checksum(key: str, flag: int, body: bytes) -> bytes:
    return blake2b(b"%d%s\n%s" % (flag, key.encode(), body), digest_size=_HEADER - 2).digest()
