"""The runners of this process, with real threads: loading, answering, dying, stopping, leaving the loop alone."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from reward_service.contracts import ComponentError, ComponentScore, Pair, Runner
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.thread import Factory, ThreadWorker
from testbed.components import Held
from tests.reward_service.fake_metrics import SlowToLoad, WordOverlap, expected, numbered
from tests.waiting import SOON, until

INLINE = BatchLimits(pairs=32, characters=50_000, inline_characters=16_000)
with_and_without_inline = pytest.mark.parametrize("limits", [BatchLimits(), INLINE], ids=["thread", "inline"])


@asynccontextmanager
async def running(factory: Factory = WordOverlap, limits: BatchLimits | None = None) -> AsyncIterator[ThreadWorker]:
    worker = ThreadWorker(factory, ArtefactCache(10**7), limits=limits)
    await worker.start()
    yield worker
    await worker.stop(0)


def deadline() -> float:
    return time.monotonic() + SOON


async def codes(futures: list[asyncio.Future[ComponentScore]]) -> Counter[str]:
    results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SOON)
    return Counter(getattr(r, "code", "ok") for r in results)


@with_and_without_inline
@pytest.mark.parametrize("count", [0, 1, 300])
async def test_every_pair_is_answered_in_order(limits: BatchLimits, count: int) -> None:
    pairs = [Pair(f"candidate number {i}", f"number {i} of many") for i in range(count)]
    async with running(limits=limits) as worker:
        runner: Runner = worker
        scores = await asyncio.gather(*runner.submit(pairs, deadline()))
    assert scores == [ComponentScore(expected(p.candidate, p.reference)) for p in pairs]


@with_and_without_inline
@pytest.mark.parametrize("count", [1, 300])
async def test_a_poison_pair_hurts_nobody_else(limits: BatchLimits, count: int) -> None:
    async with running(limits=limits) as worker:
        futures = worker.submit([*numbered(count), Pair("poison", "b"), Pair("a nan", "b")], deadline())
        assert await codes(futures) == {"ok": count, "component_error": 1, "not_finite": 1}
        assert worker.health()["restarts"] == 0


async def test_identical_texts_in_flight_are_encoded_once_over_submissions() -> None:
    async with running() as worker:
        futures = [worker.submit([pair], deadline())[0] for pair in numbered(16) * 2]
        assert await codes(futures) == {"ok": 32}
        assert isinstance(worker.metric, WordOverlap)
        assert len(worker.metric.encoded) == 17
        assert worker.health()["artefacts"] == {
            "hits": 0,
            "misses": 17,
            "evictions": 0,
            "bytes": pytest.approx(10_000, 0.1),
            "entries": 17,
        }


async def test_loading_and_warming_up_come_before_ready_and_show_their_progress(tmp_path: Path) -> None:
    worker = ThreadWorker(partial(SlowToLoad, str(tmp_path / "gate")), ArtefactCache(0))
    assert worker.health()["ready"] is False
    starting = asyncio.create_task(worker.start())
    await until(lambda: "warming up" in str(worker.health()["detail"]))
    assert worker.health()["ready"] is False
    assert await codes(worker.submit(numbered(1), deadline())) == {"worker_unavailable": 1}
    (tmp_path / "gate").touch()
    await asyncio.wait_for(starting, SOON)
    assert isinstance(worker.metric, SlowToLoad)
    assert worker.metric.warm
    assert worker.health()["ready"] is True
    await worker.stop(0)
    assert worker.health()["ready"] is False


class Coded(Exception):
    """What a component raises that knows nothing of this service."""

    code = "missing_weights"
    message = "set REWARD_MODEL to a directory with weights"


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (FileNotFoundError("no weights in /models"), "load_failed", "no weights in /models"),
        (Coded(), "missing_weights", "set REWARD_MODEL"),
        (ComponentError("missing_extra", "install the extra"), "missing_extra", "install the extra"),
    ],
)
@with_and_without_inline
async def test_what_cannot_load_says_why(limits: BatchLimits, raised: Exception, code: str, text: str) -> None:
    def factory() -> WordOverlap:
        raise raised

    worker = ThreadWorker(factory, ArtefactCache(0), limits=limits)
    with pytest.raises(ComponentError, match=text) as caught:
        await worker.start()
    assert caught.value.code == code
    assert worker.health()["ready"] is False
    await worker.stop(0)


async def test_the_death_of_the_thread_fails_its_waiters_and_a_new_component_takes_over() -> None:
    built: list[WordOverlap] = []
    again = threading.Event()

    def factory() -> WordOverlap:
        if built:
            again.wait()
        built.append(WordOverlap())
        return built[-1]

    async with running(factory) as worker:
        futures = worker.submit([*numbered(3), Pair("fatal", "x")], deadline())
        assert await codes(futures) == {"worker_died": 4}
        assert worker.health()["ready"] is False
        again.set()
        await until(lambda: worker.health()["ready"])
        assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}
        assert worker.health()["restarts"] == 1
        assert worker.metric is built[1]


async def test_a_hung_component_is_replaced() -> None:
    worker = ThreadWorker(WordOverlap, ArtefactCache(0), limits=BatchLimits(hang_s=0.2))
    await worker.start()
    assert await codes(worker.submit([*numbered(2), Pair("hang", "x")], deadline())) == {"worker_died": 3}
    await until(lambda: worker.health()["ready"] and worker.health()["restarts"] == 1)
    await worker.stop(0)


async def test_a_hung_component_delays_neither_stop_nor_exit(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    worker = ThreadWorker(partial(Held, str(gate)), ArtefactCache(0))
    await worker.start()
    futures = worker.submit(numbered(1), math.inf)
    await until((tmp_path / "gate.held").exists)
    await worker.stop(0.1)
    assert await codes(futures) == {"shutting_down": 1}
    hung = [thread for thread in threading.enumerate() if thread.name == "component"]
    assert hung
    assert all(thread.daemon for thread in hung)
    gate.touch()


async def test_stopping_ends_the_threads() -> None:
    before = threading.active_count()
    async with running(limits=INLINE) as worker:
        await codes(worker.submit(numbered(300), deadline()))
    await until(lambda: threading.active_count() <= before)


# -- inline ---------------------------------------------------------------------------------------


async def test_a_small_submission_is_answered_before_submit_returns_and_a_large_one_is_not() -> None:
    async with running(limits=BatchLimits(inline_characters=100)) as worker:
        assert all(f.done() for f in worker.submit([Pair("x" * 50, "y" * 50)], deadline()))
        large = worker.submit([Pair("x" * 50, "y" * 51)], deadline())
        prior = worker.submit([Pair("x" * 50, "y" * 50, "z")], deadline())
        assert not any(f.done() for f in large + prior)
        assert await codes(large + prior) == {"ok": 2}


async def test_inline_keeps_the_deadline_and_the_end() -> None:
    async with running(limits=INLINE) as worker:
        assert await codes(worker.submit(numbered(1), time.monotonic() - 1)) == {"deadline": 1}
        await worker.stop(0)
        assert await codes(worker.submit(numbered(1), deadline())) == {"shutting_down": 1}


async def test_a_component_is_never_used_by_two_threads_at_once() -> None:
    users: dict[int, set[int]] = {}

    class Watched(WordOverlap):
        def encode(self, texts):  # type: ignore[no-untyped-def]
            users.setdefault(id(self), set()).add(threading.get_ident())
            return super().encode(texts)

    async with running(Watched, INLINE) as worker:
        futures = worker.submit(numbered(1000), deadline()) + worker.submit(numbered(2, start=2000), deadline())
        assert await codes(futures) == {"ok": 1002}
    assert sorted(len(threads) for threads in users.values()) == [1, 1]
    assert len(set.union(*users.values())) == 2


async def test_the_event_loop_runs_on_while_a_large_submission_is_scored(tmp_path: Path) -> None:
    """The component waits for the loop, which would wait for the component if it had to compute by itself."""
    async with running(partial(Held, str(tmp_path / "gate")), BatchLimits(pairs=32)) as worker:
        futures = worker.submit(numbered(2000), deadline())
        await until((tmp_path / "gate.held").exists)
        assert not any(future.done() for future in futures)
        (tmp_path / "gate").touch()
        assert await codes(futures) == {"ok": 2000}


async def test_a_worker_whose_thread_has_died_falls_asleep_and_wakes() -> None:
    async with running() as worker:
        await codes(worker.submit([Pair("fatal", "x")], deadline()))
        async with asyncio.timeout(SOON):
            await worker.set_asleep(True)  # while it is being restarted, or before
            waiting = worker.submit(numbered(3), deadline())
            assert worker.health()["asleep"]
            await worker.set_asleep(False)
            await until(lambda: bool(worker.health()["ready"]))
        await codes(waiting)  # they may have been refused while it was restarted
        assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}


async def test_asleep_nothing_is_loaded_and_pairs_wait() -> None:
    built = []

    def factory() -> WordOverlap:
        built.append(1)
        return WordOverlap()

    async with running(factory) as worker:
        await asyncio.gather(*worker.submit(numbered(3), deadline()))
        assert worker.metric is not None
        component = weakref.ref(worker.metric)
        await worker.set_asleep(True)
        await worker.set_asleep(True)
        await until(lambda: component() is None)  # also the thread that ran it has let it go
        waiting = worker.submit(numbered(5), deadline())
        done, _ = await asyncio.wait(waiting, timeout=0.05)
        assert not done
        await worker.set_asleep(False)
        assert await codes(waiting) == {"ok": 5}
        assert len(built) == 2
