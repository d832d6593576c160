"""The Redis level against a real redis-server that is killed, stopped, filled, flushed and corrupted."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from pydantic import SecretStr
from structlog.testing import capture_logs

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.caching.base import MemoryCache
from reward_service.caching.codec import SCHEMA, Shape, encode
from reward_service.caching.redis import RedisCache
from reward_service.contracts import ComponentScore
from reward_service.errors import ConfigurationError
from reward_service.settings import Settings
from reward_service.tasks import end
from reward_service.workers.placement import make_cache
from testbed.service import free_port
from tests.needs import needs
from tests.waiting import SOON, soon, until, wait_until

pytestmark = needs("redis-server")

ROOT = Path(__file__).parents[3]


class Server:
    """A redis-server of our own, on a free port, without persistence."""

    def __init__(self, *options: str, scheme: str = "redis", auth: str = "") -> None:
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory()  # a replica writes a dump, which the next server would load
        self.options = ["--save", "", "--appendonly", "no", "--dir", self.directory.name, *options]
        self.tls = scheme == "rediss"
        self.url = f"{scheme}://{auth}127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        port = ["--port", "0", "--tls-port"] if self.tls else ["--port"]
        command = ["redis-server", *port, str(self.port), *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until(self._listens)
        except BaseException:
            self.kill()
            raise
        return self

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server().start()
    yield server
    server.kill()


Make = Callable[..., Awaitable[RedisCache]]


@pytest.fixture
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Starts caches with empty memories, as other processes would have, and closes them.

    Their claims and commands have all the time in the world, unless a test says otherwise.
    """
    made = []

    async def start(url: str = "", **options: Any) -> RedisCache:
        url = url or request.getfixturevalue("server").url
        settings = {"timeout_s": SOON, "lease_s": SOON, **options}
        cache = RedisCache(url, MemoryCache(1 << 20), ttl_s=settings.pop("ttl_s", 60), namespace="t", **settings)
        await cache.start()
        made.append(cache)
        return cache

    yield start
    for cache in made:
        await asyncio.wait_for(cache.aclose(), SOON)


def key(n: int | str) -> str:
    return f"{'f' * 16}:{n:>040}"


def score(x: float) -> ComponentScore:
    return ComponentScore({"x": x, "y": 1 / 3}, ("note",))


def verdict(x: float) -> ComponentScore:
    counts = dict.fromkeys(CATEGORIES, 1.0)
    evidence = (Evidence("wrong_location", "pleural_effusion", True, (0, 8), None, "left/right"),) * 6
    return ComponentScore(
        {"clinical": x}, (), Judgement(counts, counts, 2.0, evidence, {"green": x}, (), {"tokens": 81})
    )


def written(cache: RedisCache, n: int) -> Callable[[], bool]:
    return lambda: cache.stats()["redis"]["writes"] >= n


def counts(cache: RedisCache) -> dict[str, int]:
    return cache.stats()["redis"]


# -- sharing ------------------------------------------------------------------------------------------


async def test_what_one_process_stores_another_finds_in_one_round_trip(make: Make, server: Server) -> None:
    one, other = await make(), await make()
    entries = [(key(n), verdict(n / 7) if n % 2 else score(n / 7)) for n in range(40)]
    await one.put_many(entries)
    await until(written(one, 40))
    before = server.client().info("commandstats")["cmdstat_mget"]["calls"]
    found = await other.get_many([key(n) for n in range(41)])
    assert found == [stored for _, stored in entries] + [None]
    assert server.client().info("commandstats")["cmdstat_mget"]["calls"] == before + 1
    assert (counts(other)["hits"], counts(other)["misses"]) == (40, 1)
    assert (await other.get_many([key(3)])) == [verdict(3 / 7)]  # from memory now
    assert other.stats()["memory"]["hits"] == 1
    assert counts(other)["hits"] == 40


async def test_concurrent_look_ups_share_round_trips(make: Make, server: Server) -> None:
    cache = await make()
    before = server.client().info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]
    assert await asyncio.gather(*(cache.get_many([key(n)]) for n in range(400))) == [[None]] * 400
    assert server.client().info("commandstats")["cmdstat_mget"]["calls"] - before <= 3


async def test_scores_expire_and_verdicts_do_not(make: Make, server: Server) -> None:
    cache = await make(ttl_s=100)
    await cache.put_many([(key(1), score(1))])
    await cache.put_many([(key(2), verdict(2))], permanent=True)
    client = server.client()  # the permanent one is settled on return, and writes are in order
    assert 99_000 < client.pttl(f"t:{SCHEMA}:{key(1)}") <= 100_000
    assert client.pttl(f"t:{SCHEMA}:{key(2)}") == -1
    assert {k.decode() for k in client.scan_iter()} == {f"t:{SCHEMA}:{key(1)}", f"t:{SCHEMA}:{key(2)}"}


async def test_the_first_verdict_stays_in_every_process(make: Make) -> None:
    one, other, third = await make(), await make(), await make()
    await one.put_many([(key(1), verdict(0.25))], permanent=True)
    await other.put_many([(key(1), verdict(0.75))], permanent=True)
    assert await other.get_many([key(1)]) == [verdict(0.25)]
    assert await third.get_many([key(1)]) == [verdict(0.25)]


async def test_closing_writes_what_is_queued_and_gives_up_claims(make: Make) -> None:
    for steps in range(0, 40, 4):  # at different moments of the background writes
        one, other = await make(lease_s=0.6), await make()
        keys = [key(f"{steps}-{n}") for n in range(1200)]
        await one.claim([*keys, key(f"{steps}-unfinished")])
        await one.put_many([(k, score(n)) for n, k in enumerate(keys)])
        for _ in range(steps):
            await asyncio.sleep(0)
        await one.aclose()
        assert None not in await other.get_many(keys)
        assert await other.claim([key(f"{steps}-unfinished")]) == {key(f"{steps}-unfinished")}


async def test_a_background_task_ends_at_whichever_moment_it_is_cancelled(make: Make) -> None:
    """`asyncio.wait_for` of Python 3.11 swallowed a cancellation between the sending of a command and its reply."""
    cache = await make()
    moments = 0
    while True:
        sent = asyncio.create_task(send_and_stay(cache))
        for _ in range(moments):
            await asyncio.sleep(0)
        replied = sent.get_name() == "replied"
        sent.cancel()
        await asyncio.wait({sent}, timeout=SOON)
        assert sent.cancelled(), f"cancelled after {moments} turns of the event loop, it lives on"
        moments += 1
        if replied:
            break
    assert moments > 5


async def polled(cache: RedisCache) -> None:
    """Returns when `cache` has asked Redis what became of the keys that it waits for, twice from now on."""
    asked = Counting(cache._mget)
    cache._mget = asked  # type: ignore[method-assign]
    await until(lambda: asked.times >= 2)


class Counting:
    def __init__(self, call: Callable[..., Any]) -> None:
        self.times = 0
        self._call = call

    async def __call__(self, *arguments: Any) -> Any:
        result = await self._call(*arguments)
        self.times += 1
        return result


async def send_and_stay(cache: RedisCache) -> None:
    await cache._connection.send([("PING",)], keys=1)
    asyncio.current_task().set_name("replied")  # type: ignore[union-attr]
    await asyncio.Event().wait()


async def test_closing_gives_up_a_task_that_does_not_end(server: Server) -> None:
    cache = RedisCache(server.url, MemoryCache(1 << 20), ttl_s=60, namespace="t")
    await cache.start()
    free = asyncio.Event()

    async def deaf() -> None:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    task = cache._spawn(deaf())
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await asyncio.wait_for(cache.aclose(), SOON)
    assert [(line["event"], line["runs"].rpartition(".")[2]) for line in logs] == [("task_given_up", "deaf")]
    free.set()
    await task


async def test_closing_while_redis_does_not_answer_gives_up_what_is_queued(make: Make, server: Server) -> None:
    cache = await make(timeout_s=60.0)
    server.signal(signal.SIGSTOP)
    try:
        await cache.put_many([(key(n), score(n)) for n in range(700)])
        lost = asyncio.create_task(cache.get_many([key(1000)]))  # a look-up under way
        with capture_logs() as logs:
            await asyncio.wait_for(cache.aclose(), SOON)
    finally:
        server.signal(signal.SIGCONT)
    assert {line["task"] for line in logs if line["event"] == "not_finished_in_time"} == {
        "the score cache's last writes"
    }
    await asyncio.wait({lost})
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


# -- claims -------------------------------------------------------------------------------------------


async def test_a_claim_is_renewed(make: Make, server: Server) -> None:
    cache = await make(lease_s=1.5)
    await cache.claim([key(1)])
    client = server.client()
    (lease,) = client.scan_iter()
    client.pexpire(lease, 1_000_000)  # so that it cannot end before it is renewed
    await until(lambda: client.pttl(lease) <= 1500)


async def test_a_claim_excludes_others_until_the_result_is_there(make: Make) -> None:
    one, other = await make(), await make()
    assert await one.claim([key(1), key(2)]) == {key(1), key(2)}
    assert await other.claim([key(1), key(2), key(3)]) == {key(3)}
    waiting = asyncio.create_task(other.wait(key(1), soon()))
    await polled(other)
    assert not waiting.done()
    await one.put_many([(key(1), score(1))])
    assert await waiting == score(1)
    assert counts(one)["held"] == 1


async def test_a_claim_that_is_given_up_passes_on(make: Make) -> None:
    one, other = await make(), await make()
    await one.claim([key(1)])
    await other.release([key(1)])  # not its own: no effect
    assert await other.claim([key(1)]) == set()
    waiting = asyncio.create_task(other.wait(key(1), soon()))
    await one.release([key(1)])
    assert await waiting is None
    assert await other.claim([key(1)]) == {key(1)}
    assert await other.wait(key(1), time.monotonic() + 0.05) is None  # the deadline


async def test_what_was_stored_between_look_up_and_claim_is_not_computed_again(make: Make) -> None:
    one, other = await make(), await make()
    assert await other.get_many([key(1)]) == [None]
    await one.put_many([(key(1), verdict(1))], permanent=True)
    assert await other.claim([key(1)]) == set()
    assert await other.wait(key(1), time.monotonic()) == verdict(1)


WORKER = """
import asyncio, os, sys, time
from reward_service.caching.base import MemoryCache
from reward_service.caching.redis import RedisCache
from reward_service.contracts import ComponentScore, Pair
from reward_service.scoring.single_flight import SingleFlight, WantedScore

url, log, lease_s, names = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:]

class Slow:
    def submit(self, pairs, deadline):
        loop = asyncio.get_running_loop()
        with open(log, "a") as file:
            file.writelines(f"{pair.candidate} {os.getpid()}\\n" for pair in pairs)
        futures = [loop.create_future() for _ in pairs]
        for future, pair in zip(futures, pairs):
            loop.call_later(seconds, future.set_result, ComponentScore({"x": float(pair.candidate)}))
        return futures

async def main():
    global seconds
    cache = RedisCache(url, MemoryCache(1 << 20), ttl_s=60, namespace="t", lease_s=lease_s, timeout_s=60)
    await cache.start()
    flights = SingleFlight(cache, orphan_grace_s=5)
    print("ready", flush=True)
    seconds = float(sys.stdin.readline())
    keys = [f"{'f' * 16}:{name:>040}" for name in names]
    slow = Slow()
    wanted = [WantedScore(key, Pair(name, "reference"), slow, True) for key, name in zip(keys, names)]
    found = [landed.score for landed in await flights.run(wanted, time.monotonic() + 100)]
    assert found == [ComponentScore({"x": float(name)}) for name in names], (found, cache.stats(), flights.stats())
    print("done", flush=True)
    await cache.aclose()

asyncio.run(main())
"""


def workers(server: Server, log: Path, lease_s: float, count: int, names: list[str]) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORKER, server.url, str(log), str(lease_s), *names]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    return started


def go(process: subprocess.Popen[str], seconds: float) -> None:
    """Let it begin; computing takes it so many seconds."""
    assert process.stdin is not None
    print(seconds, file=process.stdin, flush=True)


def test_eight_processes_compute_each_pair_once(server: Server, tmp_path: Path) -> None:
    names = [str(n) for n in range(50)]
    started = workers(server, tmp_path / "log", SOON, 8, names)
    for process in started:
        go(process, 0.3)
    for process in started:
        assert process.communicate(timeout=SOON)[0] == "done\n"
    computed = [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()]
    assert sorted(computed) == sorted(names)
    assert not server.client().keys("t:lease:*")


def test_another_process_takes_over_from_one_that_was_killed(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    victim, heir = workers(server, log, 1.5, 2, ["1"])
    go(victim, 3600)
    wait_until(lambda: log.exists() and log.read_text())
    polls = server.client().info("commandstats")["cmdstat_mget"]["calls"]
    go(heir, 0)
    wait_until(lambda: server.client().info("commandstats")["cmdstat_mget"]["calls"] > polls + 4)  # it waits
    victim.kill()
    victim.communicate()
    assert heir.communicate(timeout=SOON)[0] == "done\n"
    assert log.read_text().splitlines() == [f"1 {victim.pid}", f"1 {heir.pid}"]


# -- faults -------------------------------------------------------------------------------------------


async def test_garbage_older_schema_and_misplaced_values_are_misses_and_heal(make: Make, server: Server) -> None:
    client = server.client()
    good = encode(key(9), score(9))
    bad = [b"", b"\x00" * 40, b"garbage " * 20, good[:-1], bytes([SCHEMA - 1]) + good[1:], good]
    for n, blob in enumerate(bad):
        client.set(f"t:{SCHEMA}:{key(n)}", blob)
    client.rpush(f"t:{SCHEMA}:{key(len(bad))}", "a list")
    keys = [key(n) for n in range(len(bad) + 1)]
    cache, other = await make(), await make()
    assert await cache.get_many(keys) == [None] * len(keys)
    assert counts(cache)["invalid"] == len(bad)
    assert await other.claim(keys) == set(keys)  # not left waiting for a value that nobody writes
    await cache.put_many([(k, score(n)) for n, k in enumerate(keys)], permanent=True)
    assert await (await make()).get_many(keys) == [score(n) for n in range(len(keys))]


async def test_killed_and_restarted(make: Make, server: Server) -> None:
    cache = await make()
    await cache.put_many([(key(1), score(1))])
    await until(written(cache, 1))
    server.kill()
    assert await cache.get_many([key(1), key(2)]) == [score(1), None]
    assert counts(cache)["up"] == 0
    assert await cache.claim([key(2)]) == {key(2)}
    await cache.put_many([(key(2), score(2))])
    await cache.put_many([(key(3), verdict(3))], permanent=True)
    server.start()
    await until(lambda: counts(cache)["up"])
    await until(written(cache, 3))  # what was computed meanwhile is shared after all
    assert await (await make()).get_many([key(1), key(2), key(3)]) == [None, score(2), verdict(3)]


async def test_writes_that_were_under_way_when_it_died_are_repeated(make: Make, server: Server) -> None:
    cache = await make()
    await cache.put_many([(key(n), score(n)) for n in range(700)])
    server.kill()  # before the background task has had its turn
    await until(lambda: counts(cache)["up"] == 0)
    server.start()
    await until(written(cache, 700))
    assert await (await make()).get_many([key(n) for n in range(700)]) == [score(n) for n in range(700)]


async def test_not_there_at_start(make: Make) -> None:
    server = Server()
    cache = await make(server.url)
    assert await cache.get_many([key(1)]) == [None]
    server.start()
    try:
        await until(lambda: counts(cache)["up"])
    finally:
        server.kill()


async def test_stopped_under_load_costs_one_timeout_not_one_per_request(make: Make, server: Server) -> None:
    cache = await make()
    await cache.put_many([(key(n), score(n)) for n in range(100)])
    await until(written(cache, 100))
    reader = await make(timeout_s=2.0)
    wrong: list[ComponentScore | None] = []
    asked = 0

    async def load(first: int) -> None:
        nonlocal asked
        for n in itertools.count(first):
            (found,) = await reader.get_many([key(n % 130)])
            if found not in (None, score(n % 130)):
                wrong.append(found)
            for mine in await reader.claim([key(f"c{n}")]):
                await reader.put_many([(mine, score(n))])
            asked += 1
            await asyncio.sleep(0.001)

    with capture_logs() as logs:
        tasks = [asyncio.create_task(load(17 * i)) for i in range(20)]
        await until(lambda: asked > 200)
        server.signal(signal.SIGSTOP)
        try:
            await until(lambda: counts(reader)["up"] == 0)
            answered = asked
            await until(lambda: asked > answered + 2000)  # without Redis, which still stands still
            failed = counts(reader)["errors"]
        finally:
            server.signal(signal.SIGCONT)
        await until(lambda: counts(reader)["up"])
        await end(tasks)
    assert wrong == []
    assert counts(reader)["outages"] == 1
    assert failed <= 8  # the round trips that were under way when it stopped, of look-ups, claims and writes
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1


async def test_hang_ups_never_shift_replies(make: Make) -> None:
    cache = await make()
    await cache.put_many([(key(n), score(n)) for n in range(200)])
    await until(written(cache, 200))
    reader = await make()
    for round_ in range(30):
        await reader.memory.aclose()  # drops what it holds
        asks = [asyncio.create_task(reader.get_many([key(n), key(n + 1)])) for n in range(100)]
        for _ in range(round_ % 6):
            await asyncio.sleep(0)
        for ask in asks[::2]:
            ask.cancel()
        for n, found in enumerate(await asyncio.gather(*asks, return_exceptions=True)):
            if n % 2:
                assert found == [score(n), score(n + 1)]
    assert counts(reader)["errors"] == 0


async def test_full(make: Make, server: Server) -> None:
    cache = await make()
    await cache.put_many([(key(1), verdict(1))], permanent=True)
    client = server.client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    assert await (await make()).get_many([key(1)]) == [verdict(1)]  # reading still works
    assert await cache.claim([key(2)]) == {key(2)}
    await cache.put_many([(key(2), verdict(2))], permanent=True)
    assert await cache.get_many([key(2)]) == [verdict(2)]
    assert counts(cache)["errors"] >= 2
    assert counts(cache)["up"] == 1
    client.config_set("maxmemory", "0")
    await cache.put_many([(key(3), verdict(3))], permanent=True)
    assert await (await make()).get_many([key(2), key(3)]) == [None, verdict(3)]


async def test_a_lease_that_never_ends_is_not_respected(make: Make, server: Server) -> None:
    """A plug-in, a careless copy or a PERSIST may leave one; every process would wait for it each time."""
    cache = await make()
    await cache.claim([key(1)])
    (lease,) = server.client().scan_iter()
    await cache.release([key(1)])
    server.client().set(lease, "somebody")
    other = await make()
    assert await other.claim([key(1)]) == {key(1)}


async def test_a_lease_that_lasts_longer_than_any_of_ours_is_not_respected(make: Make, server: Server) -> None:
    """Neither one that is found, nor one that takes the place of a lease while somebody waits for it."""
    one, other = await make(lease_s=0.2), await make(lease_s=0.2)
    await one.claim([key(1)])
    (lease,) = server.client().scan_iter()
    waiting = asyncio.create_task(other.wait(key(1), soon()))
    await polled(other)
    server.client().set(lease, "somebody", px=3_600_000)
    assert await waiting is None
    assert await other.claim([key(1)]) == {key(1)}


async def test_a_stored_score_has_what_its_component_gives(make: Make, server: Server) -> None:
    cache = await make()
    await cache.put_many([(key(1), ComponentScore({"x": 1.0}))])
    await until(lambda: counts(cache)["writes"])
    component = key(1).partition(":")[0]
    for keys, found in ({"x"}, [ComponentScore({"x": 1.0})]), ({"y"}, [None]):
        other = await make(shapes={component: Shape(frozenset(keys), False)})
        assert await other.get_many([key(1)]) == found


async def test_flushed_while_claimed(make: Make, server: Server) -> None:
    one, other = await make(), await make()
    await one.claim([key(1)])
    waiting = asyncio.create_task(other.wait(key(1), soon()))
    await polled(other)
    server.client().flushall()
    assert await waiting is None
    assert await other.claim([key(1)]) == {key(1)}
    await one.put_many([(key(1), verdict(1))], permanent=True)
    await other.put_many([(key(1), verdict(2))], permanent=True)
    assert await other.get_many([key(1)]) == [verdict(1)]


@pytest.mark.slow
async def test_a_read_only_replica(make: Make, server: Server) -> None:
    primary = await make()
    await primary.put_many([(key(1), verdict(1))], permanent=True)
    replica = Server("--replicaof", "127.0.0.1", str(server.port)).start()
    try:
        client = replica.client()
        await until(lambda: client.info("replication")["master_link_status"] == "up" and client.dbsize() == 1)
        cache = await make(replica.url)
        assert await cache.get_many([key(1), key(2)]) == [verdict(1), None]
        assert await cache.claim([key(2)]) == {key(2)}
        await cache.put_many([(key(2), verdict(2))], permanent=True)
        assert await cache.get_many([key(2)]) == [verdict(2)]
        assert counts(cache)["errors"] >= 2
        assert counts(cache)["up"] == 1
    finally:
        replica.kill()


async def test_a_full_log_device_does_not_turn_a_miss_into_an_error(make: Make, server: Server) -> None:
    cache = await make()
    with open("/dev/full", "w") as full:  # noqa: ASYNC230
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(full), cache_logger_on_first_use=False)
        try:
            server.kill()
            assert await cache.get_many([key(1)]) == [None]
            assert await cache.claim([key(1)]) == {key(1)}
        finally:
            structlog.reset_defaults()
            with contextlib.suppress(OSError):
                full.close()
    assert counts(cache)["outages"] == 1


async def test_the_queue_of_writes_is_bounded(make: Make, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reward_service.caching.redis._QUEUED", 10)
    cache = await make()
    server.kill()
    await cache.get_many([key(0)])
    await cache.put_many([(key(n), score(n)) for n in range(25)])
    assert (counts(cache)["queued"], counts(cache)["dropped"]) == (10, 15)
    assert await cache.get_many([key(24)]) == [score(24)]


async def test_values_that_cannot_be_shared_stay_in_memory(make: Make) -> None:
    cache = await make()
    odd = ComponentScore({"x": float("nan")})
    await cache.put_many([(key(1), odd), (key(2), score(2))], permanent=True)
    assert counts(cache)["dropped"] == 1
    assert await (await make()).get_many([key(1), key(2)]) == [None, score(2)]


# -- connection ---------------------------------------------------------------------------------------


async def test_a_password_is_used_and_never_shown(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    server = Server("--requirepass", "s3cret-word", auth=":s3cret-word@").start()
    try:
        cache = await make(server.url)
        await cache.put_many([(key(1), verdict(1))], permanent=True)
        assert await (await make(server.url)).get_many([key(1)]) == [verdict(1)]
        with capture_logs() as logs:
            refused = await make(server.url.replace("s3cret", "s3cret-wr0ng"))
            assert await refused.get_many([key(1)]) == [None]
            server.kill()
            assert await cache.get_many([key(2)]) == [None]
        assert len(logs) == 2
        assert "s3cret" not in str(logs) + str(cache.stats()) + repr(cache) + "".join(capfd.readouterr())
    finally:
        server.kill()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@host:66x/0",
        "http://:s3cret@host",
        "s3cret",
        "redis://h:1/0?db=s3cret",
        "redis://h:1/s3cret",
        "redis://h:1/0?s3cret=1",
    ],
)
def test_an_unusable_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REWARD_CACHE_URL") as refused:
        make_cache(Settings(cache_url=SecretStr(url)))
    assert "s3cret" not in str(refused.value)
    # A traceback would print the original exception, which quotes it.
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@needs("openssl")
async def test_tls(make: Make, tmp_path: Path) -> None:
    certificate, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(secret), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    tls = ["--tls-cert-file", str(certificate), "--tls-key-file", str(secret), "--tls-ca-cert-file", str(certificate)]
    server = Server(*tls, "--tls-auth-clients", "no", scheme="rediss").start()
    try:
        cache = await make(f"{server.url}?ssl_ca_certs={certificate}")
        await cache.put_many([(key(1), verdict(1))], permanent=True)
        assert counts(cache)["writes"] == 1
        untrusting = await make(server.url)  # the certificate is nobody's that it knows
        assert await untrusting.get_many([key(1)]) == [None]
        assert counts(untrusting)["up"] == 0
    finally:
        server.kill()


def test_memory_needs_no_redis() -> None:
    assert isinstance(make_cache(Settings(cache_url=SecretStr("memory://"))), MemoryCache)
