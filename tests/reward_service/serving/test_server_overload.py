"""Thousands of connections at once, a full queue, oversized requests: everybody gets one answer, and the right one."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from reward_service.serving.child import raise_file_limit
from testbed.service import running, write_profile
from tests.waiting import SOON, until, wait_until

CONNECTIONS = 4096


def expected(i: int) -> float:
    """`InlineOverlap` counts distinct common words: ``w0 .. wk`` against ``w0 .. w9``."""
    return float(i % 11)


WORDS = [f"word{letter}" for letter in "abcdefghij"]


def item(i: int) -> dict[str, str]:
    words = WORDS[: i % 11]
    return {"id": str(i), "candidate": " ".join([*words, f"own{i}"]), "reference": " ".join(WORDS)}


async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any, str | None]:
    async with session.post(url, json=body) as response:
        return response.status, await response.json(), response.headers.get("Retry-After")


@pytest.mark.slow
@pytest.mark.timeout(600)  # it is the machine that has to be patient, not the service
@pytest.mark.parametrize("path", ["/score", "/compat/slime"])
async def test_4096_simultaneous_connections_without_keep_alive(tmp_path: Path, path: str) -> None:
    raise_file_limit()
    profile = write_profile(tmp_path, "overlap", {"overlap_inline": {"value": "overlap", "weight": 1}})
    with running(tmp_path / "log", profiles=profile, timeout_s=600, hold_timeout_s=600) as service:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(600)) as session:

            def body(i: int) -> Any:
                one = item(i)
                return (
                    {"items": [one]} if path == "/score" else {"response": one["candidate"], "label": one["reference"]}
                )

            answers = await asyncio.gather(*(post(session, service.url + path, body(i)) for i in range(CONNECTIONS)))
        assert Counter(status for status, _, _ in answers) == {200: CONNECTIONS}
        rewards = [a["results"][0]["reward"] if path == "/score" else a for _, a, _ in answers]
        assert rewards == [expected(i) for i in range(CONNECTIONS)]
        if path == "/score":
            assert [a["results"][0]["id"] for _, a, _ in answers] == [str(i) for i in range(CONNECTIONS)]
        counted = await asyncio.to_thread(service.metrics)
        assert counted["reward_shed_total"] == 0
        assert counted["reward_inflight_items"] == 0


def held_by(folder: Path) -> dict[str, Any]:
    """A model component that computes while the file `gate` exists."""
    return {
        "overlap": {"component": "held", "value": "overlap", "weight": 1, "settings": {"gate": str(folder / "gate")}}
    }


@pytest.mark.slow
async def test_a_full_queue_sheds_native_requests_and_holds_the_trainers(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "held", held_by(tmp_path))
    limits = {"queue_items": 8, "batch_items": 8, "timeout_s": SOON}
    with running(tmp_path / "log", profiles=profile, **limits) as service:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2 * SOON)) as session:
            native = [
                asyncio.create_task(post(session, f"{service.url}/score", {"items": [item(i)]})) for i in range(40)
            ]
            await until(lambda: sum(task.done() for task in native) == 32)  # the others are in the queue
            trainers = [
                asyncio.create_task(
                    post(
                        session,
                        f"{service.url}/compat/slime",
                        {"response": item(i)["candidate"], "label": "worda wordb"},
                    )
                )
                for i in range(100, 116)
            ]
            await asyncio.to_thread(wait_until, lambda: service.metrics()["reward_inflight_items"] == 8)
            (tmp_path / "gate").touch()
            answers = await asyncio.gather(*native, *trainers)
        shed = [(body, retry) for status, body, retry in answers[:40] if status == 429]
        served = [(i, body) for i, (status, body, _) in enumerate(answers[:40]) if status == 200]
        assert (len(shed), len(served)) == (32, 8)
        for body, retry in shed:
            assert (body["error"]["code"], body["error"]["retryable"], int(retry or 0) >= 1) == (
                "overloaded",
                True,
                True,
            )
            assert "REWARD_QUEUE_ITEMS" in body["error"]["message"]
        assert [body["results"][0]["reward"] for _, body in served] == [expected(i) for i, _ in served]
        assert [(status, body) for status, body, _ in answers[40:]] == [
            (200, float(min(2, i % 11))) for i in range(100, 116)
        ]
        counted = await asyncio.to_thread(service.metrics)
        assert counted["reward_shed_total"] == len(shed)


def test_a_request_larger_than_the_queue_is_scored_when_it_is_alone(tmp_path: Path) -> None:
    profile = write_profile(tmp_path, "overlap", {"overlap": {"value": "overlap", "weight": 1}})
    with running(tmp_path / "log", profiles=profile, queue_items=64, batch_items=16) as service:
        answer = httpx.post(f"{service.url}/score", json={"items": [item(i) for i in range(300)]}, timeout=2 * SOON)
        missing = Counter(r["missing"].get("overlap", {}).get("code") for r in answer.json()["results"])
        assert [r["reward"] for r in answer.json()["results"]] == [expected(i) for i in range(300)], missing


@pytest.mark.slow
def test_a_deadline_is_kept(tmp_path: Path) -> None:
    """What is there by then is answered, the rest has a code."""
    (tmp_path / "gate").touch()
    profile = write_profile(tmp_path, "held", held_by(tmp_path))
    with running(tmp_path / "log", profiles=profile, batch_items=4) as service:
        url, items = f"{service.url}/score", [item(i) for i in range(40)]
        httpx.post(url, json={"items": items[:4], "timeout_s": SOON}, timeout=2 * SOON)
        (tmp_path / "gate").unlink()
        answer = httpx.post(url, json={"items": items, "timeout_s": 1}, timeout=2 * SOON)
        results = answer.json()["results"]
        codes = Counter(r["missing"].get("overlap", {"code": "ok"})["code"] for r in results)
        assert codes == {"ok": 4, "deadline": 36}
        assert [r["reward"] for r in results] == [expected(i) if i < 4 else None for i in range(40)]
