"""Servers that say what a test wants them to say: every way to misbehave, and a truth to bring through unchanged.

They speak the wire format of vLLM's chat completions over a real socket; only the model is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from testbed import scripted_judge

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
        return scripted_judge.answer()

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
async def serve() -> AsyncIterator[Callable[..., Awaitable[scripted_judge.ScriptedServer]]]:
    """Starts scripted servers, as many as a test asks for."""
    servers: list[scripted_judge.ScriptedServer] = []

    async def start(reply: scripted_judge.Reply | None = None) -> scripted_judge.ScriptedServer:
        server = scripted_judge.ScriptedServer()
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

    async def start(
        *servers: scripted_judge.ScriptedServer, started: bool = True, observe: Any = None, **settings: Any
    ) -> VllmJudge:
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
    return scripted_judge.answer


@pytest.fixture
def completion() -> Callable[..., dict[str, Any]]:
    """Makes a chat completion."""
    return scripted_judge.completion


@pytest.fixture
def verdict(judging: Any, serve: Any) -> Callable[..., Awaitable[Any]]:
    """Judges one pair on a fresh scripted server that gives `reply`; the deadline is far away."""

    async def judge_one(reply: Any, candidate: str, reference: str, prior: str | None = None, **settings: Any) -> Any:
        judge = await judging(await serve(reply if callable(reply) else lambda request: reply), **settings)
        return await judge.judge(candidate, reference, prior, deadline=soon())

    return judge_one
