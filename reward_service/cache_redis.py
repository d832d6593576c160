"""The score cache behind the one in memory: Redis, shared by processes and replicas, never relied upon.

Redis down, slow, full, read-only, flushed or holding garbage is a miss, a counter and one warning a
minute. While it does not answer nobody waits for it: a background task asks until it is back.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from reward_service.cache import CacheKey, MemoryCache, ScoreCache
from reward_service.cache_codec import SCHEMA, decode, encode
from reward_service.contracts import Outcome
from reward_service.errors import ConfigurationError

V = TypeVar("V")

_log = structlog.get_logger(__name__)
_CHUNK = 500  # keys in one command: short enough that neither Redis nor the event loop stalls
_QUEUED = 20_000  # writes kept while Redis is away
_WARN_EVERY_S = 60.0

# KEYS: value, lease, value, lease, ... An MGET of one key reads a key of another type as missing.
_CLAIM = """
local out = {}
for i = 1, #KEYS, 2 do
  local value = redis.call('mget', KEYS[i])[1]
  if value then out[#out + 1] = value
  elseif redis.call('set', KEYS[i + 1], ARGV[1], 'NX', 'PX', ARGV[2])
      or redis.call('mget', KEYS[i + 1])[1] == ARGV[1] then out[#out + 1] = 1
  else out[#out + 1] = 0 end
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


def open_cache(url: str, *, memory_bytes: int, ttl_s: float, namespace: str) -> ScoreCache:
    """The cache that `url` names: ``memory://``, or memory before ``redis://``, ``rediss://`` or ``unix://``."""
    memory = MemoryCache(memory_bytes)
    return memory if url == "memory://" else RedisCache(url, memory, ttl_s=ttl_s, namespace=namespace)


class RedisCache:
    """Memory first, then Redis; see `ScoreCache`. One instance belongs to one event loop.

    `timeout_s` bounds one round trip; a claim outlives its process by at most `lease_s`.
    """

    def __init__(
        self,
        url: str,
        memory: MemoryCache,
        *,
        ttl_s: float,
        namespace: str,
        timeout_s: float = 0.5,
        lease_s: float = 6.0,
    ) -> None:
        self.memory = memory
        self._ttl_ms = max(1, round(ttl_s * 1000))
        self._lease_ms = round(lease_s * 1000)
        self._timeout_s = timeout_s
        self._values = f"{namespace}:{SCHEMA}:"
        self._leases = f"{namespace}:lease:"
        self._token = secrets.token_hex(8).encode()
        try:
            self._redis = redis.asyncio.Redis.from_url(
                url, protocol=2, retry=Retry(NoBackoff(), 1), socket_connect_timeout=timeout_s
            )
        except (ValueError, TypeError):  # its message can quote the password
            raise ConfigurationError(
                "REWARD_CACHE_URL is no Redis URL: use redis://[user:password@]host:port/db, rediss://… or memory://"
            ) from None
        self._up = True
        self._pause_s = 0.25
        self._warned_at = -_WARN_EVERY_S
        self._tasks: set[asyncio.Task[None]] = set()
        self._lookups: _Gather[bytes | None] = _Gather(self._mget)
        self._claims: _Gather[bytes | int | None] = _Gather(self._claim)
        self._held: set[CacheKey] = set()
        self._waiting: dict[CacheKey, asyncio.Future[Outcome | None]] = {}
        self._wake = asyncio.Event()
        self._puts: deque[_Put] = deque()
        self._releases: list[CacheKey] = []
        self._garbage: list[tuple[CacheKey, bytes]] = []
        self._counts = dict.fromkeys(("hits", "misses", "invalid", "errors", "writes", "dropped", "outages"), 0)

    async def start(self) -> None:
        """Never fails: a Redis that is not there yet is asked again in the background."""
        self._spawn(self._write())
        self._spawn(self._renew())
        await self._send([("PING",)], keys=1)

    async def aclose(self) -> None:
        """Write what is queued, within a second; give up all claims."""
        self._releases += self._held
        self._held.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._up and (self._puts or self._releases or self._garbage):
                    await self._flush()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Exception):
            await self._redis.aclose()
        await self.memory.aclose()

    def stats(self) -> dict[str, dict[str, int]]:
        gauges = {"up": int(self._up), "queued": len(self._puts), "held": len(self._held)}
        return {**self.memory.stats(), "redis": {**self._counts, **gauges}}

    async def get_many(self, keys: Sequence[CacheKey]) -> list[Outcome | None]:
        found = self.memory.look_up(keys)
        missing = [i for i, outcome in enumerate(found) if outcome is None]
        if missing and self._up:
            for i, outcome in zip(missing, await self._fetch([keys[i] for i in missing]), strict=True):
                found[i] = outcome
        return found

    async def put_many(self, entries: Sequence[tuple[CacheKey, Outcome]], *, permanent: bool = False) -> None:
        settled: asyncio.Future[None] | None = None
        for key, outcome in entries:
            self.memory.store(key, outcome)
            self._held.discard(key)
            if len(self._puts) >= _QUEUED:
                self._counts["dropped"] += 1
                continue
            settled = asyncio.get_running_loop().create_future() if permanent and self._up else None
            self._puts.append((key, outcome, 0 if permanent else self._ttl_ms, settled))
        self._wake.set()
        if settled is not None:  # the last of them: the queue is written in order
            await asyncio.wait({settled}, timeout=2 * self._timeout_s)

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        missing = [key for key in keys if self.memory.peek(key) is None]
        if not missing or not self._up:
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

    async def wait(self, key: CacheKey, deadline: float) -> Outcome | None:
        if (outcome := self.memory.peek(key)) is not None:
            return outcome
        if (future := self._waiting.get(key)) is None:
            future = asyncio.get_running_loop().create_future()
            self._waiting[key] = future
            if len(self._waiting) == 1:
                self._spawn(self._poll())
        await asyncio.wait({future}, timeout=max(0.0, deadline - time.monotonic()))
        return future.result() if future.done() else None

    async def release(self, keys: Sequence[CacheKey]) -> None:
        ours = self._held.intersection(keys)
        self._held -= ours
        self._releases += ours
        self._wake.set()

    # -- reading ---------------------------------------------------------------------------------

    async def _fetch(self, keys: Sequence[CacheKey]) -> list[Outcome | None]:
        found = []
        for i, (key, blob) in enumerate(zip(keys, await self._lookups(keys), strict=True)):
            found.append(None if blob is None else self._decoded(key, blob))
            if i % _CHUNK == _CHUNK - 1:
                await asyncio.sleep(0)
        hits = len(found) - found.count(None)
        self._counts["hits"] += hits
        self._counts["misses"] += len(found) - hits
        return found

    def _decoded(self, key: CacheKey, blob: bytes) -> Outcome | None:
        """The outcome, now also in memory; what is not one is deleted from Redis."""
        outcome = decode(key, blob)
        if outcome is None:
            self._counts["invalid"] += 1
            self._warn("score_cache_value_invalid")
            self._garbage.append((key, blob))
            self._wake.set()
            return None
        self.memory.store(key, outcome)
        return self.memory.peek(key) or outcome

    async def _mget(self, keys: list[CacheKey], prefix: str = "") -> list[bytes | None]:
        prefix = prefix or self._values
        chunks = list(_chunks(keys))
        replies = await self._send([("MGET", *(prefix + key for key in chunk)) for chunk in chunks], keys=len(keys))
        return _flat(chunks, replies)

    async def _claim(self, keys: list[CacheKey]) -> list[bytes | int | None]:
        chunks = list(_chunks(keys))
        replies = await self._send(
            [self._eval(_CLAIM, self._both(chunk), self._token, self._lease_ms) for chunk in chunks], keys=len(keys)
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
            for key, outcome in zip(gone, await self._fetch(gone) if gone else [], strict=True):
                self._waiting.pop(key).set_result(outcome)
            pause = max(0.01, 4 * (time.monotonic() - began))  # at most a fifth of the time

    # -- writing ---------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._up and (self._puts or self._releases or self._garbage):
                await self._flush()

    async def _flush(self) -> None:
        """One round trip of queued writes; those that a lost connection swallowed are queued again."""
        garbage, self._garbage = self._garbage[:_CHUNK], self._garbage[_CHUNK:]
        releases, self._releases = self._releases[:_CHUNK], self._releases[_CHUNK:]
        puts = [self._puts.popleft() for _ in range(min(len(self._puts), _CHUNK))]
        encoded = [(put, blob) for put in puts if (blob := self._encoded(put)) is not None]
        commands = []
        if garbage:
            commands.append(
                self._eval(_DISCARD, [self._values + key for key, _ in garbage], *(blob for _, blob in garbage))
            )
        if encoded:
            lifetimes = [part for (_, _, ttl_ms, _), blob in encoded for part in (blob, ttl_ms)]
            commands.append(self._eval(_PUT, self._both([put[0] for put, _ in encoded]), self._token, *lifetimes))
        # A key that has been claimed again since keeps its lease.
        if leases := [self._leases + key for key in releases if key not in self._held]:
            commands.append(self._eval(_HOLD, leases, self._token, 0))
        replies = await self._send(commands, keys=len(puts) + len(releases)) if commands else []
        if not self._up:
            self._puts.extendleft(reversed(puts))
            return
        stored = replies[1 if garbage else 0] if encoded else None
        for ((key, outcome, _, _), _), old in zip(encoded, stored or (), strict=False):
            self._counts["writes"] += 1
            if old is not None and (first := decode(key, old)) is not None and first != outcome:
                self.memory.store(key, first, replace=True)
        for *_, settled in puts:
            if settled is not None and not settled.done():
                settled.set_result(None)

    def _encoded(self, put: _Put) -> bytes | None:
        try:
            return encode(put[0], put[1])
        except TypeError:
            self._counts["dropped"] += 1
            self._warn("score_cache_value_not_encodable")
            return None

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            leases = [self._leases + key for key in self._held]
            commands = [self._eval(_HOLD, chunk, self._token, self._lease_ms) for chunk in _chunks(leases)]
            if commands:
                await self._send(commands, keys=len(leases))

    # -- the connection --------------------------------------------------------------------------

    async def _send(self, commands: Sequence[tuple[Any, ...]], *, keys: int) -> list[Any]:
        """One round trip: the reply to each command, None in place of one that failed."""
        nothing: list[Any] = [None] * len(commands)
        if not self._up:
            return nothing
        try:
            async with asyncio.timeout(self._timeout_s + keys * 5e-5):
                pipeline: Any = self._redis.pipeline(transaction=False)
                for command in commands:
                    pipeline.execute_command(*command)
                replies = await pipeline.execute(raise_on_error=False)
        except Exception as error:
            self._lost(error)
            return nothing
        for i, reply in enumerate(replies):
            if isinstance(reply, RedisConnectionError):  # e.g. still loading its data
                self._lost(reply)
                return nothing
            if isinstance(reply, Exception):  # it answers, but refuses: full, read-only, no permission
                self._counts["errors"] += 1
                self._warn("score_cache_refused", error=type(reply).__name__)
                replies[i] = None
            else:
                self._pause_s = 0.25
        return list(replies)

    def _lost(self, error: Exception) -> None:
        self._counts["errors"] += 1
        if not self._up:
            return
        self._up = False
        self._counts["outages"] += 1
        self._warn("score_cache_unavailable", error=type(error).__name__)
        self._spawn(self._recover())

    async def _recover(self) -> None:
        while not self._up:
            await asyncio.sleep(self._pause_s)
            # Kept until a real command succeeds: answering PING is not being well.
            self._pause_s = min(2.0, self._pause_s * 2)
            with suppress(Exception):
                async with asyncio.timeout(self._timeout_s):
                    await self._redis.ping()
                self._up = True
        self._wake.set()

    def _warn(self, event: str, **fields: str) -> None:
        """At most one a minute, with types only: an exception's text can name hosts and users."""
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            _log.warning(event, **fields, **self._counts)

    def _both(self, keys: Sequence[CacheKey]) -> list[str]:
        return [prefix + key for key in keys for prefix in (self._values, self._leases)]

    @staticmethod
    def _eval(script: str, keys: Sequence[str], *arguments: bytes | int) -> tuple[Any, ...]:
        return ("EVAL", script, len(keys), *keys, *arguments)

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_Put = tuple[CacheKey, Outcome, int, "asyncio.Future[None] | None"]
"""Key, outcome, lifetime in ms (0: for ever), and who waits until it is written."""


class _Gather(Generic[V]):
    """Joins the keys of concurrent requests into one round trip; two are under way at most."""

    def __init__(self, send: Callable[[list[CacheKey]], Awaitable[list[V]]]) -> None:
        self._send = send
        self._slots = asyncio.Semaphore(2)
        self._open: tuple[list[CacheKey], asyncio.Task[list[V]]] | None = None

    async def __call__(self, keys: Sequence[CacheKey]) -> list[V]:
        if self._open is None:
            self._open = ([], asyncio.get_running_loop().create_task(self._go()))
        joined, task = self._open
        begin = len(joined)
        joined += keys
        # Shielded: one request that hangs up must not cancel the others' look-up.
        return (await asyncio.shield(task))[begin : begin + len(keys)]

    async def _go(self) -> list[V]:
        async with self._slots:
            assert self._open is not None
            keys, self._open = self._open[0], None
            return await self._send(keys)


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK))


def _flat(chunks: Sequence[Sequence[str]], replies: Sequence[Any]) -> list[Any]:
    """One reply per key; a chunk that failed counts as None for each of its keys."""
    return [
        item
        for chunk, reply in zip(chunks, replies, strict=True)
        for item in (reply if reply is not None else [None] * len(chunk))
    ]
