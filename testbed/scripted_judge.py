"""An LLM judge whose answers a script decides, over a real socket; only the model is missing.

As a process of its own (`python -m testbed.scripted_judge PORT MODEFILE`) it reads the mode from the file at every
request: ``ok``, ``slow`` (each answer takes eight seconds) or ``garbage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from testbed.service import ROOT, free_port

SELF_TEST_ANSWER = '{"colour":"vantablack-7f3a"}'
LISTS = ("matched", "location", "severity", "missing", "false", "comparison_added", "comparison_omitted", "normal")

Reply = Callable[[dict[str, Any]], "str | web.StreamResponse | dict[str, Any] | Awaitable[Any]"]


def answer(**lists: list[Any]) -> str:
    """A well-formed answer with the given lists, the others empty."""
    return json.dumps({name: lists.get(name, []) for name in LISTS})


def completion(content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion as vLLM words it."""
    return {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 80}},
    }


def letters(**probabilities: float) -> dict[str, Any]:
    """A completion of one token with the log-probabilities of the likeliest ones, as vLLM words it."""
    ranked = sorted(probabilities.items(), key=lambda entry: -entry[1])
    top = [{"token": token, "logprob": math.log(p), "bytes": None} for token, p in ranked if p > 0.0]
    made = completion(ranked[0][0], "length")
    made["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return made


class ScriptedServer:
    """Answers self-tests truthfully and everything else by `reply(request)`: a text, a completion, or a response."""

    def __init__(self) -> None:
        self.reply: Reply = lambda request: answer()
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
        testing = data.get("response_format", {}).get("json_schema", {}).get("name") == "self_test"
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
            said = completion(said)
        if isinstance(said, dict):
            said = web.json_response(said)
        assert isinstance(said, web.StreamResponse)
        return said


class JudgeProcess:
    """The judge, to be killed, slowed and made to talk nonsense."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._mode = folder / "judge-mode"
        self._log = folder / "judge-log"
        self._process: subprocess.Popen[bytes] | None = None
        self.mode("ok")

    def mode(self, mode: str) -> None:
        self._mode.write_text(mode)

    def start(self) -> JudgeProcess:
        command = [sys.executable, "-m", "testbed.scripted_judge", str(self.port), str(self._mode)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
            )
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.02)
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _main(port: int, mode: Path) -> None:
    async def reply(_: dict[str, Any]) -> str:
        match mode.read_text():  # noqa: ASYNC240
            case "slow":
                await asyncio.sleep(8.0)
            case "garbage":
                return '{"matched": [[7, "nonsense'
        return answer()

    server = ScriptedServer()
    server.port = port
    server.reply = reply
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
