"""Weights from labels: found again where they are known, judged out of sample, never negative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from reward_service.errors import InvalidRequest
from reward_service.evaluation.scores import candidates
from reward_service.evaluation.tuning import agreement, gathered, profile_text, tune
from reward_service.profiles.profile import Profile

PROFILE = Profile.model_validate(
    {
        "name": "mine", "description": "x", "bounds": [-1, 1],
        "components": {
            "rouge1": {"weight": 0.5}, "rougeL": {"weight": 0.5}, "bleu2": {"weight": 0},
            "clinical": {"component": "rules", "weight": 1, "transform": {"affine": {"scale": 2, "shift": 1}}},
        },
    }
)  # fmt: skip


def rows(count: int, noise: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(6)
    made = []
    for i in range(count):
        a, b, c = (float(x) for x in rng.uniform(size=3))
        rating = 3 * a - 1 * b + 2 * (2 * c + 1) + 7 + noise * float(rng.normal())
        made.append({"id": str(i), "components": {"rouge1": a, "rougeL": b, "clinical": c}, "rating": rating, **more})
    return made


def test_known_weights_are_found_and_none_is_negative() -> None:
    """The label is 3 rouge1 - rougeL + 2 t(clinical): the negative one becomes 0, the others keep their ratio."""
    data = gathered(rows(2000), PROFILE, "rating")
    table, weights = tune(data, PROFILE)
    assert data.names == ["rouge1", "rougeL", "clinical"]
    assert weights == pytest.approx([3 / 5, 0, 2 / 5], abs=0.02)
    found = dict(table.rows)
    assert found["fitted, cross-validated"] > max(
        found["equal weights"], found["rouge1 alone"], found["clinical alone"]
    )
    assert found["fitted, cross-validated"] == pytest.approx(found["fitted, on its own rows"], abs=0.01)


def test_labels_without_any_relation_are_at_chance_out_of_sample() -> None:
    data = gathered(rows(300, noise=1000), PROFILE, "rating")
    assert dict(tune(data, PROFILE)[0].rows)["fitted, cross-validated"] == pytest.approx(0.5, abs=0.06)


def test_preferences_are_compared_within_their_study() -> None:
    """Studies differ by far more than their candidates do; what is preferred has the higher rouge1."""
    rng = np.random.default_rng(2)
    records = []
    for i in range(60):
        level = float(rng.uniform(0, 10))
        values = [float(x) for x in rng.uniform(size=2)]
        results = [
            {"id": f"{i}/{k}", "reward": 0.0,
             "components": {"rouge1": level + v, "rougeL": float(rng.uniform()), "clinical": -level}}
            for k, v in enumerate(values)
        ]  # fmt: skip
        records.append({"id": str(i), "results": results, "preferred": [int(v == max(values)) for v in values]})
    data = gathered([row for record in records for row in candidates(record)], PROFILE, "preferred")
    table, weights = tune(data, PROFILE)
    assert weights[0] > 0.8
    assert dict(table.rows)["fitted, cross-validated"] > 0.9


def test_agreement_is_kendall_s_without_ties() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=30), rng.normal(size=30)
    tau = stats.kendalltau(a, b).statistic
    assert agreement(a, b, [str(i) for i in range(30)]) == pytest.approx((tau + 1) / 2)
    assert agreement(np.zeros(30), b, [str(i) for i in range(30)]) == 0.5


def test_the_profile_is_printed_with_the_new_weights() -> None:
    text = profile_text(PROFILE, ["rouge1", "rougeL", "clinical"], np.array([0.6, 0.0, 0.4]))
    made = Profile.model_validate(yaml.safe_load(text))
    assert made.name == "mine-tuned"
    assert {key: spec.weight for key, spec in made.components.items()} == {
        "rouge1": 1.2, "rougeL": 0, "bleu2": 0, "clinical": 0.8,
    }  # fmt: skip
    assert made.components["clinical"].transform == PROFILE.components["clinical"].transform


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (rows(30), "no column 'stars'"),
        (rows(10, stars=1), "at least 20 rows"),
        (rows(30, stars=1), "1 different labels"),
        (rows(30, stars="good"), "must be a number"),
        ([{"id": "1", "components": {}, "stars": 1}], "no component 'rouge1'"),
    ],
)
def test_too_little_is_refused(found: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        gathered(found, PROFILE, "stars")
