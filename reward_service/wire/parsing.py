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
from reward_service.wire.decoding import Broken, decode, refuse_too_many_values
from reward_service.wire.schemas import ScoreGroup, ScoreItem, ScoreRequest

M = TypeVar("M", bound=BaseModel)
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ParsedRequest(NamedTuple):
    """A request in the native format, ready to be scored and answered."""

    body: ScoreRequest
    scoring: ScoringRequest
    groups: Sequence[tuple[int, int]]
    """Where each group's candidates lie among all candidates: [start, end)."""
    references: Sequence[int]
    """For each candidate, how many references it was given as a list; 0 for one, not as a list. Its pairs, one or as
    many as these, lie together in `scoring.items`."""


def parse(raw: bytes, max_items: int, timings: Timings | None = None) -> ParsedRequest:
    """`raw` as a request for at most `max_items` pairs. Raises `InvalidRequest`."""
    refuse_too_many_values(raw, max_items)
    data, broken = decode(raw)
    _refuse_too_many_pairs(data, max_items)
    body = validate(ScoreRequest, data)
    items, groups, references = build_items(body, broken)
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
        references,
    )


def _refuse_too_many_pairs(data: Any, max_items: int) -> None:
    """Counted before anything is validated, because that takes time for each. A group without candidates is one."""
    if not isinstance(data, dict):
        return
    items, groups = (value if isinstance(value := data.get(name), list) else [] for name in ("items", "groups"))
    single = sum(_number(item, "references") for item in items)
    count = single + sum(_number(group, "candidates") * _number(group, "references") for group in groups)
    if count > max_items:
        raise InvalidRequest(
            f"The request has {count} pairs; the limit is {max_items} (REWARD_MAX_ITEMS). Split it.",
            code="too_many_items",
            param="items" if single > max_items else "groups",
        )


def _number(entry: Any, field: str) -> int:
    """How many texts the entry has there; at least 1, because every entry costs something."""
    texts = entry.get(field) if isinstance(entry, dict) else None
    return max(1, len(texts)) if isinstance(texts, list) else 1


def build_items(wanted: ScoreRequest, broken: Broken) -> tuple[list[Item], list[tuple[int, int]], list[int]]:
    """All pairs in one list, and `groups` and `references` of a `ParsedRequest`. Raises `InvalidRequest`."""
    _refuse_duplicates([item.id for item in wanted.items], "items")
    _refuse_duplicates([group.id for group in wanted.groups], "groups")
    items: list[Item] = []
    references = [len(item.references) for item in wanted.items]
    for i, item in enumerate(wanted.items):
        items += _pairs(item, item.candidate, broken, ("items", i), broken.get(("items", i)))
    bounds = []
    for g, group in enumerate(wanted.groups):
        start = len(references)
        for c, candidate in enumerate(group.candidates):
            fault = broken.get(("groups", g)) or broken.get(("groups", g, "candidates", c))
            items += _pairs(group, candidate, broken, ("groups", g), fault, f"groups[{g}].candidates[{c}]")
            references.append(len(group.references))
        bounds.append((start, len(references)))
    return items, bounds, references


def _pairs(
    entry: ScoreItem | ScoreGroup,
    candidate: str,
    broken: Broken,
    at: tuple[str | int, ...],
    fault: str | None,
    where: str = "",
) -> list[Item]:
    """A candidate with each of its references."""
    id = entry.id if isinstance(entry, ScoreItem) else None
    if not entry.references:
        return [Item(id, candidate, entry.reference, entry.prior, _fault(fault), where)]
    faults = [fault or broken.get((*at, "references", r)) for r in range(len(entry.references))]
    return [
        Item(id, candidate, reference, entry.prior, _fault(found), where)
        for reference, found in zip(entry.references, faults, strict=True)
    ]


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
