"""What the LLM judge costs beyond its model: our own CPU per pair, against a server that answers at once.

The server is a process of its own, and a bare httpx POST of the same bytes is what the judge is compared with. What a
real server's rate and prefix cache make of it is in `judge_throughput.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import random
import statistics
import time
from collections.abc import Awaitable, Callable

import httpx

from judges.vllm.judge import VllmJudge
from judges.vllm.prompt import read_pair, request
from judges.vllm.settings import VllmJudgeSettings
from testbed import scripted_judge

FINDINGS = (
    "effusion",
    "consolidation",
    "nodule",
    "mass",
    "opacity",
    "edema",
    "fracture",
    "atelectasis",
    "pneumothorax",
)
GROUP = 16
Pair = tuple[str, str]


def report(rng: random.Random, sentences: int) -> str:
    """A synthetic report; the number in it keeps every reference distinct."""
    parts = []
    for _ in range(sentences):
        grade, side = rng.choice(("small", "moderate", "large", "stable")), rng.choice(("left", "right"))
        parts.append(f"There is a {grade} {side} {rng.choice(FINDINGS)} of {rng.randint(1, 99999)} mm.")
    return " ".join(parts)


def groups(rng: random.Random, count: int, sentences: int) -> list[Pair]:
    """`count` references with `GROUP` candidates each, one group after the other."""
    references = [report(rng, sentences) for _ in range(count)]
    return [(report(rng, sentences), reference) for reference in references for _ in range(GROUP)]


def make_judge(url: str, concurrency: int) -> VllmJudge:
    return VllmJudge(
        VllmJudgeSettings(
            model="judge", revision="bench", base_urls=(url,), concurrency=concurrency, canary_interval_s=0
        )
    )


async def run_judge(judge: VllmJudge, pairs: list[Pair]) -> None:
    deadline = time.monotonic() + 600
    await asyncio.gather(*(judge.judge(c, r, None, deadline=deadline) for c, r in pairs))


def _instant_server(ready: multiprocessing.connection.Connection) -> None:
    """Answers every self-test truthfully and every pair with the same well-formed answer."""
    answer = scripted_judge.answer(matched=[{"ref": f"R{i}", "cand": f"P{i}"} for i in range(1, 6)])

    async def main() -> None:
        server = scripted_judge.ScriptedServer()
        server.reply = lambda request: answer
        await server.start()
        ready.send(server.port)
        await asyncio.Event().wait()

    asyncio.run(main())


async def cpu_of(work: Callable[[], Awaitable[object]], count: int) -> float:
    """Milliseconds of this process's CPU per pair."""
    begin = time.process_time()
    await work()
    return (time.process_time() - begin) / count * 1000


async def against_instant(url: str, count: int, sentences: int, concurrency: int, rounds: int) -> None:
    rng = random.Random(2)
    judge = make_judge(url, concurrency)
    await judge.start()
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:
        permits = asyncio.Semaphore(concurrency)

        async def post(body: bytes) -> None:
            async with permits:
                response = await client.post(
                    f"{url}/v1/chat/completions", content=body, headers={"content-type": "application/json"}
                )
                assert response.status_code == 200

        async def ours(pairs: list[Pair]) -> float:
            return await cpu_of(lambda: run_judge(judge, pairs), len(pairs))

        async def bare(pairs: list[Pair]) -> float:
            bodies = [request(judge.settings, read_pair(c, r, None, 60), 0) for c, r in pairs]
            return await cpu_of(lambda: asyncio.gather(*map(post, bodies)), len(pairs))

        await ours(groups(rng, 2, sentences))
        await bare(groups(rng, 2, sentences))
        figures: dict[str, list[float]] = {"A": [], "B": []}
        for runner in "ABBA" * rounds:
            pairs = groups(rng, count, sentences)
            figures[runner].append(await (ours(pairs) if runner == "A" else bare(pairs)))
    await judge.aclose()
    a, b = statistics.median(figures["A"]), statistics.median(figures["B"])
    print(f"CPU per pair: judge {a:.2f} ms, bare httpx POST {b:.2f} ms, ratio {a / b:.2f} (target at most 1.5)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=20, help="groups of 16 per run")
    parser.add_argument("--sentences", type=int, default=5, help="statements per report")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2, help="times ABBA")
    arguments = parser.parse_args()
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_instant_server, args=(send,), daemon=True)
    process.start()
    url = f"http://127.0.0.1:{receive.recv()}"
    asyncio.run(against_instant(url, arguments.groups, arguments.sentences, arguments.concurrency, arguments.rounds))
    process.terminate()


if __name__ == "__main__":
    main()
