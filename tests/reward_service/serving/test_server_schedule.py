"""A schedule with a shadow over real HTTP: native route, trainers' routes, client and adapters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from reward_client import FingerprintChanged, Item, RewardClient
from reward_client.trainers.ms_swift import RadiologyReward
from reward_client.trainers.trl import make_reward_fn
from reward_service.wire import schemas
from testbed.service import Service, running, write_profile
from tests.waiting import wait_until

CANDIDATE, REFERENCE = "No pleural effusion.", "Small left pleural effusion."
PAIR = {"candidate": CANDIDATE, "reference": REFERENCE}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("schedule")
    write_profile(folder, "first", {"bleu2": {"weight": 1}})
    write_profile(folder, "second", {"rougeL": {"weight": 1}})
    shadow = write_profile(folder, "shadow", {"rouge1": {"weight": 1}})
    stages = [{"until_step": 10, "profile": "first.yaml"}, {"profile": "second.yaml"}]
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump({"name": "two", "description": "for tests", "stages": stages}))
    with running(folder / "log", profiles=path, shadow=f"two={shadow}") as service:
        yield service


def score(service: Service, **body: Any) -> httpx.Response:
    return httpx.post(f"{service.url}/score", json={"items": [PAIR], **body}, timeout=30)


def fingerprints(service: Service) -> dict[str, str]:
    body = httpx.get(f"{service.url}/v1/fingerprint").json()
    schemas.FingerprintResponse.model_validate(body)
    assert [(stage["until_step"], stage["profile"]) for stage in body["stages"]] == [(10, "first"), (None, "second")]
    return {"two": body["fingerprint"], **{stage["profile"]: stage["fingerprint"] for stage in body["stages"]}}


def test_an_answer_names_the_schedule_and_the_stage_that_paid(service: Service) -> None:
    known = fingerprints(service)
    for step, name, key in ((9, "first", "bleu2"), (10, "second", "rougeL")):
        body = score(service, step=step).json()
        schemas.ScoreResponse.model_validate(body)
        assert (body["profile"], body["fingerprint"], body["step"]) == ("two", known["two"], step)
        assert (body["stage"]["profile"], body["stage"]["fingerprint"]) == (name, known[name])
        (result,) = body["results"]
        assert result["reward"] == pytest.approx(result["components"][key], abs=2**-40)
        assert set(result["components"]) == {"bleu2", "rougeL"}


def test_without_a_step_422_says_what_to_send(service: Service) -> None:
    response = score(service)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "step_missing")
    assert response.json()["error"]["param"] == "step"


def test_a_pin_on_a_stage_is_a_409_in_the_other(service: Service) -> None:
    known = fingerprints(service)
    assert score(service, step=3, fingerprint=known["first"]).status_code == 200
    refused = score(service, step=30, fingerprint=known["first"])
    assert refused.status_code == 409
    assert refused.json()["error"]["details"]["fields"] == ["step"]


def test_a_trainer_s_address_may_carry_step_and_run(service: Service) -> None:
    known = fingerprints(service)
    body = {"response": CANDIDATE, "label": REFERENCE}
    address = f"{service.url}/compat/slime/object?run_id=a&step=12&fingerprint={known['second']}"
    answer = httpx.post(address, json=body)
    assert (answer.json()["rr_rougeL_valid"], answer.json()["rr_bleu2_valid"]) == (1.0, 0.0)
    assert (answer.headers["x-reward-fingerprint"], answer.headers["x-reward-stage"]) == (known["two"], known["second"])
    assert httpx.post(f"{service.url}/compat/slime", json=body).json()["error"]["code"] == "step_missing"


def test_the_client_sends_the_step_and_pins_schedule_or_stage(service: Service) -> None:
    known = fingerprints(service)
    with RewardClient(service.url) as client:
        (early,), (late,) = (client.score([Item(CANDIDATE, REFERENCE)], step=step) for step in (1, 11))
        assert client.fingerprint == known["two"]
        assert client.bounds == (-100, 100)
    assert early.reward == pytest.approx(early.components["bleu2"], abs=2**-40)
    assert late.reward == pytest.approx(late.components["rougeL"], abs=2**-40)
    with RewardClient(service.url, fingerprint=known["first"]) as client:
        assert client.score([Item(CANDIDATE, REFERENCE)], step=1)[0].reward == early.reward
        with pytest.raises(FingerprintChanged, match="names stage 1"):
            client.score([Item(CANDIDATE, REFERENCE)], step=11)


def test_adapters_send_the_step_of_the_trainer_s_state(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_CLIENT_URL", service.url)
    expected = {step: score(service, step=step).json()["results"][0]["reward"] for step in (1, 11)}
    for step, reward in expected.items():
        state = SimpleNamespace(global_step=step)
        columns = {"reference": [REFERENCE], "trainer_state": state}
        assert make_reward_fn()([""], [CANDIDATE], **columns) == [reward]
        assert RadiologyReward()([CANDIDATE], **columns) == [reward]


def test_the_shadow_is_counted_on_metrics(service: Service) -> None:
    line = re.compile(r'reward_shadow_items_total\{profile="two",shadow="shadow",status="ok"\} ([\d.]+)')

    def pairs() -> float:
        found = line.search(httpx.get(f"{service.url}/metrics").text)
        return float(found.group(1)) if found else 0.0

    before = pairs()
    group = {"reference": REFERENCE, "candidates": [CANDIDATE, REFERENCE, "Left effusion."]}
    assert score(service, groups=[group], step=1).status_code == 200
    wait_until(lambda: pairs() >= before + 4)
    text = httpx.get(f"{service.url}/metrics").text
    assert 'reward_shadow_rank_correlation_count{profile="two",shadow="shadow"}' in text
    assert 'reward_shadow_drift{profile="two",shadow="shadow"}' in text
    assert httpx.get(f"{service.url}/info").json()["shadows"][0]["beside"] == "two"


def test_stages_and_shadow_are_in_info(service: Service, tmp_path: Path) -> None:
    described = httpx.get(f"{service.url}/info").json()["profiles"]["two"]
    assert [stage["profile"] for stage in described["stages"]] == ["first", "second"]
