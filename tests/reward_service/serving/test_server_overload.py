"""Thousands of connections at once, a full queue, oversized requests: everybody gets one answer, and the right one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from reward_service.serving.child import raise_file_limit
from tests.chaos.service import running, write_profile

CONNECTIONS = 4096


def expected(i: int) -> float:
    """`InlineOverlap` counts distinct common words: ``w0 .. wk`` against ``w0 .. w9``."""
    return float(i % 11)


def item(i: int) -> dict[str, str]:
    words = [f"w{k}" for k in range(i % 11)]
    return {"id": str(i), "candidate": " ".join([*words, f"own{i}"]), "reference": " ".join(f"w{k}" for k in range(10))}


async def post(session: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any, str | None]:
    async with session.post(url, json=body) as response:
        return response.status, await response.json(), response.headers.get("Retry-After")


@pytest.mark.parametrize("path", ["/score", "/compat/slime"])
async def test_4096_simultaneous_connections_without_keep_alive(tmp_path: Path, path: str) -> None:
    raise_file_limit()
    profile = write_profile(tmp_path, "overlap", {"overlap_inline": {"value": "overlap", "weight": 1}})
    with running(tmp_path / "log", profiles=profile) as service:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(120)) as session:

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


async def test_a_full_queue_sheds_native_requests_and_holds_the_trainers(tmp_path: Path) -> None:
    slow = {"overlap": {"value": "overlap", "weight": 1, "settings": {"seconds": 0.5}}}
    profile = write_profile(tmp_path, "slow", slow)
    with running(tmp_path / "log", profiles=profile, queue_items=8, batch_items=8) as service:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
            native = [post(session, f"{service.url}/score", {"items": [item(i)]}) for i in range(40)]
            trainers = [
                post(session, f"{service.url}/compat/slime", {"response": item(i)["candidate"], "label": "w0 w1"})
                for i in range(100, 116)
            ]
            answers = await asyncio.gather(*native, *trainers)
        shed = [(body, retry) for status, body, retry in answers[:40] if status == 429]
        served = [(i, body) for i, (status, body, _) in enumerate(answers[:40]) if status == 200]
        assert len(shed) + len(served) == 40
        assert len(shed) >= 20
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
        answer = httpx.post(f"{service.url}/score", json={"items": [item(i) for i in range(300)]}, timeout=30)
        missing = Counter(r["missing"].get("overlap", {}).get("code") for r in answer.json()["results"])
        assert [r["reward"] for r in answer.json()["results"]] == [expected(i) for i in range(300)], missing


def test_a_deadline_is_kept(tmp_path: Path) -> None:
    slow = {"overlap": {"value": "overlap", "weight": 1, "settings": {"seconds": 0.3}}}
    profile = write_profile(tmp_path, "slow", slow)
    with running(tmp_path / "log", profiles=profile, batch_items=4) as service:
        began = time.monotonic()
        answer = httpx.post(
            f"{service.url}/score", json={"items": [item(i) for i in range(40)], "timeout_s": 1}, timeout=30
        )
        assert time.monotonic() - began < 2
        codes = Counter(r["missing"].get("overlap", {"code": "ok"})["code"] for r in answer.json()["results"])
        assert codes["ok"] >= 4
        assert codes["deadline"] >= 20
        assert codes.total() == codes["ok"] + codes["deadline"]
        assert {r["reward"] for r in answer.json()["results"] if "overlap" in r["missing"]} == {None}
