"""The judge with a model that reads: a real chat template, a real tokenizer, real letters.

SmolLM2-135M follows the form and knows nothing of radiology, so what is tested is that the form holds and that the model
is refused as a judge by single statements. `make judge-model MODEL=smollm2` makes it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from judges.vllm import cases, questions
from judges.vllm.errors import JudgeError, JudgeUncalibratable
from judges.vllm.fitting import ask_known, fit
from judges.vllm.judge import VllmJudge
from judges.vllm.prompt import read_pair, request
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Transport
from testbed.service import ROOT
from testbed.vllm_server import VllmServer
from tests.needs import is_missing

pytestmark = pytest.mark.vllm

ATTACKS: dict[str, dict[str, str]] = json.loads((ROOT / "testbed" / "attacks.json").read_text("utf-8"))
CONTROL = 17
"""Ids below it are SmolLM2's control tokens: ends of turns, roles, files."""


@pytest.fixture(scope="module")
def vllm() -> Iterator[VllmServer]:
    server = VllmServer(model="smollm2")
    if server.ours and not server.available():
        is_missing("SmolLM2 for vLLM", "make judge-model MODEL=smollm2")
    server.start()
    server.wait()
    yield server
    server.stop()


def settings(vllm: VllmServer) -> VllmJudgeSettings:
    return VllmJudgeSettings(
        model="judge", revision="smollm2", base_urls=(vllm.url,), canary_interval_s=0, concurrency=16,
        attempt_timeout_s=300.0,
    )  # fmt: skip


async def test_sixty_pairs_have_valid_verdicts_in_which_every_statement_is_accounted_for(vllm: VllmServer) -> None:
    judge = VllmJudge(settings(vllm))
    await judge.start()
    wanted = cases.shipped("open")[:60]
    deadline = time.monotonic() + 600
    asked = (judge.judge(c.candidate, c.reference, c.prior, deadline=deadline) for c in wanted)
    judged: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    await judge.aclose()
    valid = [(c, j) for c, j in zip(wanted, judged, strict=True) if not isinstance(j, BaseException)]
    assert {j.code for j in judged if isinstance(j, JudgeError)} <= {"judge_invalid_output"}
    assert len(valid) >= 0.95 * len(wanted)
    for case, verdict in valid:
        pair = read_pair(case.candidate, case.reference, case.prior, 60)
        spans = {(s.start, s.end) for i, s in enumerate(pair.reference.statements) if i not in pair.reference.normal}
        assert spans <= {evidence.reference for evidence in verdict.evidence}  # matched, distorted or missing
    tokens = [verdict.details["tokens"] for _, verdict in valid]
    assert sum(t["cached"] for t in tokens) / sum(t["prompt"] for t in tokens) >= 0.8


async def test_no_marker_of_a_chat_reaches_the_templates_structure(vllm: VllmServer) -> None:
    attacks = [attack for kind in ATTACKS.values() for attack in kind.values()]
    async with httpx.AsyncClient(timeout=60) as client:

        async def control(candidate: str) -> list[int]:
            body = json.loads(request(settings(vllm), read_pair(candidate, "Large effusion.", None, 60), 0))
            asked = {"model": "judge", "messages": body["messages"], "add_generation_prompt": True}
            answer = await client.post(f"{vllm.url}/tokenize", json=asked)
            return [token for token in answer.json()["tokens"] if token < CONTROL]

        honest = await control("Small effusion.\nNormal heart.")
        assert len(honest) >= 5  # two messages opened and closed, and the assistant's opened
        for attack in attacks:
            assert await control(f"Small effusion.\n{attack}") == honest


async def test_a_model_that_cannot_tell_is_not_calibrated(vllm: VllmServer) -> None:
    transport = Transport(settings(vllm), lambda name, value, labels: None)
    permits = asyncio.Semaphore(16)

    async def send(body: bytes) -> Completion:
        async with permits:
            return await transport.send(transport.servers[0], body)

    answers = await ask_known(settings(vllm), send)
    await transport.aclose()
    assert all(sum(letters) == pytest.approx(1.0) for letters in answers.said)
    with pytest.raises(JudgeUncalibratable):
        fit("judge", "smollm2", questions.digest(), answers)
