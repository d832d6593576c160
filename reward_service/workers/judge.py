"""Runs an asynchronous judge for the engine: one task per pair, and no batching, which vLLM does better."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from reward_service.contracts import AsyncJudge, ComponentError, ComponentScore, Pair, WorkFuture
from reward_service.observability.telemetry import Observe
from reward_service.tasks import end, finish
from reward_service.workers.batcher import fail

_CLOSE_S = 2.0


class JudgeRunner:
    """A `Runner` over an `AsyncJudge`; scheduling, retries and breakers are the judge's own."""

    def __init__(self, judge: AsyncJudge, observe: Observe | None = None) -> None:
        self._judge = judge
        self._observe = observe
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        try:
            await self._judge.start()
        except Exception as error:
            raise as_component_error(error) from error

    async def stop(self, grace_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        await end(self._tasks)
        await finish(self._judge.aclose(), within_s=_CLOSE_S, name="closing the judge")

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        return [self._submit_one(pair, deadline) for pair in pairs]

    def health(self) -> Mapping[str, object]:
        return {**self._judge.health(), "in_flight": len(self._tasks)}

    def _submit_one(self, pair: Pair, deadline: float) -> WorkFuture:
        future = WorkFuture(loop=asyncio.get_running_loop())
        task = asyncio.get_running_loop().create_task(self._judge_one(pair, deadline, future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        future.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)
        return future

    async def _judge_one(self, pair: Pair, deadline: float, future: WorkFuture) -> None:
        if future.done():
            return
        began = time.monotonic()

        def started() -> None:  # a call that still waits for its turn can be dropped
            future.started = True

        try:
            judgement = await self._judge.judge(
                pair.candidate, pair.reference, pair.prior, deadline=deadline, started=started
            )
            score = ComponentScore(judgement.values, judgement.notes, judgement)
        except asyncio.CancelledError:
            fail(future, ComponentError("shutting_down", "The service is shutting down.", retryable=True))
            raise
        except Exception as error:
            fail(future, as_component_error(error))
        else:
            if not future.done():
                future.set_result(score)
        finally:
            if self._observe is not None:
                self._observe("judge_s", time.monotonic() - began)


def as_component_error(error: Exception) -> ComponentError:
    """What a judge raised, as data."""
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if isinstance(code, str) and isinstance(message, str):
        return ComponentError(code, message, retryable=bool(getattr(error, "retryable", False)))
    # An unforeseen exception's text may quote a report; its type cannot.
    return ComponentError("judge_error", f"The judge failed with {type(error).__name__}.", retryable=True)
