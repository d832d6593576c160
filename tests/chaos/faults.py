"""The faults, the load across them, and the account of every request.

A profile of components with a known answer makes every reward checkable: `words` and `model` count common words,
and the scripted judge gives every pair the same verdict; where it gives none, `words` is the declared substitute.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import redis

from reward_service.serving.child import raise_file_limit
from tests.chaos.judge import Judge
from tests.chaos.service import Redis, Service, free_port, write_profile

IN_FLIGHT = 256
HOT = 40  # pairs that are asked for again and again, beside a fresh one in every request
REFERENCE = " ".join(f"w{k}" for k in range(10))
COMPONENTS = {
    "words": {"component": "overlap_inline", "value": "overlap", "weight": 1},
    "model": {"component": "overlap", "value": "overlap", "weight": 10},
    "clinical": {"component": "vllm", "transform": "signed", "weight": 100, "when_missing": "substitute:words"},
}
SETTINGS = {
    "model_process": True, "judge_model": "m", "judge_revision": "r", "judge_canary_s": 0, "judge_timeout_s": 4,
    "judge_concurrency": 32, "cache_memory_bytes": 4 << 20, "artefact_bytes": 4 << 20, "embedding_bytes": 4 << 20,
    "shutdown_grace_s": 20, "drain_delay_s": 1,
}  # fmt: skip


def common(i: int) -> int:
    return i % 11


def item(i: int) -> dict[str, str]:
    return {
        "id": str(i),
        "candidate": " ".join([*(f"w{k}" for k in range(common(i))), f"own{i}"]),
        "reference": REFERENCE,
    }


@dataclass
class Tally:
    """What became of the requests, and of the rewards in them."""

    requests: int = 0
    ok: int = 0
    degraded: int = 0
    null: int = 0
    refused: int = 0
    """Answered with an error in the envelope: 429, 503."""
    wrong: int = 0
    unanswered: int = 0
    refused_connections: int = 0
    """Nobody listened any more; nothing had been sent."""
    codes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)


@dataclass
class Report:
    """One fault's line."""

    fault: str
    tally: Tally
    in_flight: int
    struck: float
    """The counter that shows that the fault happened."""
    recovery_s: float
    leaks: str

    def line(self) -> str:
        t = self.tally
        return (
            f"{self.fault:<22} {t.requests:>8} {t.ok:>7} {t.degraded:>8} {t.null:>6} {t.refused:>6} {t.unanswered:>10} "
            f"{t.wrong:>5} {self.in_flight:>9} {self.struck:>7.0f} {self.recovery_s:>8.1f}  {self.leaks or 'none'}"
        )

    def problems(self) -> list[str]:
        """What breaks a promise; empty when all is well."""
        t, found = self.tally, []
        if t.wrong:
            found.append(f"{t.wrong} wrong: {t.examples[:3]}")
        if t.unanswered:
            found.append(f"{t.unanswered} unanswered: {dict(t.codes)}")
        if self.in_flight <= 200:
            found.append(f"only {self.in_flight} in flight")
        if self.struck <= 0:
            found.append("the fault did not strike")
        if not self.recovery_s <= 10:
            found.append(f"recovery took {self.recovery_s:.1f} s")
        if self.leaks:
            found.append(self.leaks)
        return found


HEAD = (
    f"{'fault':<22} {'requests':>8} {'ok':>7} {'degraded':>8} {'null':>6} {'errors':>6} {'unanswered':>10} {'wrong':>5} "
    f"{'in flight':>9} {'struck':>7} {'recov. s':>8}  left behind"
)


class World:
    """A service with Redis and judge, a load on it, and the means to hurt it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.redis = Redis().start()
        self.judge = Judge(folder).start()
        self.profile = write_profile(folder, "chaos", COMPONENTS, bounds=[-4000, 4000])
        stderr = settings.pop("stderr", "")
        self.service = Service(
            folder / "log", stderr=stderr, profiles=self.profile, port=free_port(), cache_url=self.redis.url,
            judge_urls=self.judge.url, **{**SETTINGS, **settings},
        )  # fmt: skip
        self.tally = Tally()
        self.in_flight = 0
        self._next = HOT
        self._clinical: float | None = None
        self._stop = False
        self._session: aiohttp.ClientSession | None = None
        self.quiet: dict[str, float] = {}
        """The state before the load."""

    def close(self) -> None:
        self.service.kill()
        self.judge.kill()
        self.redis.kill()

    # -- load ------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """`IN_FLIGHT` requests at any moment, each answer checked. Returns when the last has been answered."""
        await asyncio.to_thread(self.service.wait_ready)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(40)) as session:
            self._session = session
            await self._calibrate()
            self.quiet = await self.state()
            askers = [asyncio.create_task(self._ask()) for _ in range(IN_FLIGHT)]
            try:
                yield
            finally:
                self._stop = True
                await asyncio.gather(*askers)

    async def _calibrate(self) -> None:
        """The judge's value for any pair, from a fault-free request."""
        _, body = await self._post([item(i) for i in range(HOT)])
        values = {result["components"]["clinical"] for result in body["results"]}
        assert len(values) == 1, values
        self._clinical = values.pop()
        self._check(body["results"])
        assert self.tally.ok == HOT, (self.tally, body["results"][:2])
        self.tally = Tally()

    async def _ask(self) -> None:
        while not self._stop:
            self._next += 1
            wanted = [item(self._next), item(self._next % HOT)]
            self.tally.requests += 1
            self.in_flight += 1
            try:
                status, body = await self._post(wanted)
            except aiohttp.ClientConnectorError:
                self.tally.refused_connections += 1
                self.tally.requests -= 1
                await asyncio.sleep(0.05)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.tally.unanswered += 1
                self.tally.codes[type(error).__name__] += 1
            else:
                if status != 200:
                    self.tally.refused += 1
                    self.tally.codes[body["error"]["code"]] += 1
                    await asyncio.sleep(0.05)
                elif [result["id"] for result in body["results"]] != [one["id"] for one in wanted]:
                    self.tally.wrong += 1
                else:
                    self._check(body["results"])
            finally:
                self.in_flight -= 1

    async def _post(self, items: list[dict[str, str]]) -> tuple[int, Any]:
        assert self._session is not None
        body = {"items": items, "timeout_s": 20}
        async with self._session.post(f"{self.service.url}/score", json=body) as response:
            return response.status, await response.json()

    def _check(self, results: list[dict[str, Any]]) -> None:
        for result in results:
            n = common(int(result["id"]))
            assert self._clinical is not None
            right = {"ok": 11.0 * n + 100 * self._clinical, "degraded": 111.0 * n, "null": None}[result["status"]]
            reward = result["reward"]
            same = reward == right if None in (reward, right) else abs(reward - right) < 1e-6
            coded = result["status"] == "ok" or bool(result["missing"])
            self.tally.codes.update(m["code"] for m in result["missing"].values())
            if not same or not coded:
                self.tally.wrong += 1
                self.tally.examples.append(f"{result} instead of {right}")
            elif result["status"] == "ok":
                self.tally.ok += 1
            elif result["status"] == "degraded":
                self.tally.degraded += 1
            else:
                self.tally.null += 1

    # -- observation -----------------------------------------------------------------------------

    async def recovered(self) -> float:
        """Seconds until five fresh pairs sent at once all have full rewards, and `/ready` is green without a but."""
        began = time.monotonic()
        while not all(await asyncio.gather(*(self._well() for _ in range(5)))):
            if time.monotonic() - began > 30:
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _well(self) -> bool:
        assert self._session is not None
        self._next += 1
        try:
            status, body = await self._post([item(self._next)])
            async with self._session.get(f"{self.service.url}/ready") as ready:
                red = ready.status != 200 or (await ready.json())["degraded"]
        except (aiohttp.ClientError, TimeoutError):
            return False
        return bool(status == 200 and body["results"][0]["status"] == "ok" and not red)

    async def counter(self, *parts: str) -> float:
        """Sum of the series whose names contain all `parts`."""
        metrics = await asyncio.to_thread(self.service.metrics)
        return sum(value for name, value in metrics.items() if all(part in name for part in parts))

    async def state(self) -> dict[str, float]:
        """What must be as before: tasks and descriptors exactly, memory nearly."""
        return {
            "tasks": await self.counter("reward_event_loop_tasks"),
            "descriptors": float(self.service.descriptors()),
            "memory MB": self.service.memory_mb(),
        }


Strike = Callable[[World], Awaitable[float]]
"""Hurts the service under load, mends what it broke, and returns the counter that shows it."""


async def redis_killed(world: World) -> float:
    world.redis.kill()
    await asyncio.sleep(1.5)
    struck = await world.counter("reward_cache_events_total", "outages")
    world.redis.start()
    return struck


async def redis_stopped(world: World) -> float:
    world.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    struck = await world.counter("reward_cache_events_total", "outages")
    world.redis.signal(signal.SIGCONT)
    return struck


async def redis_restarted(world: World) -> float:
    """So quickly that no request may notice; that the service has connected anew shows that it happened."""
    world.redis.kill()
    world.redis.start()
    await asyncio.sleep(2)
    client = redis.Redis(port=world.redis.port)
    return float((await asyncio.to_thread(client.info, "stats"))["total_connections_received"] - 2)


async def redis_filled(world: World) -> float:
    client = redis.Redis(port=world.redis.port)
    await asyncio.to_thread(client.config_set, "maxmemory", "1")
    await asyncio.sleep(2)
    struck = await world.counter("reward_cache_events_total", 'level="redis"', "errors")
    await asyncio.to_thread(client.config_set, "maxmemory", "0")
    return struck


async def model_worker_killed(world: World) -> float:
    os.kill(world.service.model_workers()[0], signal.SIGKILL)
    await asyncio.sleep(1)
    return await world.counter("reward_worker_restarts", 'component="overlap"')


async def judge_killed(world: World) -> float:
    world.judge.kill()
    await asyncio.sleep(3)
    struck = await world.counter("reward_judge_attempts_total", "disconnect")
    await asyncio.to_thread(world.judge.start)
    return struck


async def judge_slow(world: World) -> float:
    world.judge.mode("slow")
    await asyncio.sleep(6)
    struck = await world.counter("reward_judge_attempts_total", "timeout")
    world.judge.mode("ok")
    return struck


async def judge_garbage(world: World) -> float:
    world.judge.mode("garbage")
    await asyncio.sleep(3)
    struck = await world.counter("reward_judge_invalid_answers_total")
    world.judge.mode("ok")
    return struck


async def clients_hang_up(world: World) -> float:
    """Five hundred send a whole request and leave."""
    before = await world.counter("reward_orphaned_total")
    await asyncio.to_thread(world.judge.mode, "slow")  # so that none is answered before it leaves

    async def leave(i: int) -> None:
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(3.0):
                assert world._session is not None
                body = {"items": [item(10_000_000 + i)], "timeout_s": 20}
                async with world._session.post(f"{world.service.url}/score", json=body) as response:
                    await response.read()

    await asyncio.gather(*(leave(i) for i in range(500)))
    world.judge.mode("ok")
    await asyncio.sleep(1)
    return await world.counter("reward_orphaned_total") - before


async def wall_clock_stepped(world: World) -> float:
    """A day back, then two days forward; the Date header shows it."""
    dates = set()
    assert world._session is not None
    for _ in range(2):
        os.kill(world.service.front, signal.SIGUSR2)
        await asyncio.sleep(2)
        async with world._session.get(f"{world.service.url}/health") as response:
            dates.add(response.headers["Date"][:16])
    return float(len(dates) - 1)


async def log_device_full(world: World) -> float:
    """It has been full since the start."""
    await asyncio.sleep(2)
    return await world.counter("reward_log_lines_lost_total")


FAULTS: dict[str, tuple[Strike, dict[str, Any]]] = {
    "Redis killed": (redis_killed, {}),
    "Redis stopped": (redis_stopped, {}),
    "Redis restarted": (redis_restarted, {}),
    "Redis full": (redis_filled, {}),
    "model worker killed": (model_worker_killed, {}),
    "judge killed": (judge_killed, {}),
    "judge slow": (judge_slow, {}),
    "judge garbage": (judge_garbage, {}),
    "500 clients hang up": (clients_hang_up, {"orphan_grace_s": 1}),
    "wall clock stepped": (wall_clock_stepped, {}),
    "log device full": (log_device_full, {"stderr": "/dev/full"}),
}


async def run(fault: str, *, before_s: float = 2.0, after_s: float = 2.0) -> Report:
    """One fault on a fresh service under load."""
    raise_file_limit()
    strike, settings = FAULTS[fault]
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        with _environment(CHAOS_CLOCK="1"):
            world = World(Path(name), **settings)
        try:
            async with world.load():
                await asyncio.sleep(before_s)
                world.quiet["memory MB"] = world.service.memory_mb()  # under load, so that its buffers count
                in_flight = world.in_flight
                struck = await strike(world)
                recovery_s = await world.recovered()
                await asyncio.sleep(after_s)
            leaks = await _leaks(world)
        finally:
            world.close()
    return Report(fault, world.tally, in_flight, struck, recovery_s, leaks)


async def terminate(*, before_s: float = 2.0) -> Report:
    """SIGTERM under load: everything that was sent is answered, and the exit status is 0 within the grace time."""
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        world = World(Path(name))
        try:
            async with world.load():
                await asyncio.sleep(before_s)
                in_flight = world.in_flight
                began = time.monotonic()
                world.service.process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.3)
                assert world._session is not None
                async with world._session.get(f"{world.service.url}/ready") as ready:
                    struck = float(ready.status == 503)
                status = await asyncio.to_thread(world.service.process.wait, 40)
                took = time.monotonic() - began
                await asyncio.sleep(0.5)
            leaks = "" if status == 0 and took < 20 else f"status {status} after {took:.1f} s"
        finally:
            world.close()
    return Report("SIGTERM under load", world.tally, in_flight, struck, took, leaks)


async def _leaks(world: World) -> str:
    """At most 15 s after the load, nothing may be left of it; a little use lets connection pools tidy up."""
    limit = time.monotonic() + 15
    while True:
        await asyncio.to_thread(world.service.score, (f"tidy {time.monotonic()}", REFERENCE))
        now = await world.state()
        most = {"tasks": 8, "descriptors": 12, "memory MB": 64}
        grown = [f"{k}: {world.quiet[k]:.0f} -> {now[k]:.0f}" for k in most if now[k] > world.quiet[k] + most[k]]
        if not grown or time.monotonic() > limit:
            return ", ".join(grown)
        await asyncio.sleep(0.3)


@contextlib.contextmanager
def _environment(**values: str) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
