"""Models sleep and wake: memory goes and comes back, pairs wait or are refused, and rewards stay the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed.service import Service, running, write_profile


def until(holds: Callable[[], bool]) -> None:
    """The test's time limit ends this."""
    while not holds():
        time.sleep(0.02)


def switch(service: Service, wish: str) -> dict[str, Any]:
    answer = httpx.post(f"{service.url}/v1/{wish}", timeout=60)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def ready(service: Service) -> tuple[int, dict[str, Any]]:
    answer = httpx.get(f"{service.url}/ready", timeout=10)
    return answer.status_code, answer.json()


def asleep(service: Service) -> bool:
    return bool(ready(service)[1].get("asleep"))


def overlap(folder: Path) -> str:
    return write_profile(folder, "overlap", {"overlap": {"value": "overlap", "weight": 1}})


def rewards(answer: httpx.Response) -> list[float | None]:
    return [result["reward"] for result in answer.json()["results"]]


@pytest.mark.slow
def test_a_sleeping_encoder_gives_its_memory_back_and_wakes_to_the_same_bits(tmp_path: Path) -> None:
    pair = ("Small left effusion.", "There is a small right effusion.")
    with running(tmp_path / "log", profiles="embedded", workers=1) as service:
        before = rewards(service.score(pair))
        full = service.memory_mb()
        assert switch(service, "sleep") == {"ready": True, "degraded": {}, "asleep": True}
        assert service.memory_mb() < full - 50  # MiniLM has 90 MB of weights
        assert switch(service, "sleep")["asleep"]  # a second time changes nothing
        assert rewards(service.score(pair)) == before  # the cache needs no model
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(service.score, pair, ("Clear lungs.", pair[1]))
            late = service.score(("Heart.", pair[1]), timeout_s=0.5)
            assert late.json()["results"][0]["missing"]["bertscore"]["code"] == "deadline"
            assert not waiting.done()
            assert switch(service, "wake") == {"ready": True, "degraded": {}}
            fresh = rewards(waiting.result())
        assert fresh[0] == before[0]
        assert service.process.poll() is None
        assert service.stop() == 0
    with running(tmp_path / "log", profiles="embedded", workers=1) as service:
        assert rewards(service.score(("Clear lungs.", pair[1]))) == fresh[1:]


@pytest.mark.slow
def test_requests_are_refused_while_models_sleep_where_the_operator_wants_that(tmp_path: Path) -> None:
    with running(tmp_path / "log", profiles=overlap(tmp_path), asleep="refuse") as service:
        switch(service, "sleep")
        assert ready(service) == (503, {"ready": False, "degraded": {}, "asleep": True})
        refused = service.score(("a b", "b"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "asleep")
        assert refused.json()["error"]["retryable"]
        job = httpx.post(f"{service.url}/v1/jobs", json={"items": [{"candidate": "a b", "reference": "b"}]})
        assert (job.status_code, job.json()["error"]["code"]) == (503, "asleep")
        switch(service, "wake")
        assert rewards(service.score(("a b", "b"))) == [1.0]
        switch(service, "sleep")
        assert service.stop() == 0  # asleep, it ends as it does awake


@pytest.mark.slow
def test_a_model_worker_sleeps_for_all_processes_and_also_when_it_had_to_be_replaced(tmp_path: Path) -> None:
    with running(tmp_path / "log", profiles=overlap(tmp_path), workers=2) as service:
        for _ in range(3):  # the answer tells the state that it has made, before the worker's next beat
            assert httpx.post(f"{service.url}/v1/sleep", timeout=60).json()["asleep"]
            assert "asleep" not in httpx.post(f"{service.url}/v1/wake", timeout=60).json()
        switch(service, "sleep")
        for _ in range(8):  # whichever process answers
            until(lambda: asleep(service))
        (worker,) = service.model_workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: service.model_workers() not in ([], [worker]))
        until(lambda: ready(service)[0] == 200 and asleep(service))
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(service.score, ("a b", "b"))
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            until(lambda: httpx.post(f"{service.url}/v1/wake", timeout=60).status_code == 200)
            assert rewards(waiting.result()) == [1.0]
        for _ in range(8):
            until(lambda: not asleep(service))


@pytest.mark.slow
def test_sleep_and_wake_need_a_key_where_there_are_keys(tmp_path: Path) -> None:
    key = "k:" + "0" * 64
    with running(tmp_path / "log", profiles="text", api_keys=key) as service:
        assert httpx.post(f"{service.url}/v1/sleep").status_code == 401
