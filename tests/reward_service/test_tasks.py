"""Endings with a limit: nothing that is closed waits for ever, and the log names what was given up."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from reward_service.tasks import end, finish


class Stubborn:
    """Swallows the first `times` cancellations; ends at the next one, or when `free` is set."""

    def __init__(self, times: int) -> None:
        self.swallowed = 0
        self.free = asyncio.Event()
        self._times = times

    async def run(self) -> None:
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                if self.swallowed == self._times:
                    raise
                self.swallowed += 1


async def started(work: Stubborn, name: str) -> asyncio.Task[None]:
    task = asyncio.create_task(work.run(), name=name)
    await asyncio.sleep(0)
    return task


async def test_what_is_cancelled_is_waited_for() -> None:
    cleaned = []

    async def with_a_clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    tasks = [asyncio.create_task(with_a_clean_up()) for _ in range(3)]
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await end(tasks)
    assert all(task.cancelled() for task in tasks)
    assert cleaned == [True] * 3
    assert logs == []


async def test_a_cancellation_that_was_lost_is_repeated() -> None:
    work = Stubborn(times=1)
    task = await started(work, "forgetful")
    with capture_logs() as logs:
        await end({task}, within_s=0.2)
    assert task.cancelled()
    assert work.swallowed == 1
    assert logs == []


async def test_what_does_not_end_is_given_up_and_named() -> None:
    work = Stubborn(times=1000)
    task = await started(work, "deaf")
    with capture_logs() as logs:
        await end({task}, within_s=0.02)
    assert not task.done()
    assert logs == [
        {"event": "task_given_up", "task": "deaf", "runs": "Stubborn.run", "after_s": 0.02, "log_level": "error"}
    ]
    work.free.set()
    await task


async def test_finished_work_is_not_cancelled_and_a_failure_is_told_not_raised() -> None:
    done = []

    async def quick() -> None:
        await asyncio.sleep(0)
        done.append(True)

    async def broken() -> None:
        raise ValueError("a report")

    with capture_logs() as logs:
        await finish(quick(), within_s=10, name="quick")
        await finish(broken(), within_s=10, name="broken")
    assert done == [True]
    (line,) = logs
    assert (line["event"], line["task"], line["error"]) == ("task_failed", "broken", "ValueError")
    assert "a report" not in str(line)


@pytest.mark.parametrize(("times", "events"), [(0, ["not_finished_in_time"]),
                                               (1000, ["not_finished_in_time", "task_given_up"])])  # fmt: skip
async def test_work_that_takes_too_long_is_cancelled(times: int, events: list[str]) -> None:
    work = Stubborn(times)
    with capture_logs() as logs:
        await finish(work.run(), within_s=0.02, name="slow")
    assert [line["event"] for line in logs] == events
    assert {line["task"] for line in logs} == {"slow"}
    work.free.set()


async def test_who_is_cancelled_while_waiting_cancels_the_work() -> None:
    work = Stubborn(times=0)
    waiting = asyncio.create_task(finish(work.run(), within_s=60, name="slow"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (inner,) = [task for task in asyncio.all_tasks() if task.get_name() == "slow"]
    await end({waiting})
    assert waiting.cancelled()
    await asyncio.wait({inner})
    assert inner.cancelled()
