"""Clients that hang up: unstarted work is dropped after the grace time, started work is found by the retry."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testbed.service import Service, running, write_profile

GRACE_S = 1.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("hangup")
    slow = {"overlap": {"value": "overlap", "weight": 1, "settings": {"seconds": 0.4}}}
    profile = write_profile(folder, "slow", slow)
    with running(folder / "log", profiles=profile, orphan_grace_s=GRACE_S, batch_items=1) as service:
        yield service


async def hang_up(service: Service, candidate: str, after_s: float) -> None:
    """Send a whole request, then close the connection without reading."""
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps({"items": [{"candidate": candidate, "reference": "a b"}]}).encode()
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    await asyncio.sleep(after_s)
    writer.close()


def flights(service: Service) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{service.url}/info", timeout=30).json()["flights"]
    return found


async def settle(service: Service) -> None:
    limit = time.monotonic() + 20
    while (await asyncio.to_thread(flights, service))["running"]:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)


async def test_a_hundred_hang_ups_are_noticed_and_leave_nothing_behind(service: Service) -> None:
    await asyncio.to_thread(service.score, ("warm up", "a b"))
    descriptors, before = service.descriptors(), flights(service)
    orphaned = service.metrics()["reward_orphaned_total"]
    await asyncio.gather(*(hang_up(service, f"a leaver {i}", 0.3) for i in range(100)))
    await settle(service)
    after = flights(service)
    assert after["started"] - before["started"] == 100
    assert after["orphaned"] - before["orphaned"] >= 90  # 0.4 s each, one at a time: few had begun
    counted = service.metrics()
    assert counted["reward_orphaned_total"] - orphaned == 100
    assert counted['reward_requests_total{route="/score",status="499"}'] >= 100
    assert counted["reward_inflight_items"] == 0
    assert service.descriptors() <= descriptors + 2


async def test_a_retry_joins_the_computation_that_is_running(service: Service) -> None:
    """And gets the score that a patient client would have got, at once when it is there already."""
    batches = service.metrics().get('reward_batch_size_count{component="overlap"}', 0)
    await hang_up(service, "a b joined", 0.2)
    answer = await asyncio.to_thread(service.score, ("a b joined", "a b"))
    assert answer.json()["results"][0]["reward"] == 2
    assert service.metrics()['reward_batch_size_count{component="overlap"}'] - batches == 1
    again = await asyncio.to_thread(service.score, ("a b joined", "a b"))
    assert again.json()["results"][0]["cache"] == "hit"


async def test_half_a_request_is_no_request(service: Service, tmp_path: Path) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    descriptors = service.descriptors()
    for cut in (
        b"POST /sc",
        b"POST /score HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{",
    ):
        for _ in range(50):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(cut)
            await writer.drain()
            writer.close()
    limit = time.monotonic() + 10
    while service.descriptors() > descriptors + 2:
        assert time.monotonic() < limit
        await asyncio.sleep(0.05)
    assert (await asyncio.to_thread(service.score, ("a", "a b"))).status_code == 200


def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    """Bounded in time, with an answer that says so."""
    mini = write_profile(tmp_path, "mini", {"bleu2": {"weight": 1}})
    with running(tmp_path / "log", profiles=mini, timeout_s=1) as service:

        def stall() -> Iterator[bytes]:
            yield b'{"items": ['
            time.sleep(2)
            yield b"]}"

        answer = httpx.post(f"{service.url}/score", content=stall(), headers={"content-type": "application/json"})
        assert answer.status_code == 408
        assert answer.json()["error"]["code"] == "body_too_slow"
