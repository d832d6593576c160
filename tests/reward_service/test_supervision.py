"""What is kept running: pauses, counts and log lines; processes that die, hang, report and are told to leave."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog

from reward_service.supervision import Backoff, Job, KeptProcess, KeptTask
from tests.reward_service import fake_jobs
from tests.waiting import SOON, until


def test_pauses_double_up_to_the_most_and_begin_anew_after_a_reset() -> None:
    backoff = Backoff(0.25, 2.0)
    assert [backoff.pause_s() for _ in range(5)] == [0.25, 0.5, 1.0, 2.0, 2.0]
    backoff.reset()
    assert [backoff.pause_s() for _ in range(2)] == [0.25, 0.5]


# -- tasks ----------------------------------------------------------------------------------------


async def test_a_life_is_followed_by_another_and_only_ends_with_a_reason_are_counted_and_told() -> None:
    lives = iter([None, "a reason", ValueError("quotes a report"), None])
    last = asyncio.Event()

    async def live() -> str | None:
        for end in lives:
            if isinstance(end, Exception):
                raise end
            return end
        last.set()
        await asyncio.Event().wait()
        return None

    with structlog.testing.capture_logs() as lines:
        kept = KeptTask("worker", live, Backoff(0.0, 0.0))
        await asyncio.wait_for(last.wait(), SOON)
        await kept.stop()
    assert kept.restarts == 2
    assert [(line["event"], line["what"], line["reason"]) for line in lines] == [
        ("restarting", "worker", "a reason"),
        ("restarting", "worker", "ValueError"),
    ]


async def test_a_life_that_swallows_its_cancellation_is_ended_all_the_same() -> None:
    swallowed = asyncio.Event()

    async def live() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    kept = KeptTask("worker", live, Backoff(0.0, 0.0))
    await asyncio.sleep(0)
    await kept.stop()
    assert swallowed.is_set()
    assert asyncio.all_tasks() == before


async def test_no_life_follows_the_last_one() -> None:
    lives, go = 0, asyncio.Event()

    async def live() -> str:
        nonlocal lives
        lives += 1
        await go.wait()
        return "a reason"

    kept = KeptTask("worker", live, Backoff(0.0, 0.0))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(kept.stop(SOON))
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait_for(stopping, SOON)
    assert (lives, kept.restarts) == (1, 0)


# -- processes ------------------------------------------------------------------------------------


class Events:
    """What a kept process has reported, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        self._came = asyncio.Condition()

    def __call__(self, event: str, detail: str) -> None:
        self.all.append((event, detail))
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self._came:
            self._came.notify_all()

    async def get(self, number: int) -> tuple[str, str]:
        """The event of that number, once it has come."""
        async with asyncio.timeout(SOON), self._came:
            await self._came.wait_for(lambda: len(self.all) > number)
        return self.all[number]


Keep = Callable[[Job], tuple[KeptProcess, Events]]


@pytest.fixture
async def keep() -> AsyncIterator[Keep]:
    """Starts processes that are kept until the test is over."""
    kept: list[KeptProcess] = []

    def start(job: Job) -> tuple[KeptProcess, Events]:
        events = Events()
        kept.append(KeptProcess(job, events))
        return kept[-1], events

    yield start
    for process in kept:
        await process.stop(0)


async def test_a_process_that_dies_is_replaced_and_both_are_reported(keep: Keep) -> None:
    process, events = keep(Job("test", fake_jobs.wait, ("a detail",)))
    assert await events.get(0) == ("up", "a detail")
    _, first = await events.get(1)
    os.kill(int(first), signal.SIGKILL)
    assert await events.get(2) == ("ended", first)
    assert await events.get(3) == ("up", "a detail")
    assert (await events.get(4))[1] != first
    assert process.restarts == 1


async def test_a_process_has_its_name_its_files_and_a_group_of_its_own(keep: Keep) -> None:
    readable, writable = os.pipe()
    _, events = keep(Job("a-name", fake_jobs.write, (writable, b"written"), (writable,)))
    await events.get(0)
    assert os.read(readable, 100) == b"written"
    pid = int((await events.get(1))[1])
    assert await asyncio.to_thread(Path(f"/proc/{pid}/comm").read_text) == "a-name\n"
    assert os.getpgid(pid) == pid  # Ctrl-C in a terminal is not for it
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize(
    ("function", "number", "within_s", "well"),
    [
        (fake_jobs.wait, None, SOON, True),
        (fake_jobs.wait, signal.SIGUSR2, SOON, True),
        (fake_jobs.end_with_signal, None, SOON, False),
        (fake_jobs.ignore_signals, None, 0.1, False),
    ],
)
async def test_a_process_that_is_told_to_leave_has_no_successor(
    keep: Keep, function: Callable[..., None], number: int | None, within_s: float, well: bool
) -> None:
    process, events = keep(Job("test", function, ("",)))
    _, pid = await events.get(1)
    assert await process.stop(within_s, number) is well
    assert events.all[2:] == [("ended", pid)]
    assert process.restarts == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_a_process_outlives_sighup_while_it_starts(keep: Keep) -> None:
    process, events = keep(Job("test", fake_jobs.wait, ("",)))
    await until(lambda: process._process)
    process.send(signal.SIGHUP)
    assert (await events.get(0))[0] == "up"
    assert process.restarts == 0


async def test_ctrl_c_waits_until_a_process_that_starts_can_take_it(
    keep: Keep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter begins with SIGINT blocked, else its imports would end in a traceback; then it can be ended."""
    status, interpreter = tmp_path / "status", tmp_path / "python"
    interpreter.write_text(  # not for a shell, which would unblock it
        f"#!{sys.executable}\nimport os, shutil, sys\nshutil.copyfile('/proc/self/status', {str(status)!r})\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
    )
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    process, events = keep(Job("test", fake_jobs.wait, ("",)))
    await events.get(0)
    blocked = int(re.findall(r"SigBlk:\s*(\w+)", status.read_text())[0], 16)
    assert blocked & 1 << signal.SIGINT - 1
    assert await process.stop(SOON, signal.SIGINT)


async def test_a_process_that_falls_silent_is_killed_and_replaced(keep: Keep) -> None:
    process, events = keep(Job("test", fake_jobs.fall_silent, (), hang_s=0.2))
    _, first = await events.get(0)
    assert await events.get(1) == ("ended", first)
    assert (await events.get(2))[1] != first
    assert process.restarts >= 1  # where the machine stands still, the next one may fall silent as well


async def test_a_process_that_has_not_begun_to_say_it_is_alive_is_given_time(keep: Keep) -> None:
    process, events = keep(Job("test", fake_jobs.wait, ("",), hang_s=0.01))
    await events.get(1)
    await asyncio.sleep(0.1)
    assert process.restarts == 0


async def test_stopping_between_two_lives_is_well(keep: Keep) -> None:
    process, events = keep(Job("test", fake_jobs.end_at_once, ()))
    await events.get(0)
    await until(lambda: process.restarts)
    assert await process.stop(SOON)
