"""Groups of rollouts: hand-counted, and best of n against all draws."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from reward_service.errors import InvalidRequest
from reward_service.evaluation.group_profile import best_of, profile_groups
from reward_service.evaluation.scores import Scores, candidates

RNG = np.random.default_rng(4)


def record(id: str, rewards: list[float | None], other: list[float]) -> dict[str, Any]:
    results = [{"reward": r, "components": {"up": o, "down": -o}} for r, o in zip(rewards, other, strict=True)]
    return {"id": id, "fingerprint": "f", "results": [{**one, "id": f"{id}/{i}"} for i, one in enumerate(results)]}


GROUPS = [
    record("a", [0.0, 1.0], [5.0, 6.0]),
    record("b", [0.5, 0.5], [1.0, 1.0]),
    record("c", [0.2, None], [1.0, 3.0]),
]


def tables(groups: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    scores = Scores.of((row for group in groups for row in candidates(group)), "g")
    return {table.name: table.as_json() for table in profile_groups(scores)}


def test_spread_and_share_without_advantage() -> None:
    found = {r["of groups"]: r["value"] for r in tables(GROUPS)["groups"]}
    assert (found["groups"], found["candidates"]) == (3, 5)
    assert found["mean reward"]["value"] == pytest.approx((0.5 + 0.5 + 0.2) / 3)
    assert found["spread within a group"]["value"] == pytest.approx(0.5 / 3)
    assert found["share without advantage"]["value"] == pytest.approx(2 / 3)
    studies = tables(GROUPS)["studies"]
    assert [(r["study"], r["advantage"]) for r in studies] == [("b", "no"), ("c", "no"), ("a", "yes")]


def test_components_correlate_within_groups_only() -> None:
    """Between groups `up` falls as the reward rises; within the one group that differs it rises with it."""
    found = {r["value"]: r for r in tables(GROUPS)["correlation"]}
    assert found["reward"]["up"] == pytest.approx(1.0)
    assert found["reward"]["down"] == pytest.approx(-1.0)


def test_best_of_n_is_the_mean_over_all_draws() -> None:
    rewards = RNG.normal(size=7)
    for n in range(1, 8):
        assert best_of(rewards, n) == pytest.approx(np.mean([max(draw) for draw in combinations(rewards, n)]))
    curve = tables([record(str(i), [*map(float, RNG.normal(size=5))], [0.0] * 5) for i in range(9)])["best_of_n"]
    assert [r["n"] for r in curve] == ["1", "2", "4", "5"]
    assert sorted(r["reward"]["value"] for r in curve) == [r["reward"]["value"] for r in curve]


def test_a_file_without_groups_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no study has several candidates"):
        profile_groups(Scores.of([{"id": "1", "reward": 1.0}], "g"))
