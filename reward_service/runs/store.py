"""Where totals are kept: rows of (run, step, writer), in one SQLite file of the host or in Redis for all replicas.

A writer is one process with the totals that it holds for a step. It replaces its own row and nobody else's, so there is
nothing to lock and nothing to lose; a reader adds the rows of a step up.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from reward_service.caching.redis_connection import RedisConnection
from reward_service.errors import ConfigurationError
from reward_service.runs.samples import STEPS, Sample
from reward_service.runs.totals import Totals, add
from reward_service.settings import Settings

_AGE_EVERY_S = 60.0  # for it reads the whole index

Row = tuple[str, int, str, Totals]
"""Run, step, writer, totals."""
SampleRow = tuple[str, int, str, Sequence[Sample]]
"""Run, step, writer, its samples."""


class RunSummary(NamedTuple):
    """A run in the list of runs."""

    run_id: str
    steps: int
    updated_at: float
    """Seconds since 1970."""


class RunStore(Protocol):
    """Bounded in age, and in size or number; what is oldest goes first. A store that is down keeps nothing."""

    async def put(self, rows: Sequence[Row]) -> None:
        """Replace these rows."""

    async def runs(self) -> list[RunSummary]:
        """The latest first."""

    async def steps(self, run_id: str, ends: int | None = None) -> list[tuple[int, Totals]]:
        """Totals by step, ascending; with `ends` only so many of the first and of the last."""

    async def put_samples(self, rows: Sequence[SampleRow]) -> None:
        """Replace these rows; a run keeps those of its latest `STEPS` steps."""

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        """By step, ascending: what all writers have."""

    async def delete(self, run_id: str) -> bool:
        """Forget the run and its samples. Whether there was such a run."""

    async def aclose(self) -> None:
        """Release what it holds."""


class SqliteStore:
    """One file, or memory for ``:memory:``."""

    def __init__(self, path: str, *, max_bytes: int, ttl_s: float) -> None:
        """Raises `sqlite3.Error` for a file that cannot be opened or is none of SQLite's."""
        self._max_bytes, self._ttl_s = max_bytes, ttl_s
        self._lock = threading.Lock()
        self._aged_at = 0.0
        self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA secure_delete=ON")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS steps (run TEXT, step INTEGER, writer TEXT, at REAL, totals BLOB, "
            "UNIQUE (run, step, writer))"
        )
        self._db.execute("CREATE INDEX IF NOT EXISTS latest ON steps (run, at)")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS samples (run TEXT, step INTEGER, writer TEXT, content BLOB, "
            "UNIQUE (run, step, writer))"
        )

    async def put(self, rows: Sequence[Row]) -> None:
        await asyncio.to_thread(self._put, rows)

    async def runs(self) -> list[RunSummary]:
        found = await asyncio.to_thread(
            self._all, "SELECT run, COUNT(DISTINCT step), MAX(at) FROM steps GROUP BY run ORDER BY MAX(at) DESC", ()
        )
        return [RunSummary(*row) for row in found]

    async def steps(self, run_id: str, ends: int | None = None) -> list[tuple[int, Totals]]:
        return await asyncio.to_thread(self._steps, run_id, ends)

    async def put_samples(self, rows: Sequence[SampleRow]) -> None:
        await asyncio.to_thread(self._put_samples, rows)

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        sql = "SELECT step, content FROM samples WHERE run = ? ORDER BY step"
        return _by_step(await asyncio.to_thread(self._all, sql, (run_id,)))

    async def delete(self, run_id: str) -> bool:
        return await asyncio.to_thread(self._delete, run_id)

    async def aclose(self) -> None:
        with self._lock:
            self._db.close()

    def _all(self, sql: str, values: Iterable[Any]) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, tuple(values)).fetchall()

    def _put(self, rows: Sequence[Row]) -> None:
        now = time.time()
        packed = [(run, step, writer, now, _pack(totals)) for run, step, writer, totals in rows]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)", packed)
                if now - self._aged_at > _AGE_EVERY_S:
                    self._aged_at = now
                    old = "SELECT run FROM steps GROUP BY run HAVING MAX(at) < ?"
                    self._db.execute(f"DELETE FROM steps WHERE run IN ({old})", (now - self._ttl_s,))
                while self._bytes() > self._max_bytes and self._drop_oldest():
                    pass
                self._db.execute("DELETE FROM samples WHERE run NOT IN (SELECT run FROM steps)")
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("PRAGMA incremental_vacuum")

    def _put_samples(self, rows: Sequence[SampleRow]) -> None:
        packed = [(*row[:3], _pack(row[3])) for row in rows]
        latest = "SELECT DISTINCT step FROM samples WHERE run = ? ORDER BY step DESC LIMIT ?"
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", packed)
                for run in {run for run, *_ in rows}:
                    self._db.execute(f"DELETE FROM samples WHERE run = ? AND step NOT IN ({latest})", (run, run, STEPS))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

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

    def _steps(self, run_id: str, ends: int | None) -> list[tuple[int, Totals]]:
        sql, values = "SELECT step, totals FROM steps WHERE run = ?", [run_id]
        if ends is not None:
            distinct = "SELECT DISTINCT step FROM steps WHERE run = ? ORDER BY step"
            chosen = f"SELECT * FROM ({distinct} {{}} LIMIT {ends:d})"
            sql += f" AND step IN ({chosen.format('ASC')} UNION {chosen.format('DESC')})"
            values *= 3
        return _joined(self._all(sql, values))

    def _delete(self, run_id: str) -> bool:
        with self._lock:
            self._db.execute("DELETE FROM samples WHERE run = ?", (run_id,))
            return self._db.execute("DELETE FROM steps WHERE run = ?", (run_id,)).rowcount > 0


class RedisStore:
    """A hash for each run and a sorted set of all; at most `MOST_RUNS` are kept."""

    MOST_RUNS = 200

    def __init__(self, url: str, *, namespace: str, ttl_s: float) -> None:
        """Raises `ConfigurationError` for what is no URL of Redis."""
        self._connection = RedisConnection(url, timeout_s=2.0, on_up=lambda: None)
        self._names = f"{namespace}:runs"
        self._ttl_s = max(1, int(ttl_s))

    def _key(self, run_id: str) -> str:
        return f"{self._names}:{run_id}"

    def _samples_key(self, run_id: str) -> str:
        return f"{self._names.removesuffix('s')}_samples:{run_id}"

    async def put(self, rows: Sequence[Row]) -> None:
        now = time.time()
        commands: list[tuple[Any, ...]] = []
        for run, step, writer, totals in rows:
            commands.append(("HSET", self._key(run), f"{step}:{writer}", _pack(totals)))
        for run in {run for run, *_ in rows}:
            commands += [("EXPIRE", self._key(run), self._ttl_s), ("ZADD", self._names, now, run)]
        commands.append(("ZRANGE", self._names, 0, -self.MOST_RUNS - 1))
        oldest = (await self._connection.send(commands, keys=len(commands)))[-1] or []
        for run in oldest:
            await self.delete(run.decode())

    async def runs(self) -> list[RunSummary]:
        old = time.time() - self._ttl_s
        commands = [("ZREMRANGEBYSCORE", self._names, "-inf", old), ("ZREVRANGE", self._names, 0, -1, "WITHSCORES")]
        names = (await self._connection.send(commands, keys=2))[1] or []
        found = [(names[i].decode(), float(names[i + 1])) for i in range(0, len(names), 2)]
        fields = await self._connection.send([("HKEYS", self._key(run)) for run, _ in found], keys=len(found) * 100)
        return [
            RunSummary(run, len({field.partition(b":")[0] for field in keys or ()}), at)
            for (run, at), keys in zip(found, fields, strict=True)
        ]

    async def steps(self, run_id: str, ends: int | None = None) -> list[tuple[int, Totals]]:
        fields = (await self._connection.send([("HKEYS", self._key(run_id))], keys=1000))[0] or []
        numbers = sorted({_step(field) for field in fields})
        if ends is not None and len(numbers) > 2 * ends:
            numbers = [*numbers[:ends], *numbers[-ends:]]
        wanted = [field for field in fields if _step(field) in set(numbers)]
        if not wanted:
            return []
        values = (await self._connection.send([("HMGET", self._key(run_id), *wanted)], keys=len(wanted)))[0] or []
        return _joined([(_step(f), v) for f, v in zip(wanted, values, strict=False) if v is not None])

    async def put_samples(self, rows: Sequence[SampleRow]) -> None:
        commands: list[tuple[Any, ...]] = [
            ("HSET", self._samples_key(run), f"{step}:{writer}", _pack(samples)) for run, step, writer, samples in rows
        ]
        runs = sorted({run for run, *_ in rows})
        commands += [("EXPIRE", self._samples_key(run), self._ttl_s) for run in runs]
        commands += [("HKEYS", self._samples_key(run)) for run in runs]
        replies = await self._connection.send(commands, keys=1000)
        for run, fields in zip(runs, replies[-len(runs) :], strict=True):
            latest = sorted({_step(field) for field in fields or ()})[-STEPS:]
            if old := [field for field in fields or () if _step(field) not in latest]:
                await self._connection.send([("HDEL", self._samples_key(run), *old)], keys=len(old))

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        found = (await self._connection.send([("HGETALL", self._samples_key(run_id))], keys=1000))[0] or []
        rows = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return _by_step(sorted((_step(field), content) for field, content in rows))

    async def delete(self, run_id: str) -> bool:
        commands = [("DEL", self._samples_key(run_id)), ("DEL", self._key(run_id)), ("ZREM", self._names, run_id)]
        return any((await self._connection.send(commands, keys=3))[1:])

    async def aclose(self) -> None:
        await self._connection.aclose()


def make_store(settings: Settings) -> RunStore:
    """Redis where the score cache is, else the file of the settings, else memory. Raises `ConfigurationError`."""
    url = settings.cache_url.get_secret_value()
    if url.startswith(("redis:", "rediss:", "unix:")):
        return RedisStore(url, namespace=settings.cache_namespace, ttl_s=settings.runs_ttl_s)
    try:
        return SqliteStore(settings.runs_file or ":memory:", max_bytes=settings.runs_bytes, ttl_s=settings.runs_ttl_s)
    except sqlite3.Error as error:
        raise ConfigurationError(f"REWARD_RUNS_FILE {settings.runs_file}: {error}.", param="runs_file") from None


def _pack(content: Totals | Sequence[Sample]) -> bytes:
    return zlib.compress(orjson.dumps(content), 3)


def _step(field: bytes) -> int:
    """Of a field ``step:writer``."""
    return int(field.partition(b":")[0])


def _by_step(rows: Iterable[tuple[int, bytes]]) -> dict[int, list[Sample]]:
    """Samples of all writers, by step; what cannot be read is left out."""
    found: dict[int, list[Sample]] = {}
    for step, packed in rows:
        with contextlib.suppress(zlib.error, orjson.JSONDecodeError, TypeError):
            found.setdefault(step, []).extend(orjson.loads(zlib.decompress(packed)))
    return found


def _joined(rows: Iterable[tuple[int, bytes]]) -> list[tuple[int, Totals]]:
    """Rows of one step added up; what cannot be read is left out."""
    found: dict[int, Totals] = {}
    for step, packed in rows:
        with contextlib.suppress(zlib.error, orjson.JSONDecodeError, TypeError):
            add(found.setdefault(step, {}), orjson.loads(zlib.decompress(packed)))
    return sorted(found.items())
