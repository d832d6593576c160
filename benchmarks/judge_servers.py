"""What a running OpenAI-compatible server can do for the LLM judge: one row of the table in docs/judges.md.

It asks what the judge asks at start, in every way instead of up to the first that works, and what else differs among
servers: `python -m benchmarks.judge_servers --url http://127.0.0.1:8100 --model judge`.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.common import table
from judges.vllm import canaries, questions
from judges.vllm.errors import JudgeError
from judges.vllm.letters import Question
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Transport
from judges.vllm.ways import known


class Asker:
    """Sends one request after the other, and says in a word or two what came of it."""

    def __init__(self, url: str, model: str) -> None:
        self.settings = VllmJudgeSettings(model, "any", base_urls=(url,), attempt_timeout_s=600)
        self._transport = Transport(self.settings, lambda name, value, labels: None)

    async def send(self, body: bytes) -> Completion | str:
        try:
            return await self._transport.send(self._transport.servers[0], body)
        except JudgeError as error:
            return f"{error.code}: {error.message}"

    async def ways(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for way in known():
            said = await self.send(way.word(canaries.self_test(self.settings.model)))
            if isinstance(said, Completion):
                said = "obeyed" if canaries.passes_self_test(said.text) else "ignored"
            rows.append((way.name, said))
        return rows

    async def letters(self) -> list[tuple[str, ...]]:
        report = questions.show_report(["Small effusion."])
        body = questions.ask(self.settings, report, "No effusion.", Question.SAID)
        said = [await self.send(body) for _ in range(2)]
        if isinstance(said[1], str):
            return [("top_logprobs", said[1])]
        cached = f"{said[1].cached_tokens} of {said[1].prompt_tokens}"
        return [("top_logprobs", str(len(said[1].top))), ("cached tokens of a request sent twice", cached)]

    async def others(self) -> list[tuple[str, ...]]:
        long = questions.ask(self.settings, "Report: " + "opacity " * 9_000, "x", Question.SAID)
        other = Asker(self.settings.base_urls[0], "no-such-model")
        said = await other.send(canaries.self_test("no-such-model"))
        await other.aclose()
        named = f"answers as {said.model!r}" if isinstance(said, Completion) else said
        much = await self.send(long)
        return [
            ("a model it has not", named),
            ("a prompt of 9,000 words", much if isinstance(much, str) else "answered"),
        ]

    async def aclose(self) -> None:
        await self._transport.aclose()


async def look(url: str, model: str) -> None:
    asker = Asker(url, model)
    rows = [*await asker.ways(), *await asker.letters(), *await asker.others()]
    await asker.aclose()
    print(table([("what", "came of it"), *rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8100")
    parser.add_argument("--model", default="judge")
    arguments = parser.parse_args()
    asyncio.run(look(arguments.url, arguments.model))


if __name__ == "__main__":
    main()
