"""Submit and poll over real services: the same rewards, no job lost unsaid."""

from __future__ import annotations

import http.client
import json
import pickle
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reward_client import Group, Item, RewardClient
from testbed.redis_server import Redis
from testbed.service import Service, running, write_profile
from tests.needs import needs

PAIRS = [("Small left effusion.", "Small right effusion."), ("Clear lungs.", "No acute abnormality.")]
ITEMS = [Item(candidate, reference, id=f"i{n}") for n, (candidate, reference) in enumerate(PAIRS)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("jobs") / "log", profiles="text", jobs_bytes=2**16) as service:
        yield service


def post(service: Service, **body: Any) -> httpx.Response:
    return httpx.post(f"{service.url}/v1/jobs", json=body, timeout=30)


def ask(service: Service, job: str, wait_s: float = 30) -> httpx.Response:
    return httpx.get(f"{service.url}/v1/jobs/{job}", params={"wait_s": wait_s}, timeout=60)


def item(candidate: str, reference: str) -> dict[str, str]:
    return {"candidate": candidate, "reference": reference}


def test_a_job_is_answered_as_score_answers(service: Service) -> None:
    body = {"items": [item(*pair) for pair in PAIRS], "detail": "full", "run_id": "r", "step": 3}
    taken = post(service, **body)
    assert (taken.status_code, taken.json()["state"]) == (202, "pending")
    assert taken.headers["location"] == f"/v1/jobs/{taken.json()['id']}"
    done = ask(service, taken.json()["id"]).json()
    scored = httpx.post(f"{service.url}/score", json=body).json()
    for answer in (done["answer"], scored):
        answer.pop("timing_ms")
        for result in answer["results"]:
            result.pop("cache")
    assert done == {"id": taken.json()["id"], "state": "done", "answer": scored}
    assert service.metrics()['reward_jobs_total{event="done"}'] >= 1


def test_the_client_submits_and_fetches_what_score_would_have_returned(service: Service) -> None:
    with RewardClient(service.url, request_items=1) as client:
        job = client.submit(ITEMS, step=4)
        assert len(job.submitted) == 2
        groups = client.submit([Group(("Clear lungs.", "Effusion."), "No effusion.")])
        rewards = [score.reward for score in client.score(ITEMS)]
        with RewardClient(service.url) as other:
            fetched = other.result(pickle.loads(pickle.dumps(job)))
        assert [(score.id, score.reward) for score in fetched] == [("i0", rewards[0]), ("i1", rewards[1])]
        again = client.score_groups([Group(("Clear lungs.", "Effusion."), "No effusion.")])
        assert [group.mean for group in client.result(groups)] == [group.mean for group in again]  # type: ignore[union-attr]
        for _, id in job.submitted:  # what was lost is submitted again
            httpx.delete(f"{service.url}/v1/jobs/{id}")
        assert [score.reward for score in client.result(job)] == rewards  # type: ignore[union-attr]
        assert client.submit([]).submitted == ()


def test_what_is_wrong_is_said_at_once(service: Service) -> None:
    assert post(service, items=[{"candidate": "a"}]).json()["error"]["param"] == "items[0].reference"
    assert post(service, items=[item("a", "b")], profile="nope").status_code == 404
    assert post(service, items=[item("a", "b")], fingerprint="sha256:" + "0" * 64).status_code == 409
    unknown = ask(service, "nope")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "job_not_found")
    assert "REWARD_CACHE_URL" in unknown.json()["error"]["message"]
    assert ask(service, "nope", wait_s=1e9).status_code == 422
    assert httpx.delete(f"{service.url}/v1/jobs/nope").status_code == 404


def test_jobs_that_are_kept_are_bounded(service: Service) -> None:
    taken = []
    noise = random.Random(1)  # which does not compress to less than half
    while (answer := post(service, items=[item(noise.randbytes(6000).hex(), "b")])).status_code == 202:
        taken.append(answer.json()["id"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_jobs")
    assert "retry-after" in answer.headers
    for job in taken:
        assert httpx.delete(f"{service.url}/v1/jobs/{job}").json() == {"deleted": job}


def test_an_answer_that_is_too_large_to_keep_is_a_failure_and_no_half_answer(service: Service) -> None:
    """Equal items compress so well that their number is not bounded by the bytes that are kept."""
    taken = post(service, items=[item(*PAIRS[0])] * 2000, detail="full").json()["id"]
    while (failed := ask(service, taken).json())["state"] == "pending":
        pass
    assert (failed["state"], failed["failure"]["error"]["code"]) == ("failed", "job_too_large")
    assert f"more than {32 * 2**16} bytes" in failed["failure"]["error"]["message"]


def held(folder: Path, gate: Path) -> str:
    """A profile that scores once the file `gate` is there."""
    folder.mkdir(exist_ok=True)
    component = {"component": "held", "value": "overlap", "weight": 1, "settings": {"gate": str(gate)}}
    return write_profile(folder, "held", {"overlap": component})


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


@pytest.mark.slow
def test_whoever_waits_at_sigterm_gets_the_answer_and_the_log_counts_what_is_lost(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with running(tmp_path / "log", profiles=held(tmp_path, gate), shutdown_grace_s=10) as service:
        job = post(service, items=[item("a b", "b c")]).json()["id"]
        wait_for(tmp_path / "gate.held")
        waiting = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=60)
        waiting.request("GET", f"/v1/jobs/{job}?wait_s=60")  # whoever has connected is heard
        service.process.send_signal(signal.SIGTERM)
        while "draining" not in service.log:
            time.sleep(0.01)
        gate.touch()
        assert json.load(waiting.getresponse())["answer"]["results"][0]["reward"] == 1.0
        assert service.process.wait(30) == 0
    assert "jobs_lost" not in service.log
    gate.unlink()
    with running(tmp_path / "log", profiles=held(tmp_path, gate), shutdown_grace_s=0.5) as service:
        post(service, items=[item("a b", "b c")])
        service.stop()
    assert '"count":1,"event":"jobs_lost"' in service.log


@pytest.mark.slow
@needs("redis-server")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_outlives_its_process_in_redis(tmp_path: Path, number: int) -> None:
    server, gate = Redis().start(), tmp_path / "gate"
    options = {"cache_url": server.url, "profiles": held(tmp_path, gate), "shutdown_grace_s": 1}
    try:
        with running(tmp_path / "first", **options) as first, running(tmp_path / "second", **options) as second:
            job = post(first, items=[item("a b c", "b c")]).json()["id"]
            assert ask(second, job, 0).json() == {"id": job, "state": "pending"}
            wait_for(tmp_path / "gate.held")
            first.stop(number)
            gate.touch()
            answer = {}
            while answer.get("state") != "done":
                answer = ask(second, job).json()
            assert answer["answer"]["results"][0]["reward"] == 2.0
            assert second.metrics()['reward_jobs_total{event="taken_over"}'] == 1
        if number == signal.SIGTERM:
            assert '"count":1,"event":"jobs_left_pending"' in first.log
    finally:
        server.kill()
