"""How much of a running server's rate the LLM judge gets: groups through the judge, against a bare load generator.

Both send the prompts that the judge would send about 8 groups of 16, at the same concurrency. The bare one knows them
all beforehand and has the best order: the first request of a group alone, the others when that is answered. Each run
has texts of its own, so that no run finds another's prompts in the server's cache. The runs take turns, and what
counts is the ratio of their medians.

On a machine that others use, the wall clock says little of either. With `--pid`, the server's first process, the
processor time of the server and of this process are added up too; on a machine of one's own a run takes as long as they.

Beside it stands the arithmetic: what the server prefills and decodes a second when it does only that, and the rate of
pairs that follows from the tokens of a pair. Start the server with `make judge-server MODEL=smollm2`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
    """What one run took: seconds, tokens as the server counts them, and processor time."""

    seconds: float
    requests: int
    prompt: int
    cached: int
    completion: int
    failed: int
    server_cpu: float = 0.0
    own_cpu: float = 0.0


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


def processor_seconds(root: int) -> float:
    """Of a process and all that descend from it; 0 without one."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for file in Path("/proc").glob("[0-9]*/stat") if root else ():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            fields = file.read_text("utf-8").rpartition(")")[2].split()
            number = int(file.parent.name)
            parents[number] = int(fields[1])
            spent[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {root}
    while grown := {number for number, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(spent.get(number, 0.0) for number in family)


async def timed(work: Awaitable[Run], server: int) -> Run:
    """A run with the processor time that it took of the server and of this process."""
    before = processor_seconds(server), time.process_time()
    run = await work
    run = run._replace(server_cpu=processor_seconds(server) - before[0], own_cpu=time.process_time() - before[1])
    print(run, flush=True)
    return run


async def speeds(url: str, model: str, concurrency: int) -> tuple[float, float]:
    """Tokens a second of prefill alone, and of decoding alone with `concurrency` sequences at once."""
    rng = random.Random()

    def body(words: int, tokens: int) -> bytes:
        text = " ".join(f"{rng.randrange(10**6)}" for _ in range(words))
        message = {"role": "user", "content": text}
        return orjson.dumps(
            {"model": model, "messages": [message], "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        )

    prefill = await bare(url, [(str(n), body(120, 1)) for n in range(8)], concurrency)
    decode = await bare(url, [(str(n), body(4, 48)) for n in range(concurrency)], concurrency)
    return (prefill.prompt - prefill.cached) / prefill.seconds, decode.completion / decode.seconds


async def measure(settings: VllmJudgeSettings, url: str, count: int, sentences: int, rounds: int, server: int) -> None:
    concurrency = settings.concurrency
    rng = random.Random()  # a server that runs remembers what an earlier call has sent
    judge = VllmJudge(settings)
    await judge.start()
    # The instructions are in the server's cache before the first run, as they are after the judge's own canaries.
    await bare(url, (await bodies(settings, groups(rng, 1, sentences)))[:1], 1)
    if not judge.health()["ready"]:
        raise SystemExit(f"error: {judge.health()['detail']}")
    prefill, decode = await speeds(url, settings.model, concurrency)
    runs: dict[str, list[Run]] = {"judge": [], "bare": []}
    for number in range(rounds):
        for name in ("judge", "bare") if number % 2 == 0 else ("bare", "judge"):
            pairs = groups(rng, count, sentences)
            asked = await bodies(settings, pairs)
            work = through_judge(judge, pairs) if name == "judge" else bare(url, asked, concurrency)
            runs[name].append(await timed(work, server))
    await judge.aclose()
    show(runs, count * GROUP, prefill, decode, concurrency)


def show(runs: Mapping[str, Sequence[Run]], pairs: int, prefill: float, decode: float, concurrency: int) -> None:
    """The table, the arithmetic and the ratios."""
    rows = [
        ("", "pairs/s", "requests a pair", "prompt (cached), completion a pair", "CPU ms a pair: server, own", "failed")
    ]
    print(f"server alone: {prefill:.0f} tokens/s of prefill, {decode:.0f} of decoding with {concurrency} at once")
    for name, made in runs.items():
        failed = sum(run.failed for run in made)
        judged = pairs * len(made) - failed
        requests, prompt, cached, completion, server, own = (
            sum(getattr(run, kind) for run in made)
            for kind in ("requests", "prompt", "cached", "completion", "server_cpu", "own_cpu")
        )
        rates = " ".join(f"{pairs / run.seconds:.2f}" for run in made)
        tokens = f"{prompt / judged:.0f} ({cached / prompt:.3f}), {completion / judged:.1f}"
        cpu = f"{server / judged * 1000:.0f}, {own / judged * 1000:.1f}"
        rows.append((name, rates, f"{requests / judged:.2f}", tokens, cpu, str(failed)))
        new, written = (prompt - cached) / judged, completion / judged
        possible = 1.0 / (new / prefill + written / decode)
        print(
            f"{name}: 1 / ({new:.0f} / {prefill:.0f} + {written:.1f} / {decode:.0f}) = {possible:.2f} pairs/s by arithmetic"
        )
    print(table(rows))
    wall = ratio(runs, lambda run: run.seconds)
    print(f"judge / bare by the medians: {wall:.2f} by the clock (target .9)", end="")
    if runs["judge"][0].server_cpu:
        print(f", {ratio(runs, lambda run: run.server_cpu + run.own_cpu):.2f} by processor time", end="")
    print()


def ratio(runs: Mapping[str, Sequence[Run]], cost: Callable[[Run], float]) -> float:
    """The judge's rate as a share of the bare one's, by the medians of what the runs cost."""
    return statistics.median(map(cost, runs["bare"])) / statistics.median(map(cost, runs["judge"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8100", help="a server that runs")
    parser.add_argument("--model", default="judge")
    parser.add_argument("--protocol", choices=("json", "statements"), default="json")
    parser.add_argument("--groups", type=int, default=8, help=f"groups of {GROUP} in a run")
    parser.add_argument("--sentences", type=int, default=5, help="statements of a report")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    parser.add_argument("--pid", type=int, default=0, help="the server's first process, for processor time")
    arguments = parser.parse_args()
    url = arguments.url.rstrip("/").removesuffix("/v1")
    print(f"{machine()}; {arguments.protocol}, {arguments.groups} groups of {GROUP}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = settings(url, arguments.model, arguments.protocol, Path(folder), arguments.concurrency)
        asyncio.run(measure(made, url, arguments.groups, arguments.sentences, arguments.runs, arguments.pid))


if __name__ == "__main__":
    main()
