"""The faults: each strikes a fresh service under load, and the report says what became of every request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import redis

from reward_service.serving.child import raise_file_limit
from testbed.chaos.account import REFERENCE, Report, item
from testbed.chaos.load import LoadedService

Strike = Callable[[LoadedService], Awaitable[float]]
"""Hurts the service under load, mends what it broke, and returns the counter that shows it."""


async def redis_killed(target: LoadedService) -> float:
    target.redis.kill()
    await asyncio.sleep(1.5)
    struck = await target.counted("reward_cache_events_total", "outages")
    target.redis.start()
    return struck


async def redis_stopped(target: LoadedService) -> float:
    target.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    struck = await target.counted("reward_cache_events_total", "outages")
    target.redis.signal(signal.SIGCONT)
    return struck


async def redis_restarted(target: LoadedService) -> float:
    """So quickly that no request may notice; that the service has connected anew shows that it happened."""
    target.redis.kill()
    target.redis.start()
    await asyncio.sleep(2)
    client = redis.Redis(port=target.redis.port)
    return float((await asyncio.to_thread(client.info, "stats"))["total_connections_received"] - 2)


async def redis_filled(target: LoadedService) -> float:
    client = redis.Redis(port=target.redis.port)
    await asyncio.to_thread(client.config_set, "maxmemory", "1")
    await asyncio.sleep(2)
    struck = await target.counted("reward_cache_events_total", 'level="redis"', "errors")
    await asyncio.to_thread(client.config_set, "maxmemory", "0")
    return struck


async def model_worker_killed(target: LoadedService) -> float:
    os.kill(target.service.model_workers()[0], signal.SIGKILL)
    await asyncio.sleep(1)
    return await target.counted("reward_worker_restarts", 'component="overlap"')


async def judge_killed(target: LoadedService) -> float:
    target.judge.kill()
    await asyncio.sleep(3)
    struck = await target.counted("reward_judge_attempts_total", "disconnect")
    await asyncio.to_thread(target.judge.start)
    return struck


async def judge_slow(target: LoadedService) -> float:
    target.judge.mode("slow")
    await asyncio.sleep(6)
    struck = await target.counted("reward_judge_attempts_total", "timeout")
    target.judge.mode("ok")
    return struck


async def judge_garbage(target: LoadedService) -> float:
    target.judge.mode("garbage")
    await asyncio.sleep(3)
    struck = await target.counted("reward_judge_invalid_answers_total")
    target.judge.mode("ok")
    return struck


async def clients_hang_up(target: LoadedService) -> float:
    """Five hundred send a whole request and leave."""
    before = await target.counter("reward_orphaned_total")
    await asyncio.to_thread(target.judge.mode, "slow")  # so that none is answered before it leaves

    async def leave(i: int) -> None:
        with contextlib.suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(3.0):
                assert target.session is not None
                body = {"items": [item(10_000_000 + i)], "timeout_s": 20}
                async with target.session.post(f"{target.service.url}/score", json=body) as response:
                    await response.read()

    await asyncio.gather(*(leave(i) for i in range(500)))
    target.judge.mode("ok")
    await asyncio.sleep(1)
    return await target.counter("reward_orphaned_total") - before


async def wall_clock_stepped(target: LoadedService) -> float:
    """A day back, then two days forward; the Date header shows it."""
    dates = set()
    assert target.session is not None
    for _ in range(2):
        os.kill(target.service.front, signal.SIGUSR2)
        await asyncio.sleep(2)
        async with target.session.get(f"{target.service.url}/health") as response:
            dates.add(response.headers["Date"][:16])
    return float(len(dates) - 1)


async def log_device_full(target: LoadedService) -> float:
    """It has been full since the start."""
    await asyncio.sleep(2)
    return await target.counted("reward_log_lines_lost_total")


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
            target = LoadedService(Path(name), **settings)
        try:
            async with target.load():
                await asyncio.sleep(before_s)
                target.quiet["memory MB"] = target.service.memory_mb()  # under load, so that its buffers count
                in_flight = await target.busy()
                struck = await strike(target)
                recovery_s = await target.recovered()
                await asyncio.sleep(after_s)
            leaks = await _leaks(target)
        finally:
            target.close()
    return Report(fault, target.tally, in_flight, struck, recovery_s, leaks)


async def terminate(*, before_s: float = 2.0) -> Report:
    """SIGTERM under load: everything that was sent is answered, and the exit status is 0 within the grace time."""
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        target = LoadedService(Path(name))
        try:
            async with target.load():
                await asyncio.sleep(before_s)
                in_flight = await target.busy()
                began = time.monotonic()
                target.service.process.send_signal(signal.SIGTERM)
                struck = await _turns_red(target)
                status = await asyncio.to_thread(target.service.process.wait, 60)
                took = time.monotonic() - began
                await asyncio.sleep(0.5)
            leaks = "" if status == 0 else f"status {status} after {took:.1f} s"
        finally:
            target.close()
    return Report("SIGTERM under load", target.tally, in_flight, struck, took, leaks)


async def _turns_red(target: LoadedService) -> float:
    """1 once `/ready` is red, 0 when it was not before nobody listened any more."""
    assert target.session is not None
    with contextlib.suppress(aiohttp.ClientError):
        while True:
            async with target.session.get(f"{target.service.url}/ready") as ready:
                if ready.status == 503:
                    return 1.0
    return 0.0


async def _leaks(target: LoadedService) -> str:
    """At most a minute after the load, nothing may be left of it; a little use lets connection pools tidy up."""
    limit = time.monotonic() + 60
    while True:
        await asyncio.to_thread(target.service.score, (f"tidy {time.monotonic()}", REFERENCE))
        now = await target.state()
        most = {"tasks": 8, "descriptors": 12, "memory MB": 64}
        grown = [f"{k}: {target.quiet[k]:.0f} -> {now[k]:.0f}" for k in most if now[k] > target.quiet[k] + most[k]]
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
