"""What the outermost layer counts and logs of requests that end in an unusual way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import State
from structlog.testing import capture_logs

from reward_service.api.auth import ApiKeys
from reward_service.api.middleware import RequestMiddleware
from reward_service.observability import tracing
from reward_service.observability.telemetry import Telemetry
from reward_service.settings import Settings


class Server:
    """The layer around an application that never ends, driven as a server drives it."""

    def __init__(self, *, begun: bool, closing: bool) -> None:
        self.telemetry = Telemetry()
        self.sent: list[dict[str, Any]] = []
        self.waiting = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if begun:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            self.waiting.set()
            await asyncio.Event().wait()

        engine = SimpleNamespace(telemetry=self.telemetry, closing=closing)
        state = State({"engine": engine, "tracing": tracing.start(Settings())})
        self.layer = RequestMiddleware(app, keys=ApiKeys([]), state=state)

    async def cancel(self) -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            self.sent.append(message)

        scope = {"type": "http", "path": "/score", "query_string": b"", "method": "POST", "headers": []}
        task = asyncio.ensure_future(self.layer(scope, receive, send))
        await self.waiting.wait()
        task.cancel()
        await task

    def count(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(("begun", "closing"), [(False, False), (True, False), (True, True)])
async def test_a_cancelled_request_is_a_499_and_an_orphan(begun: bool, closing: bool) -> None:
    server = Server(begun=begun, closing=closing)
    with capture_logs() as logged, pytest.raises(asyncio.CancelledError):
        await server.cancel()
    assert [(line["event"], line["status"]) for line in logged] == [("request", 499)]
    assert server.count("reward_requests_total", route="unknown", status="499") == 1
    assert server.count("reward_orphaned_total") == 1


async def test_one_that_the_end_of_the_service_cancels_is_told_so() -> None:
    server = Server(begun=False, closing=True)
    await server.cancel()
    assert server.sent[0]["status"] == 503
    assert server.count("reward_requests_total", route="unknown", status="503") == 1
    assert server.count("reward_orphaned_total") == 0
