"""What many pairs a step need: costs measured here, the simulation checked against the service, and the table.

`python -m benchmarks.scaling [costs] [points] [table]`. *costs* are processor seconds, bytes and Redis commands of the
real service. *points* are two measured steps with parts that sleep instead of computing, so that they hold on a busy
machine; the simulation has to be within 15 % of each. *table* is that of docs/scaling.md. Needs simpy, for *costs* also
redis-server.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import httpx
import orjson

from benchmarks.common import JSON, machine, posts, section_parser, table
from benchmarks.data import PairList, distinct_pairs, grpo_pairs
from benchmarks.simulation import Encoder, Ingress, Judge, Load, step
from testbed.redis_server import Redis
from testbed.scripted_judge import ScriptedServer, answer
from testbed.service import Service, running, write_profile

# -- costs ------------------------------------------------------------------------------------------------------------

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def processor_s(service: Service) -> float:
    """User and system time of the process that answers."""
    fields = Path(f"/proc/{service.front}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


async def cost_of(service: Service, pairs: PairList, per_post: int) -> float:
    """Processor seconds of one pair, in posts of that size."""
    before = processor_s(service)
    await posts(service.url, pairs, per_post, 8)
    return (processor_s(service) - before) / len(pairs)


async def costs() -> None:
    """Text metrics and rules, one HTTP process without a pool; every pair is new."""
    pairs, source = grpo_pairs(192, synthetic=True)
    third = len(pairs) // 3
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log", profiles="text", pool_workers=0, log_level="error") as service,
    ):
        await posts(service.url, distinct_pairs(64, synthetic=True)[0], 64, 1)
        at_64 = await cost_of(service, pairs[:third], 64)
        at_1 = await cost_of(service, pairs[third : 2 * third], 1)
        await posts(service.url, pairs[2 * third :], 64, 8)
        cached = await cost_of(service, pairs[2 * third :], 64)
    post_s = (at_1 - at_64) * 64 / 63
    print(machine(), f"{source}, groups of 16, processor time of one HTTP process", sep="\n")
    rows = [("text", "ms"), ("pair", f"{1e3 * (at_1 - post_s):.2f}"), ("post, beside its pairs", f"{1e3 * post_s:.2f}"),
            ("pair from the cache, in posts of 64", f"{1e3 * cached:.3f}")]  # fmt: skip
    print(table(rows))
    await _redis_and_network(pairs[:1024])


async def _redis_and_network(pairs: PairList) -> None:
    redis = Redis().start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(
                Path(folder) / "log", profiles="text", pool_workers=0, log_level="error", cache_url=redis.url
            ) as service,
        ):
            body = {"items": [{"candidate": c, "reference": r} for c, r in pairs[:64]], "detail": "reward"}
            sizes = {}
            for detail in ("reward", "components", "full"):
                sent = orjson.dumps(body | {"detail": detail})
                got = await asyncio.to_thread(httpx.post, f"{service.url}/score", content=sent, headers=JSON)
                sizes[detail] = (len(sent) / 64, len(got.content) / 64)
            before = _commands(redis)
            await posts(service.url, pairs[64:], 64, 8)
            after = _commands(redis)
    finally:
        redis.kill()
    count = len(pairs) - 64
    told = {name: tuple(a - b for a, b in zip(after[name], before.get(name, (0, 0)), strict=True)) for name in after}
    calls = sum(calls for calls, _ in told.values()) / count
    spent = sum(spent for name, (_, spent) in told.items() if name == "eval") / count
    print(f"Redis, a new pair of six components: {calls:.1f} commands with those inside of scripts, "
          f"{told['eval'][0] / count:.3f} calls of scripts, {spent:.0f} µs of Redis")  # fmt: skip
    for detail, (out, back) in sizes.items():
        print(f"network, detail {detail}: {out:.0f} bytes a pair to the service, {back:.0f} back")


def _commands(redis: Redis) -> dict[str, tuple[int, int]]:
    """Calls and microseconds by command."""
    import redis as client

    told = client.Redis(port=redis.port).info("commandstats")
    return {name.removeprefix("cmdstat_"): (s["calls"], s["usec"]) for name, s in told.items()}


# -- points -----------------------------------------------------------------------------------------------------------


async def batching() -> tuple[float, float]:
    """(measured, simulated) seconds: one-item posts in a closed loop, batches of at most 16 of 0.3 s."""
    load = Load(pairs=360, per_post=1, connections=24)
    pairs = [(f"own{i}", f"reference{i // 16}") for i in range(load.pairs)]
    with tempfile.TemporaryDirectory() as name:
        profile = write_profile(Path(name), "p", {"m": {"component": "overlap", "value": "overlap", "weight": 1,
                                                        "settings": {"seconds": 0.3}}})  # fmt: skip
        with running(Path(name) / "log", profiles=profile, batch_items=16, log_level="error") as service:
            before = processor_s(service)
            measured = await posts(service.url, pairs, load.per_post, load.connections)
            post_s = (processor_s(service) - before) / load.pairs
    return measured, step(load, Ingress(1, post_s, 0.0), Encoder(1, 0.3, 0.0, most=16)).seconds


MEAN_S, SPREAD = 2.5, 0.6


def straggling(prompt: str) -> float:
    """Seconds of an answer: a quantile of the log-normal distribution that the prompt's digest chooses."""
    share = (int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=7).digest(), "big") + 1) / (2**56 + 1)
    return MEAN_S * math.exp(SPREAD * NormalDist().inv_cdf(share) - SPREAD**2 / 2)


async def judging() -> tuple[float, float]:
    """(measured, simulated) seconds: two judge servers of 16 slots, answers of log-normal length with stragglers."""
    load, servers = Load(pairs=384, per_post=64, connections=6), [ScriptedServer(), ScriptedServer()]

    async def reply(request: dict[str, Any]) -> str:
        await asyncio.sleep(straggling(str(request["messages"])))
        return answer()

    for server in servers:
        server.reply = reply
        await server.start()
    pairs = [(f"No effusion, image {i}.", f"Clear lungs, study {i // 16}.") for i in range(load.pairs)]
    with tempfile.TemporaryDirectory() as name:
        profile = write_profile(
            Path(name), "p", {"clinical": {"component": "vllm", "transform": "signed", "weight": 1}}
        )
        urls = ",".join(server.url for server in servers)
        with running(
            Path(name) / "log", profiles=profile, judge_urls=urls, judge_model="m", judge_revision="r",
            judge_canary_s=0, judge_concurrency=16, log_level="error",
        ) as service:  # fmt: skip
            before = processor_s(service)
            measured = await posts(service.url, pairs, load.per_post, load.connections)
            pair_s = (processor_s(service) - before) / load.pairs
    shares = tuple(len(server.bodies) // load.group for server in servers)
    for server in servers:
        await server.stop()
    judge = Judge(len(servers), 16, MEAN_S, spread=SPREAD, shares=shares)
    runs = [step(load, Ingress(1, 0.0, pair_s), judge=judge, seed=seed).seconds for seed in range(20)]
    return measured, statistics.mean(runs)


async def points() -> bool:
    """Whether the simulation is within 15 % of both."""
    rows, good = [("point", "measured s", "simulated s", "simulated / measured")], True
    for name, point in (("micro-batches, closed loop", batching), ("judge servers with stragglers", judging)):
        measured, simulated = await point()
        good &= abs(simulated / measured - 1) <= 0.15
        rows.append((name, f"{measured:.2f}", f"{simulated:.2f}", f"{simulated / measured:.2f}"))
    print(table(rows), "within 15 %" if good else "NOT within 15 %", sep="\n")
    return good


# -- table ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prices:
    """Assumed, in dollars an hour; what a cloud asks differs by a factor of two either way."""

    core: float = 0.04
    gpu: float = 2.5


@dataclass(frozen=True, slots=True)
class Reward:
    """What a kind of reward costs."""

    name: str
    ingress: Ingress
    encoder: Encoder | None = None
    judge: Judge | None = None


POST_S, PAIR_S, JUDGED_S = 1.4e-3, 1.0e-3, 3.0e-3
"""Processor time of a post and of a pair of profile `text` (*costs*), and of a pair that a judge is asked for."""
ENCODED_S = 1 / 3180
"""Of a pair in a batch of the encoder: the library's rate on an H200 (docs/metrics.md)."""
BATCH_S = 64 / 1640 - 64 * ENCODED_S
"""Of a batch of 64 beside its pairs: over HTTP the same card does 1,640 pairs a second."""
SPREAD_OF_ANSWERS = 0.35  # of the logarithm of their tokens; assumed


def judge_of(billions: float, kv_bytes: float) -> Judge:
    """One server of a model with so many billion 8-bit weights and bytes of KV cache a token, on one GPU of 3.35 TB/s.

    As in docs/judges.md, an answer has 150 tokens, each of which reads all weights and the KV cache of the 3,600 tokens
    of every sequence. Beside that the prompts of those that begin are read: 245 tokens are not in the prefix cache (7 %
    of 3,500), a token costs 2 operations for each weight, and the GPU does 400 TFLOP/s of them (assumed).
    """
    bandwidth, tokens = 3.35e12, 150
    prefill_s = 245 * 2 * billions * 1e9 / 4e14
    decode_s = tokens * 3600 * kv_bytes / bandwidth
    return Judge(1, 128, tokens * billions * 1e9 / bandwidth, decode_s + prefill_s, SPREAD_OF_ANSWERS)


REWARDS = (
    Reward("text metrics, rules", Ingress(1, POST_S, PAIR_S)),
    Reward("and BERTScore", Ingress(1, POST_S, PAIR_S), Encoder(1, BATCH_S, ENCODED_S)),
    Reward("and a judge of 8 B", Ingress(1, POST_S, PAIR_S + JUDGED_S), judge=judge_of(8, 147e3)),
    Reward("and a judge of 32 B", Ingress(1, POST_S, PAIR_S + JUDGED_S), judge=judge_of(32, 262e3)),
)
_WANTED_S = 60.0


def needed(reward: Reward, pairs: int, room: float | None = None) -> tuple[int, int, float, float]:
    """(cores, GPUs, simulated seconds, room) of a step, which is to take `_WANTED_S` at most.

    room: of what there would have to be if nothing ever waited; by default the first of 1, 1.1, 1.2, ... that is enough.
    """
    fixed, room = room is not None, room or 1.0
    wanted_s = _WANTED_S
    while True:
        cores = math.ceil(room * pairs * (reward.ingress.post_s / 64 + reward.ingress.pair_s) / wanted_s)
        gpus, encoder, judge = 0, None, None
        if one := reward.encoder:
            gpus = math.ceil(room * pairs * (one.batch_s / one.most + one.pair_s) / wanted_s)
            encoder = Encoder(gpus, one.batch_s, one.pair_s, one.most)
        if of := reward.judge:
            gpus = math.ceil(room * pairs * of.mean_s(of.concurrency) / of.concurrency / wanted_s)
            judge = replace(of, servers=gpus)
        load = Load(pairs, 64, connections=max(64, pairs // 64))
        ingress = Ingress(cores, reward.ingress.post_s, reward.ingress.pair_s)
        seconds = step(load, ingress, encoder, judge).seconds
        if fixed or seconds <= wanted_s:
            return cores, gpus, seconds, room
        room += 0.1


def requirements(sizes: tuple[int, ...]) -> None:
    prices = Prices()
    rows = [("reward", "pairs a step", "cores", "GPUs", "simulated s", "room", "$ a million pairs, busy")]
    for reward in REWARDS:
        core_s = reward.ingress.post_s / 64 + reward.ingress.pair_s
        gpu_s, room = 0.0, 1.0
        if reward.encoder:
            gpu_s = reward.encoder.batch_s / reward.encoder.most + reward.encoder.pair_s
        if reward.judge:
            gpu_s = reward.judge.mean_s(reward.judge.concurrency) / reward.judge.concurrency
        dollars = 1e6 / 3600 * (core_s * prices.core + gpu_s * prices.gpu)
        for pairs in sizes:
            # A million pairs take long to simulate: once, with the room of the size before.
            cores, gpus, seconds, room = needed(reward, pairs, room if pairs > 500_000 else None)
            rows.append(
                (
                    reward.name,
                    f"{pairs:,}",
                    f"{cores:,}",
                    f"{gpus:,}",
                    f"{seconds:.1f}",
                    f"{room:.1f}",
                    f"{dollars:.2f}",
                )
            )
            print(" ".join(rows[-1]), flush=True)
    print(table(rows))


async def main() -> int:
    """Exit status 1 when the simulation is not within 15 % of what is measured."""
    parser = section_parser(__doc__, ("costs", "points", "table"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 65_536, 1_000_000])
    arguments = parser.parse_args()
    good = True
    if "costs" in arguments.sections:
        await costs()
    if "points" in arguments.sections:
        good = await points()
    if "table" in arguments.sections:
        requirements(tuple(arguments.sizes))
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
