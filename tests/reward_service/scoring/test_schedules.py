"""Schedules as they are served: the step chooses the stage, fingerprints, pins, equal keys in all stages."""

from __future__ import annotations

from typing import Any

import pytest

from reward_service.errors import InvalidRequest, PinMismatch
from reward_service.profiles import fingerprint
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, Pin, ScoringRequest
from reward_service.scoring.served_profile import ServedSchedule
from reward_service.settings import Settings
from tests.reward_service.scoring.conftest import WriteProfile

pytestmark = pytest.mark.usefixtures("fakes")
PAIR = Item(None, "four", "reference of", None)  # 4 characters against 12


@pytest.fixture
def engine(write: WriteProfile) -> Engine:
    write("first", components={"length": {"weight": 1}})
    write("second", components={"length": {"weight": 2}, "bleu2": {"weight": 0}})
    stages = [{"until_step": 10, "profile": "first.yaml"}, {"profile": "second.yaml"}]
    return Engine(Settings(profiles=(write("two", stages=stages),), log_level="error"))


def served(engine: Engine) -> ServedSchedule:
    found = engine.served("two")
    assert isinstance(found, ServedSchedule)
    return found


async def score(engine: Engine, step: int | None, pin: Pin = None) -> ScoredItem:
    (scored,) = await engine.score(ScoringRequest([PAIR], step=step, pin=pin))
    return scored


async def test_the_step_chooses_what_pays(engine: Engine) -> None:
    async with engine:
        rewards = {step: (await score(engine, step)).composite.reward for step in (0, 9, 10, 99)}
    assert rewards == pytest.approx({0: 4 / 12, 9: 4 / 12, 10: 8 / 12, 99: 8 / 12})


async def test_without_a_step_a_request_is_refused_with_the_reason(engine: Engine) -> None:
    async with engine:
        with pytest.raises(InvalidRequest, match="is a schedule: the training step") as refused:
            await score(engine, None)
    assert (refused.value.code, refused.value.param) == ("step_missing", "step")


async def test_all_stages_answer_with_equal_keys(engine: Engine) -> None:
    async with engine:
        first, second = (await score(engine, 0)).composite, (await score(engine, 10)).composite
    assert set(first.components) == {"length", "bleu2"} == set(second.components)
    assert first.components["bleu2"] is None
    assert first.missing["bleu2"].code == "not_in_stage"
    assert (first.status, second.status, dict(second.missing)) == ("ok", "ok", {})


async def test_a_pin_names_the_schedule_or_the_stage_that_pays(engine: Engine) -> None:
    async with engine:
        schedule = served(engine)
        first, second = (stage.fingerprint for stage in schedule.stages)
        for step, pin in ((0, schedule.fingerprint), (0, first), (10, second), (0, first.split(".")[0])):
            assert (await score(engine, step, pin)).composite.status == "ok"
        assert (await score(engine, 0, schedule.document)).composite.status == "ok"
        with pytest.raises(PinMismatch, match=r"names stage 1 .* at step 10 stage 2 pays"):
            await score(engine, 10, first)
        with pytest.raises(PinMismatch, match="another fingerprint"):
            await score(engine, 0, "sha256:" + "0" * 64)


def of(**changes: Any) -> dict[str, Any]:
    stage = {part: part for part in fingerprint.PARTS}
    return {"schema": 1, "until_steps": [5, None], "stages": {"1": stage, "2": {**stage, "weights": 2}}, **changes}


def test_a_schedule_s_fingerprint_says_what_changed() -> None:
    base = fingerprint.of_schedule(of())
    assert fingerprint.changed_parts(base, fingerprint.of_schedule(of(until_steps=[6, None]))) == ["until_steps"]
    other = of()
    other["stages"]["2"] = {**other["stages"]["2"], "weights": 3}
    assert fingerprint.changed_parts(base, fingerprint.of_schedule(other)) == ["weights"]
    assert fingerprint.changed_parts(fingerprint.of_profile(other["stages"]["1"]), base) == []  # another kind of pin


def test_a_stage_has_the_fingerprint_of_its_profile_alone(engine: Engine, write: WriteProfile) -> None:
    alone = Engine(Settings(profiles=(write("first", components={"length": {"weight": 1}}),), log_level="error"))
    assert served(engine).stages[0].fingerprint == alone.served("first").fingerprint
    assert served(engine).fingerprint not in {stage.fingerprint for stage in served(engine).stages}
