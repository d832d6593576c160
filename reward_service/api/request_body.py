"""Reading a request body: bounded while it arrives, parsed by orjson, validated with paths in the errors.

orjson refuses lone surrogates, which a tokenizer's byte fallback does produce. Such a text is a content
problem of its item, so the slower standard parser then finds which items are hit and the rest is scored.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from reward_service.errors import InvalidRequest, TooLarge, TooSlow

M = TypeVar("M", bound=BaseModel)
_TEXTS = ("candidate", "reference", "prior")
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


async def read(request: Request, limit: int, timeout_s: float) -> bytes:
    """The body, at most `limit` bytes, within `timeout_s`.

    Raises `TooLarge` as soon as more is announced or arrives, `TooSlow`, and `InvalidRequest` for a compressed body.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidRequest("Send the body uncompressed (no Content-Encoding).", code="unsupported_media_type")
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        _too_large(limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise TooSlow(f"The body did not arrive within {timeout_s:g} s (REWARD_TIMEOUT_S).") from None
    return b"".join(chunks)


def require_json(request: Request) -> None:
    """Raises `InvalidRequest` (``unsupported_media_type``) for a body that says it is something else.

    This is also what keeps a web page from posting here unasked: browsers let forms and plain text through.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequest("Send JSON, with Content-Type: application/json.", code="unsupported_media_type")


def _too_large(limit: int) -> NoReturn:
    raise TooLarge(f"The body is larger than {limit} bytes (REWARD_MAX_BODY_BYTES). Send fewer items per request.")


Broken = Mapping[tuple[str | int, ...], str]
"""Where texts were not valid Unicode: by ("items", i), ("groups", g) or ("groups", g, candidate), the text's path."""


def parse(raw: bytes) -> tuple[Any, Broken]:
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


def parse_object(raw: bytes) -> dict[str, Any]:
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
        candidates = entry.get("candidates")
        if not isinstance(candidates, list):
            continue
        for j, candidate in enumerate(candidates):
            if is_broken(candidate):
                candidates[j] = ""
                broken[name, i, j] = f"{name}[{i}].candidates[{j}]"


def is_broken(text: object) -> bool:
    """Whether it is a text with a lone surrogate."""
    if not isinstance(text, str):
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "is missing",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def validate(model: type[M], data: Any) -> M:
    """`data` as `model`. Raises `InvalidRequest` whose `param` is the path of the first field at fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # The input itself may hold report text, so only pydantic's own words are repeated.
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        # A field that nobody knows explains one that is lacking, as often as not.
        first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        lacking = [p["loc"][-1] for p in problems if p["type"] == "missing" and p["loc"][:-1] == first["loc"][:-1]]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        param = path(first["loc"]) or None
        hint = ""
        if first["type"] == "extra_forbidden" and lacking:
            hint = f" Missing there: {', '.join(map(str, lacking))}."
        elif first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
            hint = f" Known fields: {', '.join(model.model_fields)}."
        message = _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"{param or 'The body'}: {message}{more}.{hint}", param=param) from None


def path(location: tuple[int | str, ...]) -> str:
    """``("items", 3, "candidate")`` as ``items[3].candidate``.

    A name that is no plain word is left out: whoever sends a report as a field's name shall not read it in an error.
    """
    out = ""
    for part in location:
        if isinstance(part, int):
            out += f"[{part}]"
        elif not _FIELD.fullmatch(part):  # also pydantic's own tags, e.g. of a union's member
            return out or "(a field)"
        elif out and location[0] == "fingerprint":  # a union; what follows is pydantic's tag, not the caller's path
            return out
        else:
            out += f".{part}" if out else part
    return out
