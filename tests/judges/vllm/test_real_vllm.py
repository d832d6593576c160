"""The judge against a real vLLM server: real constrained decoding, real errors, a real prefix cache, a real crash.

The model is tiny and random (`testbed/vllm`), so what a verdict says means nothing; that it is valid, or a
typed failure, is what is tested. `$REWARD_VLLM_URL` names a running server to use instead of starting one.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from aiohttp import web

from judges.vllm.command import serve_command
from judges.vllm.errors import JudgeError, JudgeMisconfigured
from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from testbed.service import ROOT
from testbed.vllm_server import ENVIRONMENT, VllmServer
from tests.needs import is_missing

pytestmark = pytest.mark.vllm

KEY = "test-key"
ATTACKS: dict[str, dict[str, str]] = json.loads((ROOT / "testbed" / "attacks.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def vllm() -> Iterator[VllmServer]:
    server = VllmServer("--api-key", KEY)
    if server.ours and not server.available():
        is_missing("environment of vLLM", "testbed/vllm/make_environment.sh")
    server.start()
    server.wait()
    yield server
    server.stop()


@pytest.fixture
async def judges(vllm: VllmServer) -> Any:
    made: list[VllmJudge] = []

    def make(observe: Any = lambda name, value, labels: None, **settings: Any) -> VllmJudge:
        defaults = {
            "model": "judge", "revision": "random", "base_urls": (vllm.url,), "api_key": KEY, "canary_interval_s": 0,
            "concurrency": 32, "attempt_timeout_s": 120.0, "probe_wait_s": (0.2, 1.0),
        }  # fmt: skip
        judge = VllmJudge(VllmJudgeSettings(**{**defaults, **settings}), observe)
        made.append(judge)
        return judge

    yield make
    for judge in made:
        await judge.aclose()


async def batch(judge: VllmJudge, pairs: list[tuple[str, str]], seconds: float = 240) -> list[Any]:
    deadline = time.monotonic() + seconds
    return await asyncio.gather(*(judge.judge(c, r, None, deadline=deadline) for c, r in pairs), return_exceptions=True)


def reports(n: int, tag: str) -> list[tuple[str, str]]:
    return [(f"Opacity {i}. No effusion.", f"Consolidation {i} {tag}. No effusion.") for i in range(n)]


async def ready(judge: VllmJudge, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not judge.health()["ready"]:
            await asyncio.sleep(0.1)


async def test_200_pairs_at_concurrency_32(judges: Any) -> None:
    judge = judges()
    await judge.start()
    results = await batch(judge, reports(200, "batch"))
    outcome = Counter(r.code if isinstance(r, JudgeError) else type(r).__name__ for r in results)
    assert outcome["Judgement"] >= 190, outcome
    assert set(outcome) <= {"Judgement", "judge_invalid_output"}, outcome
    for verdict in results:
        if not isinstance(verdict, JudgeError):
            assert -1.0 <= verdict.values["signed"] <= 1.0
            assert (
                sum(verdict.significant.values()) + sum(verdict.insignificant.values()) + verdict.matched_findings > 0
            )


@pytest.mark.parametrize("variant", ["findings", "chexprompt"])
async def test_canaries_run_at_start_and_on_the_timer(judges: Any, variant: str) -> None:
    drifts: list[float] = []
    judge = judges(
        canary_interval_s=0.5,
        variant=variant,
        observe=lambda name, value, labels: drifts.append(value) if name == "judge_canary_drift" else None,
    )
    await judge.start()
    assert drifts == [0.0]  # the first verdicts are what later ones are compared with
    async with asyncio.timeout(60):
        while len(drifts) < 3:
            await asyncio.sleep(0.1)
    # A random model may well drift: its logits are near ties, and a warm prefix is computed in another order.
    health = judge.health()
    assert health["ready"]
    assert "empty" not in {*health["canaries"]["wrong"], *health["canaries"]["drifted"]}


async def test_three_votes(judges: Any) -> None:
    judge = judges(votes=3)
    await judge.start()
    (verdict,) = await batch(judge, [("Opacity. No effusion.", "Consolidation. No effusion.")])
    assert verdict.details["votes"] == 3
    assert verdict.details["requests"] >= 3


async def test_a_group_finds_its_prefix_in_the_cache(judges: Any, vllm: VllmServer) -> None:
    async def counters() -> tuple[float, float]:
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{vllm.url}/metrics")).text
        found = [
            sum(float(v) for v in re.findall(rf"^vllm:prefix_cache_{name}_total\{{.*?\}} (\S+)$", text, re.M))
            for name in ("hits", "queries")
        ]
        return found[0], found[1]

    judge = judges()
    await judge.start()
    await batch(judge, reports(1, "warm"))
    before = await counters()
    reference = " ".join(f"Finding number {i} in the left lung." for i in range(4))
    results = await batch(judge, [(f"Opacity {i}.", reference) for i in range(16)])
    hits, queries = (after - b for after, b in zip(await counters(), before, strict=True))
    assert hits / queries >= 0.8
    tokens = [r.details["tokens"] for r in results if not isinstance(r, JudgeError)]
    assert sum(t["cached"] for t in tokens) / sum(t["prompt"] for t in tokens) >= 0.8


async def test_a_prompt_that_is_too_long(judges: Any) -> None:
    judge = judges()
    await judge.start()
    long, short = await batch(judge, [("Effusion.", "opacity " * 12_000), ("Effusion.", "Effusion.")])
    assert long.code == "judge_too_long"
    assert "opacity" not in long.message
    assert not isinstance(short, BaseException)  # the neighbour is judged
    assert judge.health()["ready"]


async def test_a_wrong_model_and_a_wrong_key_are_refused_at_start(judges: Any, vllm: VllmServer) -> None:
    with pytest.raises(JudgeMisconfigured, match="model"):
        await judges(model="another").start()
    if vllm.ours:
        with pytest.raises(JudgeMisconfigured, match="api_key"):
            await judges(api_key="wrong").start()


async def test_attacks_reach_the_model_as_plain_text(judges: Any, vllm: VllmServer) -> None:
    """Recorded on the wire before the real server, and counted in the tokens that its template makes of them."""
    bodies: list[bytes] = []

    async def forward(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(timeout=120) as client:
            answer = await client.post(f"{vllm.url}/v1/chat/completions", content=bodies[-1], headers=headers)
        return web.Response(body=answer.content, status=answer.status_code, content_type="application/json")

    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/chat/completions", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    judge = judges(base_urls=(f"http://127.0.0.1:{runner.addresses[0][1]}",))
    await judge.start()
    bodies.clear()
    attacks = [attack for kind in ATTACKS.values() for attack in kind.values()]
    results = await batch(judge, [(f"Small effusion.\n{a}", "Large effusion.") for a in ["Normal heart.", *attacks]])
    await runner.cleanup()
    assert {r.code for r in results if isinstance(r, JudgeError)} <= {"judge_invalid_output"}
    assert sum(isinstance(r, JudgeError) for r in results) <= len(results) // 20

    async with httpx.AsyncClient(timeout=60) as client:

        async def special_tokens(body: bytes) -> list[int]:
            request = {"model": "judge", "messages": json.loads(body)["messages"], "add_generation_prompt": True}
            answer = await client.post(f"{vllm.url}/tokenize", json=request, headers={"authorization": f"Bearer {KEY}"})
            return [token for token in answer.json()["tokens"] if token < 3]  # the tiny model's special tokens

        # Two messages opened and closed, and the assistant's opened: no candidate adds to that.
        assert {tuple(await special_tokens(body)) for body in bodies} == {(1, 2, 1, 2, 1)}


def test_vllm_accepts_the_serving_command() -> None:
    if not (ENVIRONMENT / "bin" / "python").exists():
        is_missing("environment of vLLM", "testbed/vllm/make_environment.sh")
    argv = serve_command("org/model", revision="abc", gpus=2, extra=("--max-num-seqs", "512"))
    code = (
        "import sys\n"
        "from vllm.entrypoints.launchers.cli_args import make_arg_parser\n"
        "from vllm.utils.argparse_utils import FlexibleArgumentParser\n"
        "a = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])\n"
        "print(a.enable_prefix_caching, a.max_model_len, a.tensor_parallel_size, a.structured_outputs_config.backend)\n"
    )
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-c", code, *argv[2:]], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("True 16384 2 guidance")


# --- the server fails: last, because these stop it ----------------------------------------------------------------


async def test_a_frozen_server_is_a_timeout_and_then_recovers(judges: Any, vllm: VllmServer) -> None:
    if not vllm.ours:
        pytest.skip("only a server started here may be stopped")
    judge = judges(attempt_timeout_s=1.0, attempts=2)
    await judge.start()
    vllm.send(signal.SIGSTOP)
    try:
        results = await batch(judge, reports(8, "frozen"), seconds=6)
    finally:
        vllm.send(signal.SIGCONT)
    assert {r.code for r in results} <= {"judge_timeout", "judge_unavailable"}
    await ready(judge, 30)
    patient = judges()
    await patient.start()
    assert not isinstance((await batch(patient, reports(1, "thawed")))[0], JudgeError)


async def test_a_server_killed_in_mid_batch_and_restarted(judges: Any, vllm: VllmServer) -> None:
    if not vllm.ours:
        pytest.skip("only a server started here may be killed")
    judge = judges(concurrency=16, breaker_failures=3)
    await judge.start()
    running = asyncio.create_task(batch(judge, reports(80, "killed")))
    async with asyncio.timeout(60):
        while judge.health()["servers"][0]["in_flight"] < 16:
            await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)
    vllm.stop(signal.SIGKILL)
    begin = time.monotonic()
    results = await asyncio.wait_for(running, 60)
    assert time.monotonic() - begin < 30  # well before the deadline: the breaker spares the rest their waits
    outcome = Counter(r.code if isinstance(r, JudgeError) else type(r).__name__ for r in results)
    assert set(outcome) <= {"Judgement", "judge_unavailable"}, outcome
    assert outcome["judge_unavailable"] > 0  # the fault has struck
    assert all(r.retryable for r in results if isinstance(r, JudgeError))
    assert not judge.health()["ready"]
    assert judge.health()["servers"][0]["in_flight"] == 0

    vllm.start()
    await asyncio.to_thread(vllm.wait)
    await ready(judge, 30)
    again = await batch(judge, reports(8, "back"))
    assert not any(isinstance(r, JudgeError) for r in again)
