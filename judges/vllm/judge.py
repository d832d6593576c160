"""The LLM judge: one awaitable judgement per pair, from servers that it keeps an eye on.

What is asked is a protocol's business (`protocol.py`), counting is in `accounting.py`, retries and failover in
`transport.py`. Here they are put together, with the self-test and the canaries that show whether a server can be
trusted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from judges.base import Judgement
from judges.scores import KEYS
from judges.vllm import canaries, verdict
from judges.vllm.errors import JudgeError, JudgeInvalidOutput, JudgeMisconfigured, JudgeRefused
from judges.vllm.green_protocol import GreenProtocol
from judges.vllm.json_protocol import JsonProtocol
from judges.vllm.prompt import NumberedPair, read_pair
from judges.vllm.protocol import Ask, JudgeProtocol, together
from judges.vllm.server import JudgeServer
from judges.vllm.settings import Form, VllmJudgeSettings
from judges.vllm.statement_protocol import StatementProtocol
from judges.vllm.transport import Completion, Observe, Transport

log = logging.getLogger(__name__)

START_S = 5.0
"""How long a start waits for servers' self-tests. One that hangs must not keep others from being used."""

PROTOCOLS: Final[Mapping[Form, Callable[[VllmJudgeSettings, Observe], JudgeProtocol]]] = {
    "json": JsonProtocol,
    "statements": StatementProtocol,
    "green": GreenProtocol,
}


class VllmJudge:
    """Counts clinical errors with a language model behind an OpenAI-compatible API.

    `observe(name, value, labels)` receives latencies, token counts, attempts, breaker states and canary drift.
    """

    version: ClassVar[int] = 1
    determinism: ClassVar[str] = "first_verdict"
    uses_prior: ClassVar[bool] = True
    reads_with: ClassVar[str] = verdict.__name__
    """The module that computes a judgement from a verdict; its hash is no part of the manifest."""

    def __init__(self, settings: VllmJudgeSettings, observe: Observe = lambda name, value, labels: None) -> None:
        self.settings = settings
        self._observe = observe
        self._protocol = PROTOCOLS[settings.protocol](settings, observe)
        self._transport = Transport(settings, observe)
        self._canaries = canaries.Record()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def keys(self) -> tuple[str, ...]:
        """`expected_errors`: the sum of the probabilities of error, where the protocol has probabilities."""
        return (*KEYS, "expected_errors") if self.settings.protocol == "statements" else KEYS

    def manifest(self) -> Mapping[str, object]:
        """All that forms a verdict; no URL, key, timeout or limit, and nothing that is computed from it."""
        s = self.settings
        return {
            "model": s.model,
            "revision": s.revision,
            **self._protocol.manifest(),
            "extra_body": dict(s.extra_body),
            "significant_only": s.significant_only,
            "max_statements": s.max_statements,
        }

    # --- judgements --------------------------------------------------------------------------------------------

    async def judge(
        self,
        candidate: str,
        reference: str,
        prior: str | None,
        *,
        deadline: float,
        started: Callable[[], None] = lambda: None,
    ) -> Judgement:
        """The judgement on one pair, by `deadline` (`time.monotonic()` seconds). Raises a `JudgeError`.

        `started` is called whenever a request leaves for a server.
        """
        pair = read_pair(candidate, reference, prior, self.settings.max_statements)

        async def ask(body: bytes, group: str) -> Completion:
            return await self._transport.complete(group, body, deadline, started)

        return await self._judge(pair, ask)

    def read(self, candidate: str, reference: str, prior: str | None, stored: Judgement) -> Judgement:
        """`verdict.read_stored`."""
        return verdict.read_stored(self.settings, candidate, reference, prior, stored)

    async def _judge(self, pair: NumberedPair, ask: Ask) -> Judgement:
        details: dict[str, object] = {"model": self.settings.model, "revision": self.settings.revision}
        if not pair.is_asked:
            return verdict.read([], pair, self.settings, details)
        votes = await together(self._protocol.vote(pair, vote, ask) for vote in range(self.settings.votes))
        completions = [completion for _, asked in votes for completion in asked]
        details["votes"] = len(votes)
        details["requests"] = len(completions)
        details["tokens"] = {
            "prompt": sum(c.prompt_tokens for c in completions),
            "cached": sum(c.cached_tokens for c in completions),
            "completion": sum(c.completion_tokens for c in completions),
        }
        answers = [answer for answer, _ in votes]
        return verdict.read(answers, pair, self.settings, details)

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Tests every server, runs the canaries, and keeps watching.

        Raises `JudgeMisconfigured` if a server refuses the settings or does not constrain its output. A server that
        cannot be reached, or does not answer within `START_S`, is no error here: it is used once it has passed.
        """
        exams = [asyncio.create_task(self._examine(server)) for server in self._transport.servers]
        try:
            await asyncio.wait(exams, timeout=None if self.settings.require_canaries else START_S)
        except asyncio.CancelledError:
            for exam in exams:
                exam.cancel()
            raise
        if wrong := next((s.problem for s in self._transport.servers if s.misconfigured), None):
            self._keepers = exams
            await self.aclose()
            raise JudgeMisconfigured(wrong)
        self._keepers = [
            asyncio.create_task(self._keep(server, exam))
            for server, exam in zip(self._transport.servers, exams, strict=True)
        ]

    async def aclose(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers = []
        await self._transport.aclose()

    def health(self) -> Mapping[str, object]:
        """Ready while at least one server is; which are not, and why; and what the canaries show."""
        servers = self._transport.servers
        problems = [f"server {i}: {s.problem}" for i, s in enumerate(servers) if not s.well]
        wrong = self._canaries.wrong()
        if wrong:
            problems.append(f"canaries answered wrongly: {', '.join(wrong)}")
        ready = any(s.well for s in servers) and not (wrong and self.settings.require_canaries)
        return {
            "ready": ready,
            "detail": "; ".join(problems) or "ok",
            "servers": [
                {
                    "well": s.well,
                    "limit": int(s.limit.value),
                    "in_flight": s.limit.slots.taken,
                    "way": s.way and s.way.name,
                }
                for s in servers
            ],
            "canaries": {"wrong": wrong, "drifted": self._canaries.drifted(), "drift": self._canaries.drift()},
        }

    async def _keep(self, server: JudgeServer, exam: asyncio.Task[None]) -> None:
        """Watches one server for as long as the judge lives: self-tests while it is down, canaries while it is well.

        It begins when the first `exam` is over.
        """
        try:
            await exam
        except asyncio.CancelledError:
            exam.cancel()
            raise
        except Exception as error:
            log.error("the first test of a judge server failed with %s; going on", type(error).__name__)
        interval = self.settings.canary_interval_s or None
        first, longest = self.settings.probe_wait_s
        while True:
            try:
                async with asyncio.timeout(interval):
                    await server.down.wait()
                wait = first
                while not server.well:
                    await asyncio.sleep(wait * random.uniform(0.75, 1.25))
                    await self._examine(server)
                    wait = min(2 * wait, longest)
            except TimeoutError:
                await self._run_canaries(server)
            except Exception as error:  # else nobody would look after this server any more
                log.error("watching a judge server failed with %s; going on", type(error).__name__)
                await asyncio.sleep(longest)

    async def _examine(self, server: JudgeServer) -> None:
        """The self-test: does the server answer, know the model, and fit the protocol? Then the canaries."""
        answered: set[str] = set()

        async def ask(body: bytes, group: str) -> Completion:
            completion = await self._transport.send(server, body)
            answered.add(completion.model)
            return completion

        try:
            way = await self._protocol.examine(ask)
            await self._check_model(server, answered)
        except JudgeMisconfigured as error:
            server.open(error.message, misconfigured=True)
        except JudgeError as error:
            server.open(error.message)
        else:
            server.way = way
            server.close()
            if self.settings.canary_interval_s:
                await self._run_canaries(server)

    async def _check_model(self, server: JudgeServer, answered: set[str]) -> None:
        """Raises `JudgeMisconfigured` if what answered is another model: some servers hold one and take any name.

        A name that is longer (a date, a path) is the same model, and one that the server lists is an alias of it.
        """
        named = [name for name in answered if name]
        is_it = not named or any(self.settings.model in name for name in named)
        if not is_it and await self._transport.lacks(server, self.settings.model):
            raise JudgeMisconfigured(
                "the judge server answers by another model than it was asked for: "
                "set the model's name (model) to one that its /v1/models lists"
            )

    async def _run_canaries(self, server: JudgeServer) -> None:
        """Judges the canary pairs on this very server; a failure of transport leaves its record as it was."""

        async def ask(body: bytes, group: str) -> Completion:
            return await self._transport.send(server, server.worded(body))

        for canary in canaries.pairs():
            pair = read_pair(canary.candidate, canary.reference, None, self.settings.max_statements)
            try:
                made: Judgement | None = await self._judge(pair, ask)
            except (JudgeInvalidOutput, JudgeRefused):
                made = None
            except JudgeError:
                return
            self._canaries.add(server.url, canary, made)
        self._observe("judge_canary_drift", self._canaries.drift(), {})
        self._observe("judge_canaries_wrong", len(self._canaries.wrong()), {})
