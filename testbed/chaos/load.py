"""A service with Redis and judge, a load on it that checks every answer, and what can be observed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from testbed.chaos.account import COMPONENTS, Tally, item
from testbed.redis_server import Redis
from testbed.scripted_judge import JudgeProcess
from testbed.service import Service, free_port, write_profile

IN_FLIGHT = 256
HOT = 40  # pairs that are asked for again and again, beside a fresh one in every request
SETTINGS = {
    "model_process": True, "judge_model": "m", "judge_revision": "r", "judge_canary_s": 0, "judge_timeout_s": 4,
    "judge_concurrency": 32, "cache_memory_bytes": 4 << 20, "artefact_bytes": 4 << 20, "embedding_bytes": 4 << 20,
    "shutdown_grace_s": 20, "drain_delay_s": 1,
}  # fmt: skip


class LoadedService:
    """A service with Redis and judge, a load on it, and the means to hurt it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.redis = Redis().start()
        self.judge = JudgeProcess(folder).start()
        self.profile = write_profile(folder, "chaos", COMPONENTS, bounds=[-4000, 4000])
        stderr = settings.pop("stderr", "")
        self.service = Service(
            folder / "log", stderr=stderr, profiles=self.profile, port=free_port(), cache_url=self.redis.url,
            judge_urls=self.judge.url, **{**SETTINGS, **settings},
        )  # fmt: skip
        self.tally = Tally()
        self.in_flight = 0
        self._next = HOT
        self._clinical = float("nan")
        self._stop = False
        self.session: aiohttp.ClientSession | None = None
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
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(120)) as session:
            self.session = session
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
        _, body = await self.post([item(i) for i in range(HOT)])
        values = {result["components"]["clinical"] for result in body["results"]}
        assert len(values) == 1, values
        self._clinical = values.pop()
        self.tally.check(body["results"], self._clinical)
        assert self.tally.ok == HOT, (self.tally, body["results"][:2])
        self.tally = Tally()

    async def _ask(self) -> None:
        while not self._stop:
            self._next += 1
            wanted = [item(self._next), item(self._next % HOT)]
            self.tally.requests += 1
            self.in_flight += 1
            try:
                status, body = await self.post(wanted)
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
                    self.tally.check(body["results"], self._clinical)
            finally:
                self.in_flight -= 1

    async def post(self, items: list[dict[str, str]]) -> tuple[int, Any]:
        assert self.session is not None
        body = {"items": items, "timeout_s": 20}
        async with self.session.post(f"{self.service.url}/score", json=body) as response:
            return response.status, await response.json()

    # -- observation -----------------------------------------------------------------------------

    async def recovered(self) -> float:
        """Seconds until five fresh pairs sent at once all have full rewards, and `/ready` is green without a but."""
        began = time.monotonic()
        while not all(await asyncio.gather(*(self._well() for _ in range(5)))):
            if time.monotonic() - began > 60:
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def _well(self) -> bool:
        assert self.session is not None
        self._next += 1
        try:
            status, body = await self.post([item(self._next)])
            async with self.session.get(f"{self.service.url}/ready") as ready:
                red = ready.status != 200 or (await ready.json())["degraded"]
        except (aiohttp.ClientError, TimeoutError):
            return False
        return bool(status == 200 and body["results"][0]["status"] == "ok" and not red)

    async def busy(self, limit_s: float = 60.0) -> int:
        """How many requests are in flight, once they are nearly all that there can be."""
        end = time.monotonic() + limit_s
        while self.in_flight <= 200 and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return self.in_flight

    async def counted(self, *parts: str, limit_s: float = 30.0) -> float:
        """The counter once it is above 0, or at the end of the limit."""
        end = time.monotonic() + limit_s
        while (count := await self.counter(*parts)) <= 0 and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return count

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
