"""What the gauges say of runners that keep their own counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reward_service.observability.telemetry import Telemetry


def value(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def runner(**health: Any) -> Mapping[str, Any]:
    return {"ready": True, "cost": "model", "artefacts": {"hits": 0, "misses": 0}, **health}


@pytest.fixture
async def telemetry() -> Telemetry:  # async: `sample` counts the tasks of the event loop
    return Telemetry()


async def test_runners_of_one_component_are_added_up_and_ready_together(telemetry: Telemetry) -> None:
    components = {
        "bertscore:one": runner(queue=3, restarts=1, artefacts={"hits": 5, "misses": 2}),
        "bertscore:two": runner(queue=4, losses=2, ready=False, artefacts={"hits": 1, "misses": 1}),
        "bleu2:one": runner(cost="inline"),
    }
    telemetry.sample({}, components)
    assert value(telemetry, "reward_component_queue", component="bertscore") == 7
    assert value(telemetry, "reward_worker_restarts", component="bertscore") == 3
    assert value(telemetry, "reward_component_ready", component="bertscore") == 0
    assert value(telemetry, "reward_component_ready", component="bleu2") == 1
    found = {
        result: value(telemetry, "reward_artefact_requests_total", cache="bertscore", result=result)
        for result in ("hit", "miss")
    }
    assert found == {"hit": 6, "miss": 3}


async def test_each_judge_server_of_each_judge_has_its_breaker(telemetry: Telemetry) -> None:
    judges = {
        "vllm:one": runner(servers=[{"well": True}, {"well": False}]),
        "vllm:two": runner(servers=[{"well": False}]),
    }
    telemetry.sample({}, judges)
    assert [value(telemetry, "reward_judge_breaker_open", server=str(n)) for n in range(3)] == [0, 1, 1]


async def test_counts_of_others_are_brought_over_as_increments(telemetry: Telemetry) -> None:
    seen = []
    for hits in (5, 9, 2):  # the last: it began anew
        telemetry.sample({}, {"bertscore:one": runner(artefacts={"hits": hits, "misses": 0})})
        seen.append(value(telemetry, "reward_artefact_requests_total", cache="bertscore", result="hit"))
    assert seen == [5, 9, 11]


def test_flags_have_a_bounded_number_of_labels() -> None:
    telemetry = Telemetry()
    for number in range(1000):
        telemetry.count_flag(f"forged_{number}")
    telemetry.count_flag("forged_0")
    assert value(telemetry, "reward_flags_total", flag="forged_0") == 2
    assert value(telemetry, "reward_flags_total", flag="other") == 900
