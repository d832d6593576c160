"""Requests to the judge's servers: the only place with retries, deadlines, breakers and failover.

It knows bytes and status codes, nothing of reports: it takes a request body and a group, and returns the text of
the answer with its token counts, or raises a `JudgeError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import orjson
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from judges.vllm.errors import (
    JudgeBusy,
    JudgeError,
    JudgeFault,
    JudgeFieldRefused,
    JudgeInvalidOutput,
    JudgeMisconfigured,
    JudgeRefused,
    JudgeSpent,
    JudgeTimeout,
    JudgeTooLong,
    JudgeUnavailable,
)
from judges.vllm.server import JudgeServer, by_preference
from judges.vllm.settings import VllmJudgeSettings

Observe = Callable[[str, float, Mapping[str, str]], None]
"""Called with (name, value, labels); the names are listed in `docs/judges.md`."""

_PAUSE: Final = wait_exponential(multiplier=0.1, max=5.0) + wait_random(0.0, 0.2)
"""Seconds between attempts."""
_A_DAY_S: Final = 86_400
_TOO_LONG: Final = re.compile(
    rb"context.{0,10}(?:length|size|window)|input_tokens|max_model_len|too long|maximum.{0,20}tokens|n_ctx", re.I
)


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server answered."""

    text: str
    prompt_tokens: int
    cached_tokens: int
    """Prompt tokens found in the server's prefix cache; 0 where it does not say."""
    completion_tokens: int
    is_whole: bool = True
    """Whether the model ended it itself, and did not reach the limit of tokens."""
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest first tokens with their log-probabilities, where they were asked for."""
    model: str = ""
    """The model that the server says has answered."""

    def whole(self) -> str:
        """The text. Raises `JudgeInvalidOutput` if it is empty, or was cut off before its end."""
        if not self.is_whole:
            raise JudgeInvalidOutput("the answer was cut off before its end")
        if not self.text.strip():
            raise JudgeInvalidOutput("the answer was empty")
        return self.text


class Budget:
    """Tokens of one day (UTC), counted as servers report them. What is in flight when they end is still paid."""

    def __init__(self, tokens: int, clock: Callable[[], float] = time.time) -> None:
        self._tokens, self._clock = tokens, clock
        self._day, self._spent = 0, 0

    def check(self) -> None:
        """Raises `JudgeSpent` when the day's tokens are used up."""
        if self._tokens and self._today() >= self._tokens:
            raise JudgeSpent(f"the {self._tokens} tokens of this day are used up (tokens_a_day)")

    def spend(self, tokens: int) -> None:
        self._spent = self._today() + tokens

    def _today(self) -> int:
        day = int(self._clock() // _A_DAY_S)
        if day != self._day:
            self._day, self._spent = day, 0
        return self._spent


def _pause(state: RetryCallState) -> float:
    """`_PAUSE`, or as long as the server asked for."""
    error = state.outcome.exception() if state.outcome else None
    return max(_PAUSE(state), error.wait_s if isinstance(error, JudgeBusy) else 0.0)


def _retry_after(response: httpx.Response) -> float:
    """Seconds of the header `Retry-After`, a number or a date (RFC 9110, 10.2.3); 0 where there is none."""
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said[:9])
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0


class Transport:
    """One connection pool to all servers."""

    def __init__(self, settings: VllmJudgeSettings, observe: Observe) -> None:
        self._settings = settings
        self._observe = observe
        self.servers = [
            JudgeServer(url, concurrency=settings.concurrency, failures=settings.breaker_failures)
            for url in dict.fromkeys(settings.base_urls)
        ]
        headers = {"content-type": "application/json"}
        if settings.api_key:
            headers["authorization"] = f"Bearer {settings.api_key}"
        self._budget = Budget(settings.tokens_a_day)
        most = settings.concurrency * len(self.servers) + 4
        self._client = httpx.AsyncClient(
            headers=headers,
            # Idle connections are closed before a server would (uvicorn: 5 s), so that none closes under a request.
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=4.0),
            # Attempts have one clock for everything, so that a server that drips cannot outlast it byte by byte.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            trust_env=False,
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def complete(
        self, group: str, body: bytes, deadline: float, started: Callable[[], None] = lambda: None
    ) -> Completion:
        """The answer to `body`, from the server that `group` belongs to or, if that fails, from another.

        `started` is called when a request's turn has come and it leaves.

        Raises a `JudgeError` once the deadline (`time.monotonic()`) or the attempts are used up.
        """
        remaining = deadline - time.monotonic()
        tried: list[JudgeServer] = []
        try:
            async with asyncio.timeout(remaining):
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception(lambda error: self._worth_another_try(error, tried, deadline)),
                    stop=stop_after_attempt(self._settings.attempts) | stop_after_delay(max(remaining, 0.0)),
                    wait=_pause,
                    reraise=True,
                ):
                    with attempt:
                        server = self._choose(group, tried)
                        tried.append(server)
                        async with server.turn(group) as rank, server.limit.slots.hold(rank):
                            if not server.well:
                                raise JudgeUnavailable("the judge server went down while the request waited")
                            started()
                            return await self.send(server, server.worded(body))
        except TimeoutError:
            raise JudgeTimeout("no judgement within the deadline") from None
        raise AssertionError("unreachable: the last attempt raises")

    def _worth_another_try(self, error: BaseException, tried: list[JudgeServer], deadline: float) -> bool:
        if isinstance(error, JudgeBusy) and time.monotonic() + error.wait_s >= deadline:
            return False
        if isinstance(error, JudgeMisconfigured):
            return any(server.well and server not in tried for server in self.servers)  # another may be right
        return isinstance(error, JudgeError) and error.retryable

    def _choose(self, group: str, tried: list[JudgeServer]) -> JudgeServer:
        well = [server for server in by_preference(self.servers, group) if server.well]
        if well:
            return min(well, key=tried.count)
        for server in self.servers:
            if server.misconfigured:
                raise JudgeMisconfigured(server.problem)
        raise JudgeUnavailable(f"no judge server is usable: {self.servers[0].problem}")

    async def send(self, server: JudgeServer, body: bytes) -> Completion:
        """One attempt on one server; the server's limit and breaker learn from it."""
        self._budget.check()
        started = time.monotonic()
        outcome = "ok"
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_s):
                response = await self._client.post(f"{server.url}/chat/completions", content=body)
            completion = self._read(server, response)
        except TimeoutError:
            outcome = "timeout"
            server.failed("answers too slowly")
            raise JudgeTimeout("the judge server took longer than attempt_timeout_s") from None
        except httpx.HTTPError as error:
            outcome = "disconnect"
            server.failed(f"connection failed: {type(error).__name__}")
            raise JudgeUnavailable(f"the judge server could not be reached: {type(error).__name__}") from None
        except JudgeError as error:
            outcome = error.code
            raise
        finally:
            number = {"server": str(self.servers.index(server))}
            self._observe("judge_request_seconds", time.monotonic() - started, {**number, "outcome": outcome})
            self._observe("judge_concurrency_limit", server.limit.value, number)
        self._budget.spend(completion.prompt_tokens + completion.completion_tokens)
        for kind in ("prompt", "cached", "completion"):
            self._observe("judge_tokens", getattr(completion, f"{kind}_tokens"), {"kind": kind})
        return completion

    async def lacks(self, server: JudgeServer, model: str) -> bool:
        """Whether the server lists its models, and this one is not among them."""
        try:
            async with asyncio.timeout(self._settings.attempt_timeout_s):
                listed = orjson.loads((await self._client.get(f"{server.url}/models")).content)["data"]
            names = {name for one in listed for name in (one["id"], *(one.get("aliases") or ()))}
        except (TimeoutError, httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError):
            return False
        return bool(names) and model not in names

    def _read(self, server: JudgeServer, response: httpx.Response) -> Completion:
        """Classifies an answer. Nothing that the server says is quoted: it may repeat the prompt."""
        status = response.status_code
        if status == 200:
            return self._read_completion(server, response)
        if status in (429, 503):
            server.limit.lower()
            if status == 503:  # also what a proxy answers for a server that is gone
                server.failed("answers 503")
            raise JudgeBusy(f"the judge server is overloaded ({status})", _retry_after(response))
        if status in (408, 409, 425) or status >= 500:
            server.failed(f"answers {status}")
            raise (JudgeFault if status in (500, 501) else JudgeUnavailable)(f"the judge server answered {status}")
        if status in (400, 413, 422) and (status == 413 or _TOO_LONG.search(response.content)):
            raise JudgeTooLong("the prompt does not fit the judge server's context (--max-model-len)")
        problem = {
            401: "the judge server refused the API key (api_key)",
            403: "the judge server refused the API key (api_key)",
            404: "the judge server does not know the model or the path (model, base_urls)",
        }.get(status, f"the judge server refused the request ({status})")
        if status in (401, 403, 404):
            server.open(problem, misconfigured=True)
            raise JudgeMisconfigured(problem)
        raise JudgeFieldRefused(problem)

    def _read_completion(self, server: JudgeServer, response: httpx.Response) -> Completion:
        try:
            answer: dict[str, Any] = orjson.loads(response.content)
            choice = answer["choices"][0]
            message = choice["message"]
            text, refusal, finish = message.get("content"), message.get("refusal"), choice.get("finish_reason")
            usage = answer.get("usage") or {}
            details = usage.get("prompt_tokens_details") or {}
            tokens = [usage.get("prompt_tokens"), details.get("cached_tokens"), usage.get("completion_tokens")]
            top = tuple(
                (str(entry["token"]), float(entry["logprob"]))
                for first in ((choice.get("logprobs") or {}).get("content") or [])[:1]
                for entry in first["top_logprobs"]
            )
        except (ValueError, LookupError, TypeError, AttributeError):
            server.failed("answers 200 with something else than a completion")
            raise JudgeUnavailable("the judge server answered 200 with something else than a completion") from None
        server.succeeded()
        if refusal or finish == "content_filter":
            raise JudgeRefused("the model declined to answer")
        prompt, cached, completion = (n if isinstance(n, int) else 0 for n in tokens)
        said, model = (one if isinstance(one, str) else "" for one in (text, answer.get("model")))
        return Completion(said, prompt, cached, completion, finish == "stop", top, model)
