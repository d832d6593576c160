"""Connections that never finish a request's head are closed; all others keep their time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from reward_service.serving.http_protocol import HttpProtocol
from tests.waiting import SOON, until

GOOD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Impatient(HttpProtocol):
    head_timeout_s = 0.3


async def slow_app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.6)  # longer than the time for a head
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(slow_app, port=0, http=Impatient, lifespan="off", log_config=None, timeout_keep_alive=600)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


@pytest.mark.parametrize("head", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\n"])
async def test_an_unfinished_head_is_given_up(port: int, head: bytes) -> None:
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    assert await asyncio.wait_for(reader.read(), SOON) == b""
    assert time.monotonic() - began >= Impatient.head_timeout_s
    writer.close()


async def test_a_slow_answer_and_a_pause_between_requests_are_not(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(GOOD)
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
        await asyncio.sleep(0.5)
    writer.write(GOOD[:10])  # and then dawdles
    assert await asyncio.wait_for(reader.read(), SOON) == b""
    writer.close()


async def test_the_rest_of_a_body_that_nobody_wanted_has_a_time_limit(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
    while not reader.at_eof():
        writer.write(b"x")  # a byte now and then, which a limit on silence would not end
        await asyncio.sleep(0.05)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.01)
    writer.close()
