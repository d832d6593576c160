"""Endings with a limit: what has not ended after its time is given up, and a log line names it.

A cancelled task may live on: it can be in a call that never returns, and before Python 3.12 `asyncio.wait_for`
swallows a cancellation that arrives while what it waits for completes (python/cpython issue 86296). So whoever
closes something waits for it here, and for a limited time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

_log = structlog.get_logger("reward_service.tasks")


async def end(tasks: Iterable[asyncio.Task[Any]], *, within_s: float = 1.0) -> None:
    """Cancel `tasks` and wait for them, at most `within_s` seconds. Never raises what they raise.

    The cancellation is repeated at half of the time, because one can get lost.
    """
    left = {task for task in tasks if not task.done()}
    for _ in range(2):
        for task in left:
            task.cancel()
        if left:
            done, left = await asyncio.wait(left, timeout=within_s / 2)
            for task in done:
                _tell_failure(task)
    for task in left:
        _log.error("task_given_up", **_described(task), after_s=within_s)


async def finish(work: Coroutine[Any, Any, object], *, within_s: float, name: str) -> None:
    """Await `work`, which is cancelled after `within_s` seconds. `name` is for the log.

    Never raises what it raises: whoever closes something has more to close.
    """
    task = asyncio.get_running_loop().create_task(work, name=name)
    try:
        done, _ = await asyncio.wait({task}, timeout=within_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        _tell_failure(task)
        return
    _log.error("not_finished_in_time", task=name, after_s=within_s)
    await end({task})


def _tell_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("task_failed", **_described(task), error=type(error).__name__)


def _described(task: asyncio.Task[Any]) -> dict[str, str]:
    return {"task": task.get_name(), "runs": getattr(task.get_coro(), "__qualname__", "")}
