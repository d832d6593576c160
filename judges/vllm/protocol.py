"""What a protocol is: how a verdict about a pair is asked for. How it is read is in `verdict.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from judges.vllm.prompt import NumberedPair
from judges.vllm.transport import Completion
from judges.vllm.ways import Way

Ask = Callable[[bytes, str], Awaitable[Completion]]
"""Sends a request's body to the server that the group, its second argument, belongs to. Raises a `JudgeError`."""
T = TypeVar("T")


class JudgeProtocol(Protocol):
    """One way to ask a model about a pair."""

    def manifest(self) -> Mapping[str, object]:
        """All that forms an answer beside the model and its revision."""
        ...

    async def vote(self, pair: NumberedPair, vote: int, ask: Ask) -> tuple[str, list[Completion]]:
        """One valid answer as it is stored, and what it took. Raises a `JudgeError`."""
        ...

    async def examine(self, ask: Ask) -> Way | None:
        """Whether a server can be trusted with this protocol, and how it is told a schema, if the protocol has one.

        Raises `JudgeMisconfigured` if it cannot, or a `JudgeError`.
        """
        ...


async def together(work: Iterable[Awaitable[T]]) -> list[T]:
    """All results in order; the first failure cancels the others and is raised."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
