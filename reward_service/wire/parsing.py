"""From the bytes of a request to what is scored: decoded, validated, its items in one list.

Every error names the field at fault, and none repeats what the field held: it may be report text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from reward_service.contracts import ComponentError
from reward_service.errors import InvalidRequest
from reward_service.scoring.request import Item, ScoringRequest, Timings
from reward_service.wire.decoding import Broken, decode
from reward_service.wire.schemas import ScoreRequest

M = TypeVar("M", bound=BaseModel)
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ParsedRequest(NamedTuple):
    """A request in the native format, ready to be scored and answered."""

    body: ScoreRequest
    scoring: ScoringRequest
    groups: Sequence[tuple[int, int]]
    """Where each group's items lie in `scoring.items`: [start, end)."""


def parse(raw: bytes, max_items: int, timings: Timings | None = None) -> ParsedRequest:
    """`raw` as a request for at most `max_items` pairs. Raises `InvalidRequest`."""
    data, broken = decode(raw)
    body = validate(ScoreRequest, data)
    items, groups = build_items(body, broken, max_items)
    return ParsedRequest(
        body,
        ScoringRequest(
            items,
            body.profile,
            body.fingerprint,
            body.step,
            body.run_id,
            body.timeout_s,
            timings=timings or Timings(),
        ),
        groups,
    )


def build_items(wanted: ScoreRequest, broken: Broken, max_items: int) -> tuple[list[Item], list[tuple[int, int]]]:
    """Items of `items` and `groups` in one list, and where each group lies in it. Raises `InvalidRequest`."""
    count = len(wanted.items) + sum(len(group.candidates) for group in wanted.groups)
    if count > max_items:
        raise InvalidRequest(
            f"The request has {count} pairs; the limit is {max_items} (REWARD_MAX_ITEMS). Split it.",
            code="too_many_items",
            param="items" if len(wanted.items) > max_items else "groups",
        )
    _refuse_duplicates([item.id for item in wanted.items], "items")
    _refuse_duplicates([group.id for group in wanted.groups], "groups")
    items = [
        Item(item.id, item.candidate, item.reference, item.prior, _fault(broken.get(("items", i))))
        for i, item in enumerate(wanted.items)
    ]
    bounds = []
    for g, group in enumerate(wanted.groups):
        start = len(items)
        for c, candidate in enumerate(group.candidates):
            fault = _fault(broken.get(("groups", g)) or broken.get(("groups", g, c)))
            where = f"groups[{g}].candidates[{c}]"
            items.append(Item(None, candidate, group.reference, group.prior, fault, where))
        bounds.append((start, len(items)))
    return items, bounds


def _fault(at: str | None) -> ComponentError | None:
    if at is None:
        return None
    return ComponentError("invalid_unicode", f"{at} has a lone surrogate; send valid Unicode.")


def _refuse_duplicates(ids: Sequence[str | None], where: str) -> None:
    seen: set[str] = set()
    for i, id in enumerate(ids):
        if id is None:
            continue
        if id in seen:
            raise InvalidRequest(f"{where}[{i}].id repeats an earlier id; ids must be unique.", code="duplicate_id",
                                 param=f"{where}[{i}].id")  # fmt: skip
        seen.add(id)


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
