"""Systems compared by id: what is paired, what is refused, what the table says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reward_service.errors import InvalidRequest
from reward_service.evaluation.comparison import compare
from reward_service.evaluation.scores import Scores

RNG = np.random.default_rng(8)


def system(name: str, rewards: dict[str, float | None], fingerprint: str = "sha256:one") -> Scores:
    rows: list[dict[str, Any]] = [
        {"id": id, "reward": r, "components": {"bleu2": 0.5}, "fingerprint": fingerprint} for id, r in rewards.items()
    ]
    return Scores.of(rows, name)


A = {str(i): float(x) for i, x in enumerate(RNG.uniform(0, 1, 60))}
B = {id: x + 0.1 if int(id) % 3 else x for id, x in reversed(A.items())}


def test_rows_are_paired_by_id_in_any_order() -> None:
    metrics, differences = compare([system("a", A), system("b", {**B, "7": A["7"] - 2, "x": 1.0})])
    reward, bleu = metrics.as_json()
    assert (reward["n"], reward["w/t/l"]) == (60, "39/20/1")
    assert reward["difference"]["value"] == pytest.approx((39 * 0.1 - 2) / 60)
    assert (bleu["difference"]["value"], bleu["p bootstrap"], bleu["p randomisation"], bleu["d"]) == (0, 1, 1, None)
    assert "1 rows whose id is in one file alone" in metrics.note
    assert differences.rows[0][0] == "7"
    assert [row[3] for row in differences.rows[1:]] == pytest.approx([0.1] * 9)


def test_a_certain_difference_is_significant_after_correction_and_nulls_are_left_out() -> None:
    (reward, _) = compare([system("a", A), system("b", {**B, "1": None})])[0].as_json()
    assert reward["n"] == 59
    assert reward["p Holm"] == pytest.approx(2 * reward["p randomisation"])
    assert reward["p Holm"] < 0.001
    assert reward["difference"]["low"] > 0


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (system("b", B, "sha256:two"), "--anyway"),
        (system("b", {"z": 1.0}), "no id in common"),
        (Scores.of([{"id": "1", "reward": 1.0}] * 2, "b"), "several rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(other: Scores, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        compare([system("a", A), other], anyway=words != "--anyway")


def texts(name: str, ids: list[str], *references: Any, **more: Any) -> Scores:
    """`references`: for each row a text, or a list of texts of which the best one was paid."""
    rows = [
        {"id": id, "reward": 0.5, "components": {}, "fingerprint": "f", **more}
        | ({"references": r, "reference_index": 0} if isinstance(r, list) else {"reference": r})
        for id, r in zip(ids, references, strict=True)
    ]
    return Scores.of(rows, name)


@pytest.mark.parametrize("ids", [["line-2", "line-3"], ["row-1", "row-2"], ["a.csv: line-2", "a.csv: line-3"],
                                 ["line-2/0", "line-2/1"]])  # fmt: skip
def test_numbers_of_lines_pair_only_rows_with_equal_references(ids: list[str]) -> None:
    a = texts("a", ids, "x", "y")
    assert compare([a, texts("b", ids, "x", "y")])[0].rows[0][1] == 2
    for other in (texts("b", ids, "y", "x"), texts("b", ids, "x", None)):
        with pytest.raises(InvalidRequest, match="--id-field"):
            compare([a, other], anyway=True)


def test_differing_references_are_refused_or_counted() -> None:
    a, b = texts("a", ["1", "2"], "x", "y"), texts("b", ["1", "2"], "x", "z")
    with pytest.raises(InvalidRequest, match=r"1 studies \(first: 2\) have other references"):
        compare([a, b])
    assert "1 studies have other references in one file." in compare([a, b], anyway=True)[0].note
    unknown = texts("c", ["1", "2"], None, None)
    assert "other references" not in compare([a, unknown])[0].note


@pytest.mark.parametrize("one", ["x", None])
def test_one_reference_and_the_best_of_several_are_not_compared(one: str | None) -> None:
    a, b = texts("a", ["1"], one), texts("b", ["1"], ["x", "y"])
    with pytest.raises(InvalidRequest, match="best of several"):
        compare([a, b])
    assert "1 studies have other references" in compare([a, b], anyway=True)[0].note
    assert compare([texts("a", ["1"], ["y", "x"]), b])[0].rows
    assert compare([texts("a", ["1"], "x"), texts("b", ["1"], ["x"])])[0].rows


def test_different_functions_are_compared_on_demand() -> None:
    assert compare([system("a", A), system("b", B, "sha256:two")], anyway=True)[0].rows


def test_files_without_a_common_value_are_refused() -> None:
    rows = [{"id": id, "reward": None, "components": {}, "fingerprint": "sha256:one"} for id in A]
    nothing = Scores.of(rows, "b")
    with pytest.raises(InvalidRequest, match="No study has a value in both a and b"):
        compare([system("a", A), nothing])


def test_equal_seeds_give_equal_tables() -> None:
    first, again, other = (compare([system("a", A), system("b", B)], seed=seed)[0] for seed in (1, 1, 2))
    assert first.rows[0] == again.rows[0]
    assert first.rows[0] != other.rows[0]
