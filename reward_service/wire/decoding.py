"""From bytes to JSON values, with lone surrogates found.

orjson refuses lone surrogates, which a tokenizer's byte fallback does produce. Such a text is a content
problem of its item, so the slower standard parser then finds which items are hit and the rest is scored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson

from reward_service.errors import InvalidRequest

LARGE_BYTES = 2**18
"""A larger body is decoded on a thread, and its values are counted before: decoding cannot be interrupted."""

_TEXTS = ("candidate", "reference", "prior")
_VALUES_PER_ITEM = 64
_FEWEST_VALUES = 2**18  # whatever the limit of items: decoded in the time of a few requests
_WINDOW = 2**16

Broken = Mapping[tuple[str | int, ...], str]
"""Where texts were not valid Unicode: the text's path by ("items", i) or ("groups", g), or for one of a list by
("groups", g, "candidates", c) or (..., "references", r)."""


def refuse_too_many_values(raw: bytes, max_items: int) -> None:
    """Raises `InvalidRequest` for a large body of more JSON values than any request for `max_items` pairs has.

    What separates values is counted outside of texts, window by window, so that other threads get their turn.
    """
    most = max(_FEWEST_VALUES, _VALUES_PER_ITEM * max_items)
    if len(raw) <= LARGE_BYTES:
        return
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"")  # every quotation mark left begins or ends a text
    values = outside = 0
    for begin in range(0, len(plain), _WINDOW):
        parts = plain[begin : begin + _WINDOW].split(b'"')
        between = b"".join(parts[outside::2])
        values += sum(map(between.count, (b",", b"[", b"{")))
        outside ^= (len(parts) - 1) & 1
        if values > most:
            raise InvalidRequest(
                f"The body holds more than {most} JSON values, for at most {max_items} pairs (REWARD_MAX_ITEMS). "
                "Split it.",
                code="too_many_items",
            )


def decode(raw: bytes) -> tuple[Any, Broken]:
    """The JSON value, and the texts that were not valid Unicode (emptied in the value).

    Raises `InvalidRequest` with code ``invalid_utf8``, ``malformed_json`` or ``invalid_unicode``.
    """
    data, clean = _load(raw)
    if clean:
        return data, {}
    broken: dict[tuple[str | int, ...], str] = {}
    if isinstance(data, dict):
        for name in ("items", "groups"):
            _empty_broken_texts(data.get(name), name, broken)
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise InvalidRequest(
            "The body has a lone surrogate outside of a report text, or nests too deeply.", code="invalid_unicode"
        ) from None
    return data, broken


def decode_object(raw: bytes) -> dict[str, Any]:
    """A JSON object of a trainer's format, whose texts may hold lone surrogates. Raises `InvalidRequest`."""
    data, _ = _load(raw)
    if not isinstance(data, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return data


def _load(raw: bytes) -> tuple[Any, bool]:
    """The JSON value, and whether all its texts are valid Unicode for sure."""
    try:
        return orjson.loads(raw), True
    except orjson.JSONDecodeError as error:
        reason, line, column = error.msg.split(":")[0], error.lineno, error.colno
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_not_a_number), False
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid UTF-8 (byte {error.start}). Encode JSON as UTF-8.", code="invalid_utf8"
        ) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"The body is not valid JSON: {reason} at line {line}, column {column}.", code="malformed_json"
        ) from None


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _empty_broken_texts(entries: Any, name: str, broken: dict[tuple[str | int, ...], str]) -> None:
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        for field in _TEXTS:
            if is_broken(entry.get(field)):
                entry[field] = ""
                broken.setdefault((name, i), f"{name}[{i}].{field}")
        for field in ("candidates", "references"):
            texts = entry.get(field)
            if not isinstance(texts, list):
                continue
            for j, text in enumerate(texts):
                if is_broken(text):
                    texts[j] = ""
                    broken[name, i, field, j] = f"{name}[{i}].{field}[{j}]"


def is_broken(text: object) -> bool:
    """Whether it is a text with a lone surrogate."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
