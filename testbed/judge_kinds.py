"""Servers of the OpenAI kind that differ in what they know: fields that constrain their output, and log-probabilities.

Each is a real ASGI server on a socket. The model is missing: it says what the field that it obeys makes it say, and
chatter where none does.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from testbed.scripted_judge import completion, letters

CHATTER = "The sky is blue."
_GBNF = re.compile(r'"(?:[^"\\]|\\.)*"|\{\d*,\d*\}|[()|?]')
Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One implementation."""

    obeys: frozenset[str] = frozenset()
    """What constrains it: names of rows of `judges/vllm/ways.yaml`."""
    unknown: int = 200
    """The status with which it answers a request that carries a constraint or option that it does not know."""
    letters: bool = True
    """Whether it gives `top_logprobs`."""
    holds: str = ""
    """The model that it holds, whatever name is asked for; without one it takes the name."""
    lists: tuple[str, ...] = ()
    """What its list of models holds."""
    requests: list[Json] = field(default_factory=list, compare=False)

    def app(self) -> Starlette:
        models = {"data": [{"id": name} for name in self.lists]}

        async def listed(request: Request) -> JSONResponse:
            return JSONResponse(models)

        async def answer(request: Request) -> JSONResponse:
            body = await request.json()
            self.requests.append(body)
            return self._answer(body)

        return Starlette(routes=[Route("/v1/models", listed), Route("/v1/chat/completions", answer, methods=["POST"])])

    def _answer(self, body: Json) -> JSONResponse:
        said = {name: value for name, value in _constraints(body).items() if value is not None}
        strange = said.keys() - self.obeys | ({"logprobs"} if body.get("logprobs") and not self.letters else set())
        if strange and self.unknown != 200:
            return JSONResponse({"error": "unknown field"}, self.unknown)
        if body.get("logprobs") and self.letters:
            made = letters(A=0.9, B=0.05, C=0.05)
        else:
            obeyed = [value for name, value in said.items() if name in self.obeys]
            made = completion(obeyed[0] if obeyed else CHATTER)
        return JSONResponse({**made, "model": self.holds or body["model"]})


def _constraints(body: Json) -> dict[str, str | None]:
    """What each constraint of a request makes a model say; None where it is absent."""
    form = body.get("response_format", {})
    structured = body.get("structured_outputs", {})
    schemas = {
        "response_format": form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
        "json_object": form.get("schema") if form.get("type") == "json_object" else None,
        "structured_outputs": structured.get("json"),
        "guided_json": body.get("guided_json"),
    }
    said = {name: schema and json.dumps(least(schema)) for name, schema in schemas.items()}
    return {**said, "grammar": derived(body["grammar"]) if "grammar" in body else None}


def least(schema: Json) -> Any:
    """The shortest instance of a schema: first values, no entries."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: least(inner) for name, inner in schema["properties"].items()}
    return [] if schema["type"] == "array" else True


def derived(grammar: str) -> str:
    """A sentence of a grammar in GBNF with one rule: first alternatives, and nothing of what may be left out."""
    tokens = _GBNF.findall(grammar.removeprefix("root ::= "))

    def alternatives(at: int) -> tuple[str, int]:
        first, said = None, ""
        while at < len(tokens) and tokens[at] != ")":
            if tokens[at] == "|":
                first, said, at = said if first is None else first, "", at + 1
                continue
            if tokens[at] == "(":
                inner, at = alternatives(at + 1)
            else:
                inner = json.loads(tokens[at])
            at += 1
            if at < len(tokens) and (tokens[at] == "?" or tokens[at].startswith("{0,")):
                inner, at = "", at + 1
            said += inner
        return (said if first is None else first), at

    return alternatives(0)[0]


@asynccontextmanager
async def running(kind: Kind) -> AsyncIterator[str]:
    """The address of a server of this kind, for as long as the block lasts."""
    server = uvicorn.Server(uvicorn.Config(kind.app(), log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as door:  # it listens, so who comes early waits
        task = asyncio.create_task(server.serve([door]))
        try:
            yield f"http://127.0.0.1:{door.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
