"""One computation per key, whoever asks, leaves, retries or fails meanwhile."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pytest

from reward_service.caching.base import MemoryCache
from reward_service.contracts import ComponentError, ComponentScore, Pair, WorkFuture
from reward_service.scoring.single_flight import SingleFlight, WantedScore
from tests.waiting import SOON, soon, until
from tests.waiting import turns as settle


class Works:
    """A runner whose work the test starts, finishes and fails by hand; counts what it was given."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()
        self.futures: dict[str, WorkFuture] = {}
        self.calls: list[int] = []
        self.refuse: Exception | None = None

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        if self.refuse is not None:
            raise self.refuse
        self.calls.append(len(pairs))
        self.given.update(pair.candidate for pair in pairs)
        self.futures.update({pair.candidate: WorkFuture() for pair in pairs})
        return [self.futures[pair.candidate] for pair in pairs]

    def finish(self, *names: str) -> None:
        for name in names:
            self.futures[name].set_result(score(name))

    async def start(self) -> None: ...

    async def stop(self, grace_s: float) -> None: ...

    def health(self) -> Mapping[str, object]:
        return {"ready": True}


class Recording(MemoryCache):
    """Counts writes, to see each score stored once and failures never."""

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self.puts: Counter[str] = Counter()
        self.released: Counter[str] = Counter()

    async def put_many(self, entries: Sequence[tuple[str, ComponentScore]], *, permanent: bool = False) -> set[str]:
        self.puts.update(key for key, _ in entries)
        await asyncio.sleep(0)  # a real cache may yield here
        return await super().put_many(entries, permanent=permanent)

    async def release(self, keys: Sequence[str]) -> None:
        self.released.update(keys)


def score(name: str) -> ComponentScore:
    return ComponentScore({"x": float(len(name))}, (name,))  # a note is a machine word


class World:
    def __init__(self, grace_s: float) -> None:
        self.works = Works()
        self.cache = Recording()
        self.flights = SingleFlight(self.cache, orphan_grace_s=grace_s)

    def ask(
        self, *names: str, timeout: float = SOON, permanent: bool = False
    ) -> asyncio.Task[list[ComponentScore | ComponentError]]:
        wanted = [WantedScore(name, Pair(name, "reference"), self.works, permanent) for name in names]
        deadline = time.monotonic() + timeout

        async def scores() -> list[ComponentScore | ComponentError]:
            return [landed.score for landed in await self.flights.run(wanted, deadline)]

        return asyncio.create_task(scores())

    def grace(self, name: str) -> asyncio.TimerHandle | None:
        """The timer of a flight that nobody awaits."""
        return self.flights._flights[name].grace

    def pass_grace(self, name: str) -> None:
        flight = self.flights._flights[name]
        assert flight.grace is not None
        flight.grace.cancel()
        self.flights._abandon(flight)


@pytest.fixture(autouse=True)
def complaints() -> Iterator[list[str]]:
    """Fails a test in which asyncio had to report an exception that nobody retrieved."""
    seen: list[str] = []
    yield seen
    gc.collect()
    assert seen == []


@pytest.fixture
async def world(complaints: list[str]) -> World:
    """Its grace time passes when the test says so."""
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
    return World(10 * SOON)


async def test_concurrent_requests_share_one_computation_and_one_write(world: World) -> None:
    asks = [world.ask("a", "b", "a"), world.ask("b", "c"), *[world.ask("a") for _ in range(20)]]
    await settle()
    world.works.finish("c", "a", "b")
    answers = await asyncio.gather(*asks)
    assert answers[0] == [score("a"), score("b"), score("a")]
    assert answers[1] == [score("b"), score("c")]
    assert answers[2:] == [[score("a")]] * 20
    assert world.works.given == {"a": 1, "b": 1, "c": 1}
    assert world.cache.puts == {"a": 1, "b": 1, "c": 1}
    assert world.flights.stats() == {"running": 0, "started": 3, "joined": 22, "orphaned": 0}


async def test_nothing_is_computed_in_the_gap_between_finished_and_cached(world: World) -> None:
    first = world.ask("a")
    await settle()
    world.works.finish("a")
    for _ in range(10):  # a newcomer at every step of the landing
        late = world.ask("a")
        await asyncio.sleep(0)
        assert await late == [score("a")]
    assert await first == [score("a")]
    assert world.works.given == {"a": 1}


async def test_a_retry_after_a_hang_up_joins_the_running_computation(world: World) -> None:
    first = world.ask("a")
    await settle()
    first.cancel()
    await settle()
    assert world.grace("a")
    retry = world.ask("a")
    await settle()
    assert world.grace("a") is None  # the retry holds the flight
    world.works.finish("a")
    assert await retry == [score("a")]
    assert world.works.given == {"a": 1}
    assert first.cancelled()


async def test_work_that_nobody_awaits_is_dropped_after_the_grace_time(world: World) -> None:
    patient = world.ask("b")
    hung_up = world.ask("a", "b")
    await settle()
    hung_up.cancel()
    await settle()
    assert not world.works.futures["a"].done()
    assert world.grace("b") is None
    world.pass_grace("a")
    assert world.works.futures["a"].cancelled()
    assert not world.works.futures["b"].done()  # somebody else still waits for this one
    world.works.finish("b")
    assert await patient == [score("b")]
    assert world.cache.puts == {"b": 1}
    assert world.cache.released["a"] == 1
    assert world.flights.stats() == {"running": 0, "started": 2, "joined": 1, "orphaned": 1}
    again = world.ask("a")
    await settle()
    world.works.finish("a")
    assert await again == [score("a")]


async def test_started_work_finishes_and_is_cached_although_nobody_waits(world: World) -> None:
    ask = world.ask("a")
    await settle()
    world.works.futures["a"].started = True
    ask.cancel()
    await settle()
    world.pass_grace("a")
    assert world.flights.stats()["running"] == 1
    world.works.finish("a")
    await settle()
    assert world.cache.peek("a") == score("a")
    assert world.flights.stats()["orphaned"] == 0


async def test_a_failure_reaches_every_waiter_and_is_never_cached(world: World) -> None:
    asks = [world.ask("a", "b") for _ in range(3)]
    await settle()
    world.works.futures["a"].set_exception(ComponentError("judge_unavailable", "no server answers", retryable=True))
    world.works.futures["b"].set_exception(ValueError("effusion on the left"))
    for answer in await asyncio.gather(*asks):
        a, b = answer
        assert isinstance(a, ComponentError)
        assert (a.code, a.retryable) == ("judge_unavailable", True)
        assert isinstance(b, ComponentError)
        assert b.code == "internal_error"
        assert "effusion" not in b.message  # a foreign exception may quote a report
    await settle()
    assert not world.cache.puts
    assert world.cache.released == {"a": 1, "b": 1}
    retry = world.ask("a")
    await settle()
    world.works.finish("a")
    assert await retry == [score("a")]


async def test_failures_after_everybody_has_left_are_quiet(world: World, complaints: list[str]) -> None:
    ask = world.ask("a", "b")
    await settle()
    ask.cancel()
    await settle()
    world.works.futures["a"].set_exception(ComponentError("oom", "out of memory"))
    world.works.futures["b"].cancel()
    await settle()
    world.works.futures.clear()
    gc.collect()
    await settle()
    assert complaints == []
    assert world.flights.stats()["running"] == 0


@pytest.mark.parametrize("error", [RuntimeError("queue closed"), ComponentError("overloaded", "full", retryable=True)])
async def test_a_runner_that_refuses_fails_the_pairs_not_the_request(world: World, error: Exception) -> None:
    world.works.refuse = error
    answers = await world.ask("a", "b")
    codes = {answer.code for answer in answers if isinstance(answer, ComponentError)}
    assert codes == {getattr(error, "code", "internal_error")}
    assert world.flights.stats()["running"] == 0


async def test_the_grace_time_is_what_the_settings_say(world: World) -> None:
    flights = SingleFlight(world.cache, orphan_grace_s=0.01)
    ask = asyncio.create_task(flights.run([WantedScore("a", Pair("a", "reference"), world.works)], soon()))
    await settle()
    ask.cancel()
    await until(lambda: world.works.futures["a"].cancelled())


async def test_what_is_unfinished_at_the_deadline_fails_alone(world: World) -> None:
    ask = world.ask("a", "b", timeout=1.0)
    await settle()
    world.works.finish("a")
    a, b = await ask
    assert a == score("a")
    assert isinstance(b, ComponentError)
    assert (b.code, b.retryable) == ("deadline", True)


async def test_joining_a_more_impatient_request_does_not_inherit_its_deadline(world: World) -> None:
    hasty = world.ask("a", timeout=0.1)
    await settle()
    patient = world.ask("a")
    (late,) = await hasty
    assert isinstance(late, ComponentError)
    world.works.futures["a"].set_exception(ComponentError("deadline", "not started in time", retryable=True))
    await settle()
    assert world.works.given == {"a": 2}  # submitted again, under the patient request's own deadline
    world.works.finish("a")
    assert await patient == [score("a")]


async def test_one_batch_is_submitted_whole_and_empty_requests_are_free(world: World) -> None:
    ask = world.ask(*(f"pair {i}" for i in range(64)))
    await settle()
    assert world.works.calls == [64]
    world.works.finish(*world.works.futures)
    assert len(await ask) == 64
    assert await world.ask() == []


async def test_the_verdict_that_was_stored_first_is_the_one_delivered(world: World) -> None:
    ask = world.ask("a", permanent=True)
    await settle()
    world.cache.store("a", score("other"))
    world.works.finish("a")
    assert await ask == [score("other")]


async def test_closing_fails_what_is_left(world: World) -> None:
    ask = world.ask("a")
    await settle()
    await world.flights.aclose()
    (error,) = await ask
    assert isinstance(error, ComponentError)
    assert error.code == "shutting_down"


async def test_a_thousand_overlapping_hang_ups_leave_nothing_behind(world: World) -> None:
    tasks_before = len(asyncio.all_tasks())
    for round_ in range(20):
        asks = [world.ask(f"{(round_ + i) % 30}", f"{i}") for i in range(50)]
        await settle(round_)
        for i, ask in enumerate(asks):
            if i % 3:
                ask.cancel()
        open_ = [future for future in world.works.futures.values() if not future.done()]
        for future in open_[::2]:
            future.set_result(score("x"))
        await settle()
        for future in open_[1::2]:
            if not future.done():
                future.set_exception(ComponentError("poison", "bad item"))
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
    await until(lambda: world.flights.stats()["running"] == 0)
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before)


async def test_each_runner_is_given_its_share_at_once_and_every_time_of_landing_is_told(world: World) -> None:
    other = Works()
    wanted = [WantedScore(f"{i}", Pair(f"{i}", "reference"), other if i % 3 else world.works) for i in range(9)]
    began = time.perf_counter()
    asked = asyncio.create_task(world.flights.run(wanted, soon()))
    await until(lambda: other.calls)
    assert (world.works.calls, other.calls) == ([3], [6])
    other.finish("1", "2", "4", "5", "7", "8")
    await until(lambda: world.flights.stats()["running"] == 3)
    between = time.perf_counter()
    world.works.finish("0", "3", "6")
    landed = await asked
    assert [one.score for one in landed] == [score(f"{i}") for i in range(9)]
    early, late = [one.at for i, one in enumerate(landed) if i % 3], [one.at for one in landed[::3]]
    assert began < max(early) <= between <= min(late)


class Failing(Recording):
    """Raises, which no cache may, in the methods named `broken`."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: set[str] = set()
        self.others: set[str] = set()
        """Keys that another process computes."""

    def _check(self, method: str) -> None:
        if method in self.broken:
            raise RuntimeError(method)

    async def claim(self, keys: Sequence[str]) -> set[str]:
        self._check("claim")
        return set(keys) - self.others

    async def wait(self, key: str, deadline: float) -> ComponentScore | None:
        self._check("wait")
        self.broken.add("claim")
        return None

    async def get_many(self, keys: Sequence[str]) -> list[ComponentScore | None]:
        self._check("get_many")
        return await super().get_many(keys)

    async def put_many(self, entries: Sequence[tuple[str, ComponentScore]], *, permanent: bool = False) -> None:
        self._check("put_many")
        await super().put_many(entries, permanent=permanent)

    async def release(self, keys: Sequence[str]) -> None:
        self._check("release")


@pytest.mark.parametrize(
    ("broken", "elsewhere", "answered"),
    [
        ({"claim"}, False, False),
        ({"wait"}, True, False),
        (set(), True, False),  # the second claim, after a wait in vain
        ({"wait", "release"}, True, False),
        ({"put_many"}, False, True),
        ({"get_many"}, False, True),
    ],
)
async def test_a_cache_that_raises_leaves_no_flight_behind(broken: set[str], elsewhere: bool, answered: bool) -> None:
    """Of either kind: the next request would join it, and wait in vain."""
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    world = World(SOON)
    world.cache = cache = Failing()
    cache.broken, cache.others = set(broken), {"plain", "permanent"} if elsewhere else set()
    world.flights = SingleFlight(cache, orphan_grace_s=SOON)
    asked = [world.ask("plain"), world.ask("permanent", permanent=True)]
    await settle()
    if answered:
        world.works.finish("plain", "permanent")
    results = [(await task)[0] for task in asked]
    if answered:
        assert results == [score("plain"), score("permanent")]
    else:
        assert {getattr(result, "code", None) for result in results} == {"internal_error"}
    assert world.flights.stats()["running"] == 0
    await world.flights.aclose()


async def test_whoever_awaits_started_work_is_cancelled_at_once_and_the_work_goes_on() -> None:
    work = WorkFuture()
    work.started = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await work
    assert not work.done()
    work.set_result(score("late"))
    assert await work == score("late")


async def test_whoever_awaits_work_that_has_not_started_takes_it_back_when_cancelled() -> None:
    work = WorkFuture()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await work
    assert work.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await work
    failing = WorkFuture()
    failing.set_exception(ComponentError("x", "y"))
    with pytest.raises(ComponentError):
        await failing
