"""Reading a request body: bounded while it arrives, parsed by orjson, validated with paths in the errors.

orjson refuses lone surrogates, which a tokenizer's byte fallback does produce. Such a text is a content
problem of its item, so the slower standard parser then finds which items are hit and the rest is scored.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from reward_service.errors import InvalidRequest, TooLarge

M = TypeVar("M", bound=BaseModel)
_TEXTS = ("candidate", "reference", "prior")


async def read(request: Request, limit: int) -> bytes:
    """The body, at most `limit` bytes. Raises `TooLarge` as soon as more is announced or arrives."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        _too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> NoReturn:
    raise TooLarge(f"The body is larger than {limit} bytes (REWARD_MAX_BODY_BYTES). Send fewer items per request.")


def parse(raw: bytes) -> tuple[Any, frozenset[str]]:
    """The JSON value, and the paths of texts that were not valid Unicode (emptied in the value).

    Raises `InvalidRequest` with code ``invalid_utf8``, ``malformed_json`` or ``invalid_unicode``.
    """
    try:
        return orjson.loads(raw), frozenset()
    except orjson.JSONDecodeError as error:
        reason, line, column = error.msg.split(":")[0], error.lineno, error.colno
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_not_a_number)
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid UTF-8 (byte {error.start}). Encode JSON as UTF-8.", code="invalid_utf8"
        ) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"The body is not valid JSON: {reason} at line {line}, column {column}.", code="malformed_json"
        ) from None
    broken: set[str] = set()
    if isinstance(data, dict):
        for name in ("items", "groups"):
            _empty_broken_texts(data.get(name), name, broken)
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise InvalidRequest(
            "The body has a lone surrogate outside of a report text, or nests too deeply.", code="invalid_unicode"
        ) from None
    return data, frozenset(broken)


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(name)


def _empty_broken_texts(entries: Any, name: str, broken: set[str]) -> None:
    for i, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        for field in _TEXTS:
            if _is_broken(entry.get(field)):
                entry[field] = ""
                broken.add(f"{name}[{i}].{field}")
        candidates = entry.get("candidates")
        if not isinstance(candidates, list):
            continue
        for j, candidate in enumerate(candidates):
            if _is_broken(candidate):
                candidates[j] = ""
                broken.add(f"{name}[{i}].candidates[{j}]")


def _is_broken(text: object) -> bool:
    return isinstance(text, str) and any("\ud800" <= c <= "\udfff" for c in text)


def validate(model: type[M], data: Any) -> M:
    """`data` as `model`. Raises `InvalidRequest` whose `param` is the path of the first field at fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # The input itself may hold report text, so only pydantic's own words are repeated.
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        param = path(first["loc"]) or None
        known = model.model_fields
        hint = (
            f" Known fields: {', '.join(known)}."
            if first["type"] == "extra_forbidden" and len(first["loc"]) == 1
            else ""
        )
        raise InvalidRequest(f"{param or 'The body'}: {first['msg']}{more}.{hint}", param=param) from None


def path(location: tuple[int | str, ...]) -> str:
    """``("items", 3, "candidate")`` as ``items[3].candidate``."""
    out = ""
    for part in location:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


__all__ = ["ClientDisconnect", "parse", "path", "read", "validate"]
