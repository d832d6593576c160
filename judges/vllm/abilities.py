"""What a server can do, found out by asking it: how it is told to keep to a schema, and whether it gives probabilities.

An option that a server does not know is mostly ignored with status 200, so only an answer shows that it works.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from judges.vllm import canaries
from judges.vllm.errors import JudgeFault, JudgeFieldRefused, JudgeInvalidOutput, JudgeMisconfigured, JudgeRefused
from judges.vllm.protocol import Ask
from judges.vllm.transport import Completion
from judges.vllm.ways import Way, known

NOT_CONSTRAINED: Final = (
    f"the judge server does not constrain its output to a schema by any field that is known "
    f"({', '.join(way.name for way in known())}): serve the model with vLLM or llama.cpp, or use protocol 'statements'"
)
NO_LETTERS: Final = (
    "the judge server gives no top_logprobs, by which protocol 'statements' reads its letters: "
    "serve the model with vLLM or llama.cpp, or use protocol 'json'"
)


async def find_way(ask: Ask, model: str) -> Way:
    """The first way that works. Raises `JudgeMisconfigured` if none does, or a `JudgeError`."""
    fault: JudgeFault | None = None
    for way in known():
        try:
            completion = await ask(way.word(canaries.self_test(model)), "")
            if canaries.passes_self_test(completion.whole()):
                return way
        except (JudgeInvalidOutput, JudgeRefused, JudgeFieldRefused):
            pass
        except JudgeFault as error:
            fault = error
    raise fault or JudgeMisconfigured(NOT_CONSTRAINED)


async def with_letters(asked: Awaitable[Completion]) -> Completion:
    """An answer with the log-probabilities of its likeliest tokens. Raises `JudgeMisconfigured` if it has none."""
    try:
        completion = await asked
    except JudgeFieldRefused:
        raise JudgeMisconfigured(NO_LETTERS) from None
    if not completion.top:
        raise JudgeMisconfigured(NO_LETTERS)
    return completion
