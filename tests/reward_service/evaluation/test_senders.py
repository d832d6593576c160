"""Requests to a service: what is tried again, what is not, and what the person at the terminal reads."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tenacity import wait_none

from reward_service.errors import ServiceError
from reward_service.evaluation import senders


class Service(HTTPServer):
    """Answers each post with the next of `statuses`, the last one again and again."""

    statuses: list[int]
    posts = 0


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.posts += 1
        status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        error = {"message": "Scripted.", "code": "scripted", "param": None}
        body = json.dumps({"results": []} if status == 200 else {"error": error}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to the terminal, which the tests read."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(senders, "_PAUSE", wait_none())
    with Service(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def post(service: Service) -> object:
    async with senders.remote(f"http://127.0.0.1:{service.server_port}") as scoring:
        return await scoring.send(b"{}")


async def test_a_service_that_is_full_or_restarting_is_asked_again(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.statuses = [429, 503, 200]
    assert await post(service) == {"results": []}
    assert service.posts == 3
    assert capsys.readouterr().err == "Scripted. Trying again in 0.0 s.\n" * 2


@pytest.mark.parametrize(("status", "posts"), [(503, 10), (422, 1), (501, 1)])
async def test_the_last_error_is_the_service_s_own(service: Service, status: int, posts: int) -> None:
    service.statuses = [status]
    with pytest.raises(ServiceError, match=r"^Scripted\.$"):
        await post(service)
    assert service.posts == posts
