"""Servers that say what a test wants them to say: every way to misbehave, and a truth to bring through unchanged.

They speak the wire format of vLLM's chat completions over a real socket; only the model is missing.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings

SELF_TEST_ANSWER = '{"colour":"vantablack-7f3a"}'
LISTS = ("matched", "location", "severity", "missing", "false", "comparison_added", "comparison_omitted", "normal")

Reply = Callable[[dict[str, Any]], "str | web.StreamResponse | dict[str, Any] | Awaitable[Any]"]


def _answer(**lists: list[Any]) -> str:
    """A well-formed answer with the given lists, the others empty."""
    return json.dumps({name: lists.get(name, []) for name in LISTS})


def _completion(content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as vLLM words it."""
    return {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 80}},
    }


class ScriptedServer:
    """Answers self-tests truthfully and everything else by `reply(request)`: a text, a completion, or a response."""

    def __init__(self) -> None:
        self.reply: Reply = lambda request: _answer()
        self.self_test: Reply = lambda request: SELF_TEST_ANSWER
        self.bodies: list[bytes] = []
        self.in_flight = self.most_in_flight = 0
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        data = json.loads(body)
        testing = data["response_format"]["json_schema"]["name"] == "self_test"
        if not testing:
            self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            said = (self.self_test if testing else self.reply)({**data, "_request": request})
            if asyncio.iscoroutine(said):
                said = await said
        finally:
            self.in_flight -= 1
        if isinstance(said, str):
            said = _completion(said)
        if isinstance(said, dict):
            said = web.json_response(said)
        assert isinstance(said, web.StreamResponse)
        return said


SOON = 60.0  # seconds: a limit for what is waited for, not a measure


def soon() -> float:
    """A deadline that is never reached."""
    return time.monotonic() + SOON


class Door:
    """Holds requests in a server until the test lets them go, so that it knows what runs at once."""

    def __init__(self) -> None:
        self._inside = 0
        self._changed = asyncio.Condition()
        self._passes = asyncio.Semaphore(0)

    async def reply(self, request: dict[str, Any]) -> str:
        try:
            await self._count(1)
            await self._passes.acquire()
        finally:
            await self._count(-1)
        return _answer()

    async def _count(self, change: int) -> None:
        async with self._changed:
            self._inside += change
            self._changed.notify_all()

    async def holds(self, number: int) -> None:
        """Returns when so many requests, at least, are held at once."""
        async with asyncio.timeout(SOON), self._changed:
            await self._changed.wait_for(lambda: self._inside >= number)

    def let_go(self, number: int) -> None:
        for _ in range(number):
            self._passes.release()

    def close(self) -> None:
        """Whatever comes from now on is held again."""
        self._passes = asyncio.Semaphore(0)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[ScriptedServer]]]:
    """Starts scripted servers, as many as a test asks for."""
    servers: list[ScriptedServer] = []

    async def start(reply: Reply | None = None) -> ScriptedServer:
        server = ScriptedServer()
        if reply is not None:
            server.reply = reply
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
async def judging() -> AsyncIterator[Callable[..., Awaitable[VllmJudge]]]:
    """Starts judges on given servers; without canaries and with short waits, unless a test says otherwise."""
    judges: list[VllmJudge] = []

    async def start(*servers: ScriptedServer, started: bool = True, observe: Any = None, **settings: Any) -> VllmJudge:
        defaults: dict[str, Any] = {
            "model": "judge",
            "revision": "r1",
            "base_urls": tuple(server.url for server in servers),
            "canary_interval_s": 0.0,
            "probe_wait_s": (0.05, 0.1),
        }
        observed = {"observe": observe} if observe else {}
        judge = VllmJudge(VllmJudgeSettings(**{**defaults, **settings}), **observed)
        if started:
            await judge.start()
        judges.append(judge)
        return judge

    yield start
    for judge in judges:
        await judge.aclose()


@pytest.fixture
def answer() -> Callable[..., str]:
    """Makes a well-formed answer."""
    return _answer


@pytest.fixture
def completion() -> Callable[..., dict[str, Any]]:
    """Makes a chat completion."""
    return _completion


@pytest.fixture
def verdict(judging: Any, serve: Any) -> Callable[..., Awaitable[Any]]:
    """Judges one pair on a fresh scripted server that gives `reply`; the deadline is far away."""

    async def judge_one(reply: Any, candidate: str, reference: str, prior: str | None = None, **settings: Any) -> Any:
        judge = await judging(await serve(reply if callable(reply) else lambda request: reply), **settings)
        return await judge.judge(candidate, reference, prior, deadline=soon())

    return judge_one
