"""The runs in one SQLite file, for all processes of a host, or in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import structlog

from reward_service.runs.rows import (
    DELETED_S,
    Chosen,
    Row,
    RunSummary,
    SampleRow,
    by_step,
    joined,
    pack,
    unavailable,
)
from reward_service.runs.samples import STEPS, Sample
from reward_service.runs.totals import Totals

T = TypeVar("T")
log = structlog.get_logger("reward_service.runs")

_AGE_EVERY_S = 60.0  # for it reads the whole index
_AT_ONCE = 500  # steps in one query
_TABLES = (
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA secure_delete=ON",
    "CREATE TABLE IF NOT EXISTS steps (run TEXT, step INTEGER, writer TEXT, at REAL, totals BLOB, "
    "UNIQUE (run, step, writer))",
    "CREATE INDEX IF NOT EXISTS latest ON steps (run, at)",
    "CREATE TABLE IF NOT EXISTS samples (run TEXT, step INTEGER, writer TEXT, content BLOB, "
    "UNIQUE (run, step, writer))",
    "CREATE TABLE IF NOT EXISTS deleted (run TEXT PRIMARY KEY, at REAL)",
)


class SqliteStore:
    """One file, or memory for ``:memory:``."""

    def __init__(self, path: str, *, max_bytes: int, ttl_s: float) -> None:
        """Raises `sqlite3.Error` for a file that cannot be opened or is none of SQLite's."""
        self._path, self._max_bytes, self._ttl_s = path, max_bytes, ttl_s
        self._lock = threading.Lock()
        self._aged_at = 0.0
        self._open()

    async def put(self, rows: Sequence[Row]) -> dict[str, float]:
        return await self._do(self._put, rows)

    async def runs(self) -> list[RunSummary]:
        sql = (
            "SELECT run, COUNT(DISTINCT CASE WHEN step >= 0 THEN step END), MAX(at) FROM steps "
            "GROUP BY run ORDER BY MAX(at) DESC"
        )
        return [RunSummary(*row) for row in await self._do(self._all, sql, ())]

    async def steps(self, run_id: str, chosen: Chosen | None = None) -> list[tuple[int, Totals]]:
        return await self._do(self._steps, run_id, chosen)

    async def put_samples(self, rows: Sequence[SampleRow]) -> dict[str, float]:
        return await self._do(self._put_samples, rows)

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        sql = "SELECT step, content FROM samples WHERE run = ? ORDER BY step"
        return by_step(await self._do(self._all, sql, (run_id,)))

    async def forget_samples(self) -> None:
        await self._do(self._all, "DELETE FROM samples", ())

    async def delete(self, run_id: str) -> bool:
        return await self._do(self._delete, run_id)

    async def aclose(self) -> None:
        with self._lock:
            self._db.close()

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """In a thread. Raises `Overloaded` where the file is locked, full or broken."""
        try:
            return await asyncio.to_thread(work, *arguments)
        except sqlite3.Error as error:
            raise unavailable(f"The file REWARD_RUNS_FILE ({error})") from error

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        for statement in _TABLES:
            self._db.execute(statement)
        self._file = self._there()

    def _there(self) -> tuple[int, int] | None:
        """Which file lies at the path; None for memory, and where there is none."""
        with contextlib.suppress(OSError):
            found = os.stat(self._path)
            return found.st_dev, found.st_ino
        return None

    @contextlib.contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        """The connection, to the file that lies at the path now: what goes into a removed one is lost at the end."""
        with self._lock:
            if self._file is not None and self._there() != self._file:
                log.warning("runs_file_replaced")
                self._db.close()
                self._open()
            yield self._db

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._held() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def _all(self, sql: str, values: Iterable[Any]) -> list[Any]:
        with self._held() as db:
            return db.execute(sql, tuple(values)).fetchall()

    def _put(self, rows: Sequence[Row]) -> dict[str, float]:
        now = time.time()
        packed = [pack(row.totals) for row in rows]
        with self._writing() as db:
            deleted = self._deleted(rows)
            values = [(*row[:3], now, blob) for row, blob in zip(rows, packed, strict=True) if _later(row, deleted)]
            db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)", values)
            if now - self._aged_at > _AGE_EVERY_S:
                self._aged_at = now
                old = "SELECT run FROM steps GROUP BY run HAVING MAX(at) < ?"
                db.execute(f"DELETE FROM steps WHERE run IN ({old})", (now - self._ttl_s,))
                db.execute("DELETE FROM deleted WHERE at < ?", (now - DELETED_S,))
            while self._bytes() > self._max_bytes and self._drop_oldest():
                pass
            db.execute("DELETE FROM samples WHERE run NOT IN (SELECT run FROM steps)")
        with self._held() as db:
            db.execute("PRAGMA incremental_vacuum")
        return {row.run: deleted[row.run] for row in rows if not _later(row, deleted)}

    def _put_samples(self, rows: Sequence[SampleRow]) -> dict[str, float]:
        packed = [pack(row.samples) for row in rows]
        latest = "SELECT DISTINCT step FROM samples WHERE run = ? ORDER BY step DESC LIMIT ?"
        with self._writing() as db:
            deleted = self._deleted(rows)
            values = [(*row[:3], blob) for row, blob in zip(rows, packed, strict=True) if _later(row, deleted)]
            db.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", values)
            for run in {row.run for row in rows}:
                db.execute(f"DELETE FROM samples WHERE run = ? AND step NOT IN ({latest})", (run, run, STEPS))
        return {row.run: deleted[row.run] for row in rows if not _later(row, deleted)}

    def _deleted(self, rows: Sequence[Row | SampleRow]) -> dict[str, float]:
        """When these runs were deleted, for those that were."""
        runs = {row.run for row in rows}
        sql = "SELECT run, at FROM deleted WHERE run = ?"
        return dict(found for run in runs for found in self._db.execute(sql, (run,)).fetchall())

    def _bytes(self) -> int:
        counts = [self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")]
        size: int = (counts[0] - counts[1]) * self._db.execute("PRAGMA page_size").fetchone()[0]
        return size

    def _drop_oldest(self) -> bool:
        """The run that was written to longest ago; the only one loses the earlier half of its steps."""
        runs = self._db.execute("SELECT run FROM steps GROUP BY run ORDER BY MAX(at)").fetchall()
        if len(runs) > 1:
            self._db.execute("DELETE FROM steps WHERE run = ?", runs[0])
            self._db.execute("DELETE FROM samples WHERE run = ?", runs[0])
            return True
        steps = self._db.execute("SELECT DISTINCT step FROM steps ORDER BY step").fetchall()
        if len(steps) < 2:
            return False
        self._db.execute("DELETE FROM steps WHERE step < ?", steps[len(steps) // 2])
        self._db.execute("DELETE FROM samples WHERE step < ?", steps[len(steps) // 2])
        return True

    def _steps(self, run_id: str, chosen: Chosen | None) -> list[tuple[int, Totals]]:
        sql = "SELECT step, totals FROM steps WHERE run = ?"
        if chosen is None:
            return joined(self._all(sql, (run_id,)))
        distinct = self._all("SELECT DISTINCT step FROM steps WHERE run = ? ORDER BY step", (run_id,))
        wanted = list(chosen([step for (step,) in distinct]))
        found: list[tuple[int, bytes]] = []
        for at in range(0, len(wanted), _AT_ONCE):
            part = wanted[at : at + _AT_ONCE]
            found += self._all(f"{sql} AND step IN ({', '.join('?' * len(part))})", (run_id, *part))
        return joined(found)

    def _delete(self, run_id: str) -> bool:
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO deleted VALUES (?, ?)", (run_id, time.time()))
            db.execute("DELETE FROM samples WHERE run = ?", (run_id,))
            return db.execute("DELETE FROM steps WHERE run = ?", (run_id,)).rowcount > 0


def _later(row: Row | SampleRow, deleted: dict[str, float]) -> bool:
    return row.begun > deleted.get(row.run, 0.0)
