"""How much of a running server's rate the LLM judge gets: groups through the judge, against a bare load generator.

Both send the prompts that the judge would send about 8 groups of 16, at the same concurrency. The bare one knows them
all beforehand and has the best order: the first request of a group alone, the others when that is answered. Each run
has references of its own, so that no run finds another's prompts in the server's cache. The runs take turns, and what
counts is the ratio of their medians.

Beside it stands the arithmetic: what the server prefills and decodes a second when it does only that, and the rate of
pairs that follows from the tokens of a pair. Start the server with `make judge-server MODEL=smollm2`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson

from benchmarks.common import machine, table
from benchmarks.judge import GROUP, Pair, groups
from judges.vllm import questions
from judges.vllm.calibration import Calibration, dump
from judges.vllm.errors import JudgeError
from judges.vllm.judge import PROTOCOLS, VllmJudge
from judges.vllm.prompt import read_pair
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion
from testbed import scripted_judge

JSON = {"content-type": "application/json"}
REVISION = "throughput"
Body = tuple[str, bytes]
"""The group that a request belongs to, and the request."""


class Run(NamedTuple):
    """What one run took: seconds, and tokens as the server counts them."""

    seconds: float
    requests: int
    prompt: int
    cached: int
    completion: int
    failed: int


def settings(url: str, model: str, protocol: Any, folder: Path, concurrency: int) -> VllmJudgeSettings:
    """The judge's settings. The calibration is made up: it decides what an answer means, and not what is sent."""
    calibration = ""
    if protocol == "statements":
        file = folder / "calibration.json"
        file.write_bytes(dump(Calibration(model, REVISION, questions.digest(), 0.5, 1.0, None, None, 1.0, ())))
        calibration = str(file)
    return VllmJudgeSettings(
        model=model, revision=REVISION, protocol=protocol, calibration=calibration, base_urls=(url,),
        concurrency=concurrency, canary_interval_s=0, attempt_timeout_s=1200, attempts=1,
    )  # fmt: skip


async def bodies(settings: VllmJudgeSettings, pairs: Sequence[Pair]) -> list[Body]:
    """What the judge sends about the pairs, in its order, by asking its protocol with answers that are made up."""
    protocol = PROTOCOLS[settings.protocol](settings, lambda name, value, labels: None)
    asked: list[Body] = []

    async def ask(body: bytes, group: str) -> Completion:
        asked.append((group, body))
        return Completion(scripted_judge.answer(), 0, 0, 0, top=(("A", -0.1), ("B", -3.0), ("C", -3.0)))

    for candidate, reference in pairs:
        await protocol.vote(read_pair(candidate, reference, None, settings.max_statements), 0, ask)
    return asked


async def through_judge(judge: VllmJudge, pairs: Sequence[Pair]) -> Run:
    began = time.perf_counter()
    deadline = time.monotonic() + 3600
    made = await asyncio.gather(
        *(judge.judge(candidate, reference, None, deadline=deadline) for candidate, reference in pairs),
        return_exceptions=True,
    )
    took = time.perf_counter() - began
    if strange := next((m for m in made if isinstance(m, BaseException) and not isinstance(m, JudgeError)), None):
        raise strange
    details: list[Any] = [m.details for m in made if not isinstance(m, BaseException)]
    prompt, cached, completion = (
        sum(d["tokens"][kind] for d in details) for kind in ("prompt", "cached", "completion")
    )
    requests = sum(d["requests"] for d in details)
    return Run(took, requests, prompt, cached, completion, len(made) - len(details))


async def bare(url: str, wanted: Sequence[Body], concurrency: int) -> Run:
    """httpx alone: the first request of each group, and the others when it is answered."""
    by_group: dict[str, list[bytes]] = {}
    for group, body in wanted:
        by_group.setdefault(group, []).append(body)
    permits = asyncio.Semaphore(concurrency)
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    totals = [0, 0, 0]
    async with httpx.AsyncClient(limits=limits, timeout=1200, trust_env=False, headers=JSON) as client:

        async def post(body: bytes) -> None:
            async with permits:
                response = await client.post(f"{url}/v1/chat/completions", content=body)
            response.raise_for_status()
            for at, count in enumerate(counts(response)):
                totals[at] += count

        async def one_group(members: list[bytes]) -> None:
            await post(members[0])
            await asyncio.gather(*map(post, members[1:]))

        began = time.perf_counter()
        await asyncio.gather(*map(one_group, by_group.values()))
        return Run(time.perf_counter() - began, len(wanted), totals[0], totals[1], totals[2], 0)


def counts(response: httpx.Response) -> tuple[int, int, int]:
    """Prompt, cached and completion tokens of an answer."""
    usage = orjson.loads(response.content).get("usage") or {}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return usage.get("prompt_tokens", 0), cached, usage.get("completion_tokens", 0)


async def speeds(url: str, model: str, concurrency: int) -> tuple[float, float]:
    """Tokens a second of prefill alone, and of decoding alone with `concurrency` sequences at once."""
    rng = random.Random(7)

    def body(words: int, tokens: int) -> bytes:
        text = " ".join(f"{rng.randrange(10**6)}" for _ in range(words))
        message = {"role": "user", "content": text}
        return orjson.dumps(
            {"model": model, "messages": [message], "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        )

    prefill = await bare(url, [(str(n), body(120, 1)) for n in range(8)], concurrency)
    decode = await bare(url, [(str(n), body(4, 48)) for n in range(concurrency)], concurrency)
    return (prefill.prompt - prefill.cached) / prefill.seconds, decode.completion / decode.seconds


async def measure(settings: VllmJudgeSettings, url: str, count: int, sentences: int, rounds: int) -> None:
    concurrency = settings.concurrency
    rng = random.Random(1)
    judge = VllmJudge(settings)
    await judge.start()
    if not judge.health()["ready"]:
        raise SystemExit(f"error: {judge.health()['detail']}")
    # The instructions are in the server's cache before the first run, as they are after the judge's own canaries.
    await bare(url, (await bodies(settings, groups(rng, 1, sentences)))[:1], 1)
    prefill, decode = await speeds(url, settings.model, concurrency)
    print(f"server alone: {prefill:.0f} tokens/s of prefill, {decode:.0f} of decoding at {concurrency}", flush=True)
    runs: dict[str, list[Run]] = {"judge": [], "bare": []}
    for round_ in range(rounds):
        for name in ("judge", "bare") if round_ % 2 == 0 else ("bare", "judge"):
            pairs = groups(rng, count, sentences)
            asked = await bodies(settings, pairs)
            run = await (through_judge(judge, pairs) if name == "judge" else bare(url, asked, concurrency))
            runs[name].append(run)
            print(f"{name}: {run}", flush=True)
    await judge.aclose()
    pairs_a_run = count * GROUP
    rows = [("", "pairs/s, median", "runs", "requests a pair", "prompt (cached), completion a pair", "failed")]
    for name, made in runs.items():
        rates = [pairs_a_run / run.seconds for run in made]
        prompt, cached, completion = (
            sum(getattr(r, kind) for r in made) for kind in ("prompt", "cached", "completion")
        )
        judged = pairs_a_run * len(made) - sum(run.failed for run in made)
        tokens = f"{prompt / judged:.0f} ({cached / prompt:.3f}), {completion / judged:.1f}"
        shown = " ".join(f"{rate:.2f}" for rate in rates)
        requests = f"{sum(run.requests for run in made) / judged:.2f}"
        failed = str(sum(run.failed for run in made))
        rows.append((name, f"{statistics.median(rates):.2f}", shown, requests, tokens, failed))
        new = (prompt - cached) / judged
        possible = 1.0 / (new / prefill + completion / judged / decode)
        print(f"{name}: arithmetic 1 / ({new:.0f} / {prefill:.0f} + {completion / judged:.1f} / {decode:.0f})", end=" ")
        print(f"= {possible:.2f} pairs/s")
    ratio = statistics.median(r.seconds for r in runs["bare"]) / statistics.median(r.seconds for r in runs["judge"])
    print(table(rows))
    print(f"judge / bare: {ratio:.2f} (target .9)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8100", help="a server that runs")
    parser.add_argument("--model", default="judge")
    parser.add_argument("--protocol", choices=("json", "statements"), default="json")
    parser.add_argument("--groups", type=int, default=8, help=f"groups of {GROUP} in a run")
    parser.add_argument("--sentences", type=int, default=5, help="statements of a report")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    arguments = parser.parse_args()
    url = arguments.url.rstrip("/").removesuffix("/v1")
    print(f"{machine()}; {arguments.protocol}, {arguments.groups} groups of {GROUP}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = settings(url, arguments.model, arguments.protocol, Path(folder), arguments.concurrency)
        asyncio.run(measure(made, url, arguments.groups, arguments.sentences, arguments.runs))


if __name__ == "__main__":
    main()
