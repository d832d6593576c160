"""A job is kept until it is answered, then its answer; in memory and in a real Redis, within bounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from reward_service.errors import Overloaded
from reward_service.jobs.store import MOST_ATTEMPTS, JobStore, Kept, MemoryStore, RedisStore
from testbed.redis_server import Redis
from tests.needs import needs

REQUEST = b'{"items": []}'


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis().start()
    yield server
    server.kill()


def store_in(redis: Redis, **options: float) -> RedisStore:
    bounds = {"max_bytes": 2**20, "ttl_s": 100, **options}
    return RedisStore(redis.url, namespace="test", **bounds)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs("redis-server"))])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[JobStore]:
    bounds = {"max_bytes": 4000, "ttl_s": 100}
    made: JobStore = (
        MemoryStore(**bounds) if request.param == "memory" else store_in(request.getfixturevalue("redis"), **bounds)
    )
    yield made
    await made.aclose()


async def test_a_job_is_its_request_and_then_its_answer(store: JobStore) -> None:
    await store.add("a", REQUEST)
    assert await store.get("a") == Kept("pending", b"")
    await store.finish("a", "done", b'{"rewards": 1}')
    assert await store.get("a") == Kept("done", b'{"rewards": 1}')
    assert await store.delete("a")
    assert await store.get("a") is None
    assert not await store.delete("a")


async def test_the_answer_to_a_deleted_job_is_not_kept(store: JobStore) -> None:
    await store.add("a", REQUEST)
    await store.delete("a")
    await store.finish("a", "done", b"{}")
    assert await store.get("a") is None


async def test_what_is_kept_is_bounded_and_room_comes_back(store: JobStore) -> None:
    def incompressible(i: int) -> bytes:
        return random.Random(i).randbytes(1500)

    await store.add("j0", incompressible(0))
    await store.add("j1", incompressible(1))
    with pytest.raises(Overloaded, match="REWARD_JOBS_BYTES") as raised:
        await store.add("j2", incompressible(2))
    assert raised.value.code == "too_many_jobs"
    kept = ["j0", "j1"]
    await store.finish(kept[0], "done", b"{}")  # takes the room of the answer, no longer that of the request
    await store.add("later", incompressible(0))
    for job in (*kept, "later"):
        await store.delete(job)
    for i in range(len(kept)):  # as many fit as did at first: the count of bytes has not drifted
        await store.add(f"again{i}", incompressible(i))


async def test_a_job_in_memory_is_forgotten_after_its_time() -> None:
    store = MemoryStore(max_bytes=1000, ttl_s=0.0)
    await store.add("a", REQUEST)
    assert await store.get("a") is None
    await store.add("b", REQUEST)  # and takes no room


@needs("redis-server")
async def test_redis_forgets_a_job_after_its_time_with_all_that_is_kept_of_it(redis: Redis) -> None:
    store = store_in(redis, ttl_s=1, max_bytes=2**20)
    await store.add("a", REQUEST)
    while await store.get("a") is not None:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    await store.add("b", REQUEST)
    names = [key.decode() for key in await store._send("KEYS", "test:jobs*")]
    assert not [name for name in names if name.endswith(":a") and "held" not in name]
    assert await store._send("ZRANGE", "test:jobs", 0, -1) == [b"b"]
    assert await store._send("ZRANGE", "test:jobs:pending", 0, -1) == [b"b"]
    total, own = await store._send("HMGET", "test:jobs:bytes", "", "b")
    assert total == own
    await store.aclose()


@needs("redis-server")
async def test_another_replica_takes_what_nobody_holds_and_gives_up_in_the_end(redis: Redis) -> None:
    first, second = store_in(redis), store_in(redis)
    await first.add("a", REQUEST)
    assert await second.take(()) == {}  # held by the first
    await first.release(["a"])
    assert await second.take(()) == {"a": REQUEST}
    assert await first.take(()) == {}
    for _ in range(MOST_ATTEMPTS - 2):
        await second.release(["a"])
        assert await second.take(()) == {"a": REQUEST}
    await second.release(["a"])
    assert await first.take(()) == {"a": None}
    await first.finish("a", "failed", b"{}")
    await second.finish("a", "done", b"{1}")  # too late: the first answer stays
    assert await second.get("a") == Kept("failed", b"{}")
    await first.release(["a"])
    assert await second.take(()) == {}
    await first.aclose()
    await second.aclose()


@needs("redis-server")
async def test_a_hold_that_ran_out_while_its_process_lives_is_no_attempt(redis: Redis) -> None:
    """Redis was slow or the process busy: the job that runs here is not taken again, and is held again."""
    first, second = store_in(redis), store_in(redis)
    await first.add("a", REQUEST)
    for _ in range(MOST_ATTEMPTS + 1):
        await first._send("DEL", "test:jobs:held:a")
        assert await first.take(["a"]) == {}
        await first.hold(["a"])
        assert await second.take(()) == {}
    await first.release(["a"])
    assert await second.take(()) == {"a": REQUEST}
    await first.aclose()
    await second.aclose()


async def test_what_is_larger_than_can_be_kept_is_never_cut(store: JobStore) -> None:
    with pytest.raises(Overloaded, match="REWARD_JOBS_BYTES"):
        await store.add("large", b" " * (store.largest + 1))
    await store.add("a", REQUEST)
    largest = b" " * store.largest
    await store.finish("a", "done", largest)
    assert await store.get("a") == Kept("done", largest)
    await store.add("b", REQUEST)
    await store.finish("b", "done", largest + b" ")  # as no `JobRunner` does
    with pytest.raises(Overloaded, match="larger than this process keeps one"):
        await store.get("b")


@needs("redis-server")
async def test_a_hold_ends_with_its_process_and_is_renewed_while_it_lives(redis: Redis) -> None:
    dying, living = store_in(redis, hold_s=0.2), store_in(redis)
    await dying.add("a", REQUEST)
    taken = {}
    while not taken:
        taken = await living.take(())
        await asyncio.sleep(0.02)
    assert taken == {"a": REQUEST}
    await dying.hold(["a"])  # no longer its own, so it renews nothing
    await living.release(["a"])
    assert await living.take(()) == {"a": REQUEST}
    await dying.aclose()
    await living.aclose()


@needs("redis-server")
async def test_a_redis_that_is_away_is_an_error_that_says_so(redis: Redis) -> None:
    store = store_in(redis)
    await store.add("a", REQUEST)
    redis.kill()
    for call in (store.get("a"), store.add("b", REQUEST), store.delete("a"), store.finish("a", "done", b"")):
        with pytest.raises(Overloaded) as raised:
            await call
        assert raised.value.code == "jobs_unavailable"
        assert raised.value.retryable
    await store.aclose()
