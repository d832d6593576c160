"""A connection to Redis that fails fast, warns rarely and comes back by itself.

The first command that is not answered in time ends an outage's cost: until a background task has had an
answer again, every further command fails at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from reward_service.errors import ConfigurationError
from reward_service.supervision import Backoff
from reward_service.tasks import end, finish

V = TypeVar("V")

_log = structlog.get_logger(__name__)
_WARN_EVERY_S = 60.0
_PAUSE_S = (0.25, 2.0)  # between attempts to reach a lost Redis: at first, at most


def _refuse_path(url: str) -> None:
    """redis-py silently uses database 0 for a path that is no number."""
    parts = urlsplit(url)
    number = parts.path.strip("/")
    if parts.scheme != "unix" and number and not number.isdecimal():
        raise ValueError("a database is a number")


class RedisConnection:
    """Sends pipelines. `up` says whether Redis is believed to answer; `on_up` is called when it does again."""

    def __init__(self, url: str, *, timeout_s: float, on_up: Callable[[], None]) -> None:
        try:
            _refuse_path(url)
            self._redis = redis.asyncio.Redis.from_url(
                url, protocol=2, retry=Retry(NoBackoff(), 1), socket_connect_timeout=timeout_s
            )
            # With a limit of its own redis-py sends through `asyncio.wait_for`, which before Python 3.12 can swallow a
            # cancellation: a background task would outlive its cache, and `send` its time limit.
            self._redis.connection_pool.connection_kwargs["socket_timeout"] = None
            self._redis.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # knows its options
        except (ValueError, TypeError):  # its message can quote the password
            raise ConfigurationError(
                "REWARD_CACHE_URL is no Redis URL: use redis://[user:password@]host:port/db, rediss://… or memory://"
            ) from None
        self.up = True
        self.counts: Counter[str] = Counter(errors=0, outages=0)
        self._timeout_s = timeout_s
        self._on_up = on_up
        self._backoff = Backoff(*_PAUSE_S)
        self._warned_at = -_WARN_EVERY_S
        self._recovery: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        if self._recovery is not None:
            await end({self._recovery})
        self.up = False
        await finish(self._redis.aclose(), within_s=1.0, name="closing the connection to Redis")

    async def send(self, commands: Sequence[tuple[Any, ...]], *, keys: int) -> list[Any]:
        """One round trip: the reply to each command, None in place of one that failed. Never raises.

        `keys`: how many the commands name in all, which extends the time limit a little.
        """
        nothing: list[Any] = [None] * len(commands)
        if not self.up:
            return nothing
        try:
            async with asyncio.timeout(self._timeout_s + keys * 5e-5):
                pipeline: Any = self._redis.pipeline(transaction=False)
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except Exception as error:
            self._lost(error)
            return nothing
        for i, reply in enumerate(replies):
            if isinstance(reply, RedisConnectionError):  # e.g. still loading its data
                self._lost(reply)
                return nothing
            if isinstance(reply, Exception):  # it answers, but refuses: full, read-only, no permission
                self.counts["errors"] += 1
                self.warn("score_cache_refused", error=type(reply).__name__)
                replies[i] = None
            else:
                self._backoff.reset()
        return replies

    def warn(self, event: str, **fields: str) -> None:
        """At most one a minute, with types only: an exception's text can name hosts and users."""
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            with suppress(OSError, ValueError):  # a full or closed log must not become a failed look-up
                _log.warning(event, **fields, **self.counts)

    def _lost(self, error: Exception) -> None:
        self.counts["errors"] += 1
        if self.up:
            self.up = False
            self.counts["outages"] += 1
            self.warn("score_cache_unavailable", error=type(error).__name__)
            self._recovery = asyncio.get_running_loop().create_task(self._recover())

    async def _recover(self) -> None:
        while not self.up:
            # Reset only when a real command succeeds: answering PING is not being well.
            await asyncio.sleep(self._backoff.pause_s())
            with suppress(Exception):
                async with asyncio.timeout(self._timeout_s):
                    await self._redis.ping()
                self.up = True
        self._on_up()


class KeyBatcher(Generic[V]):
    """Joins the keys of concurrent requests into one round trip; two are under way at most."""

    def __init__(
        self,
        send: Callable[[list[str]], Coroutine[Any, Any, list[V]]],
        spawn: Callable[[Coroutine[Any, Any, list[V]]], asyncio.Task[list[V]]],
    ) -> None:
        self._send = send
        self._spawn = spawn
        self._slots = asyncio.Semaphore(2)
        self._open: tuple[list[str], asyncio.Task[list[V]]] | None = None

    async def __call__(self, keys: Sequence[str]) -> list[V]:
        if self._open is None:
            self._open = ([], self._spawn(self._go()))
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
