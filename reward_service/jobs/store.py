"""Where jobs are kept: in Redis for all replicas, or in the memory of the process that took them.

A pending job is held by the process that works on it. In Redis a hold ends a few seconds after its process has died;
then another replica takes the job. Kept jobs are bounded in bytes and in age.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Collection
from typing import Any, Literal, NamedTuple, Protocol

from reward_service.caching.redis_connection import RedisConnection
from reward_service.errors import Overloaded
from reward_service.settings import Settings

State = Literal["pending", "done", "failed"]

MOST_ATTEMPTS = 3
"""Processes that may die of a job, or with it, before it is given up."""


class Kept(NamedTuple):
    """A job as it is kept."""

    state: State
    content: bytes
    """JSON: its answer or, of a failed one, the error; empty while it is pending."""


class JobStore(Protocol):
    """All methods raise `Overloaded` (``jobs_unavailable``) when the store does not answer."""

    shared: bool
    """Whether every replica sees the same jobs."""
    largest: int
    """Bytes of an answer that can be kept, before it is packed."""

    async def add(self, job: str, request: bytes) -> None:
        """Keep a pending job, held by this process. Raises `Overloaded` (``too_many_jobs``) where there is no room."""

    async def get(self, job: str) -> Kept | None:
        """None for a job that is not there: unknown, deleted or too old."""

    async def finish(self, job: str, state: State, answer: bytes) -> None:
        """Keep the answer in place of the request, unless the job was deleted. It has at most `largest` bytes."""

    async def delete(self, job: str) -> bool:
        """Whether there was such a job."""

    async def hold(self, jobs: Collection[str]) -> None:
        """Go on holding these."""

    async def release(self, jobs: Collection[str]) -> None:
        """Let others take these."""

    async def take(self, running: Collection[str]) -> dict[str, bytes | None]:
        """Requests of pending jobs that nobody holds, without those that are `running` here; this process does now.

        None for one that was taken `MOST_ATTEMPTS` times before.
        """

    async def aclose(self) -> None:
        """Release what it holds."""


class MemoryStore:
    """Jobs of this process, which end with it."""

    shared = False

    def __init__(self, *, max_bytes: int, ttl_s: float) -> None:
        self._max_bytes, self._ttl_s = max_bytes, ttl_s
        self.largest = _INFLATED * max_bytes
        self._kept: dict[str, tuple[State, bytes, float]] = {}
        self._bytes = 0

    async def add(self, job: str, request: bytes) -> None:
        self._drop_old()
        packed = _pack(request)
        if len(request) > self.largest or self._bytes + len(packed) > self._max_bytes:
            raise _no_room(self._max_bytes)
        self._put(job, "pending", packed)

    async def get(self, job: str) -> Kept | None:
        self._drop_old()
        kept = self._kept.get(job)
        if kept is None:
            return None
        state, packed, _ = kept
        return Kept(state, b"" if state == "pending" else _unpack(packed, self.largest))

    async def finish(self, job: str, state: State, answer: bytes) -> None:
        if self._pop(job):
            self._put(job, state, _pack(answer))

    async def delete(self, job: str) -> bool:
        return self._pop(job)

    async def hold(self, jobs: Collection[str]) -> None:
        return None

    async def release(self, jobs: Collection[str]) -> None:
        return None

    async def take(self, running: Collection[str]) -> dict[str, bytes | None]:
        return {}

    async def aclose(self) -> None:
        self._kept.clear()
        self._bytes = 0

    def _put(self, job: str, state: State, packed: bytes) -> None:
        self._kept[job] = (state, packed, time.monotonic() + self._ttl_s)
        self._bytes += len(packed)

    def _pop(self, job: str) -> bool:
        kept = self._kept.pop(job, None)
        if kept is not None:
            self._bytes -= len(kept[1])
        return kept is not None

    def _drop_old(self) -> None:
        now = time.monotonic()
        for job in [job for job, (_, _, until) in self._kept.items() if until < now]:
            self._pop(job)


# Every script begins by forgetting what is too old. KEYS: all jobs by their end, sizes, pending ones, then one job and
# its hold. ARGV: now, job, and what the script names.
_FORGET = """
local function gone(job)
  redis.call('zrem', KEYS[1], job)
  redis.call('zrem', KEYS[3], job)
  local size = redis.call('hget', KEYS[2], job)
  if size then
    redis.call('hdel', KEYS[2], job)
    redis.call('hincrby', KEYS[2], '', -size)
  end
end
for _, job in ipairs(redis.call('zrangebyscore', KEYS[1], '-inf', ARGV[1])) do gone(job) end
"""
# More ARGV: request, most bytes in all, seconds to keep, token, milliseconds to hold.
_ADD = (
    _FORGET
    + """
if tonumber(redis.call('hget', KEYS[2], '') or 0) + #ARGV[3] > tonumber(ARGV[4]) then return 0 end
redis.call('hset', KEYS[4], 'state', 'pending', 'content', ARGV[3], 'attempts', 1)
redis.call('expire', KEYS[4], ARGV[5])
redis.call('zadd', KEYS[1], ARGV[1] + ARGV[5], ARGV[2])
redis.call('zadd', KEYS[3], ARGV[1], ARGV[2])
redis.call('hset', KEYS[2], ARGV[2], #ARGV[3])
redis.call('hincrby', KEYS[2], '', #ARGV[3])
redis.call('set', KEYS[5], ARGV[6], 'PX', ARGV[7])
return 1"""
)
# More ARGV: state, answer, seconds to keep. Of two processes that have worked on it the first answer stays.
_FINISH = (
    _FORGET
    + """
redis.call('del', KEYS[5])
if redis.call('hget', KEYS[4], 'state') ~= 'pending' then return 0 end
gone(ARGV[2])
redis.call('hset', KEYS[4], 'state', ARGV[3], 'content', ARGV[4])
redis.call('expire', KEYS[4], ARGV[5])
redis.call('zadd', KEYS[1], ARGV[1] + ARGV[5], ARGV[2])
redis.call('hset', KEYS[2], ARGV[2], #ARGV[4])
redis.call('hincrby', KEYS[2], '', #ARGV[4])
return 1"""
)
_DELETE = _FORGET + "gone(ARGV[2]) redis.call('del', KEYS[5]) return redis.call('del', KEYS[4])"
# More ARGV: token, milliseconds to hold, most attempts. Answers 0, or the request, empty after too many attempts.
_TAKE = (
    _FORGET
    + """
if redis.call('hget', KEYS[4], 'state') ~= 'pending' then
  redis.call('zrem', KEYS[3], ARGV[2])
  return 0
end
if not redis.call('set', KEYS[5], ARGV[3], 'NX', 'PX', ARGV[4]) then return 0 end
if redis.call('hincrby', KEYS[4], 'attempts', 1) > tonumber(ARGV[5]) then return '' end
return redis.call('hget', KEYS[4], 'content')"""
)
# KEYS: holds. ARGV: token, milliseconds (0: give up). A hold that has run out because Redis was slow or the process
# busy is taken up again where nobody else has taken the job.
_HOLD = """
for _, key in ipairs(KEYS) do
  local holder = redis.call('get', key)
  if ARGV[2] == '0' then
    if holder == ARGV[1] then redis.call('del', key) end
  elseif not holder or holder == ARGV[1] then
    redis.call('set', key, ARGV[1], 'PX', ARGV[2])
  end
end
return 1"""
_INFLATED = 32  # times the bytes for all jobs: of one, before it is packed
_TAKEN_AT_ONCE = 16
_LOOKED_AT = 800  # pending jobs, the oldest first


class RedisStore:
    """Jobs that every replica sees and can answer."""

    shared = True

    def __init__(self, url: str, *, namespace: str, max_bytes: int, ttl_s: float, hold_s: float = 6.0) -> None:
        """`hold_s`: how long a hold outlives its process. Raises `ConfigurationError` for what is no URL of Redis."""
        self._connection = RedisConnection(url, timeout_s=2.0, on_up=lambda: None)
        self._names = f"{namespace}:jobs"
        self._max_bytes, self._ttl_s = max_bytes, max(1, int(ttl_s))
        self.largest = _INFLATED * max_bytes
        self._hold_ms = round(1000 * hold_s)
        self._token = secrets.token_hex(8)

    async def add(self, job: str, request: bytes) -> None:
        packed = _pack(request)
        if len(request) > self.largest or not await self._run(
            _ADD, job, packed, self._max_bytes, self._ttl_s, self._token, self._hold_ms
        ):
            raise _no_room(self._max_bytes)

    async def get(self, job: str) -> Kept | None:
        (state,) = await self._send("HMGET", self._job(job), "state")
        if state is None or state == b"pending":  # whoever waits asks often, and a request can be large
            return None if state is None else Kept("pending", b"")
        state, content = await self._send("HMGET", self._job(job), "state", "content")
        return None if state is None else Kept(state.decode(), _unpack(content, self.largest))

    async def finish(self, job: str, state: State, answer: bytes) -> None:
        await self._run(_FINISH, job, state, _pack(answer), self._ttl_s)

    async def delete(self, job: str) -> bool:
        return bool(await self._run(_DELETE, job))

    async def hold(self, jobs: Collection[str]) -> None:
        if jobs:
            await self._send("EVAL", _HOLD, len(jobs), *map(self._held, jobs), self._token, self._hold_ms)

    async def release(self, jobs: Collection[str]) -> None:
        if jobs:
            await self._send("EVAL", _HOLD, len(jobs), *map(self._held, jobs), self._token, 0)

    async def take(self, running: Collection[str]) -> dict[str, bytes | None]:
        taken: dict[str, bytes | None] = {}
        names = [name.decode() for name in await self._send("ZRANGE", f"{self._names}:pending", 0, _LOOKED_AT - 1)]
        holders = await self._send("MGET", *map(self._held, names)) if names else []
        left = [name for name, holder in zip(names, holders, strict=True) if holder is None and name not in running]
        for job in left:
            found = await self._run(_TAKE, job, self._token, self._hold_ms, MOST_ATTEMPTS)
            if isinstance(found, bytes):
                taken[job] = _unpack(found, self.largest) if found else None
            if len(taken) == _TAKEN_AT_ONCE:
                break
        return taken

    async def aclose(self) -> None:
        await self._connection.aclose()

    def _job(self, job: str) -> str:
        return f"{self._names}:job:{job}"

    def _held(self, job: str) -> str:
        return f"{self._names}:held:{job}"

    async def _run(self, script: str, job: str, *arguments: Any) -> Any:
        keys = (self._names, f"{self._names}:bytes", f"{self._names}:pending", self._job(job), self._held(job))
        return await self._send("EVAL", script, len(keys), *keys, time.time(), job, *arguments)

    async def _send(self, *command: Any) -> Any:
        reply = (await self._connection.send([command], keys=100))[0]  # a request can be large
        if reply is None:
            raise Overloaded(
                "Redis, which keeps the jobs, does not answer or is full. Retry after a moment.",
                code="jobs_unavailable",
            )
        return reply


def make_store(settings: Settings) -> JobStore:
    """In Redis where the score cache is, else in memory. Raises `ConfigurationError`."""
    url = settings.cache_url.get_secret_value()
    bounds: dict[str, Any] = {"max_bytes": settings.jobs_bytes, "ttl_s": settings.jobs_ttl_s}
    if url.startswith(("redis:", "rediss:", "unix:")):
        return RedisStore(url, namespace=settings.cache_namespace, **bounds)
    return MemoryStore(**bounds)


def _no_room(limit: int) -> Overloaded:
    return Overloaded(
        f"Jobs that are kept take {limit} bytes (REWARD_JOBS_BYTES). Fetch and delete answers, or retry later.",
        code="too_many_jobs",
    )


def _pack(content: bytes) -> bytes:
    return zlib.compress(content, 1)


def _unpack(packed: bytes, most: int) -> bytes:
    """Inflates to `most` bytes: what others wrote into Redis must not fill the memory. Raises `Overloaded` for more."""
    inflating = zlib.decompressobj()
    content = inflating.decompress(packed, most)
    if not inflating.eof:
        raise Overloaded("The job in Redis is larger than this process keeps one.", code="jobs_unavailable")
    return content
