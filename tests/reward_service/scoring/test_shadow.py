"""Shadow profiles: compared, counted and logged beside the one that pays, and without any effect on it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from reward_service.errors import ConfigurationError
from reward_service.scoring import shadow as shadow_module
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.scoring.shadow import rank_correlation
from reward_service.settings import Settings
from tests.reward_service.scoring.conftest import WriteProfile
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("fakes")
GROUP = [Item(None, "x" * n, "0123456789") for n in (1, 3, 2, 5)]


@pytest.fixture
def pays(write: WriteProfile) -> str:
    return write("pays", components={"length": {"weight": 1}})


def engine(pays: str, *shadows: str, **settings: Any) -> Engine:
    return Engine(Settings(profiles=(pays,), shadow=shadows, log_level="info", **settings))


def sample(engine: Engine, name: str, **labels: str) -> float:
    return engine.telemetry.registry.get_sample_value(name, {"profile": "pays", **labels}) or 0.0


async def compared(engine: Engine, pairs: float) -> None:
    shadow = engine.shadows[0].served.name
    names = ("ok", "degraded", "null", "dropped", "unavailable", "failed")
    await until(
        lambda: sum(sample(engine, "reward_shadow_items_total", shadow=shadow, status=s) for s in names) == pairs
    )


async def started(engine: Engine) -> None:
    await until(lambda: engine.shadows[0].problem != "its models are loading")


async def test_differences_and_ranks_within_groups_are_counted_and_logged(pays: str, write: WriteProfile) -> None:
    other = write("other", components={"length": {"weight": -1}}, bias=1.0)  # ranks are the reverse
    with capture_logs() as logs:
        async with engine(pays, other) as running:
            await started(running)
            scored = await running.score(ScoringRequest(GROUP, run_id="run", step=3))
            await compared(running, 4)
    assert [s.composite.reward for s in scored] == pytest.approx([0.1, 0.3, 0.2, 0.5])
    labels = {"shadow": "other"}
    assert sample(running, "reward_shadow_difference_count", **labels) == 4
    # Shadow rewards are .9, .7, .8, .5, so differences add up to 2.9 - 1.1.
    assert sample(running, "reward_shadow_drift", **labels) == pytest.approx(1.8 / 4)
    assert sample(running, "reward_shadow_agreement", **labels) == pytest.approx(-1.0)
    assert sample(running, "reward_shadow_rank_correlation_bucket", le="-0.9", **labels) == 1
    (line,) = [entry for entry in logs if entry["event"] == "shadow_scored"]
    assert (line["run_id"], line["step"], line["compared"]) == ("run", 3, 4)
    assert line["mean_difference"] == pytest.approx(0.45)
    assert line["fingerprint"] == running.shadows[0].served.fingerprint


async def test_a_group_that_comes_one_by_one_is_a_group(pays: str, write: WriteProfile) -> None:
    other = write("other", components={"length": {"weight": 0.5}})
    running = engine(pays, other)
    async with running:
        await started(running)
        for pair in GROUP:
            await running.score(ScoringRequest([pair], run_id="run", step=1))
        await running.score(ScoringRequest(GROUP[:1], run_id="run", step=2))  # another step is another group
        await compared(running, 5)
        assert sample(running, "reward_shadow_rank_correlation_count", shadow="other") == 0
    assert sample(running, "reward_shadow_rank_correlation_count", shadow="other") == 1
    assert sample(running, "reward_shadow_agreement", shadow="other") == pytest.approx(1.0)


async def test_what_fails_in_the_shadow_does_not_touch_what_pays(pays: str, write: WriteProfile) -> None:
    running = engine(pays, write("other", components={"never_there": {"weight": 1, "when_missing": "fail"}}))
    async with running:
        await started(running)
        scored = await running.score(ScoringRequest(GROUP))
        await compared(running, 4)
        assert [s.composite.status for s in scored] == ["ok"] * 4
        assert sample(running, "reward_shadow_items_total", shadow="other", status="null") == 4


async def test_an_error_of_the_shadow_is_logged_and_counted(
    pays: str, write: WriteProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write("other", stages=[{"until_step": 5, "profile": "pays.yaml"}, {"profile": "pays.yaml"}])
    running = engine(pays, other)
    with capture_logs() as logs:
        async with running:
            await started(running)
            await running.score(ScoringRequest(GROUP))  # without the step that the shadow's schedule needs
            await compared(running, 4)
            monkeypatch.setattr(shadow_module, "rank_correlation", lambda rewards: 1 / 0)
            await running.score(ScoringRequest(GROUP, step=1))
            await compared(running, 12)  # four of them were compared before the failure, and all four failed
    assert [entry.get("code") for entry in logs if entry["event"] == "shadow_failed"] == ["step_missing", None]


async def test_a_shadow_that_cannot_load_leaves_the_service_ready(pays: str, write: WriteProfile) -> None:
    other = write("other", components={"unloadable": {"weight": 1}})
    running = engine(pays, other)
    with capture_logs() as logs:
        async with running:
            await started(running)
            assert running.state.readiness() == {"ready": True, "degraded": {}}
            scored = await running.score(ScoringRequest(GROUP))
            assert [s.composite.status for s in scored] == ["ok"] * 4
            assert sample(running, "reward_shadow_items_total", shadow="other", status="unavailable") == 4
            (described,) = running.state.info()["shadows"]
    assert "no weights here" in described["problem"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["shadow_cannot_start"]


async def test_more_than_it_can_keep_up_with_is_dropped(pays: str, write: WriteProfile) -> None:
    running = engine(pays, write("other"), queue_items=3)
    async with running:
        await started(running)
        assert len(await running.score(ScoringRequest(GROUP))) == 4
        assert sample(running, "reward_shadow_items_total", shadow="other", status="dropped") == 4


def test_a_shadow_of_a_profile_that_is_not_enabled_is_refused(pays: str, write: WriteProfile) -> None:
    with pytest.raises(ConfigurationError, match=r"no enabled profile is called 'payz'\. Did you mean 'pays'"):
        engine(pays, f"payz={write('other')}")


def test_ranks_with_ties_by_hand() -> None:
    # Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    assert rank_correlation([(0, 0), (1, 1), (1, 2), (2, 3)]) == pytest.approx(4.5 / math.sqrt(22.5))
    assert rank_correlation([(0, 0)]) is None
    assert rank_correlation([(0, 1), (0, 2)]) is None


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=2, max_size=20))
def test_the_correlation_is_scipy_s(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats", reason="comes with the extra offline")
    rewards = [(a / 9, b / 9) for a, b in pairs]
    found = rank_correlation(rewards)
    if len({a for a, _ in pairs}) == 1 or len({b for _, b in pairs}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(*zip(*rewards, strict=True)).statistic, abs=1e-12)


async def test_one_shadow_that_cannot_load_leaves_the_others(pays: str, write: WriteProfile) -> None:
    bad = write("bad", components={"unloadable": {"weight": 1}})
    running = engine(pays, bad, write("other"))
    async with running:
        await until(lambda: all(shadow.problem != "its models are loading" for shadow in running.shadows))
        await running.score(ScoringRequest(GROUP))
        await until(lambda: sample(running, "reward_shadow_items_total", shadow="other", status="ok") == 4)
        assert sample(running, "reward_shadow_items_total", shadow="bad", status="unavailable") == 4


async def test_shadows_have_sixteen_pairs_in_work_at_most(pays: str, write: WriteProfile) -> None:
    running = engine(pays, write("other"), write("another"))
    at_once: list[int] = []
    async with running:
        for shadow in running.shadows:
            await until(lambda shadow=shadow: shadow.problem is None)
            scorer = shadow._scorer

            def counted(stage: Any, scorer: Any = scorer) -> Any:
                made = scorer(stage)
                real = made.score

                async def score(items: Any, deadline: float) -> Any:
                    at_once.append(len(items))
                    try:
                        return await real(items, deadline)
                    finally:
                        at_once.append(-len(items))

                made.score = score
                return made

            shadow._scorer = counted
        await running.score(ScoringRequest([Item(None, f"x{n}", "0123456789") for n in range(40)]))
        await compared(running, 40)
        await until(lambda: sum(n for n in at_once if n > 0) == 80 and sum(at_once) == 0)
    assert max(sum(at_once[: end + 1]) for end in range(len(at_once))) == 16


def test_the_same_shadow_twice_is_refused(pays: str, write: WriteProfile) -> None:
    other = write("other")
    with pytest.raises(ConfigurationError, match="stands twice beside 'pays'"):
        engine(pays, other, f"pays={other}")
