"""Questions that a model answers with one letter: how they are worded, sent and read.

The layout serves the prefix cache: instructions and examples (the same for all), then the report, which many statements
are compared with, then the statement. The examples are turns of a conversation: a small model follows its own answers
far better than a list of examples in its instructions.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.letters import LETTERS, Question
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion

_FILE: Final = Path(__file__).parent / "questions.json"
_TOP: Final = 20
"""Log-probabilities asked for: what vLLM and other servers give at most."""
LEAST_MASS: Final = 0.1
"""Probability that all letters of a question must have together; below it the model did not answer the question."""


def show_report(texts: Sequence[str], earlier: Sequence[str] = ()) -> str:
    """The part of the message that all statements about a report share."""
    shown = f"Report: {_quoted(' '.join(map(_ended, texts)))}\n"
    return shown + (f"Earlier report: {_quoted(' '.join(map(_ended, earlier)))}\n" if earlier else "")


def ask(settings: VllmJudgeSettings, report: str, statement: str, question: Question) -> bytes:
    """The body of one request; `report` as `show_report` made it."""
    return orjson.dumps(
        {
            "model": settings.model,
            "messages": [*instructions(question), {"role": "user", "content": _message(report, statement)}],
            "temperature": 0.0,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": _TOP,
            **settings.extra_body,
        }
    )


def read(completion: Completion, question: Question) -> list[float]:
    """The probabilities of the question's letters, renormalised over them.

    Raises `JudgeInvalidOutput` if the letters are missing among the likeliest tokens, or nearly so.
    """
    letters = LETTERS[question]
    found = dict.fromkeys(letters, 0.0)
    for token, logprob in completion.top:
        if token.strip() in found:
            found[token.strip()] += math.exp(logprob)
    total = sum(found.values())
    if total < LEAST_MASS:
        raise JudgeInvalidOutput(
            "the model answers with something else than a letter" if completion.top else "the answer has no logprobs"
        )
    return [found[letter] / total for letter in letters]


def mass(completion: Completion, question: Question) -> float:
    """The probability of all the question's letters together, in [0, 1]."""
    return sum(math.exp(logprob) for token, logprob in completion.top if token.strip() in set(LETTERS[question]))


@functools.cache
def instructions(question: Question) -> tuple[Mapping[str, str], ...]:
    """The messages before the one that asks. The same bytes for every statement."""
    asked: dict[str, Any] = orjson.loads(_FILE.read_bytes())[question.name]
    messages = [{"role": "system", "content": asked["system"]}]
    for report, statement, letter in asked["examples"]:
        messages.append({"role": "user", "content": _message(show_report([report]), statement)})
        messages.append({"role": "assistant", "content": letter})
    return tuple(messages)


@functools.cache
def digest() -> str:
    """Of all instructions: a calibration belongs to them."""
    return hashlib.sha256(orjson.dumps([instructions(question) for question in Question])).hexdigest()[:16]


def _message(report: str, statement: str) -> str:
    return f"{report}Statement: {_quoted(statement)}"


def _quoted(text: str) -> str:
    """The text as a JSON string in one line; `<` and `>` are escaped, so no special token can stand in it."""
    return orjson.dumps(text).decode().replace("<", "\\u003c").replace(">", "\\u003e")


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
