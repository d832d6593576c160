"""Client, adapters and dialects against the real service with profile `text`, as trainers use them.

Trainers that post by themselves and have no wheel to run are played by small clients written from their sources.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from reward_client import ApiError, AsyncRewardClient, FingerprintChanged, Group, Item, MissingScore, RewardClient
from reward_client.trainers import slime, trl, verl
from reward_service import Scorer
from tests.client.live import REPORTS, LiveService, running
from tests.waiting import wait_until

CHATML = "<|im_start|>user\nDescribe study_id: {study}<|im_end|>\n<|im_start|>assistant\n"


def pairs(count: int, seed: int = 0) -> list[Item]:
    """Distinct candidates: words of one report, shuffled, against another."""
    draw = random.Random(seed)
    items = []
    for number in range(count):
        words = draw.choice(REPORTS).split()
        draw.shuffle(words)
        items.append(Item(f"{' '.join(words)} {number}", draw.choice(REPORTS)))
    return items


def rewards(url: str, items: Sequence[Item]) -> list[float | None]:
    with RewardClient(url) as client:
        return [score.reward for score in client.score(items)]


def test_every_component_is_there_and_contributions_sum_to_the_reward(live: LiveService) -> None:
    with RewardClient(live.url) as client:
        scores = client.score(pairs(20))
        assert client.fingerprint_document
        weights = client.fingerprint_document["document"]["weights"]
        assert client.bounds == (-1.0, 1.0)
    for score in scores:
        assert set(score.components) == set(weights) - {"bias"}
        assert score.reward == sum(score.contributions.values())
        assert score.status == "ok"


async def test_both_clients_agree_in_any_split(live: LiveService) -> None:
    items = pairs(500)
    expected = rewards(live.url, items)
    async with AsyncRewardClient(live.url, request_items=7, concurrency=20) as client:
        assert [score.reward for score in await client.score(items)] == expected


def test_groups(live: LiveService) -> None:
    groups = [Group((REPORTS[0], REPORTS[1], REPORTS[0]), REPORTS[0]), Group(("", ""), REPORTS[2], id="floor")]
    with RewardClient(live.url, request_items=4) as client:
        first, floor = client.score_groups(groups)
        assert [s.reward for s in first.scores] == rewards(
            live.url, [Item(c, REPORTS[0]) for c in groups[0].candidates]
        )
    assert not first.zero_advantage
    assert (floor.id, floor.zero_advantage, floor.std) == ("floor", True, 0.0)


def test_content_problems_are_the_items(live: LiveService) -> None:
    with RewardClient(live.url) as client:
        good, empty, surrogate = client.score(
            [Item(REPORTS[0], REPORTS[0]), Item(REPORTS[0], "", id="no-ref"), Item("\ud800", REPORTS[0])]
        )
    assert good.reward is not None
    assert (empty.reward, empty.status, empty.id) == (None, "null", "no-ref")
    assert surrogate.reward is None
    assert empty.missing
    assert surrogate.missing


def test_pins_and_profiles(live: LiveService) -> None:
    item = [Item("a", "b")]
    with pytest.raises(FingerprintChanged):
        RewardClient(live.url, fingerprint="sha256:other").score(item)
    with pytest.raises(ApiError) as caught:
        RewardClient(live.url, profile="unknown").score(item)
    assert caught.value.status == 404
    assert caught.value.request_id


@pytest.mark.slow
def test_a_redeploy_with_another_reward_is_noticed(tmp_path: Path, live: LiveService) -> None:
    """The same address comes back with another weight: the pinned client refuses before anything is used."""
    own = tmp_path / "own.yaml"
    profile = "name: own\ndescription: one metric\nbounds: [0, 1]\ncomponents:\n  rougeL: {{weight: {}}}\n"
    own.write_text(profile.format(0.5), encoding="utf-8")
    with running(tmp_path / "log", "--profiles", str(own)) as service, RewardClient(service.url) as client:
        client.score([Item("a", "b")])
        own.write_text(profile.format(0.6), encoding="utf-8")
        service.restart()
        with pytest.raises(FingerprintChanged, match="weights"):
            client.score([Item("a", "b")])


@pytest.mark.slow
def test_a_restart_in_mid_step_loses_nothing(tmp_path: Path) -> None:
    """Killed while requests are in flight; the step ends with the same rewards as an undisturbed one."""
    items = pairs(3000, seed=1)
    with running(tmp_path / "log", "--profiles", "text") as service:
        client = RewardClient(service.url, request_items=50, concurrency=4)
        client.start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            step = pool.submit(client.score, items)
            wait_until(lambda: '"/score"' in service.log)
            service.restart()
            disturbed = [score.reward for score in step.result(120)]
        assert disturbed == rewards(service.url, items)
        assert None not in disturbed


async def _post(url: str, bodies: Sequence[Any], concurrency: int = 0, **kept: Any) -> list[Any]:
    """All at once, a new connection each unless `kept`: OpenRLHF opens a session for every sample."""
    slots = asyncio.Semaphore(concurrency or len(bodies))
    timeout = aiohttp.ClientTimeout(total=180)

    async def one(body: Any) -> Any:
        async with slots, aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    return await asyncio.gather(*map(one, bodies))


@pytest.mark.slow
async def test_4096_one_item_posts_at_once_without_keep_alive(live: LiveService) -> None:
    """OpenRLHF's shape: every sample of a step in flight at once, each on a connection of its own."""
    items = pairs(4096, seed=2)
    prompt = CHATML.format(study="s0")
    bodies = [
        {"query": [prompt + i.candidate + "<|im_end|>"], "prompts": [prompt], "labels": [i.reference]} for i in items
    ]
    answers = await _post(f"{live.url}/get_reward", bodies)
    assert [answer["rewards"][0] for answer in answers] == rewards(live.url, items)
    assert len({tuple(answer["extra_logs"]) for answer in answers}) == 1
    assert all(0.0 <= answer["scores"][0] <= 1.0 for answer in answers)


async def test_slime_posts(live: LiveService) -> None:
    items = pairs(30, seed=3)
    bodies = [{"prompt": "p", "response": item.candidate, "label": item.reference} for item in items]
    expected = rewards(live.url, items)
    assert await _post(f"{live.url}/compat/slime", bodies) == expected
    keyed = await _post(f"{live.url}/compat/slime/object", bodies)
    assert [answer["reward"] for answer in keyed] == expected


def test_llama_factory_posts(live: LiveService) -> None:
    """No label: the reference is found by the study id in the prompt."""
    studies = [4, 0, 2, 4]
    messages = [CHATML.format(study=f"s{i}") + REPORTS[1] + "<|im_end|>" for i in studies]
    answer = httpx.post(f"{live.url}/v1/score/evaluation", json={"model": "model", "messages": messages})
    assert answer.json()["scores"] == rewards(live.url, [Item(REPORTS[1], REPORTS[i]) for i in studies])


def test_lightrft_posts(live: LiveService) -> None:
    prompts = [CHATML.format(study=f"s{i}") for i in (5, 3)]
    body = {"queries": [prompt + REPORTS[2] for prompt in prompts], "prompts": prompts}
    answer = httpx.post(f"{live.url}/get_reward", json=body)
    assert answer.json()["rewards"] == rewards(live.url, [Item(REPORTS[2], REPORTS[5]), Item(REPORTS[2], REPORTS[3])])


def test_nemo_gym_posts(live: LiveService) -> None:
    body = {
        "responses_create_params": {"input": [{"role": "user", "content": "?"}]},
        "response": {"output": [{"type": "message", "content": [{"type": "output_text", "text": REPORTS[1]}]}]},
        "reference": REPORTS[0],
    }
    answer = httpx.post(f"{live.url}/verify", json=body).json()
    assert answer["reward"] == sum(answer["reward_components"].values())
    assert answer["response"] == body["response"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/get_reward", {"query": ["pabc"], "prompts": ["p"], "labels": [{"reference": "a" * 20_001}]}),
        ("/compat/slime", {"prompt": "p", "response": "abc", "label": "a" * 20_001}),
        ("/verify", {"response": {"output": []}, "reference": "a" * 20_001}),
    ],
)
def test_one_item_fails_strictly_or_by_the_declared_substitute(live: LiveService, path: str, body: Any) -> None:
    refused = httpx.post(live.url + path, json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "reward_missing"
    declared = httpx.post(live.url + path, params={"missing": -0.5}, json=body).json()
    reward = declared if isinstance(declared, float) else declared.get("reward", declared.get("rewards"))
    assert reward in (-0.5, [-0.5])


def test_what_cannot_be_isolated_is_refused(live: LiveService) -> None:
    body = {"query": ["Describe. " + REPORTS[0]], "prompts": ["Other words."], "labels": [REPORTS[0]]}
    answer = httpx.post(f"{live.url}/get_reward", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "response_not_isolated")


def test_empty_in_empty_out(live: LiveService) -> None:
    answer = httpx.post(f"{live.url}/get_reward", json={"query": [], "prompts": [], "labels": []})
    assert answer.json() == {"rewards": [], "scores": [], "extra_logs": {}}


def test_adapters(live: LiveService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_CLIENT_URL", live.url)
    items = pairs(8, seed=4)
    expected = rewards(live.url, items)
    candidates, references = [i.candidate for i in items], [i.reference for i in items]
    function = trl.make_reward_fn(live.url)
    assert function(prompts=[""] * 8, completions=candidates, reference=references) == expected

    async def at_once() -> list[dict[str, float]]:
        return await asyncio.gather(
            *(verl.compute_score("", i.candidate, i.reference, {}, url=live.url) for i in items)
        )

    flat = asyncio.run(at_once())
    assert [row["score"] for row in flat] == expected
    assert len({tuple(row) for row in flat}) == 1
    with pytest.raises(MissingScore):
        asyncio.run(verl.compute_score("", "a", "", {}, url=live.url))
    sample = type("Sample", (), {"response": candidates[0], "label": references[0]})()
    assert asyncio.run(slime.custom_rm(None, sample)) == expected[0]


def test_no_report_text_in_the_services_log(live: LiveService) -> None:
    assert None not in rewards(live.url, pairs(20, seed=5))
    long = {"prompt": "p", "response": REPORTS[0], "label": REPORTS[1] + "a" * 20_000}
    assert httpx.post(f"{live.url}/compat/slime", json=long).status_code == 422
    assert "/compat/slime" in live.log
    assert not [text for text in REPORTS if text[:20] in live.log or json.dumps(text)[:20] in live.log]


async def test_texts_are_scored_as_the_scorer_in_python_scores_them(live: LiveService) -> None:
    candidates, references = list(REPORTS[:3]), list(REPORTS[1:4])
    with Scorer(profile="text") as scorer, RewardClient(live.url) as client:
        wanted = scorer.score(candidates, references)
        assert [score.reward for score in client.score(candidates, references)] == wanted.rewards
        assert client.fingerprint == wanted.fingerprint
        assert [score.reward for score in client.score(candidates, references[0])] == (
            scorer.score(candidates, references[0]).rewards
        )
        with pytest.raises(ValueError, match="3 candidates and 2 references"):
            client.score(candidates, references[:2])
    async with AsyncRewardClient(live.url) as waiting:
        assert [score.reward for score in await waiting.score(candidates, references)] == wanted.rewards


@pytest.mark.slow
def test_runs_samples_and_sleep_by_both_clients(tmp_path: Path) -> None:
    items = [Item(candidate="No effusion.", reference="No pleural effusion.")] * 3
    with running(tmp_path / "log", "--keep-samples", "2") as service:
        with RewardClient(service.url, run_id="a/b") as client:
            client.score(items, step=4)
            assert [(run["run_id"], run["steps"], run["alarms"]) for run in client.runs()] == [("a/b", 1, [])]
            assert [point["step"] for point in client.run()["points"]] == [4]
            (sample,) = client.samples()["samples"]
            assert (sample["candidate"], sample["count"], sample["copies"]) == ("No effusion.", 3, 3)
            assert client.samples(step=4, candidate=sample["candidate_digest"])["samples"] == [sample]
            assert client.sleep()["asleep"]
            assert "asleep" not in client.wake()

        async def asynchronously() -> None:
            async with AsyncRewardClient(service.url) as client:
                assert (await client.run("a/b"))["points"][0]["items"] == 3
                assert (await client.samples("a/b"))["step"] == 4
                with pytest.raises(ValueError, match="give a run_id"):
                    await client.run()
                await client.sleep()
                await client.wake()
                await client.delete_run("a/b")
                assert await client.runs() == []
                with pytest.raises(ApiError) as told:
                    await client.delete_run("a/b")
                assert told.value.code == "run_not_found"

        asyncio.run(asynchronously())
