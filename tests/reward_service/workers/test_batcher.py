"""The micro-batcher's rules, each against a worker whose batches the test finishes, breaks and delays by hand."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.workers.batcher import BatchLimits, MicroBatcher
from reward_service.workers.pair_computer import ScoreOrError
from tests.reward_service.fake_metrics import expected, numbered
from tests.waiting import SOON, soon, turns, until


class Worker:
    """Records the batches it is given; each waits until the test lets it go, or runs at once when `free`."""

    def __init__(self, free: bool = False) -> None:
        self.batches: list[list[Pair]] = []
        self.arrived = asyncio.Condition()
        self.gate = asyncio.Semaphore(0)
        self.free = free
        self.breaks: BaseException | None = None
        self.too_few = 0
        self.restarts = 0
        self.restart_fails = 0
        self.may_restart = asyncio.Event()
        self.may_restart.set()

    async def execute(self, pairs: list[Pair]) -> list[ScoreOrError]:
        self.batches.append(pairs)
        async with self.arrived:
            self.arrived.notify_all()
        if not self.free:
            await self.gate.acquire()
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        results: list[ScoreOrError] = [
            ComponentError("component_error", "poison") if p.candidate == "poison" else ComponentScore(expected(*p[:2]))
            for p in pairs
        ]
        return results[self.too_few :]

    async def batch(self, number: int) -> list[Pair]:
        """The batch of that number, once it has started."""
        async with asyncio.timeout(SOON), self.arrived:
            await self.arrived.wait_for(lambda: len(self.batches) > number)
        return self.batches[number]

    async def restart(self) -> None:
        await self.may_restart.wait()
        self.restarts += 1
        if self.restart_fails:
            self.restart_fails -= 1
            raise OSError("not yet")


@asynccontextmanager
async def batching(
    worker: Worker, observe: Callable[[str, float], None] | None = None, concurrency: int = 1, **limits: int
) -> AsyncIterator[MicroBatcher]:
    batcher = MicroBatcher(
        worker.execute, BatchLimits(**limits), concurrency=concurrency, restart=worker.restart, observe=observe
    )
    batcher.start()
    yield batcher
    await batcher.stop(0)


async def code_of(future: asyncio.Future[ComponentScore]) -> str:
    """``ok`` or the error's code, or ``cancelled``."""
    await asyncio.wait([future], timeout=SOON)
    assert future.done(), "nothing came"
    if future.cancelled():
        return "cancelled"
    error = future.exception()
    return "ok" if error is None else getattr(error, "code", repr(error))


async def codes(futures: list[asyncio.Future[ComponentScore]]) -> Counter[str]:
    return Counter([await code_of(future) for future in futures])


# -- batches form ---------------------------------------------------------------------------------


async def test_an_idle_worker_starts_at_once_and_a_busy_one_lets_the_next_batch_fill() -> None:
    worker = Worker()
    async with batching(worker, pairs=64) as batcher:
        first = batcher.submit(numbered(1), soon())
        assert len(await worker.batch(0)) == 1
        futures = [batcher.submit([pair], soon())[0] for pair in numbered(255, start=1)]
        await turns()
        assert len(worker.batches) == 1
        worker.gate.release()
        await code_of(first[0])
        worker.free = True
        worker.gate.release()
        assert await codes(futures) == {"ok": 255}
    assert [len(batch) for batch in worker.batches] == [1, 64, 64, 64, 63]


async def test_256_concurrent_submissions_of_one_pair_form_full_batches_with_each_its_own_answer() -> None:
    worker = Worker(free=True)
    seen: list[tuple[str, float]] = []
    async with batching(worker, lambda name, value: seen.append((name, value)), pairs=64) as batcher:

        async def one(pair: Pair) -> ComponentScore:
            return await batcher.submit([pair], soon())[0]

        pairs = [Pair("word " * n, "word") for n in range(256)]
        scores = await asyncio.gather(*map(one, pairs))
        assert [o.values["length"] for o in scores] == [max(0.0, 5.0 * n - 1) for n in range(256)]
        assert [len(batch) for batch in worker.batches] == [64] * 4
        assert batcher.health() == {
            "ready": True,
            "detail": "ready",
            "queue": 0,
            "batches": 4,
            "mean_batch": 64.0,
            "restarts": 0,
        }
    assert Counter(name for name, _ in seen) == {"batch_size": 4, "compute_s": 4, "queue_s": 256}
    assert all(value == 64 for name, value in seen if name == "batch_size")
    assert all(0 <= value < SOON for name, value in seen if name != "batch_size")


@pytest.mark.parametrize("others", [1, 3, 12])
async def test_a_large_group_of_one_reference_keeps_nobody_out(others: int) -> None:
    """4,096 candidates of one study, then requests of one pair each: of the same study, and of another."""
    worker = Worker()
    async with batching(worker, pairs=64) as batcher:
        group = [Pair(f"candidate {n}", "one reference") for n in range(4096)]
        batcher.submit(group, soon())
        await worker.batch(0)
        late = [Pair(f"late {n}", "one reference" if n % 2 else "another") for n in range(others)]
        futures = [batcher.submit([pair], soon())[0] for pair in late]
        worker.gate.release()
        assert set(late) <= set(await worker.batch(1))
        worker.gate.release()
        assert await codes(futures) == {"ok": others}
        worker.free = True
        worker.gate.release()


async def test_large_groups_share_the_batches_evenly() -> None:
    worker = Worker()
    async with batching(worker, pairs=64) as batcher:
        batcher.submit(numbered(1), soon())
        await worker.batch(0)
        for name in "abc":
            batcher.submit([Pair(f"{name} {n}", "one reference") for n in range(640)], soon())
        for number in range(1, 25):
            worker.gate.release()
            await worker.batch(number)
        shares = Counter(pair.candidate[0] for batch in worker.batches[1:25] for pair in batch)
        assert sum(shares.values()) == 24 * 64
        assert max(shares.values()) - min(shares.values()) <= 32  # two quanta
        worker.free = True
        worker.gate.release()


async def test_a_batch_is_limited_in_characters_and_a_pair_above_the_limit_runs_alone() -> None:
    worker = Worker()
    async with batching(worker, pairs=8, characters=100) as batcher:
        batcher.submit(numbered(1), soon())
        await worker.batch(0)
        futures = batcher.submit([Pair(letter * 20, letter * 20) for letter in "abc"], soon())
        futures += batcher.submit([Pair("x" * 500, "y")], soon())
        worker.free = True
        worker.gate.release()
        assert await codes(futures) == {"ok": 4}
    assert [sum(len(p.candidate + p.reference) for p in batch) for batch in worker.batches[1:]] == [80, 501, 40]


async def test_one_submission_is_ordered_by_reference_and_length() -> None:
    worker = Worker(free=True)
    pairs = [Pair(f"{n:0{n}d}", reference) for n in (5, 3, 4, 2) for reference in ("bb", "aa", "c")]
    async with batching(worker) as batcher:
        futures = batcher.submit(pairs, soon())
        await codes(futures)
    assert [(p.reference, len(p.candidate)) for p in worker.batches[0]] == [
        (reference, length) for reference in ("c", "aa", "bb") for length in (2, 3, 4, 5)
    ]
    # ... and answered in its own order.
    assert [f.result().values["length"] for f in futures] == [float(len(p.candidate)) for p in pairs]


async def test_pairs_with_one_reference_stay_together() -> None:
    worker = Worker(free=True)
    async with batching(worker, pairs=32, concurrency=2) as batcher:
        futures = [f for n in range(4) for f in batcher.submit(numbered(16, 100 * n, f"reference {n}"), soon())]
        await codes(futures)
    spread = Counter(reference for batch in worker.batches for reference in {p.reference for p in batch})
    assert spread == dict.fromkeys((f"reference {n}" for n in range(4)), 1)


async def test_a_large_submission_does_not_hold_up_a_small_one() -> None:
    worker = Worker()
    async with batching(worker, pairs=64) as batcher:
        large = batcher.submit([Pair(f"candidate {i}", f"reference {i}") for i in range(4096)], soon())
        await worker.batch(0)
        [small] = batcher.submit([Pair("small", "one")], soon())
        worker.gate.release()
        assert Pair("small", "one") in await worker.batch(1)
        worker.gate.release()
        assert await code_of(small) == "ok"
        assert sum(f.done() for f in large) < 128
        worker.free = True
        worker.gate.release()
        assert await codes(large) == {"ok": 4096}


async def test_several_batches_run_at_once_where_there_are_several_workers() -> None:
    worker = Worker()
    async with batching(worker, pairs=4, concurrency=3) as batcher:
        futures = batcher.submit([Pair(f"candidate {i}", f"reference {i}") for i in range(12)], soon())
        await worker.batch(2)
        worker.free = True
        worker.gate.release()
        worker.gate.release()
        worker.gate.release()
        assert await codes(futures) == {"ok": 12}
    assert len(worker.batches) == 3


@pytest.mark.parametrize(
    "limits",
    [
        {"pairs": 0},
        {"pairs": -1},
        {"characters": 0},
        {"pairs": 64, "characters": 63},
        {"queue": 0},
        {"pairs": 65, "queue": 64},
    ],
)
def test_impossible_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"batch"):
        BatchLimits(**limits)


async def test_impossible_concurrency_is_refused() -> None:
    with pytest.raises(ValueError, match="concurrency"):
        MicroBatcher(Worker().execute, BatchLimits(), concurrency=0)


# -- same work once -------------------------------------------------------------------------------


async def test_identical_pairs_in_flight_are_computed_once_queued_or_started() -> None:
    worker = Worker()
    async with batching(worker) as batcher:
        futures = batcher.submit([Pair("a", "a")] * 3, soon())
        await worker.batch(0)
        futures += batcher.submit([Pair("a", "a"), Pair("b", "b")], soon())  # the first has started
        futures += batcher.submit([Pair("b", "b"), Pair("a", "a")], soon())  # the other is queued
        assert batcher.health()["queue"] == 2  # "b", for two submissions
        worker.free = True
        worker.gate.release()
        assert await codes(futures) == {"ok": 7}
        assert len({id(f) for f in futures}) == 7
    assert worker.batches == [[Pair("a", "a")], [Pair("b", "b")]]


async def test_the_prior_distinguishes_pairs() -> None:
    worker = Worker(free=True)
    async with batching(worker) as batcher:
        await codes(batcher.submit([Pair("a", "a"), Pair("a", "a", "p"), Pair("a", "a", "")], soon()))
    assert [len(batch) for batch in worker.batches] == [3]


# -- callers that go away or come too late --------------------------------------------------------


async def test_a_cancelled_entry_is_skipped_and_hurts_nobody() -> None:
    worker = Worker()
    async with batching(worker) as batcher:
        batcher.submit(numbered(1), soon())
        await worker.batch(0)
        futures = batcher.submit(numbered(10, start=1), soon())
        shared = batcher.submit(numbered(1, start=4), soon())  # the same pair as futures[3]
        assert futures[3].cancel()
        assert futures[7].cancel()
        worker.free = True
        worker.gate.release()
        assert await codes(futures + shared) == {"ok": 9, "cancelled": 2}
    assert len(worker.batches[1]) == 9  # the shared one is still wanted
    assert numbered(1, start=8)[0] not in worker.batches[1]


async def test_started_work_finishes_although_its_caller_leaves() -> None:
    worker = Worker()
    async with batching(worker) as batcher:
        [future] = batcher.submit(numbered(1), soon())
        await worker.batch(0)
        [late] = batcher.submit(numbered(1), soon())
        assert not future.cancel()
        assert not late.cancel()
        worker.gate.release()
        assert [await code_of(future), await code_of(late)] == ["ok", "ok"]


async def test_what_has_not_started_by_its_deadline_fails_then_and_is_never_started() -> None:
    worker = Worker()
    async with batching(worker) as batcher:
        [running] = batcher.submit(numbered(1), soon())
        await worker.batch(0)
        impatient = batcher.submit(numbered(3, start=1), time.monotonic() + 0.05)
        patient = batcher.submit(numbered(2, start=3), math.inf)  # shares one pair with the impatient
        assert await codes(impatient) == {"deadline": 3}
        assert not running.done()  # the worker is still busy
        assert batcher.health()["queue"] == 2
        worker.free = True
        worker.gate.release()
        assert await codes([running, *patient]) == {"ok": 3}
        [past] = batcher.submit(numbered(1), time.monotonic() - 0.001)
        assert await code_of(past) == "deadline"
    assert worker.batches[1:] == [numbered(2, start=3)]


async def test_a_pair_that_was_given_up_can_be_asked_for_again_when_the_queue_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The look for leavers forgets that very pair; what was known of it before must not be used."""
    worker = Worker()
    async with batching(worker, pairs=1, queue=2) as batcher:
        first = batcher.submit([Pair("first", "first")], soon())
        await worker.batch(0)
        gone, kept = batcher.submit(numbered(2), soon())
        gone.cancel()
        monkeypatch.setattr("reward_service.workers.batcher._PURGE_EVERY_S", -1.0)  # time for it to look for leavers
        again = batcher.submit(numbered(1), soon())
        worker.free = True
        worker.gate.release()
        assert await codes([*first, kept, *again]) == {"ok": 3}
        assert worker.restarts == 0


async def test_a_full_queue_refuses_the_rest_and_leavers_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    async with batching(worker, pairs=4, queue=10) as batcher:
        batcher.submit([Pair("first", "first")], soon())
        await worker.batch(0)
        futures = batcher.submit(numbered(12), soon())
        assert Counter(f.done() for f in futures) == {False: 10, True: 2}
        refused = [f for f in futures if f.done()]
        assert await codes(refused) == {"queue_full": 2}
        error = refused[0].exception()
        assert isinstance(error, ComponentError)
        assert error.retryable
        waiting = [f for f in futures if not f.done()]
        for future in waiting[:5]:
            future.cancel()
        monkeypatch.setattr("reward_service.workers.batcher._PURGE_EVERY_S", -1.0)  # time for it to look for leavers
        more = batcher.submit(numbered(5, start=20), soon())
        worker.free = True
        worker.gate.release()
        assert await codes(waiting[5:] + more) == {"ok": 10}


# -- faults ---------------------------------------------------------------------------------------


async def test_an_error_of_one_pair_reaches_only_its_waiters() -> None:
    worker = Worker(free=True)
    async with batching(worker) as batcher:
        futures = batcher.submit([*numbered(3), Pair("poison", "x")], soon())
        assert [await code_of(f) for f in futures] == ["ok"] * 3 + ["component_error"]
    assert worker.restarts == 0


@pytest.mark.parametrize("too_few", [1, 3])
async def test_a_wrong_number_of_results_is_an_error_for_the_batch_not_a_shift(too_few: int) -> None:
    worker = Worker(free=True)
    worker.too_few = too_few
    async with batching(worker) as batcher:
        assert await codes(batcher.submit(numbered(3), soon())) == {"wrong_length": 3}
        worker.too_few = 0
        assert await codes(batcher.submit(numbered(3), soon())) == {"ok": 3}


@pytest.mark.parametrize("death", [RuntimeError("gone"), asyncio.CancelledError()])
async def test_the_death_of_the_loop_fails_all_waiters_turns_ready_red_and_heals(death: BaseException) -> None:
    worker = Worker()
    worker.restart_fails = 1
    async with batching(worker, pairs=4) as batcher:
        futures = batcher.submit(numbered(10), soon())
        await worker.batch(0)
        worker.breaks = death
        worker.may_restart.clear()
        worker.gate.release()
        assert await codes(futures) == {"worker_died": 10}
        assert batcher.health()["ready"] is False
        assert batcher.health()["detail"] == "restarting"
        assert batcher.health()["queue"] == 0
        [refused] = batcher.submit(numbered(1), soon())
        assert await code_of(refused) == "worker_unavailable"
        worker.free = True
        worker.may_restart.set()
        await until(lambda: batcher.health()["ready"] is True)
        assert worker.restarts == 2  # the first attempt failed, and was repeated
        assert batcher.health()["restarts"] == 2
        assert await codes(batcher.submit(numbered(10), soon())) == {"ok": 10}
    assert all(isinstance(f.exception(), ComponentError) for f in futures)
    assert len({id(f.exception()) for f in futures}) == 10  # none shares a traceback with another


async def test_the_back_off_doubles_while_deaths_repeat_and_is_forgotten_after_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = Worker(free=True)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def recorded(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async with batching(worker) as batcher:
        monkeypatch.setattr("reward_service.workers.batcher.asyncio.sleep", recorded)
        for _ in range(3):
            worker.breaks = RuntimeError("again")
            [future] = batcher.submit(numbered(1), soon())
            assert await code_of(future) == "worker_died"
            while not batcher.health()["ready"]:
                await sleep(0)
        assert pauses == [0.1, 0.2, 0.4]
        assert await codes(batcher.submit(numbered(1), soon())) == {"ok": 1}
        worker.breaks = RuntimeError("again")
        await codes(batcher.submit(numbered(1), soon()))
        while not batcher.health()["ready"]:
            await sleep(0)
        assert pauses[3:] == [0.1]


# -- the end --------------------------------------------------------------------------------------


async def test_stop_drains_what_was_accepted_and_refuses_the_rest() -> None:
    worker = Worker()
    async with batching(worker, pairs=4) as batcher:
        futures = batcher.submit(numbered(10), soon())
        await worker.batch(0)
        stopping = asyncio.create_task(batcher.stop(SOON))
        await turns()
        assert batcher.health()["ready"] is False
        [refused] = batcher.submit(numbered(1, start=50), soon())
        assert await code_of(refused) == "shutting_down"
        worker.free = True
        worker.gate.release()
        assert await codes(futures) == {"ok": 10}
        await asyncio.wait_for(stopping, SOON)
    assert len(worker.batches) == 3


async def test_stop_fails_what_the_grace_time_does_not_suffice_for() -> None:
    worker = Worker()
    async with batching(worker, pairs=4) as batcher:
        futures = batcher.submit(numbered(10), soon())
        await worker.batch(0)
        await batcher.stop(0.05)
        assert await codes(futures) == {"shutting_down": 10}
        [refused] = batcher.submit(numbered(1), soon())
        assert await code_of(refused) == "shutting_down"


async def test_before_the_start_pairs_are_refused() -> None:
    batcher = MicroBatcher(Worker().execute, BatchLimits())
    [future] = batcher.submit(numbered(1), soon())
    assert await code_of(future) == "worker_unavailable"
    assert batcher.health()["ready"] is False
    await batcher.stop(0)


async def test_nothing_is_left_behind() -> None:
    worker = Worker(free=True)
    tasks = asyncio.all_tasks()
    async with batching(worker, pairs=4) as batcher:
        for start in range(0, 500, 10):
            futures = batcher.submit(numbered(10, start=start), soon())
            futures[0].cancel()
            await codes(futures)
        assert not batcher._inflight
        assert not batcher._ring
    assert asyncio.all_tasks() == tasks
