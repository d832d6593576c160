"""Where totals are kept: rows of (run, step, writer), in one SQLite file of the host or in Redis for all replicas.

A writer is one process with the totals that it holds for a step. It replaces its own row and nobody else's, so there is
nothing to lock and nothing to lose; a reader adds the rows of a step up. That a run was deleted is kept as well, with
its time: other processes may still hold what was posted before, and a row that begins there is not written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from reward_service.errors import ConfigurationError
from reward_service.runs.redis_store import RedisStore
from reward_service.runs.rows import Chosen, Row, RunSummary, SampleRow
from reward_service.runs.samples import Sample
from reward_service.runs.sqlite_store import SqliteStore
from reward_service.runs.totals import Totals
from reward_service.settings import Settings


class RunStore(Protocol):
    """Bounded in age, and in size or number; what is oldest goes first.

    All methods raise `Overloaded` (``runs_unavailable``) when the store does not answer.
    """

    async def put(self, rows: Sequence[Row]) -> dict[str, float]:
        """Replace these rows, but for those begun before their run was deleted: of these runs, when that was."""

    async def runs(self) -> list[RunSummary]:
        """The latest first."""

    async def steps(self, run_id: str, chosen: Chosen | None = None) -> list[tuple[int, Totals]]:
        """Totals by step, ascending; with `chosen` only of those."""

    async def put_samples(self, rows: Sequence[SampleRow]) -> dict[str, float]:
        """As `put`; a run keeps those of its latest `STEPS` steps."""

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        """By step, ascending: what all writers have."""

    async def forget_samples(self) -> None:
        """Delete those of all runs."""

    async def delete(self, run_id: str) -> bool:
        """Forget the run and its samples for good. Whether there was such a run."""

    async def aclose(self) -> None:
        """Release what it holds."""


def make_store(settings: Settings) -> RunStore:
    """Redis where the score cache is, else the file of the settings, else memory. Raises `ConfigurationError`."""
    url = settings.cache_url.get_secret_value()
    if url.startswith(("redis:", "rediss:", "unix:")):
        return RedisStore(url, namespace=settings.cache_namespace, ttl_s=settings.runs_ttl_s)
    try:
        return SqliteStore(settings.runs_file or ":memory:", max_bytes=settings.runs_bytes, ttl_s=settings.runs_ttl_s)
    except sqlite3.Error as error:
        raise ConfigurationError(f"REWARD_RUNS_FILE {settings.runs_file}: {error}.", param="runs_file") from None
