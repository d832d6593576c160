"""Totals add up, in any order, to what numpy says of the values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from reward_service.contracts import ComponentError, Composite, Status
from reward_service.runs.series import points
from reward_service.runs.totals import BIN, Scored, Totals, of_requests, of_shadow, summed

Pair = tuple[str, str, Composite, list[str]]


def of_request(pairs: list[Pair], profile: str, milliseconds: float) -> Totals:
    candidates, references, composites, judges = zip(*pairs, strict=True)
    return of_requests([Scored(candidates, references, composites, judges[0], profile, milliseconds)])


def pair(candidate: str, reference: str, reward: float | None, flags: tuple[str, ...] = ()) -> Pair:
    missing = {} if reward is not None else {"clinical": ComponentError("judge_unavailable", "down")}
    status: Status = "null" if reward is None else "ok"
    values = {"bleu2": 0.5 if reward is None else reward / 2, "clinical": reward}
    return candidate, reference, Composite(reward, status, values, {}, missing, (), (), flags), ["clinical"]


def requests(seed: int) -> tuple[list[Totals], list[float]]:
    draw = random.Random(seed)
    made, rewards = [], []
    for i in range(20):
        values = [round(draw.uniform(-1, 1), 3) for _ in range(4)]
        rewards += values
        made.append(
            of_request([pair(f"c{i}{k}", f"r{i}", v) for k, v in enumerate(values)], "text", draw.uniform(1, 90))
        )
    return made, rewards


def only(steps: list[tuple[int, Totals]]) -> dict[str, Any]:
    (point,) = points(steps, 1)
    return point


def test_moments_and_quantiles_are_those_of_the_values() -> None:
    made, rewards = requests(1)
    point = only([(3, summed(made))])
    assert (point["step"], point["items"], point["null"]) == (3, 80, 0.0)
    assert point["reward"]["mean"] == pytest.approx(np.mean(rewards))
    assert point["reward"]["std"] == pytest.approx(np.std(rewards))
    exact = np.quantile(rewards, [0.05, 0.25, 0.5, 0.75, 0.95], method="inverted_cdf")
    assert np.abs(np.array(point["reward"]["quantiles"]) - exact).max() <= BIN
    assert sum(count for _, count in point["reward"]["histogram"]) == 80
    spreads = [np.std(rewards[i : i + 4]) for i in range(0, 80, 4)]
    assert point["group_std"] == pytest.approx(np.mean(spreads))
    assert point["zero_advantage"] == 0.0


def test_the_order_of_adding_is_all_the_same() -> None:
    made, _ = requests(2)
    forwards, backwards = only([(0, summed(made))]), only([(0, summed(made[::-1]))])
    assert forwards["reward"]["quantiles"] == backwards["reward"]["quantiles"]
    assert forwards["reward"]["mean"] == pytest.approx(backwards["reward"]["mean"])
    halves = [summed(made[:7]), summed(made[7:])]
    assert only([(0, halves[0]), (1, halves[1])])["items"] == 80


def test_nulls_flags_and_equal_groups_are_counted_as_shares() -> None:
    same = of_request([pair("a", "r", 0.5), pair("b", "r", 0.5)], "text", 5.0)
    null = of_request([pair("c", "s", None), pair("dd", "t", 0.1, ("repetition",))], "text", 5.0)
    point = only([(0, summed([same, null]))])
    assert (point["null"], point["flags"], point["zero_advantage"]) == (0.25, {"repetition": 0.25}, 1.0)
    assert point["missing"] == {"clinical: judge_unavailable": 1}
    assert point["characters"] == 5 / 4
    # A bin of a sixth of an octave is 12 % wide.
    assert point["latency_ms"]["median"] == pytest.approx(5.0, rel=0.12)


def test_a_shadow_is_compared_by_mean_difference_and_correlation() -> None:
    paid = [0.1, 0.4, 0.9, 0.2]
    shadow = [0.3, 0.5, 0.8, 0.1]
    point = only([(0, summed([of_shadow("s", list(zip(paid, shadow, strict=True))), {"items": 4}]))])
    assert point["shadows"]["s"]["mean_difference"] == pytest.approx(np.mean(shadow) - np.mean(paid))
    assert point["shadows"]["s"]["correlation"] == pytest.approx(np.corrcoef(paid, shadow)[0, 1])


def test_many_steps_become_as_many_points_as_asked_for() -> None:
    made, _ = requests(3)
    found = points([(i, one) for i, one in enumerate(made)], 7)
    assert len(found) == 7
    assert [one["steps"] for one in found][:2] == [[0, 2], [3, 5]]
    assert sum(one["items"] for one in found) == 80


def test_no_text_is_in_the_totals() -> None:
    made = of_request([pair("Zanzibarine effusion", "Zanzibarine opacity", 0.5)], "text", 1.0)
    assert "anzibarine" not in str(made)
