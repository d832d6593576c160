"""What is sent: a caller's items or groups as requests, each with the ids that its answer must come back with."""

from __future__ import annotations

import operator
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_client.types import Group, Item


@dataclass(frozen=True, slots=True)
class Call:
    """One POST /score: what it asks for, the ids it must come back with, and the caller's name for each."""

    what: Mapping[str, Any]
    wire_ids: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...] | None = None
    """Candidates per group; None for a call with items."""
    step: int | None = None
    """The training step, which chooses the stage where the profile is a schedule."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was submitted, to be answered later. Can be pickled: any client of the same options gets its result.

    It holds the texts, because the service may lose a job, which without Redis ends with its process. It is then
    submitted again.
    """

    submitted: tuple[tuple[Call, str], ...]
    """Each call with its id at the service."""


def item_calls(items: Sequence[Item], size: int, step: int | None = None) -> list[Call]:
    """Requests of at most `size` items, in order."""
    _check_types(items, Item)
    step = _step(step)
    token = _token()
    names = [item.id if item.id is not None else str(index) for index, item in enumerate(items)]
    for item, name in zip(items, names, strict=True):
        _check_texts(name, (item.candidate,), item.reference, item.prior)
    calls = []
    for begin in range(0, len(items), size):
        part, part_names = items[begin : begin + size], tuple(names[begin : begin + size])
        ids = tuple(_wire_id(name, token, begin + index) for index, name in enumerate(part_names))
        entries = [
            {"id": wire_id, "candidate": item.candidate, "reference": item.reference, "prior": item.prior}
            for wire_id, item in zip(ids, part, strict=True)
        ]
        calls.append(Call({"items": entries}, ids, part_names, step=step))
    return calls


def calls_of(entries: Sequence[Item] | Sequence[Group], size: int, step: int | None = None) -> list[Call]:
    """Requests for entries of one kind, in order. Raises `TypeError` for others."""
    if entries and isinstance(entries[0], Group):
        return group_calls(entries, size, step)  # type: ignore[arg-type]  # which checks each
    return item_calls(entries, size, step)  # type: ignore[arg-type]


def group_calls(groups: Sequence[Group], size: int, step: int | None = None) -> list[Call]:
    """Requests of at most `size` candidates; a group is never divided."""
    _check_types(groups, Group)
    step = _step(step)
    token = _token()
    calls: list[Call] = []
    entries: list[dict[str, Any]] = []
    names: list[str] = []
    sizes: list[int] = []

    def flush() -> None:
        if entries:
            ids = tuple(entry["id"] for entry in entries)
            calls.append(Call({"groups": list(entries)}, ids, tuple(names), tuple(sizes), step))
            for gathered in (entries, names, sizes):
                gathered.clear()

    for index, group in enumerate(groups):
        name = group.id if group.id is not None else str(index)
        _check_texts(name, group.candidates, group.reference, group.prior)
        if sum(sizes) + len(group.candidates) > size:
            flush()
        entries.append(
            {
                "id": _wire_id(name, token, index),
                "reference": group.reference,
                "candidates": list(group.candidates),
                "prior": group.prior,
            }
        )
        names.append(name)
        sizes.append(len(group.candidates))
    flush()
    return calls


def _step(step: int | None) -> int | None:
    """As a plain integer; numpy has others. Raises `TypeError` for what is none."""
    return None if step is None else operator.index(step)


def _check_types(entries: Sequence[Any], kind: type) -> None:
    for index, entry in enumerate(entries):
        if not isinstance(entry, kind):
            raise TypeError(
                f"entry {index} is a {type(entry).__name__}, not a reward_client.{kind.__name__}; "
                f"{kind.__name__}(**fields) makes one of a dict"
            )


def items_of(
    items: Sequence[Item] | Sequence[str],
    references: str | Sequence[str] | None,
    prior: str | Sequence[str | None] | None,
) -> Sequence[Item]:
    """Items as they are, or made of texts. Raises `ValueError` where not as many references or priors are given."""
    if references is None:
        return items  # type: ignore[return-value]  # what is no item is told by `_check_types`
    given = {"references": references, "prior": prior}
    each = {
        name: [texts] * len(items) if texts is None or isinstance(texts, str) else list(texts)
        for name, texts in given.items()
    }
    for name, texts in each.items():
        if len(texts) != len(items):
            raise ValueError(f"{len(items)} candidates and {len(texts)} {name}; as many are needed")
    return [
        Item(candidate, reference, earlier)  # type: ignore[arg-type]  # texts are checked with those of all items
        for candidate, reference, earlier in zip(items, each["references"], each["prior"], strict=True)
    ]


def _check_texts(name: str, candidates: Sequence[Any], reference: Any, prior: Any) -> None:
    if isinstance(candidates, str) or not all(isinstance(text, str) for text in (*candidates, reference)):
        raise TypeError(f"item {name}: candidate and reference must be strings")
    if prior is not None and not isinstance(prior, str):
        raise TypeError(f"item {name}: prior must be a string or None")


def _token() -> str:
    return uuid.uuid4().hex[:12]


def _wire_id(name: str, token: str, index: int) -> str:
    """The caller's name, made unique across calls: an answer to another call is never taken for this one's."""
    return f"{name[:200]}#{token}-{index}"


def span(names: Sequence[str]) -> str:
    return f"item {names[0]}" if len(names) == 1 else f"{len(names)} items ({names[0]} .. {names[-1]})"
