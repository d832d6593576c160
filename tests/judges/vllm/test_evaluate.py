"""Agreement with labelled counts: known values, known ties, and intervals that hold the value."""

from __future__ import annotations

import json
import math

import pytest

from judges.base import CATEGORIES, Judgement
from judges.vllm.cases import Labelled, read_labelled
from judges.vllm.evaluate import Agreement, agreement, difference, table


def labelled(*counts: float) -> list[Labelled]:
    return [Labelled("c", "r", None, {"false_finding": n}, {}) for n in counts]


def judged(*counts: float) -> list[Judgement]:
    rest = dict.fromkeys(CATEGORIES, 0.0)
    return [Judgement({**rest, "false_finding": n}, rest, 0.0, (), {}) for n in counts]


def by_name(rows: list[Agreement]) -> dict[tuple[str, str], Agreement]:
    return {(r.what, r.statistic): r for r in rows}


def test_perfect_agreement() -> None:
    rows = by_name(agreement(labelled(0, 1, 2, 3, 4), judged(0, 1, 2, 3, 4)))
    assert rows["significant errors", "mean absolute difference"][2:] == (0.0, 0.0, 0.0)
    assert rows["significant errors", "equal counts"].value == 1.0
    assert rows["all errors", "Kendall tau-b"].value == pytest.approx(1.0)


def test_values_by_hand() -> None:
    # Of ten pairs of pairs six are concordant, three discordant, one is tied in both: (6 - 3) / sqrt(9 * 9).
    rows = by_name(agreement(labelled(1, 2, 3, 4, 4), judged(2, 1, 4, 3, 3)))
    tau = rows["significant errors", "Kendall tau-b"]
    assert tau.value == pytest.approx(1 / 3)
    assert tau.low <= tau.value <= tau.high
    assert rows["significant errors", "mean absolute difference"].value == 1.0
    assert rows["significant errors", "mean difference"].value == pytest.approx(-0.2)
    assert rows["false_finding", "mean absolute difference"].value == 1.0
    assert rows["wrong_location", "mean absolute difference"].value == 0.0


def test_the_interval_narrows_with_more_pairs_and_is_the_same_every_time() -> None:
    few = by_name(agreement(labelled(*range(8)), judged(*[0, 2] * 4)))["all errors", "mean difference"]
    many_rows = agreement(labelled(*list(range(8)) * 16), judged(*[0, 2] * 64))
    many = by_name(many_rows)["all errors", "mean difference"]
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low < 0.5 * (few.high - few.low)
    assert table(agreement(labelled(*list(range(8)) * 16), judged(*[0, 2] * 64))) == table(many_rows)


def test_a_constant_judge_has_no_rank_correlation() -> None:
    row = by_name(agreement(labelled(0, 1, 2), judged(1, 1, 1)))["all errors", "Kendall tau-b"]
    assert math.isnan(row.value)
    assert "nan" in table([row])


def test_lines_are_read_and_wrong_ones_named() -> None:
    good = {"candidate": "c", "reference": "r", "significant": {"false_finding": 1.5}, "insignificant": {}}
    assert read_labelled([json.dumps(good), "", json.dumps({**good, "prior": "p"})])[1].prior == "p"
    for wrong in (
        "{", "[]", "{}", json.dumps({**good, "significant": {"typo": 1}}),
        json.dumps({**good, "insignificant": {"false_finding": -1}}),
        json.dumps({**good, "significant": {"false_finding": True}}), json.dumps({**good, "candidate": None}),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="line 2"):
            read_labelled([json.dumps(good), wrong])
    with pytest.raises(ValueError, match="two pairs"):
        agreement(labelled(1), judged(1))


def scored(counts: dict[str, float], signed: float) -> Judgement:
    rest = dict.fromkeys(CATEGORIES, 0.0)
    return Judgement({**rest, **counts}, rest, 0.0, (), {"signed": signed})  # type: ignore[dict-item]


def test_what_a_policy_would_feel_by_hand() -> None:
    # One reference, four candidates: two clean, two corrupted; the judge alarms on one and overlooks one.
    truth: list[dict[str, float]] = [{}, {}, {"false_finding": 2}, {"missing_finding": 1}]
    pairs = [Labelled(str(i), "r", None, one, {}) for i, one in enumerate(truth)]
    judgements = [
        scored({}, 1.0), scored({"false_finding": 1}, 0.5), scored({"false_finding": 1}, 0.5), scored({}, 0.8),
    ]  # fmt: skip
    rows = by_name(agreement(pairs, judgements))
    assert rows["pairs without error", "false alarms"].value == 0.5
    assert rows["pairs with error", "lenience"].value == 0.5
    # Ordered pairs that differ in labelled errors: 0>2 right, 0>3 right, 1>2 tie, 1>3 wrong, 3>2 right.
    assert rows["within a reference", "order"].value == pytest.approx(3.5 / 5)
    assert rows["within a reference", "clean above corrupted"].value == pytest.approx(2.5 / 4)
    assert rows["false_finding", "precision"].value == 0.5  # one of two that it counts
    assert rows["false_finding", "recall"].value == 0.5  # one of two that are there
    assert rows["missing_finding", "recall"].value == 0.0
    assert math.isnan(rows["missing_finding", "precision"].value)
    assert ("expected errors", "Kendall tau-b") not in rows


def test_a_judge_differs_from_itself_by_nothing_and_two_are_compared_on_the_same_pairs() -> None:
    pairs, good, bad = labelled(0, 1, 2, 3, 4, 5), judged(0, 1, 2, 3, 4, 5), judged(1, 1, 1, 1, 1, 2)
    for row in difference(pairs, good, good):
        assert math.isnan(row.value) or row[2:] == (0.0, 0.0, 0.0)
    better = by_name(difference(pairs, bad, good))["all errors", "mean absolute difference"]
    assert better.value == pytest.approx(-10 / 6)  # |1-0|, 0, 1, 2, 3, 3 against none
    assert better.high <= 0.0
