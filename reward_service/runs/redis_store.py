"""The runs in Redis, for all replicas."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from reward_service.caching.redis_connection import RedisConnection
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

# KEYS: the hash, when the run was deleted. ARGV: seconds to keep, then for each row how many seconds ago it began, its
# field and its content. Ages, because the clocks of hosts differ. What began within a second of the deletion counts as
# before it: an age is only as exact as the way to Redis is short, and deleted texts must not come back. Answers how
# many were written, and how many seconds ago that second ended if a row is older.
_PUT = """
local t = redis.call('time')
local now = t[1] + t[2] / 1e6
local deleted = tonumber(redis.call('get', KEYS[2]) or -1) + 1
local written, refused = 0, ''
for i = 2, #ARGV, 3 do
  if now - tonumber(ARGV[i]) > deleted then
    redis.call('hset', KEYS[1], ARGV[i + 1], ARGV[i + 2])
    written = written + 1
  else
    refused = string.format('%.6f', now - deleted)
  end
end
if written > 0 then redis.call('expire', KEYS[1], ARGV[1]) end
return {written, refused}"""
# KEYS: totals, samples, when it was deleted, the sorted set. ARGV: seconds to remember it, the run.
_DELETE = """
local t = redis.call('time')
redis.call('set', KEYS[3], string.format('%.6f', t[1] + t[2] / 1e6), 'EX', ARGV[1])
redis.call('del', KEYS[2])
return redis.call('del', KEYS[1]) + redis.call('zrem', KEYS[4], ARGV[2])"""
_LONG_AGO_S = 1e9


class RedisStore:
    """A hash for each run and a sorted set of all; at most `MOST_RUNS` are kept."""

    MOST_RUNS = 200

    def __init__(self, url: str, *, namespace: str, ttl_s: float) -> None:
        """Raises `ConfigurationError` for what is no URL of Redis."""
        self._connection = RedisConnection(url, timeout_s=2.0, on_up=lambda: None)
        self._names = f"{namespace}:runs"
        self._ttl_s = max(1, int(ttl_s))

    async def put(self, rows: Sequence[Row]) -> dict[str, float]:
        written, refused = await self._put(self._key, [(row, pack(row.totals)) for row in rows])
        if written:
            now = time.time()
            await self._send(*[("ZADD", self._names, now, run) for run in written])
            (oldest,) = await self._send(("ZRANGE", self._names, 0, -self.MOST_RUNS - 1))
            for run in oldest:
                name = run.decode()
                await self._send(("DEL", self._samples_key(name), self._key(name)), ("ZREM", self._names, name))
        return refused

    async def runs(self) -> list[RunSummary]:
        old = time.time() - self._ttl_s
        _, names = await self._send(
            ("ZREMRANGEBYSCORE", self._names, "-inf", old), ("ZREVRANGE", self._names, 0, -1, "WITHSCORES")
        )
        found = [(names[i].decode(), float(names[i + 1])) for i in range(0, len(names), 2)]
        fields = await self._send(*[("HKEYS", self._key(run)) for run, _ in found], keys=len(found) * 100)
        return [
            RunSummary(run, len({step for step in map(_step, keys) if step >= 0}), at)
            for (run, at), keys in zip(found, fields, strict=True)
        ]

    async def steps(self, run_id: str, chosen: Chosen | None = None) -> list[tuple[int, Totals]]:
        (fields,) = await self._send(("HKEYS", self._key(run_id)), keys=1000)
        numbers = sorted({_step(field) for field in fields})
        wanted_steps = set(numbers if chosen is None else chosen(numbers))
        wanted = [field for field in fields if _step(field) in wanted_steps]
        if not wanted:
            return []
        (values,) = await self._send(("HMGET", self._key(run_id), *wanted), keys=len(wanted))
        return joined([(_step(f), v) for f, v in zip(wanted, values, strict=True) if v is not None])

    async def put_samples(self, rows: Sequence[SampleRow]) -> dict[str, float]:
        written, refused = await self._put(self._samples_key, [(row, pack(row.samples)) for row in rows])
        replies = await self._send(*[("HKEYS", self._samples_key(run)) for run in written], keys=1000)
        for run, fields in zip(written, replies, strict=True):
            latest = sorted({_step(field) for field in fields})[-STEPS:]
            if old := [field for field in fields if _step(field) not in latest]:
                await self._send(("HDEL", self._samples_key(run), *old))
        return refused

    async def samples(self, run_id: str) -> dict[int, list[Sample]]:
        (found,) = await self._send(("HGETALL", self._samples_key(run_id)), keys=1000)
        rows = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return by_step(sorted((_step(field), content) for field, content in rows))

    async def forget_samples(self) -> None:
        (names,) = await self._send(("ZRANGE", self._names, 0, -1))
        await self._send(*[("DEL", self._samples_key(name.decode())) for name in names])

    async def delete(self, run_id: str) -> bool:
        keys = (self._key(run_id), self._samples_key(run_id), self._deleted_key(run_id), self._names)
        (found,) = await self._send(("EVAL", _DELETE, len(keys), *keys, int(DELETED_S), run_id))
        return bool(found)

    async def aclose(self) -> None:
        await self._connection.aclose()

    def _key(self, run_id: str) -> str:
        return f"{self._names}:{run_id}"

    def _samples_key(self, run_id: str) -> str:
        return f"{self._names.removesuffix('s')}_samples:{run_id}"

    def _deleted_key(self, run_id: str) -> str:
        return f"{self._names.removesuffix('s')}_deleted:{run_id}"

    async def _put(self, key: Any, rows: Sequence[tuple[Row | SampleRow, bytes]]) -> tuple[list[str], dict[str, float]]:
        """The runs of which something was written, and when those were deleted of which something was not."""
        by_run: dict[str, list[Any]] = {}
        now = time.time()
        for row, packed in rows:
            age = max(-_LONG_AGO_S, now - row.begun)
            by_run.setdefault(row.run, []).extend((age, f"{row.step}:{row.writer}", packed))
        commands = [
            ("EVAL", _PUT, 2, key(run), self._deleted_key(run), self._ttl_s, *values) for run, values in by_run.items()
        ]
        replies = list(zip(by_run, await self._send(*commands, keys=len(rows)), strict=True))
        refused = {run: now - float(ago) for run, (_, ago) in replies if ago}
        return [run for run, (written, _) in replies if written], refused

    async def _send(self, *commands: tuple[Any, ...], keys: int = 0) -> list[Any]:
        """Raises `Overloaded` unless Redis carries out all of them."""
        if not commands:
            return []
        replies = await self._connection.send(commands, keys=keys + len(commands))
        if any(reply is None for reply in replies):
            raise unavailable("Redis")
        return replies


def _step(field: bytes) -> int:
    """Of a field ``step:writer``."""
    return int(field.partition(b":")[0])
