"""What is put into a store is found again: in SQLite by several processes' connections, in a real Redis, within bounds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reward_service.contracts import Composite
from reward_service.errors import ConfigurationError, Overloaded
from reward_service.observability.telemetry import Telemetry
from reward_service.runs.recorder import Recorder
from reward_service.runs.redis_store import RedisStore
from reward_service.runs.rows import NO_STEP, Row, SampleRow
from reward_service.runs.samples import STEPS, Told
from reward_service.runs.sqlite_store import SqliteStore
from reward_service.runs.store import RunStore, make_store
from reward_service.runs.totals import Scored, Totals, of_requests, summed
from reward_service.settings import Settings
from testbed.redis_server import Redis
from tests.needs import needs


def sqlite(path: Path | str = ":memory:", **options: Any) -> SqliteStore:
    return SqliteStore(str(path), **{"max_bytes": 2**28, "ttl_s": 1e6, **options})


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=needs("redis-server"))])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[RunStore]:
    if request.param == "sqlite":
        made: RunStore = sqlite()
        yield made
        await made.aclose()
        return
    server = Redis().start()
    made = RedisStore(server.url, namespace="test", ttl_s=1e6)
    yield made
    await made.aclose()
    server.kill()


async def test_rows_of_several_writers_are_added_up_and_replaced_by_their_writer_alone(store: RunStore) -> None:
    await store.put([Row("a", 3, "w1", {"items": 4}), Row("a", 3, "w2", {"items": 2}), Row("a", 1, "w1", {"items": 1})])
    await store.put([Row("a", 3, "w1", {"items": 5}), Row("b", 2**53, "w1", {"items": 9})])
    assert await store.steps("a") == [(1, {"items": 1}), (3, {"items": 7})]
    assert [(run.run_id, run.steps) for run in await store.runs()] in ([("a", 2), ("b", 1)], [("b", 1), ("a", 2)])
    assert await store.steps("b") == [(2**53, {"items": 9})]
    assert await store.steps("c") == []


async def test_of_a_run_those_steps_are_read_that_are_chosen(store: RunStore) -> None:
    await store.put([Row("a", step, "w", {"items": step}) for step in range(1, 51)])
    chosen = await store.steps("a", lambda numbers: [*numbers[:3], *numbers[-3:]])
    assert [step for step, _ in chosen] == [1, 2, 3, 48, 49, 50]
    assert await store.steps("a", lambda numbers: []) == []


async def test_a_deleted_run_is_gone(store: RunStore) -> None:
    await store.put([Row("a/b?<c>", 1, "w", {"items": 1}), Row("b", 1, "w", {"items": 1})])
    assert await store.delete("a/b?<c>")
    assert not await store.delete("a/b?<c>")
    assert [run.run_id for run in await store.runs()] == ["b"]


async def test_samples_of_all_writers_are_kept_for_the_latest_steps_and_go_with_their_run(store: RunStore) -> None:
    await store.put([Row("a", 1, "w", {"items": 1}), Row("b", 1, "w", {"items": 1})])
    for step in range(STEPS + 3):
        await store.put_samples([SampleRow("a", step, "w1", [{"digest": "1", "candidate": "x"}])])
    await store.put_samples([SampleRow("a", STEPS, "w2", [{"digest": "2"}])])
    # in place of the other
    await store.put_samples(
        [SampleRow("a", STEPS, "w2", [{"digest": "3"}]), SampleRow("b", 1, "w1", [{"digest": "1"}])]
    )
    found = await store.samples("a")
    assert list(found) == list(range(3, STEPS + 3))
    assert sorted(sample["digest"] for sample in found[STEPS]) == ["1", "3"]
    assert found[3] == [{"digest": "1", "candidate": "x"}]
    assert await store.delete("a")
    assert await store.samples("a") == {}
    assert list(await store.samples("b")) == [1]


async def test_two_connections_to_one_file_see_each_other_s_rows(tmp_path: Path) -> None:
    first, second = sqlite(tmp_path / "runs"), sqlite(tmp_path / "runs")
    await asyncio.gather(
        *(s.put([Row("a", step, w, {"items": 1})]) for step in range(20) for s, w in ((first, "1"), (second, "2")))
    )
    assert await second.steps("a") == [(step, {"items": 2}) for step in range(20)]
    await first.aclose()
    await second.aclose()


async def test_the_oldest_run_goes_first_when_there_is_no_room() -> None:
    store = sqlite(max_bytes=2**17)
    noise = random.Random(1)
    for run in range(12):
        rows = [Row(f"run{run:02}", step, "w", {f"{noise.random()}": 1 for _ in range(40)}) for step in range(20)]
        await store.put([*rows])  # 20 rows of about a kilobyte
    left = [run.run_id for run in await store.runs()]
    assert left == sorted(left, reverse=True)
    assert left[0] == "run11"
    assert 1 <= len(left) < 12
    await store.aclose()


async def test_what_is_too_old_goes(tmp_path: Path) -> None:
    store = sqlite(tmp_path / "runs")
    await store.put([Row("old", 1, "w", {"items": 1})])
    await store.aclose()
    short = sqlite(tmp_path / "runs", ttl_s=-1.0)  # everything is older than that
    await short.put([Row("new", 1, "w", {"items": 1})])
    assert await short.runs() == []
    await short.aclose()


async def test_ten_thousand_steps_cost_megabytes(tmp_path: Path) -> None:
    """Of 64 pairs with six components each; a hundred different steps stand for ten thousand."""
    draw = random.Random(5)

    def step() -> Totals:
        made = []
        for study in range(16):
            pairs = []
            for k in range(4):
                values = {f"component{i}": draw.random() for i in range(6)}
                composite = Composite(
                    draw.uniform(-1, 1), "ok", values, {}, {}, (), (), ("repetition",) if k == 0 else ()
                )
                pairs.append((f"candidate {draw.random()}", f"reference {study}", composite))
            made.append(of_requests([Scored(*zip(*pairs, strict=True), ["component5"], "text", draw.uniform(1, 50))]))
        return summed(made)

    different = [step() for _ in range(100)]
    store = sqlite(tmp_path / "runs")
    await store.put([Row("a", i, "w", different[i % 100]) for i in range(10_000)])
    await store.aclose()
    assert (tmp_path / "runs").stat().st_size < 30e6


@needs("redis-server")
async def test_a_store_that_is_away_is_not_taken_for_an_empty_one() -> None:
    server = Redis().start()
    store = RedisStore(server.url, namespace="test", ttl_s=1e6)
    server.kill()
    for asked in (store.put([Row("a", 1, "w", {"items": 1})]), store.runs(), store.steps("a"), store.delete("a")):
        with pytest.raises(Overloaded, match="does not answer") as told:
            await asked
        assert told.value.code == "runs_unavailable"
    await store.aclose()


async def test_what_is_older_than_a_deletion_is_not_written(store: RunStore) -> None:
    before = time.time()
    await store.put([Row("a", 1, "w1", {"items": 1}, before), Row("b", 1, "w1", {"items": 1}, before)])
    await store.put_samples([SampleRow("a", 1, "w1", [{"digest": "1"}], before)])
    assert await store.delete("a")
    after = time.time() + 2  # in Redis what began within a second of it counts as before it
    refused = await store.put(
        [
            Row("a", 1, "w1", {"items": 2}, before),
            Row("b", 1, "w1", {"items": 2}, before),
            Row("a", 2, "w1", {"items": 3}, after),
        ]
    )
    assert list(refused) == ["a"]
    assert before < refused["a"] < after
    assert list(await store.put_samples([SampleRow("a", 1, "w1", [{"digest": "1"}], before)])) == ["a"]
    assert await store.steps("a") == [(2, {"items": 3})]
    assert await store.steps("b") == [(1, {"items": 2})]
    assert await store.samples("a") == {}


async def test_samples_are_forgotten_and_totals_are_not(store: RunStore) -> None:
    await store.put([Row("a", 1, "w", {"items": 1})])
    await store.put_samples([SampleRow("a", 1, "w", [{"digest": "1"}])])
    await store.forget_samples()
    assert await store.samples("a") == {}
    assert await store.steps("a") == [(1, {"items": 1})]


async def test_items_without_a_step_are_beside_the_steps(store: RunStore) -> None:
    await store.put([Row("a", NO_STEP, "w", {"items": 1}), Row("a", 0, "w", {"items": 2})])
    assert await store.steps("a") == [(NO_STEP, {"items": 1}), (0, {"items": 2})]
    assert [run.steps for run in await store.runs()] == [1]


async def test_a_file_that_is_removed_while_it_is_in_use_is_made_anew(tmp_path: Path) -> None:
    store = sqlite(tmp_path / "runs")
    await store.put([Row("a", 1, "w", {"items": 1})])
    (tmp_path / "runs").unlink()
    assert await store.steps("a") == []
    await store.put([Row("a", 2, "w", {"items": 2})])
    await store.aclose()
    again = sqlite(tmp_path / "runs")
    assert await again.steps("a") == [(2, {"items": 2})]
    await again.aclose()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1000)
    for wrong in (tmp_path / "missing" / "runs", tmp_path / "text"):
        with pytest.raises(ConfigurationError, match="REWARD_RUNS_FILE"):
            make_store(Settings(runs_file=str(wrong)))


COMPOSITE = Composite(0.5, "ok", {"bleu2": 0.5}, {}, {}, (), (), ())
SCORED = Scored(["c"], ["r"], [COMPOSITE], [], "text", 1.0)


def refuse(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refusing(rows: Any) -> dict[str, float]:
        raise OSError("full")

    monkeypatch.setattr(store, "put", refusing)


async def test_the_recorder_makes_up_for_what_the_store_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for steps that nothing more comes for."""
    store = sqlite()
    recorder = Recorder(store, Telemetry())
    with monkeypatch.context() as patched:
        refuse(store, patched)
        recorder.record("a", 1, SCORED)
        await recorder.flush()
        recorder.record("a", 2, SCORED)
        await recorder.flush()
        assert await store.steps("a") == []
    recorder.record("\ud800", None, SCORED)
    await recorder.flush()
    assert [(step, totals["items"]) for step, totals in await store.steps("a")] == [(1, 1), (2, 1)]
    assert [(step, totals["items"]) for step, totals in await store.steps("?")] == [(NO_STEP, 1)]
    await recorder.aclose()


async def test_what_a_store_refuses_for_long_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = sqlite()
    recorder = Recorder(store, Telemetry())
    with monkeypatch.context() as patched:
        refuse(store, patched)
        for step in range(1030):
            recorder.record("a", step, SCORED)
        await recorder.flush()
    await recorder.flush()
    assert [step for step, _ in await store.steps("a")] == list(range(6, 1030))
    assert recorder.dropped == 6
    await recorder.aclose()


@pytest.mark.parametrize("step", [1, 2])
async def test_a_deleted_run_does_not_come_back_from_another_process(store: RunStore, step: int) -> None:
    """Both have a part of step 1. One deletes it; what is posted to the other then is all that there is."""
    first, second = (Recorder(store, Telemetry(), keep_samples=5) for _ in range(2))
    told = Told("secret", "r", None, COMPOSITE, None)
    for recorder in (first, second):
        recorder.record("a", 1, SCORED)
        recorder.keep("a", 1, [told])
    await first.flush()
    await second.flush()
    second.record("a", 1, SCORED)  # posted before, not written yet
    second.keep("a", 1, [told])
    assert await first.delete("a")
    await asyncio.sleep(1.5)  # in Redis what is posted within a second of the deletion counts as before it
    second.record("a", step, SCORED)
    second.keep("a", step, [told._replace(candidate="new")])
    await second.flush()
    first.record("b", 1, SCORED)
    await first.flush()
    assert [(number, totals["items"]) for number, totals in await store.steps("a")] == [(step, 1)]
    (kept,) = (await store.samples("a")).values()
    assert [sample["candidate"] for sample in kept] == ["new"]
    second.record("a", step, SCORED)
    await second.flush()
    assert [(number, totals["items"]) for number, totals in await store.steps("a")] == [(step, 2)]
