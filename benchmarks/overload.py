"""Goodput under overload: an open-loop load generator on one core, the service on another.

    python -m benchmarks.overload [--pairs 64] [--seconds 8] [--timeout 2.0]

Requests arrive at random (Poisson) at multiples of the measured capacity, whether or not earlier ones were
answered, each with distinct pairs and a deadline. *Goodput* is the rate of requests answered in full within their
deadline; *late* the share of admitted requests answered after it or only in part. A refusal is a 429.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from testbed.service import COMMAND, Service, running

PROFILE = """
name: overload
description: for the benchmark
bounds: [-1, 1]
components:
  bleu2: {weight: 0.2}
  rougeL: {weight: 0.2}
  clinical: {component: rules, transform: signed, weight: 0.6}
"""
WORDS = (
    "there is a small left pleural effusion with mild bibasilar atelectasis no pneumothorax the heart is normal in "
    "size stable right upper lobe nodule pulmonary vascular congestion has improved since the prior study lines and "
    "tubes are unchanged in position no focal consolidation mediastinal contours are within normal limits"
).split()


@dataclass
class Outcome:
    """What became of the requests of one run."""

    good: int = 0
    late: int = 0
    shed: int = 0
    wrong: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)


class Load:
    """Makes requests ahead of time, so that making them does not slow their sending."""

    def __init__(self, url: str, pairs: int, timeout_s: float) -> None:
        self.url, self.pairs, self.timeout_s = url, pairs, timeout_s
        self._random = random.Random(7)

    def bodies(self, count: int) -> list[bytes]:
        made = []
        for _ in range(count):
            reference = " ".join(self._random.choices(WORDS, k=40))
            candidates = [" ".join(self._random.choices(WORDS, k=40)) for _ in range(self.pairs)]
            group = {"reference": reference, "candidates": candidates}
            made.append(json.dumps({"groups": [group], "detail": "reward", "timeout_s": self.timeout_s}).encode())
        return made

    async def run(self, rate: float, seconds: float) -> Outcome:
        """Send at `rate` requests a second for `seconds`, and wait for all answers."""
        outcome, bodies, tasks = Outcome(), self.bodies(int(rate * seconds)), []
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        headers = {"content-type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
            due = time.perf_counter()
            for body in bodies:
                due += self._random.expovariate(rate)
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                tasks.append(asyncio.create_task(self._one(session, body, outcome)))
            await asyncio.gather(*tasks)
        return outcome

    async def _one(self, session: aiohttp.ClientSession, body: bytes, outcome: Outcome) -> None:
        began = time.perf_counter()
        try:
            async with session.post(f"{self.url}/score", data=body) as response:
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError):
            outcome.failed += 1
            return
        took = time.perf_counter() - began
        if response.status == 429:
            outcome.shed += 1
        elif response.status != 200 or len(answer["groups"][0]["results"]) != self.pairs:
            outcome.wrong += 1
        elif took > self.timeout_s or any(r["reward"] is None for r in answer["groups"][0]["results"]):
            outcome.late += 1
        else:
            outcome.good += 1
            outcome.latencies.append(took)


async def capacity(load: Load, seconds: float) -> float:
    """Requests a second of a closed loop with a few requests in flight."""
    done = 0
    bodies = load.bodies(2000)
    end = time.perf_counter() + seconds

    async def keep_asking(session: aiohttp.ClientSession) -> None:
        nonlocal done
        while time.perf_counter() < end and bodies:
            async with session.post(f"{load.url}/score", data=bodies.pop()) as response:
                assert response.status == 200, await response.text()
                await response.read()
            done += 1

    began = time.perf_counter()
    async with aiohttp.ClientSession(headers={"content-type": "application/json"}) as session:
        await asyncio.gather(*(keep_asking(session) for _ in range(4)))
    return done / (time.perf_counter() - began)


def main() -> int:
    """Exit status 1 when goodput at four times the capacity is below 0.9 of the peak, or more than 1 % were late."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=64, help="candidates in a request")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--timeout", type=float, default=2.0, help="deadline of a request")
    parser.add_argument("--queue", type=int, default=0, help="REWARD_QUEUE_ITEMS; default: a quarter of the deadline")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("needs two cores")
    os.sched_setaffinity(0, {cores[0]})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "overload.yaml").write_text(PROFILE)
        common = {
            "profiles": folder / "overload.yaml", "pool_workers": 0, "cache_memory_bytes": 0, "log_level": "warning",
            "command": ["taskset", "-c", str(cores[1]), *COMMAND],
        }  # fmt: skip
        with running(folder / "calibrate", **common) as service:
            load = Load(service.url, arguments.pairs, 30.0)
            asyncio.run(capacity(load, 2.0))  # warm up
            peak_rate = asyncio.run(capacity(load, arguments.seconds / 2))
        queue = arguments.queue or max(2 * arguments.pairs, int(peak_rate * arguments.pairs * arguments.timeout / 4))
        with running(folder / "log", queue_items=queue, **common) as service:
            return _measure(service, peak_rate, queue, arguments)


def _measure(service: Service, capacity_rate: float, queue: int, arguments: argparse.Namespace) -> int:
    pairs = arguments.pairs
    print(f"capacity {capacity_rate:.1f} requests/s = {capacity_rate * pairs:.0f} pairs/s, queue {queue} pairs")
    print(f"{'offered':>8} {'goodput/s':>10} {'shed/s':>8} {'late %':>7} {'p50 ms':>7} {'p99 ms':>7} wrong failed")
    goodput: dict[float, float] = {}
    late: dict[float, float] = {}
    broken = 0
    for factor in (0.5, 0.9, 1.0, 1.5, 2.0, 4.0):
        load = Load(service.url, pairs, arguments.timeout)
        outcome = asyncio.run(load.run(factor * capacity_rate, arguments.seconds))
        goodput[factor] = outcome.good / arguments.seconds
        late[factor] = outcome.late / max(1, outcome.good + outcome.late)
        broken += outcome.wrong + outcome.failed
        ranked = sorted(outcome.latencies) or [float("nan")]
        print(
            f"{factor:>7}x {goodput[factor]:>10.1f} {outcome.shed / arguments.seconds:>8.1f} {100 * late[factor]:>7.2f} "
            f"{1e3 * ranked[len(ranked) // 2]:>7.0f} {1e3 * ranked[int(0.99 * len(ranked))]:>7.0f} "
            f"{outcome.wrong:>5} {outcome.failed:>6}"
        )
    ratio = goodput[4.0] / max(goodput.values())
    print(f"goodput at 4x / peak = {ratio:.2f} (wanted: 0.9); late at 4x = {100 * late[4.0]:.2f} % (wanted: at most 1)")
    return int(ratio < 0.9 or late[4.0] > 0.01 or broken > 0)


if __name__ == "__main__":
    raise SystemExit(main())
