"""What arrives is bounded in size and time, and is never read as anything but what it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import h11
import pytest
import uvicorn

from reward_service.errors import MAX_HEAD_BYTES
from reward_service.serving.http_protocol import HttpProtocol, StrictConnection
from reward_service.settings import Settings
from tests.waiting import SOON, until

GOOD = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Impatient(HttpProtocol):
    head_timeout_s = 0.3


Seen = list[tuple[str, bytes]]


async def slow_app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.6)  # longer than the time for a head
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def serving(app: Any, http: type[HttpProtocol]) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    config = uvicorn.Config(app, port=0, http=http, lifespan="off", log_config=None, timeout_keep_alive=600, ws="none",
                            h11_max_incomplete_event_size=MAX_HEAD_BYTES)  # fmt: skip
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    yield server, server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serving(slow_app, Impatient) as (_, port):
        yield port


@pytest.fixture
def seen() -> Seen:
    return []


@pytest.fixture
async def reading_port(seen: Seen) -> AsyncIterator[int]:
    """Of a server whose application reads every body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, HttpProtocol) as (_, port):
        yield port


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


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0", "anything"])
async def test_an_offered_upgrade_leaves_the_body_a_body(reading_port: int, seen: Seen, protocol: str) -> None:
    """RFC 9110, 7.8: a server may ignore `Upgrade`; the request then is what it is without."""
    reader, writer = await asyncio.open_connection("127.0.0.1", reading_port)
    hidden = b"GET /hidden HTTP/1.1\r\nhost: x\r\n\r\n"
    head = f"POST /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: {protocol}\r\ncontent-length: {len(hidden)}"
    writer.write(head.encode() + b"\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)  # so that the body is a segment of its own
    writer.write(hidden)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
    writer.write(GOOD)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
    assert seen == [("/a", hidden), ("/", b"")]
    writer.close()


ENDLESS = {
    "many headers": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n"),
    "a long header": (b"GET / HTTP/1.1\r\nhost: x\r\nx: ", b"yyyyyy"),
    "a long target": (b"GET /", b"zzzzzz"),
    "trailers": (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"a: b\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_a_head_and_trailers_have_a_limit_of_size(reading_port: int, seen: Seen, what: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", reading_port)
    begin, more = ENDLESS[what]
    writer.write(begin)
    with contextlib.suppress(ConnectionError):
        for _ in range(200):  # of 12,000 bytes or more
            writer.write(more * 2000)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), SOON)
        assert answer.startswith(b"HTTP/1.1 431")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "head_too_large"
    assert seen in ([], [("/", b"x")])  # the application may have seen the body end with the connection
    writer.close()


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://service:8000/health?a=1", "/health", b"a=1"),
        ("HTTPS://service:8000/health", "/health", b""),
        ("http://service:8000", "/", b""),
        ("http://service:8000?a=1", "/", b"a=1"),
        ("/http://service:8000/health", "/http://service:8000/health", b""),
    ],
)
async def test_a_target_in_absolute_form_is_accepted(target: str, path: str, query: bytes) -> None:
    """RFC 9112, 3.2.2: its host replaces that of the field `Host`."""
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, HttpProtocol) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {target} HTTP/1.1\r\nhost: other\r\nx-more: 1\r\n\r\n".encode())
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
        writer.close()
    (scope,) = scopes
    assert (scope["path"], scope["query_string"]) == (path, query)
    host = b"other" if target.startswith("/") else b"service:8000"
    assert sorted(scope["headers"]) == [(b"host", host), (b"x-more", b"1")]


SMUGGLED = b"4\r\nnull\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
LENGTH = b"content-length: %d\r\n" % len(SMUGGLED)
TWO_FRAMINGS = {
    "both": b"POST /a HTTP/1.1\r\nhost: x\r\n" + LENGTH + b"transfer-encoding: chunked\r\n",
    "the other order": b"POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nhost: x\r\n" + LENGTH,
    "HTTP/1.0": b"POST /a HTTP/1.0\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n",
}


@pytest.mark.parametrize("head", TWO_FRAMINGS.values(), ids=list(TWO_FRAMINGS))
async def test_a_body_framed_in_two_ways_is_refused_and_ends_the_connection(
    reading_port: int, seen: Seen, head: bytes
) -> None:
    """RFC 9112, 6.1: two readers could find different requests in it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", reading_port)
    writer.write(head + b"\r\n" + SMUGGLED)
    answer = await asyncio.wait_for(reader.read(), SOON)  # until the service closes
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"HTTP/1.1 204" not in answer
    assert seen == []
    writer.close()


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("together", [True, False])
async def test_chunks_of_a_few_bytes_are_refused(reading_port: int, together: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", reading_port)
    writer.write(CHUNKED)
    if not together:
        await asyncio.sleep(0.05)  # so that the head has been read before
    with contextlib.suppress(ConnectionError):
        for _ in range(50):
            writer.write(b"1\r\na\r\n" * 10_000)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert (await asyncio.wait_for(reader.read(), SOON)).startswith(b"HTTP/1.1 400")
    writer.close()


def read_chunks(chunks: Iterable[bytes], segment: int) -> bytes | None:
    """The body in segments of that many bytes, as the connection reads it; None if it refuses it."""
    wire = CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    connection, body = StrictConnection(h11.SERVER, MAX_HEAD_BYTES), b""
    for start in range(0, len(wire), segment):
        connection.receive_data(wire[start : start + segment])
        try:
            while (event := connection.next_event()) is not h11.NEED_DATA:
                body += event.data if isinstance(event, h11.Data) else b""
                if isinstance(event, h11.EndOfMessage):
                    return body
        except h11.RemoteProtocolError:
            return None
    raise AssertionError("the body has no end")


def tokens(items: int, text: str) -> list[bytes]:
    """The chunks of a request that is sent as its encoder yields it."""
    pairs = [{"id": str(number), "candidate": text, "reference": text} for number in range(items)]
    return [token.encode() for token in json.JSONEncoder().iterencode({"items": pairs})]


@pytest.mark.slow
@pytest.mark.parametrize("segment", [7, 4096, 2**18])
def test_the_segments_of_a_body_in_chunks_make_no_difference(segment: int) -> None:
    """1,500 items of three words are 21,005 chunks of 5.9 bytes on average: accepted, in whatever segments."""
    ordinary = tokens(1500, "No acute disease.")
    assert (len(ordinary), sum(map(len, ordinary)) // len(ordinary)) == (21_005, 5)
    assert read_chunks(ordinary, segment) == b"".join(ordinary)
    assert read_chunks([b"x" * 4] * 50_000, segment) is None  # 8,192 times 5 bytes short after 40,960
    assert read_chunks([b"x" * 4] * 40_000, segment) is not None
    assert read_chunks([b"x" * 2**20, *[b"x"] * 11_000], segment) is None  # a long chunk makes no room for them


def test_the_largest_request_of_short_reports_is_read_as_its_encoder_yields_it() -> None:
    largest = tokens(Settings.model_fields["max_items"].default, "Normal.")
    assert read_chunks(largest, 2**18) == b"".join(largest)


@pytest.mark.parametrize("chunk", [b"x" * 100, b"\r\n" * 2000])
async def test_other_bodies_are_read_whole(reading_port: int, seen: Seen, chunk: bytes) -> None:
    """In chunks of a hundred bytes; and one of short lines that comes with its length."""
    reader, writer = await asyncio.open_connection("127.0.0.1", reading_port)
    if chunk[0] == ord("x"):
        writer.write(CHUNKED + b"%x\r\n%s\r\n" % (len(chunk), chunk) * 1000 + b"0\r\n\r\n")
    else:
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (1000 * len(chunk)) + 1000 * chunk)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
    assert seen == [("/", 1000 * chunk)]
    writer.close()


async def test_requests_behind_one_another_wait_in_the_clients_memory() -> None:
    """What the service holds of 16 MB of pipelined requests stays below 2 MB while the first is unanswered."""
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, HttpProtocol) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = 2**24 // len(GOOD)
        writer.write(GOOD * number)
        await until(lambda: server.server_state.connections)
        (connection,) = server.server_state.connections
        assert isinstance(connection, HttpProtocol)
        await until(lambda: connection.conn.their_state is h11.DONE and not connection.transport.is_reading())
        assert len(connection.conn.trailing_data[0]) < 2**21
        go.set()
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 204")
        writer.transport.abort()
        await until(lambda: not server.server_state.connections)
