"""Clients that hang up: unstarted work is dropped after the grace time, started work is found by the retry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from testbed.service import Service, running, write_profile
from tests.waiting import SOON, until

GRACE_S = 1.0


class Slow(NamedTuple):
    """A service whose model component computes while its gate is open."""

    service: Service
    gate: Path

    def flights(self) -> dict[str, int]:
        found: dict[str, int] = httpx.get(f"{self.service.url}/info", timeout=SOON).json()["flights"]
        return found

    async def until(self, name: str, count: int) -> None:
        """Returns when that number of the flights' counts, or a larger one, is reached."""
        async with asyncio.timeout(SOON):
            while (await asyncio.to_thread(self.flights))[name] < count:
                await asyncio.sleep(0.02)

    async def settle(self) -> None:
        """Let go what is held, and wait until nothing is left to do."""
        self.gate.touch()
        async with asyncio.timeout(SOON):
            while (await asyncio.to_thread(self.flights))["running"]:
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    folder = tmp_path_factory.mktemp("hangup")
    held = {
        "overlap": {"component": "held", "value": "overlap", "weight": 1, "settings": {"gate": str(folder / "gate")}}
    }
    profile = write_profile(folder, "slow", held)
    with running(folder / "log", profiles=profile, orphan_grace_s=GRACE_S, batch_items=1) as service:
        yield Slow(service, folder / "gate")


@pytest.fixture
def slow(running_service: Slow) -> Slow:
    running_service.gate.touch()
    return running_service


async def connect(service: Service) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = service.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def ask(service: Service, candidate: str) -> asyncio.StreamWriter:
    """Send a whole request; whoever closes the connection hangs up."""
    body = json.dumps({"items": [{"candidate": candidate, "reference": "a b"}], "timeout_s": SOON}).encode()
    _, writer = await connect(service)
    head = f"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return writer


async def test_a_hundred_hang_ups_are_noticed_and_leave_nothing_behind(slow: Slow) -> None:
    service = slow.service
    await asyncio.to_thread(service.score, ("warm up", "a b"))
    descriptors, before = service.descriptors(), slow.flights()
    orphaned = service.metrics()["reward_orphaned_total"]
    slow.gate.unlink()
    asked = [await ask(service, f"a leaver {i}") for i in range(100)]
    await slow.until("started", before["started"] + 100)
    for writer in asked:
        writer.close()
    await slow.until("orphaned", before["orphaned"] + 99)  # all but the one that is being computed
    await slow.settle()
    assert slow.flights()["orphaned"] == before["orphaned"] + 99
    counted = service.metrics()
    assert counted["reward_orphaned_total"] - orphaned == 100
    assert counted['reward_requests_total{route="/score",status="499"}'] >= 100
    assert counted["reward_inflight_items"] == 0
    await until(lambda: service.descriptors() <= descriptors + 2)


async def test_a_retry_joins_the_computation_that_is_running(slow: Slow) -> None:
    """And gets the score that a patient client would have got, at once when it is there already."""
    service, before = slow.service, slow.flights()
    batches = service.metrics().get('reward_batch_size_count{component="held"}', 0)
    held = slow.gate.with_name("gate.held")
    held.unlink(missing_ok=True)
    slow.gate.unlink()
    writer = await ask(service, "a b joined")
    await until(held.exists)
    writer.close()
    retry = asyncio.create_task(asyncio.to_thread(service.score, ("a b joined", "a b")))
    await slow.until("joined", before["joined"] + 1)
    slow.gate.touch()
    assert (await retry).json()["results"][0]["reward"] == 2
    assert service.metrics()['reward_batch_size_count{component="held"}'] - batches == 1
    again = await asyncio.to_thread(service.score, ("a b joined", "a b"))
    assert again.json()["results"][0]["cache"] == "hit"


async def test_half_a_request_is_no_request(slow: Slow) -> None:
    service, descriptors = slow.service, slow.service.descriptors()
    for cut in (
        b"POST /sc",
        b"POST /score HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{",
    ):
        for _ in range(50):
            _, writer = await connect(service)
            writer.write(cut)
            await writer.drain()
            writer.close()
    await until(lambda: service.descriptors() <= descriptors + 2)
    assert (await asyncio.to_thread(service.score, ("a", "a b"))).status_code == 200


@pytest.mark.slow
async def test_a_body_that_does_not_arrive_is_given_up(tmp_path: Path) -> None:
    """Bounded in time, with an answer that says so."""
    mini = write_profile(tmp_path, "mini", {"bleu2": {"weight": 1}})
    with running(tmp_path / "log", profiles=mini, timeout_s=1) as service:
        reader, writer = await connect(service)
        writer.write(
            b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
        )
        async with asyncio.timeout(SOON):
            answer = await reader.readuntil(b"}}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_too_slow"' in answer
