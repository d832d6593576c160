"""The process pool: same answers as inline, groups kept together, dead and hung processes replaced."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.process_pool import PoolRunner
from tests.reward_service.fake_metrics import Together, WordOverlap, expected, numbered
from tests.waiting import SOON, until, wait_until


@asynccontextmanager
async def pool(factory: Any = WordOverlap, *, processes: int = 2, **limits: Any) -> AsyncIterator[PoolRunner]:
    chosen = BatchLimits(**{"pairs": 32, "characters": 50_000, **limits})
    runner = PoolRunner(factory, ArtefactCache(10**6), processes=processes, limits=chosen)
    await runner.start()
    yield runner
    await runner.stop(0)


def deadline() -> float:
    return time.monotonic() + SOON


async def codes(futures: list[asyncio.Future[ComponentScore]]) -> Counter[str]:
    results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SOON)
    return Counter(getattr(r, "code", "ok") for r in results)


def children() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid]


async def test_small_submissions_start_no_process_and_large_ones_get_the_same_answers_from_some() -> None:
    pairs = [Pair(f"candidate number {i}", f"number {i} of many") for i in range(300)]
    known = set(children())
    async with pool(inline_characters=6_000) as runner:
        small = [f for pair in pairs for f in runner.submit([pair], deadline())]
        assert all(f.done() for f in small)
        assert not set(children()) - known
        scores = await asyncio.gather(*runner.submit(pairs, deadline()))
        assert 1 <= len(set(children()) - known) <= 2
        assert (
            scores == [f.result() for f in small] == [ComponentScore(expected(p.candidate, p.reference)) for p in pairs]
        )
        assert runner.health()["ready"] is True
        # 600 distinct texts, each a miss inline and again in a process.
        assert runner.health()["artefacts"] | {"bytes": 0, "hits": 0} == {  # type: ignore[operator]
            "misses": 1200, "entries": 1200, "bytes": 0, "hits": 0, "evictions": 0,
        }  # fmt: skip
    await until(lambda: not set(children()) - known)


async def test_a_group_is_encoded_in_one_process() -> None:
    async with pool() as runner:
        pairs = [pair for n in range(20) for pair in numbered(16, 100 * n, f"reference {n}")]
        assert await codes(runner.submit(pairs, deadline())) == {"ok": 320}
        artefacts = runner.health()["artefacts"]
        assert isinstance(artefacts, dict)
        assert artefacts["misses"] == 20 * 17


async def test_a_stopped_pool_leaves_no_semaphores() -> None:
    """Without the garbage collector, which may not run before the process ends: Python would print a warning."""
    gc.disable()  # the test's process is put back afterwards
    async with pool() as runner:
        assert await codes(runner.submit([Pair(f"c {i}", f"r {i}") for i in range(200)], deadline())) == {"ok": 200}
        assert runner._pool is not None
        calls = weakref.ref(runner._pool._call_queue)  # it holds three of them
    assert calls() is None


async def test_chunks_run_side_by_side(tmp_path: Path) -> None:
    async with pool(partial(Together, str(tmp_path))) as runner:
        pairs = [Pair(f"candidate {i}", f"reference {i}") for i in range(64)]
        assert await codes(runner.submit(pairs, deadline())) == {"ok": 64}


async def test_faults_in_a_process_stay_with_their_pair() -> None:
    async with pool() as runner:
        futures = runner.submit([*numbered(100), Pair("poison", "x"), Pair("nan", "x")], deadline())
        assert await codes(futures) == {"ok": 100, "component_error": 1, "not_finite": 1}
        assert "ValueError" in str(futures[100].exception())
        assert runner.health()["restarts"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("how", "hang_s"), [(signal.SIGKILL, 60.0), (signal.SIGSTOP, 5.0)])
async def test_a_killed_or_stopped_process_is_replaced_and_its_chunk_repeated(how: int, hang_s: float) -> None:
    async with pool(partial(WordOverlap, 0.02), processes=1, hang_s=hang_s) as runner:
        known = set(children())
        futures = runner.submit([Pair(f"candidate {i}", f"reference {i}") for i in range(2000)], deadline())
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        os.kill((set(children()) - known).pop(), how)
        assert await codes(futures) == {"ok": 2000}
        assert runner.health()["restarts"] == 1


async def test_a_pair_that_kills_its_process_twice_fails_with_its_chunk_only() -> None:
    async with pool() as runner:
        pairs = [Pair(f"candidate {i}", f"reference {i}") for i in range(200)]
        futures = runner.submit([*pairs, Pair("kill", "x")], deadline())
        counts = await codes(futures)
        assert counts["ok"] + counts["worker_died"] == 201
        assert 1 <= counts["worker_died"] <= 32
        error = futures[200].exception()
        assert isinstance(error, ComponentError)
        assert error.code == "worker_died"
        assert error.retryable
        assert await codes(runner.submit(pairs, deadline())) == {"ok": 200}


async def test_stopping_with_work_in_hand_leaves_no_process() -> None:
    known = set(children())
    async with pool(partial(WordOverlap, 5.0)) as runner:
        futures = runner.submit(numbered(100), deadline())
        await until(lambda: set(children()) - known)
        await runner.stop(0.05)
        assert await codes(futures) == {"shutting_down": 100}
        await until(lambda: not set(children()) - known)


async def test_what_cannot_load_says_why() -> None:
    runner = PoolRunner(partial(WordOverlap, load_error="no lexicon"), ArtefactCache(0), processes=1)
    with pytest.raises(ComponentError, match="no lexicon"):
        await runner.start()
    assert runner.health()["ready"] is False
    await runner.stop(0)


def test_pool_processes_end_with_a_parent_that_is_killed() -> None:
    program = textwrap.dedent("""
        import asyncio, multiprocessing, time
        from reward_service.workers.pair_computer import ArtefactCache
        from reward_service.workers.process_pool import PoolRunner
        from tests.reward_service.fake_metrics import Together, WordOverlap, numbered

        async def main():
            runner = PoolRunner(WordOverlap, ArtefactCache(0), processes=1)
            await runner.start()
            await asyncio.gather(*runner.submit(numbered(1), time.monotonic() + 30))
            print(multiprocessing.active_children()[0].pid, flush=True)
            time.sleep(60)

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{child}"))
