"""What is put into a store is found again: in SQLite by several processes' connections, in a real Redis, within bounds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from reward_service.contracts import Composite
from reward_service.errors import ConfigurationError
from reward_service.observability.telemetry import Telemetry
from reward_service.runs.recorder import Recorder
from reward_service.runs.samples import STEPS
from reward_service.runs.store import RedisStore, RunStore, SqliteStore, make_store
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
    await store.put([("a", 3, "w1", {"items": 4}), ("a", 3, "w2", {"items": 2}), ("a", 1, "w1", {"items": 1})])
    await store.put([("a", 3, "w1", {"items": 5}), ("b", 2**53, "w1", {"items": 9})])
    assert await store.steps("a") == [(1, {"items": 1}), (3, {"items": 7})]
    assert [(run.run_id, run.steps) for run in await store.runs()] in ([("a", 2), ("b", 1)], [("b", 1), ("a", 2)])
    assert await store.steps("b") == [(2**53, {"items": 9})]
    assert await store.steps("c") == []


async def test_the_ends_of_a_run_are_its_first_and_last_steps(store: RunStore) -> None:
    await store.put([("a", step, "w", {"items": step}) for step in range(1, 51)])
    assert [step for step, _ in await store.steps("a", ends=3)] == [1, 2, 3, 48, 49, 50]
    assert len(await store.steps("a", ends=40)) == 50


async def test_a_deleted_run_is_gone(store: RunStore) -> None:
    await store.put([("a/b?<c>", 1, "w", {"items": 1}), ("b", 1, "w", {"items": 1})])
    assert await store.delete("a/b?<c>")
    assert not await store.delete("a/b?<c>")
    assert [run.run_id for run in await store.runs()] == ["b"]


async def test_samples_of_all_writers_are_kept_for_the_latest_steps_and_go_with_their_run(store: RunStore) -> None:
    await store.put([("a", 1, "w", {"items": 1}), ("b", 1, "w", {"items": 1})])
    for step in range(STEPS + 3):
        await store.put_samples([("a", step, "w1", [{"digest": "1", "candidate": "x"}])])
    await store.put_samples([("a", STEPS, "w2", [{"digest": "2"}])])
    # in place of the other
    await store.put_samples([("a", STEPS, "w2", [{"digest": "3"}]), ("b", 1, "w1", [{"digest": "1"}])])
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
        *(s.put([("a", step, w, {"items": 1})]) for step in range(20) for s, w in ((first, "1"), (second, "2")))
    )
    assert await second.steps("a") == [(step, {"items": 2}) for step in range(20)]
    await first.aclose()
    await second.aclose()


async def test_the_oldest_run_goes_first_when_there_is_no_room() -> None:
    store = sqlite(max_bytes=2**17)
    noise = random.Random(1)
    for run in range(12):
        rows = [(f"run{run:02}", step, "w", {f"{noise.random()}": 1 for _ in range(40)}) for step in range(20)]
        await store.put([*rows])  # 20 rows of about a kilobyte
    left = [run.run_id for run in await store.runs()]
    assert left == sorted(left, reverse=True)
    assert left[0] == "run11"
    assert 1 <= len(left) < 12
    await store.aclose()


async def test_what_is_too_old_goes(tmp_path: Path) -> None:
    store = sqlite(tmp_path / "runs")
    await store.put([("old", 1, "w", {"items": 1})])
    await store.aclose()
    short = sqlite(tmp_path / "runs", ttl_s=-1.0)  # everything is older than that
    await short.put([("new", 1, "w", {"items": 1})])
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
    await store.put([("a", i, "w", different[i % 100]) for i in range(10_000)])
    await store.aclose()
    assert (tmp_path / "runs").stat().st_size < 30e6


@needs("redis-server")
async def test_without_redis_nothing_is_kept_and_nothing_fails() -> None:
    server = Redis().start()
    store = RedisStore(server.url, namespace="test", ttl_s=1e6)
    server.kill()
    await store.put([("a", 1, "w", {"items": 1})])
    assert await store.runs() == []
    assert await store.steps("a") == []
    assert not await store.delete("a")
    await store.aclose()


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database " * 1000)
    for wrong in (tmp_path / "missing" / "runs", tmp_path / "text"):
        with pytest.raises(ConfigurationError, match="REWARD_RUNS_FILE"):
            make_store(Settings(runs_file=str(wrong)))


async def test_the_recorder_holds_what_the_store_refuses_and_lets_go_of_a_deleted_run() -> None:
    store = sqlite()
    recorder = Recorder(store, Telemetry())
    composite = Composite(0.5, "ok", {"bleu2": 0.5}, {}, {}, (), (), ())
    scored = Scored(["c"], ["r"], [composite], [], "text", 1.0)
    put, fails = store.put, True

    async def refusing(rows: Any) -> None:
        if fails:
            raise OSError("full")
        await put(rows)

    store.put = refusing  # type: ignore[method-assign]
    recorder.record("a", 1, scored)
    await recorder.flush()
    assert await store.steps("a") == []
    fails = False
    recorder.record("a", 1, scored)
    recorder.record("\ud800", None, scored)
    await recorder.flush()
    assert [(step, totals["items"]) for step, totals in await store.steps("a")] == [(1, 2)]
    assert [(step, totals["items"]) for step, totals in await store.steps("?")] == [(0, 1)]
    assert await recorder.delete("a")
    recorder.record("a", 1, scored)
    await recorder.flush()
    assert [totals["items"] for _, totals in await store.steps("a")] == [1]
    await recorder.aclose()
