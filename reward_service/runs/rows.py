"""What a store keeps of a run, and how it is packed."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from reward_service.errors import Overloaded
from reward_service.runs.samples import Sample
from reward_service.runs.totals import Totals, add

NO_STEP = -1
"""Where items are counted that name none: beside the steps, for a training may well have a step 0."""
DELETED_S = 86400.0
"""How long it is remembered that a run was deleted: much longer than a process holds a step that nothing comes for."""
Chosen = Callable[[Sequence[int]], Sequence[int]]
"""Of all steps, ascending, those to read."""


class Row(NamedTuple):
    """What one writer has of one step."""

    run: str
    step: int
    writer: str
    totals: Totals
    begun: float = math.inf
    """When the first of it was posted, in seconds since 1970: nothing is kept of what is older than a deletion."""


class SampleRow(NamedTuple):
    """The samples that one writer has of one step."""

    run: str
    step: int
    writer: str
    samples: Sequence[Sample]
    begun: float = math.inf


class RunSummary(NamedTuple):
    """A run in the list of runs."""

    run_id: str
    steps: int
    updated_at: float
    """Seconds since 1970."""


def unavailable(what: str) -> Overloaded:
    """The store of the runs does not answer; whoever asks shall not take that for an empty one."""
    return Overloaded(f"{what}, which keeps the runs, does not answer. Retry after a moment.", code="runs_unavailable")


def pack(content: Totals | Sequence[Sample]) -> bytes:
    """For a store."""
    return zlib.compress(orjson.dumps(content), 3)


def joined(rows: Iterable[tuple[int, bytes]]) -> list[tuple[int, Totals]]:
    """Rows of one step added up; what cannot be read is left out."""
    found: dict[int, Totals] = {}
    for step, packed in rows:
        with contextlib.suppress(*_UNREADABLE):
            add(found.setdefault(step, {}), orjson.loads(zlib.decompress(packed)))
    return sorted(found.items())


def by_step(rows: Iterable[tuple[int, bytes]]) -> dict[int, list[Sample]]:
    """Samples of all writers, by step; what cannot be read is left out."""
    found: dict[int, list[Sample]] = {}
    for step, packed in rows:
        with contextlib.suppress(*_UNREADABLE):
            found.setdefault(step, []).extend(orjson.loads(zlib.decompress(packed)))
    return found


_UNREADABLE: tuple[Any, ...] = (zlib.error, orjson.JSONDecodeError, TypeError)
