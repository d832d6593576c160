"""The runner of a judge that asks servers: what it drops, what it lets finish, what it says of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from judges.base import CATEGORIES, Judgement
from reward_service.contracts import ComponentError, Pair
from reward_service.workers.judge import JudgeRunner
from tests.waiting import soon, until

NOTHING = dict.fromkeys(CATEGORIES, 0.0)


class OneAtATime:
    """A judge whose server takes one call at a time."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(1)
        self.asked: list[str] = []
        self.answers = asyncio.Event()

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    def health(self) -> dict[str, Any]:
        return {"ready": True}

    async def judge(
        self, candidate: str, reference: str, prior: str | None, *, deadline: float, started: Callable[[], None]
    ) -> Judgement:
        async with self.turn:
            started()
            self.asked.append(candidate)
            await self.answers.wait()
            if "poison" in candidate:
                raise RuntimeError(candidate)
            return Judgement(NOTHING, NOTHING, 1.0, (), {"signed": 1.0})


async def test_a_call_that_waits_for_its_turn_is_dropped_and_one_that_runs_is_not() -> None:
    judge = OneAtATime()
    runner = JudgeRunner(judge)  # type: ignore[arg-type]
    futures = runner.submit([Pair(name, "r", None) for name in "abc"], soon())
    await until(lambda: judge.asked)
    assert [getattr(future, "started", None) for future in futures] == [True, False, False]
    futures[1].cancel()
    judge.answers.set()
    scores = await asyncio.gather(futures[0], futures[2])
    assert judge.asked == ["a", "c"]
    assert [score.values["signed"] for score in scores] == [1.0, 1.0]
    await runner.stop(1)


async def test_an_unforeseen_failure_is_named_by_its_type_alone() -> None:
    judge = OneAtATime()
    judge.answers.set()
    runner = JudgeRunner(judge)  # type: ignore[arg-type]
    (future,) = runner.submit([Pair("poison: the lungs are clear", "r", None)], soon())
    with pytest.raises(ComponentError) as caught:
        await future
    assert (caught.value.code, "lungs" in caught.value.message) == ("judge_error", False)
    assert "RuntimeError" in caught.value.message
    await runner.stop(1)
