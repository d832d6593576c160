"""The score cache behind the one in memory: Redis, shared by processes and replicas, never relied upon.

Redis down, slow, full, read-only, flushed or holding garbage is a miss, a counter and one warning a
minute. While it does not answer nobody waits for it: a background task asks until it is back.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from reward_service.caching.base import CacheKey, MemoryCache
from reward_service.caching.codec import SCHEMA, Shape, decode, encode
from reward_service.caching.redis_connection import KeyBatcher, RedisConnection
from reward_service.contracts import ComponentScore
from reward_service.tasks import end, finish

T = TypeVar("T")

_CHUNK = 500  # keys in one command: short enough that neither Redis nor the event loop stalls
_LEASES = 2  # of ours: how long another's may last at most
_QUEUED = 20_000  # writes kept while Redis is away

# KEYS: value, lease, value, lease, ... An MGET of one key reads a key of another type as missing. A lease that never
# expires, or not before ARGV[3] ms, is not one of ours.
_CLAIM = """
local out = {}
for i = 1, #KEYS, 2 do
  local value = redis.call('mget', KEYS[i])[1]
  if value then out[#out + 1] = value
  else
    local left = redis.call('pttl', KEYS[i + 1])
    if left == -1 or left > tonumber(ARGV[3]) then redis.call('del', KEYS[i + 1]) end
    if redis.call('set', KEYS[i + 1], ARGV[1], 'NX', 'PX', ARGV[2])
        or redis.call('mget', KEYS[i + 1])[1] == ARGV[1] then out[#out + 1] = 1
    else out[#out + 1] = 0 end
  end
end
return out"""
# ARGV: token, then value and lifetime in ms (0: for ever) per pair of keys. Answers the value that was there first.
_PUT = """
local out, err = {}, nil
for i = 1, #KEYS, 2 do
  if redis.call('mget', KEYS[i + 1])[1] == ARGV[1] then redis.call('del', KEYS[i + 1]) end
  local old = redis.call('mget', KEYS[i])[1]
  if not old then
    local done
    if ARGV[i + 2] == '0' then done = redis.pcall('set', KEYS[i], ARGV[i + 1])
    else done = redis.pcall('set', KEYS[i], ARGV[i + 1], 'PX', ARGV[i + 2]) end
    if done.err then err = done.err end
  end
  out[#out + 1] = old
end
if err then return redis.error_reply(err) end
return out"""
# KEYS: leases. Extends (ARGV[2] in ms) or, with 0, gives up those that are still ours.
_HOLD = """
for _, key in ipairs(KEYS) do
  if redis.call('mget', key)[1] == ARGV[1] then
    if ARGV[2] == '0' then redis.call('del', key) else redis.call('pexpire', key, ARGV[2]) end
  end
end"""
# KEYS and ARGV: deletes each key that still holds these bytes.
_DISCARD = """
for i, key in ipairs(KEYS) do
  if redis.call('mget', key)[1] == ARGV[i] then redis.call('del', key) end
end"""


class RedisCache:
    """Memory first, then Redis; see `ScoreCache`. One instance belongs to one event loop.

    `timeout_s` bounds one round trip; a claim outlives its process by at most `lease_s`. `shapes`: by component
    fingerprint, what a stored score of that component must have.
    """

    def __init__(
        self,
        url: str,
        memory: MemoryCache,
        *,
        ttl_s: float,
        namespace: str,
        shapes: Mapping[str, Shape] | None = None,
        timeout_s: float = 0.5,
        lease_s: float = 6.0,
    ) -> None:
        self.memory = memory
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._lease_ms = round(lease_s * 1000)
        self._shapes = shapes or {}
        self._timeout_s = timeout_s
        self._values = f"{namespace}:{SCHEMA}:"
        self._leases = f"{namespace}:lease:"
        self._token = secrets.token_hex(8).encode()
        self._wake = asyncio.Event()
        self._connection = RedisConnection(url, timeout_s=timeout_s, on_up=self._wake.set)
        self._counts = self._connection.counts
        self._counts.update(dict.fromkeys(("hits", "misses", "invalid", "writes", "dropped"), 0))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lookups: KeyBatcher[bytes | None] = KeyBatcher(self._mget, self._spawn)
        self._claims: KeyBatcher[bytes | int | None] = KeyBatcher(self._claim, self._spawn)
        self._held: set[CacheKey] = set()
        self._waiting: dict[CacheKey, asyncio.Future[ComponentScore | None]] = {}
        self._flushing = asyncio.Lock()
        self._puts: deque[_Put] = deque()
        self._releases: list[CacheKey] = []
        self._garbage: list[tuple[CacheKey, bytes]] = []

    async def start(self) -> None:
        """Never fails: a Redis that is not there yet is asked again in the background."""
        self._spawn(self._write())
        self._spawn(self._renew())
        await self._connection.send([("PING",)], keys=1)

    async def aclose(self) -> None:
        """Write what is queued, within a second; give up all claims. Takes a few seconds at most."""
        self._releases += self._held
        self._held.clear()
        await finish(self._flush_all(), within_s=1.0, name="the score cache's last writes")
        await end(self._tasks)
        await self._connection.aclose()
        await self.memory.aclose()

    def stats(self) -> dict[str, dict[str, int]]:
        gauges = {"up": int(self._connection.up), "queued": len(self._puts), "held": len(self._held)}
        return {**self.memory.stats(), "redis": {**self._counts, **gauges}}

    async def get_many(self, keys: Sequence[CacheKey]) -> list[ComponentScore | None]:
        found = self.memory.look_up(keys)
        missing = [i for i, score in enumerate(found) if score is None]
        if missing and self._connection.up:
            for i, score in zip(missing, await self._fetch([keys[i] for i in missing]), strict=True):
                found[i] = score
        return found

    async def put_many(
        self, entries: Sequence[tuple[CacheKey, ComponentScore]], *, permanent: bool = False
    ) -> set[CacheKey]:
        settled: asyncio.Future[None] | None = None
        for key, score in entries:
            self.memory.store(key, score)
            self._held.discard(key)
            if len(self._puts) >= _QUEUED:
                self._counts["dropped"] += 1
                continue
            settled = asyncio.get_running_loop().create_future() if permanent and self._connection.up else None
            self._puts.append((key, score, 0 if permanent else self._ttl_ms, settled))
        self._wake.set()
        if settled is not None:  # the last of them: the queue is written in order
            await asyncio.wait({settled}, timeout=2 * self._timeout_s)
        return set()

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        missing = [key for key in keys if self.memory.peek(key) is None]
        if not missing or not self._connection.up:
            return set(missing)
        mine = set()
        for key, reply in zip(missing, await self._claims(missing), strict=True):
            if isinstance(reply, bytes):  # stored since it was looked up
                if self._decoded(key, reply) is None:
                    mine.add(key)
            elif reply != 0:
                mine.add(key)
                if reply == 1:
                    self._held.add(key)
        return mine

    async def wait(self, key: CacheKey, deadline: float) -> ComponentScore | None:
        if (score := self.memory.peek(key)) is not None:
            return score
        if (future := self._waiting.get(key)) is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
            if len(self._waiting) == 1:
                self._spawn(self._poll())
        # Not longer than a lease may last: the caller then claims the key, which looks at the lease again.
        patience_s = min(deadline - time.monotonic(), _LEASES * self._lease_ms / 1000)
        await asyncio.wait({future}, timeout=max(0.0, patience_s))
        return future.result() if future.done() else None

    async def release(self, keys: Sequence[CacheKey]) -> None:
        ours = self._held.intersection(keys)
        self._held -= ours
        self._releases += ours
        self._wake.set()

    # -- reading ---------------------------------------------------------------------------------

    async def _fetch(self, keys: Sequence[CacheKey]) -> list[ComponentScore | None]:
        found = []
        for i, (key, blob) in enumerate(zip(keys, await self._lookups(keys), strict=True)):
            found.append(None if blob is None else self._decoded(key, blob))
            if i % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
        hits = len(found) - found.count(None)
        self._counts["hits"] += hits
        self._counts["misses"] += len(found) - hits
        return found

    def _read(self, key: CacheKey, blob: bytes) -> ComponentScore | None:
        return decode(key, blob, self._shapes.get(key.partition(":")[0]))

    def _decoded(self, key: CacheKey, blob: bytes) -> ComponentScore | None:
        """The score, now also in memory; what is not one is deleted from Redis."""
        score = self._read(key, blob)
        if score is None:
            self._counts["invalid"] += 1
            self._connection.warn("score_cache_value_invalid")
            self._garbage.append((key, blob))
            self._wake.set()
            return None
        self.memory.store(key, score)
        return self.memory.peek(key) or score

    async def _mget(self, keys: list[CacheKey], prefix: str = "") -> list[bytes | None]:
        prefix = prefix or self._values
        chunks = list(_chunks(keys))
        replies = await self._connection.send(
            [("MGET", *(prefix + key for key in chunk)) for chunk in chunks], keys=len(keys)
        )
        return _flat(chunks, replies)

    async def _claim(self, keys: list[CacheKey]) -> list[bytes | int | None]:
        chunks, most_ms = list(_chunks(keys)), _LEASES * self._lease_ms
        replies = await self._connection.send(
            [self._eval(_CLAIM, self._both(chunk), self._token, self._lease_ms, most_ms) for chunk in chunks],
            keys=len(keys),
        )
        return _flat(chunks, replies)

    async def _poll(self) -> None:
        """Answer everybody in `wait`: a lease that is gone means stored, given up or dead."""
        pause = 0.01
        while self._waiting:
            await asyncio.sleep(pause)
            began = time.monotonic()
            keys = list(self._waiting)
            leases = await self._mget(keys, self._leases)
            gone = [key for key, lease in zip(keys, leases, strict=True) if lease is None]
            for key, score in zip(gone, await self._fetch(gone) if gone else [], strict=True):
                self._waiting.pop(key).set_result(score)
            pause = max(0.01, 4 * (time.monotonic() - began))  # at most a fifth of the time

    # -- writing ---------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._flush_all()

    async def _flush_all(self) -> None:
        while self._connection.up and (self._puts or self._releases or self._garbage or self._flushing.locked()):
            await self._flush()

    async def _flush(self) -> None:
        """One round trip of queued writes; those that a lost connection swallowed are queued again."""
        async with self._flushing:
            garbage, self._garbage = self._garbage[:_CHUNK], self._garbage[_CHUNK:]
            releases, self._releases = self._releases[:_CHUNK], self._releases[_CHUNK:]
            puts = [self._puts.popleft() for _ in range(min(len(self._puts), _CHUNK))]
            encoded = [(put, blob) for put in puts if (blob := self._encoded(put)) is not None]
            commands = []
            if garbage:
                values, blobs = zip(*((self._values + key, blob) for key, blob in garbage), strict=True)
                commands.append(self._eval(_DISCARD, values, *blobs))
            if encoded:
                lifetimes = [part for (_, _, ttl_ms, _), blob in encoded for part in (blob, ttl_ms)]
                commands.append(self._eval(_PUT, self._both([put[0] for put, _ in encoded]), self._token, *lifetimes))
            # A key that has been claimed again since keeps its lease.
            if leases := [self._leases + key for key in releases if key not in self._held]:
                commands.append(self._eval(_HOLD, leases, self._token, 0))
            replies = await self._connection.send(commands, keys=len(puts) + len(releases)) if commands else []
            if not self._connection.up:
                self._puts.extendleft(reversed(puts))
                return
        stored = replies[1 if garbage else 0] if encoded else None
        for ((key, score, _, _), _), old in zip(encoded, stored or (), strict=False):
            self._counts["writes"] += 1
            if old is not None and (first := self._read(key, old)) is not None and first != score:
                self.memory.store(key, first, replace=True)
        for *_, settled in puts:
            if settled is not None and not settled.done():
                settled.set_result(None)

    def _encoded(self, put: _Put) -> bytes | None:
        try:
            return encode(put[0], put[1])
        except TypeError:
            self._counts["dropped"] += 1
            self._connection.warn("score_cache_value_not_encodable")
            return None

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            leases = [self._leases + key for key in self._held]
            commands = [self._eval(_HOLD, chunk, self._token, self._lease_ms) for chunk in _chunks(leases)]
            if commands:
                await self._connection.send(commands, keys=len(leases))

    def _both(self, keys: Sequence[CacheKey]) -> list[str]:
        return [prefix + key for key in keys for prefix in (self._values, self._leases)]

    @staticmethod
    def _eval(script: str, keys: Sequence[str], *arguments: bytes | int) -> tuple[Any, ...]:
        return ("EVAL", script, len(keys), *keys, *arguments)

    def _spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


_Put = tuple[CacheKey, ComponentScore, int, "asyncio.Future[None] | None"]
"""Key, score, lifetime in ms (0: for ever), and who waits until it is written."""


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK))


def _flat(chunks: Sequence[Sequence[str]], replies: Sequence[Any]) -> list[Any]:
    """One reply per key; a chunk that failed counts as None for each of its keys."""
    return [
        item
        for chunk, reply in zip(chunks, replies, strict=True)
        for item in (reply if reply is not None else [None] * len(chunk))
    ]
