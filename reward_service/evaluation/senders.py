"""Who scores the requests that a file becomes: an engine in this process, or a running service."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import httpx
import orjson
import tenacity

from reward_service.errors import InvalidRequest, ServiceError
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings
from reward_service.wire.parsing import parse
from reward_service.wire.rendering import render

TIMEOUT_S = 600.0
_PATIENCE_S = 60.0  # for a service that is restarting or full
_PAUSE = tenacity.wait_exponential(multiplier=0.1, max=5.0) + tenacity.wait_random(0.0, 1.0)
Answer = dict[str, Any]
Send = Callable[[bytes], Awaitable[Answer]]
"""From the body of a request to `/score` to its answer. Raises `ServiceError`."""


class Scoring(NamedTuple):
    """What scores the entries: this process, or a running service."""

    send: Send
    document: Callable[[Answer], Awaitable[Mapping[str, Any]]]
    """What the fingerprint of the profile that paid for an answer is the hash of."""


def here(profile: str | None, **flags: Any) -> AbstractAsyncContextManager[Scoring]:
    """An engine with one profile, by default the first of REWARD_PROFILES; `flags` are settings."""
    return by_engine(settings_for(profile, **flags))


def settings_for(profile: str | None, **flags: Any) -> Settings:
    """Those of the environment under `flags`, with `profile` alone if it is given."""
    return Settings(**(flags | ({"profiles": (profile,)} if profile else {})))


@contextlib.asynccontextmanager
async def by_engine(settings: Settings) -> AsyncIterator[Scoring]:
    """An engine of these settings; its first profile scores."""
    async with Engine(settings) as engine:

        async def send(raw: bytes) -> dict[str, Any]:
            parsed = parse(raw, sys.maxsize)
            scoring = replace(parsed.scoring, timeout_s=TIMEOUT_S, hold=True)
            async with engine.admit(scoring) as admitted:
                scored = await admitted.score()
            return render(parsed, admitted, scored)

        async def document(answer: Answer) -> Mapping[str, Any]:
            return engine.served(None).at(answer.get("step")).document

        yield Scoring(send, document)


@contextlib.asynccontextmanager
async def remote(url: str) -> AsyncIterator[Scoring]:
    """The service at `url`; what another attempt may mend is tried again for a minute."""
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest("The service's address begins with http:// or https://.", param="--url")
    if "@" in url:
        raise InvalidRequest("Give the key in REWARD_CLIENT_API_KEY; errors show the address.", param="--url")
    key = os.environ.get("REWARD_CLIENT_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, headers=headers) as client:
        reached = False  # a wrong address is told at once, a service that goes away is waited for

        async def post(raw: bytes) -> dict[str, Any]:
            nonlocal reached
            try:
                response = await client.post("/score", content=raw, headers={"Content-Type": "application/json"})
            except httpx.HTTPError as error:
                kind = _Again if reached else ServiceError
                raise kind(f"{url} does not answer ({type(error).__name__}).", code="unreachable") from None
            reached = True
            status = response.status_code
            may_heal = status in (408, 429) or (status >= 500 and status != 501)
            try:
                answer: dict[str, Any] = orjson.loads(response.content)
                if status == 200:
                    return answer
                problem = answer["error"]
                message, code, param = problem["message"], problem["code"], problem["param"]
                if status == 401:
                    message += " Here the key comes from REWARD_CLIENT_API_KEY."
                elif code == "not_found":
                    message += " Give --url without a path."
            except (ValueError, KeyError, TypeError):
                message = f"{url} answered {status} and not in this service's form; is a proxy in between?"
                code, param = "unreachable", None
            raise (_Again if may_heal else ServiceError)(message, code=code, param=param)

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            sys.stderr.write(f"{error} Trying again in {state.upcoming_sleep:.1f} s.\n")

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Again),
            stop=tenacity.stop_after_attempt(10) | tenacity.stop_after_delay(_PATIENCE_S),
            wait=_PAUSE,
            before_sleep=tell,
            reraise=True,
        )

        async def document(answer: Answer) -> Mapping[str, Any]:
            response = await client.get("/v1/fingerprint", params={"profile": answer["profile"]})
            found: dict[str, Any] = orjson.loads(response.raise_for_status().content)
            if "stage" not in answer:
                return cast("Mapping[str, Any]", found["document"])
            stages = [stage["fingerprint"] for stage in found["stages"]]
            number = stages.index(answer["stage"]["fingerprint"]) + 1
            return cast("Mapping[str, Any]", found["document"]["stages"][str(number)])

        yield Scoring(lambda raw: retrying(post, raw), document)


class _Again(ServiceError):
    """What another attempt may mend."""
