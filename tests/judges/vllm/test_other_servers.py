"""The judge with real servers of other makers: llama.cpp's own, and `transformers serve`, both with SmolLM2-135M.

`testbed/llamacpp/make_environment.sh` and `make judge-model MODEL=smollm2` build what they need.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from judges.vllm import abilities, calibration, canaries, grammar, questions, ways
from judges.vllm.errors import JudgeMisconfigured, JudgeTooLong
from judges.vllm.judge import VllmJudge
from judges.vllm.letters import Question
from judges.vllm.prompt import schema
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Transport
from testbed import other_servers
from tests.needs import is_missing

pytestmark = pytest.mark.vllm
PAIR = ("Small right effusion. No pneumothorax.", "Small left effusion. No pneumothorax.")


@pytest.fixture(scope="module")
def llamacpp() -> Iterator[str]:
    if not other_servers.has_llamacpp():
        is_missing("llama.cpp's server", "testbed/llamacpp/make_environment.sh")
    with other_servers.llamacpp() as url:
        yield url


@pytest.fixture(scope="module")
def transformers() -> Iterator[str]:
    if not other_servers.has_transformers():
        is_missing("SmolLM2 for transformers serve", "make judge-model MODEL=smollm2")
    with other_servers.transformers() as url:
        yield url


def settings(url: str, **others: Any) -> VllmJudgeSettings:
    given = {"model": "judge", "revision": "smollm2", "base_urls": (url,), "canary_interval_s": 0, **others}
    return VllmJudgeSettings(**{"concurrency": 1, "attempt_timeout_s": 500.0, **given})


def statements(tmp_path: Path, model: str, wrong: float) -> dict[str, Any]:
    """The protocol, with a made-up calibration whose canary has this probability, as llama.cpp measured it with Q4_1."""
    canary = calibration.Canary(number=0, wrong=wrong)
    made = calibration.Calibration(model, "smollm2", questions.digest(), 0.5, 1.0, None, None, 0.9, (canary,))
    file = tmp_path / "calibration.json"
    file.write_bytes(calibration.dump(made))
    return {"protocol": "statements", "calibration": str(file)}


async def outcome(judge: VllmJudge) -> str:
    """What the first test of its server came to. A start does not wait for a server that is slow."""
    try:
        await judge.start()
    except JudgeMisconfigured as error:
        return error.message
    async with asyncio.timeout(500):
        while "not tested yet" in str(judge.health()["detail"]):
            await asyncio.sleep(0.1)
    return str(judge.health()["detail"])


def soon() -> float:
    return time.monotonic() + 500


async def test_llamacpp_judges_a_pair_by_one_object(llamacpp: str) -> None:
    judge = VllmJudge(settings(llamacpp))
    assert await outcome(judge) == "ok"
    assert judge.health()["servers"][0]["way"] == "response_format"
    made = [await judge.judge(*PAIR, None, deadline=soon()) for _ in range(2)]
    await judge.aclose()
    for verdict in made:
        answer = json.loads(verdict.details["answers"][0])  # type: ignore[index]
        assert set(answer) >= {"matched", "missing", "false"}  # whole, though the model knows nothing of radiology
        assert verdict.values["signed"] <= 1.0
    tokens: Any = made[1].details["tokens"]
    assert tokens["cached"] / tokens["prompt"] > 0.9  # the second finds the first in the server's cache


async def test_llamacpp_judges_a_pair_by_letters(llamacpp: str, tmp_path: Path) -> None:
    judge = VllmJudge(settings(llamacpp, **statements(tmp_path, "judge", 0.82)))
    assert await outcome(judge) == "ok"
    verdict = await judge.judge(*PAIR, None, deadline=soon())
    await judge.aclose()
    assert verdict.details["requests"] == 2  # the effusion of each report; the other statement is equal
    answers = json.loads(verdict.details["answers"][0])  # type: ignore[index]
    assert {len(answers[name]["said"]) for name in ("P1", "R1")} == {3}
    assert all(0.0 < p < 1.0 for name in ("P1", "R1") for p in answers[name]["said"])


@pytest.mark.parametrize("name", ["response_format", "grammar"])
async def test_llamacpp_obeys_a_schema_and_the_grammar_that_is_made_of_it(llamacpp: str, name: str) -> None:
    """The self-test under each; what else it obeys is its own affair."""
    way = next(way for way in ways.known() if way.name == name)
    transport = Transport(settings(llamacpp), lambda name, value, labels: None)
    made = await transport.send(transport.servers[0], way.word(canaries.self_test("judge")))
    await transport.aclose()
    assert canaries.passes_self_test(made.whole())


async def test_llamacpp_takes_the_grammar_of_a_whole_answer(llamacpp: str) -> None:
    """Sixty statements each, the most that are asked about: it must not refuse it, or blow up."""
    body = {"model": "judge", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8, "temperature": 0}
    async with httpx.AsyncClient(timeout=300) as client:
        made = await client.post(
            f"{llamacpp}/v1/chat/completions", json={**body, "grammar": grammar.of(schema(60, 60))}
        )
    assert made.status_code == 200, made.text
    assert made.json()["choices"][0]["message"]["content"].startswith('{"matched":[')


async def test_llamacpp_says_when_a_prompt_is_too_long_and_holds_no_other_model(llamacpp: str) -> None:
    judge = VllmJudge(settings(llamacpp))
    assert await outcome(judge) == "ok"
    with pytest.raises(JudgeTooLong):
        await judge.judge("Effusion.", "opacity " * 9000, None, deadline=soon())
    await judge.aclose()
    other = VllmJudge(settings(llamacpp, model="another"))
    assert "another model" in await outcome(other)
    await other.aclose()


async def test_transformers_serve_ignores_every_constraint_and_is_refused(transformers: str, tmp_path: Path) -> None:
    model = str(other_servers.SMOLLM2)
    transport = Transport(settings(transformers, model=model), lambda name, value, labels: None)

    async def ask(body: bytes, group: str) -> Completion:
        return await transport.send(transport.servers[0], body)

    with pytest.raises(JudgeMisconfigured, match="does not constrain its output"):
        await abilities.find_way(ask, model)
    question = questions.ask(settings(transformers, model=model), questions.show_report(["x"]), "x", Question.SAID)
    with pytest.raises(JudgeMisconfigured, match="no top_logprobs"):
        await abilities.with_letters(ask(question, ""))
    await transport.aclose()
