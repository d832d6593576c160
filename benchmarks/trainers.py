"""Trainers' traffic: one-item posts against the same pairs in large requests, and against a plain server.

`python -m benchmarks.trainers [--profile text] [--pairs 4096] [--workers 1]`. Every service starts cold. Targets: one-item posts to
`/get_reward` at concurrency 64 reach 0.8 of the rate of requests of 256 with profile `embedded`, and 2.3 times that of
a FastAPI server that calls `bert_score`, `rouge_score` and `nltk` for each request, at its best concurrency of 1, 4 and
16. No answer is lost or swapped: both shapes must give the same rewards in the same places.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from fastapi import FastAPI

from benchmarks.common import JSON, machine, service, table
from benchmarks.data import PairList, grpo_pairs
from testbed.service import ROOT

PROMPT = "<|im_start|>user\nDescribe the image.<|im_end|>\n<|im_start|>assistant\n"


def plain_server() -> FastAPI:
    """What one would write in an afternoon: the model is loaded once, everything else happens per request."""
    import bert_score
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from pydantic import BaseModel
    from rouge_score.rouge_scorer import RougeScorer

    from benchmarks.bertscore import MODEL

    class Pair(BaseModel):
        candidate: str
        reference: str

    app = FastAPI()
    encoder: Any = bert_score.BERTScorer(model_type=str(MODEL), num_layers=6, device="cpu")
    rouge, smooth = RougeScorer(["rougeL"], use_stemmer=True), SmoothingFunction().method1

    def score(pair: Pair) -> dict[str, float]:
        words = pair.candidate.lower().split(), pair.reference.lower().split()
        bleu = sentence_bleu([words[1]], words[0], weights=(0.5, 0.5), smoothing_function=smooth)
        overlap = rouge.score(pair.reference, pair.candidate)["rougeL"].fmeasure
        similarity = encoder.score([pair.candidate], [pair.reference])[2].item()
        return {"reward": (bleu + overlap + similarity) / 3}

    # Annotations are strings in this module; FastAPI needs the local class itself.
    score.__annotations__["pair"] = Pair
    app.post("/score")(score)
    return app


@asynccontextmanager
async def plain() -> AsyncIterator[str]:
    """The plain server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--factory", "--port", str(port), "--log-level", "error"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "benchmarks.trainers:plain_server", *flags, cwd=ROOT, env=os.environ
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{url}/docs"):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.3)
            async with session.post(f"{url}/score", json={"candidate": "warm", "reference": "up"}):
                pass
        yield url
    finally:
        process.terminate()
        await process.wait()


async def post_all(
    url: str, bodies: list[bytes], concurrency: int, rewards_of: Callable[[Any], list[float]]
) -> tuple[float, list[float]]:
    """Seconds until all are answered, and the rewards in the order of the bodies."""
    gate = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(body: bytes) -> list[float]:
            async with gate, session.post(url, data=body, headers=JSON) as response:
                answer = orjson.loads(await response.read())
                assert response.status == 200, answer
                return rewards_of(answer)

        began = time.perf_counter()
        answers = await asyncio.gather(*map(post, bodies))
        return time.perf_counter() - began, [reward for answer in answers for reward in answer]


def one_item(pairs: PairList) -> list[bytes]:
    """OpenRLHF's posts."""
    return [orjson.dumps({"query": [PROMPT + c], "prompts": [PROMPT], "labels": [r]}) for c, r in pairs]


def large(pairs: PairList, size: int = 256) -> list[bytes]:
    """The client's requests."""
    chunks = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    items = [[{"candidate": c, "reference": r} for c, r in chunk] for chunk in chunks]
    return [orjson.dumps({"items": chunk, "timeout_s": 600}) for chunk in items]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="embedded")
    parser.add_argument("--workers", type=int, default=1, help="HTTP processes of the service")
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument(
        "--plain-pairs", type=int, default=256, help="for the plain server, which is slow; 0: leave out"
    )
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    pairs, source = grpo_pairs(arguments.pairs // 16)
    rates: dict[str, list[float]] = {}
    for _ in range(arguments.runs):
        with service(arguments.profile, workers=arguments.workers) as url:
            seconds, single = await post_all(f"{url}/get_reward", one_item(pairs), 64, lambda a: a["rewards"])
        rates.setdefault("one-item posts, concurrency 64", []).append(len(pairs) / seconds)
        with service(arguments.profile, workers=arguments.workers) as url:
            seconds, batched = await post_all(
                f"{url}/score", large(pairs), 4, lambda a: [r["reward"] for r in a["results"]]
            )
        rates.setdefault("requests of 256, concurrency 4", []).append(len(pairs) / seconds)
        worst = max(abs(a - b) for a, b in zip(single, batched, strict=True))
        assert worst <= 1e-5, f"the shapes disagree by {worst}: answers were lost or swapped"
    few = pairs[: arguments.plain_pairs]
    if few:
        async with plain() as url:
            for concurrency in (1, 4, 16):
                bodies = [orjson.dumps({"candidate": c, "reference": r}) for c, r in few]
                seconds, _ = await post_all(f"{url}/score", bodies, concurrency, lambda a: [a["reward"]])
                rates[f"plain server, concurrency {concurrency}"] = [len(few) / seconds]
    median = {name: statistics.median(values) for name, values in rates.items()}
    processes = f"{arguments.workers} HTTP process" + ("es" if arguments.workers > 1 else "")
    print(
        machine(), f"profile {arguments.profile}, {processes}, {len(pairs)} pairs in groups of 16, {source}", sep="\n"
    )
    print(table([("what", "pairs/s"), *((name, f"{rate:.1f}") for name, rate in median.items())]))
    ours = median["one-item posts, concurrency 64"]
    print(f"one-item posts / requests of 256: {ours / median['requests of 256, concurrency 4']:.2f} (target >= 0.8)")
    if few:
        best = max(rate for name, rate in median.items() if name.startswith("plain"))
        print(f"one-item posts / plain server at its best: {ours / best:.2f} (target >= 2.3)")


if __name__ == "__main__":
    asyncio.run(main())
