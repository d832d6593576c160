"""Component scores as bytes for a shared cache: compact, exact, and refused when anything about them is off.

A value carries its schema and a checksum over its own key, so a truncated value, an older format or
another key's value decodes to None, which is a miss, never to a wrong number.
"""

from __future__ import annotations

import math
import zlib
from hashlib import blake2b
from typing import Any

import orjson

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.contracts import ComponentScore

SCHEMA = 1
"""Raised when the layout below changes; part of every Redis key too, so that two releases do not fight."""

_HEADER = 10  # schema, compression flag, checksum
_COMPRESS_ABOVE = 400  # bytes; below it zlib gains little and costs more than the rest


def encode(key: str, score: ComponentScore) -> bytes:
    """Bytes that `decode` turns back into an equal score, floats bit for bit.

    Raises TypeError for an score that JSON cannot carry exactly, e.g. a NaN value or a numpy scalar.
    """
    judged = None
    if (j := score.judgement) is not None:
        numbers = [*j.significant.values(), *j.insignificant.values(), j.matched_findings, *j.values.values()]
        if not _all_finite(numbers):
            raise TypeError("a judgement holds a number that is not finite")
        judged = [
            dict(j.significant),
            dict(j.insignificant),
            j.matched_findings,
            [tuple(span) for span in j.evidence],
            dict(j.values),
            j.notes,
            dict(j.details),
        ]
    if not _all_finite(score.values.values()):
        raise TypeError("an score holds a value that is not a finite number")
    body = orjson.dumps([dict(score.values), score.notes, judged])
    flag = 0
    if len(body) > _COMPRESS_ABOVE:
        flag, body = 1, zlib.compress(body, 1)
    return bytes((SCHEMA, flag)) + _checksum(key, flag, body) + body


def decode(key: str, blob: bytes) -> ComponentScore | None:
    """The score stored under `key`, or None if these bytes are not one."""
    if len(blob) <= _HEADER or blob[0] != SCHEMA:
        return None
    flag, body = blob[1], blob[_HEADER:]
    if blob[2:_HEADER] != _checksum(key, flag, body):
        return None
    try:
        values, notes, judged = orjson.loads(zlib.decompress(body) if flag else body)
        return ComponentScore(values, tuple(notes), None if judged is None else _judgement(judged))
    except (ValueError, TypeError, zlib.error):  # right checksum, wrong shape: a bug or a forgery
        return None


def _judgement(judged: list[Any]) -> Judgement:
    significant, insignificant, matched, evidence, values, notes, details = judged
    spans = tuple(Evidence(k, f, s, _span(c), _span(r), d) for k, f, s, c, r, d in evidence)
    if not set(significant) == set(insignificant) == set(CATEGORIES):
        raise ValueError("categories")
    return Judgement(significant, insignificant, matched, spans, values, tuple(notes), details)


def _span(span: list[int] | None) -> tuple[int, int] | None:
    return None if span is None else (span[0], span[1])


def _all_finite(numbers: Any) -> bool:
    return all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)


def _checksum(key: str, flag: int, body: bytes) -> bytes:
    return blake2b(b"%d%s\n%s" % (flag, key.encode(), body), digest_size=_HEADER - 2).digest()
