"""A small HTTP server that speaks the wire contract and commits faults on request.

The real service cannot be told to swap two answers or to hang, so the client's defences are tested against this; what
the real service does is tested against the real service.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from testbed.service import free_port

Fault = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Takes request and honest answer; returns the answer, or a Response, to send instead."""

COMPONENTS = ("bleu2", "clinical")


def reward_of(candidate: str, reference: str) -> float | None:
    """Any pure function will do; None for an empty reference, as the contract says."""
    return (len(candidate) * 31 + len(reference)) % 97 / 97 if reference else None


def refuse(status: int, code: str = "refused", param: str | None = None, **headers: str) -> JSONResponse:
    error = {"code": code, "message": "scripted", "param": param, "request_id": "r-1", "retryable": status != 422}
    return JSONResponse({"error": error}, status, headers=headers)


class Scripted:
    """State of the server: `faults` are used up, one for each POST; afterwards it is honest."""

    def __init__(self) -> None:
        self.url = ""
        self.fingerprint = "sha256:one"
        self.accepted: list[str] = []
        """Older fingerprints, under which it answers when they are pinned."""
        self.not_ready = 0
        self.faults: list[Fault] = []
        self.requests: list[dict[str, Any]] = []
        self.authorization: list[str | None] = []
        self.in_flight = self.most_in_flight = 0
        self.delay_s = 0.0
        self.together = 1
        """Nobody is answered before so many requests have been there at once."""
        self._all_there = asyncio.Event()

    def result(self, id: str, candidate: str, reference: str) -> dict[str, Any]:
        reward = reward_of(candidate, reference)
        missing = {} if reward is not None else {"clinical": {"code": "empty_reference", "message": "scripted"}}
        return {
            "id": id,
            "reward": reward,
            "status": "null" if reward is None else "ok",
            "components": {"bleu2": reward, "clinical": reward},
            "contributions": {} if reward is None else {"bleu2": reward, "adjustment": 0.0},
            "missing": missing,
            "flags": [],
            "cache": "miss",
        }

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        groups = []
        for group in body.get("groups", []):
            results = [
                self.result(f"{group['id']}/{i}", candidate, group["reference"])
                for i, candidate in enumerate(group["candidates"])
            ]
            groups.append({"id": group["id"], "results": results, "mean": 0.5, "std": 0.0, "zero_advantage": True})
        results = [self.result(item["id"], item["candidate"], item["reference"]) for item in body.get("items", [])]
        return {
            "profile": "text",
            "fingerprint": body["fingerprint"] if body.get("fingerprint") in self.accepted else self.fingerprint,
            "signature": "scripted",
            "results": results,
            "groups": groups,
        }

    async def score(self, request: Request) -> Any:
        body = await request.json()
        self.requests.append(body)
        self.authorization.append(request.headers.get("authorization"))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.in_flight >= self.together:
            self._all_there.set()
        await self._all_there.wait()
        await asyncio.sleep(self.delay_s)
        self.in_flight -= 1
        honest = self.answer(body)
        return self.faults.pop(0)(body, honest) if self.faults else honest


def app_of(scripted: Scripted) -> FastAPI:
    """The application; `app.state.scripted` may be replaced while it runs."""
    app = FastAPI()
    app.state.scripted = scripted

    @app.get("/ready")
    async def ready() -> Any:
        app.state.scripted.not_ready -= 1
        return refuse(503, "starting") if app.state.scripted.not_ready >= 0 else {"ready": True}

    @app.get("/v1/fingerprint")
    async def fingerprint() -> Any:
        scripted = app.state.scripted
        accepted = {"accepted": scripted.accepted} if scripted.accepted else {}
        return {"fingerprint": scripted.fingerprint, **accepted, "document": {"bounds": [-1.0, 1.0]}}

    @app.post("/score")
    async def score(request: Request) -> Any:
        return await app.state.scripted.score(request)

    return app


@contextlib.contextmanager
def serving(app: Any, port: int | None = None) -> Iterator[str]:
    """Runs `app` in a uvicorn thread and yields its URL.

    No port serves two tests unless it is given: a thread that a client has given up may still be about to send.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", free_port() if port is None else port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    while not server.started:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/ready", timeout=0.1)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(5)
        listening.close()
