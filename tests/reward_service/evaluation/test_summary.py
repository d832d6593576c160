"""What a summary counts, against hand-counted rows, nltk and scikit-learn's definitions."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from judges.base import CATEGORIES
from metrics.chexbert import LABELS
from reward_service.errors import InvalidRequest
from reward_service.evaluation.measures import CorpusSums, corpus_bleu
from reward_service.evaluation.records import bleu_counts
from reward_service.evaluation.summary import Summary, histogram, levels
from reward_service.evaluation.tables import Table, render

NONE = dict.fromkeys(CATEGORIES, 0.0)


def evidence(kind: str, finding: str, at: int = 0) -> dict[str, Any]:
    return {"kind": kind, "finding": finding, "significant": True, "candidate": [at, at + 1], "reference": [at, at + 1]}


def row(id: str, reward: float | None, *found: dict[str, Any], **more: Any) -> dict[str, Any]:
    significant = {**NONE, **{one["kind"]: 1.0 for one in found if one["kind"] in CATEGORIES}}
    judgement = {"significant": significant, "insignificant": NONE, "evidence": list(found)}
    missing = {"clinical": {"code": "deadline"}} if reward is None else {}
    return {"id": id, "reward": reward, "components": {"bleu2": reward}, "judgement": judgement, "flags": ["short"],
            "missing": missing, "fingerprint": "sha256:one", **more}  # fmt: skip


ROWS = [
    row("1", 0.5, evidence("matched", "edema"), evidence("missing_finding", "nodule"), sex="F", age=30),
    row("2", 1.0, evidence("wrong_location", "edema"), evidence("wrong_severity", "edema"), sex="M", age=40),
    row("3", None, evidence("false_finding", "edema"), evidence("false_finding", "R1"), sex="F", age=50),
]


def tables(rows: list[dict[str, Any]], **options: Any) -> dict[str, Table]:
    wanted = {"study": None, "by": [], **options}
    return {table.name: table for table in Summary(rows, "a", **wanted).tables()}


def test_nulls_are_counted_and_not_averaged() -> None:
    reward = tables(ROWS)["values"].as_json()[0]
    assert (reward["n"], reward["null"], reward["mean"]["value"], reward["median"]) == (2, 1, 0.75, 0.75)
    assert [list(r) for r in tables(ROWS)["missing"].rows] == [["clinical: deadline", 1, pytest.approx(1 / 3)]]
    assert [list(r) for r in tables(ROWS)["flags"].rows] == [["short", 3, 1.0]]


def test_findings_are_counted_by_what_the_texts_share() -> None:
    """Edema: found in 1 and, once, in 2 (wrong place and grade); invented in 3. Nodule: missed in 1. R1 is no finding."""
    found = {r["finding"]: r for r in tables(ROWS)["findings"].as_json()}
    assert found["edema"] == {
        "finding": "edema",
        "support": 2,
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "F1": 0.8,
    }
    assert (found["nodule"]["support"], found["nodule"]["precision"], found["nodule"]["recall"]) == (1, None, 0.0)
    micro, macro = found["micro average"], found["macro average"]
    assert [micro[k]["value"] for k in ("precision", "recall", "F1")] == pytest.approx([2 / 3] * 3)
    assert macro["F1"] == pytest.approx(0.4)


def test_errors_are_per_report() -> None:
    errors = {r["category"]: r["significant"] for r in tables(ROWS)["errors"].as_json()}
    assert errors["wrong_location"] == pytest.approx(1 / 3)
    assert errors["all"] == pytest.approx(4 / 3)


def test_subgroups_and_their_gap() -> None:
    """M has five studies of 0.5 to 0.9, F six of which one is null; X has four and no one knows the seventh."""
    counts = {"F": 6, "M": 5, "X": 4, "": 7}
    rows = [
        row(
            f"{sex}{i}",
            None if sex == "F" and i == 5 else {"F": 0.1, "M": 0.5, "X": 0.0, "": 1.0}[sex] + i / 10,
            sex=sex,
        )
        for sex, count in counts.items()
        for i in range(count)
    ]
    by = tables(rows, by=["sex"])["by_sex"].as_json()
    assert [(r["sex"], r["n"]) for r in by] == [("F", 6), ("M", 5), ("X", 4), ("unknown", 7), ("gap", 11)]
    assert [r["reward"]["value"] for r in by] == pytest.approx([0.3, 0.7, 0.15, 1.3, 0.4])
    assert [r["reward"]["low"] is None for r in by] == [False, False, True, True, False]
    rows[0]["reward"] = rows[0]["components"]["bleu2"] = None  # four values are left to F
    gap = tables(rows, by=["sex"])["by_sex"].as_json()[-1]
    assert gap["reward"] == {"value": None, "low": None, "high": None}
    with pytest.raises(InvalidRequest, match=r"no column 'race'\. Known: age, sex\."):
        tables(ROWS, by=["race"])
    with pytest.raises(InvalidRequest, match=r"no column 'Sex'\. Did you mean 'sex'\? Known: age, sex\."):
        tables(ROWS, by=["Sex"])


def test_numbers_with_many_values_are_cut_into_quarters() -> None:
    labels, names = levels([str(age) for age in range(100)])
    assert names == ["below 24.75", "24.75 to 49.5", "49.5 to 74.25", "74.25 and above"]
    assert [labels.count(name) for name in names] == [25] * 4
    assert levels(["a", "", None])[0] == ["a", "unknown", "unknown"]


def test_corpus_bleu_is_nltk_s() -> None:
    """`corpus_bleu` without smoothing on pairs that share 4-grams, tokenised in the same way.

    nltk counts an n-gram more for each candidate of fewer than n tokens; the paper and other packages do not.
    """
    from nltk.translate.bleu_score import corpus_bleu as theirs

    pairs = [
        ("small left pleural effusion is seen .", "there is a small left pleural effusion ."),
        ("the heart is normal in size .", "the heart is normal in size and the lungs are clear ."),
        ("no pneumothorax or effusion", "clear lungs without pneumothorax"),
    ]
    sums = np.array([bleu_counts(c, [r]) for c, r in pairs], dtype=float).sum(0)
    references, candidates = [[r.split()] for _, r in pairs], [c.split() for c, _ in pairs]
    for n, found in enumerate(corpus_bleu(sums), 1):
        assert found == pytest.approx(theirs(references, candidates, weights=[1 / n] * n), abs=1e-12)


def test_a_row_without_a_reference_is_left_out_of_the_values_of_the_corpus() -> None:
    pairs = [("Small left effusion.", "Small left pleural effusion."), ("Clear lungs.", "The lungs are clear.")]
    rows = [{"candidate": c, "reference": r, "bleu_counts": bleu_counts(c, [r])} for c, r in pairs]
    lacking = {"candidate": "A mass.", "reference": "", "bleu_counts": bleu_counts("A mass.", [""])}
    found = []
    for table in (rows, [*rows, lacking]):
        sums = CorpusSums()
        for row in table:
            sums.add(row)
        found.append([value for measure in sums.measures() for value in measure.statistic(np.nansum(measure.sums, 0))])
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_corpus_bleu_counts_all_references() -> None:
    """Every word of the first candidate is in one of its references, and the closest length is the shorter of two.

    nltk's `corpus_bleu` clips and chooses the length in the same way.
    """
    from nltk.translate.bleu_score import corpus_bleu as theirs

    rows = [
        ("a small left effusion is seen today with no pneumothorax at all",
         ["a small left effusion is seen", "today with no pneumothorax at all"]),
        ("the heart is normal in size", ["the heart is normal in size"]),
    ]  # fmt: skip
    sums = np.array([bleu_counts(*each) for each in rows], dtype=float).sum(0)
    assert corpus_bleu(sums)[0] == 1.0
    rows += [("no no acute effusion", ["no effusion no", "acute effusion is not seen here"])]
    assert bleu_counts(*rows[-1])[-1] == 3
    sums += bleu_counts(*rows[-1])
    for n, found in enumerate(corpus_bleu(sums), 1):
        want = theirs([[r.split() for r in rs] for _, rs in rows], [c.split() for c, _ in rows], weights=[1 / n] * n)
        assert found == pytest.approx(want, abs=1e-12)


def test_cider_is_of_all_references_or_not_given() -> None:
    """Identical texts of two studies that share no word have 10, and a second reference without one halves that."""
    texts = [
        ("left effusion is seen", ["left effusion is seen", "w x y z"]),
        ("the heart is normal", ["the heart is normal"]),
    ]
    rows = [row(str(i), 0.5, candidate=c, references=rs, reference_index=0) for i, (c, rs) in enumerate(texts)]
    rows[0]["candidate"] = "left effusion was seen"
    rows[0]["references"] = ["left effusion was seen", "w x y z"]
    (cider,) = [r for r in tables(rows)["corpus"].as_json() if r["value"] == "CIDEr-D"]
    assert cider["corpus"]["value"] == pytest.approx((5 + 10) / 2)
    rows[0] |= {"bleu_counts": bleu_counts(rows[0]["candidate"], rows[0]["references"])}
    del rows[0]["references"]
    corpus = tables(rows)["corpus"]
    assert "CIDEr-D" not in [r["value"] for r in corpus.as_json()]
    assert "CIDEr-D needs the texts of all rows" in corpus.note


def test_corpus_values_of_models_are_those_of_their_raw_values() -> None:
    """Bit 9 is Pleural Effusion: given by the first candidate and both references, so one of two is found."""
    effusion = float(1 << LABELS.index("Pleural Effusion"))
    levels_ = dict.fromkeys(("simple", "partial", "complete", "combined"), 0.5)
    rows = [
        row(
            "1",
            1.0,
            values={"chex": {"semb": 0.9, "candidate_labels": effusion, "reference_labels": effusion}, "rg": levels_},
        ),
        row(
            "2",
            1.0,
            values={"chex": {"semb": 0.9, "candidate_labels": 0.0, "reference_labels": effusion}, "rg": levels_},
        ),
    ]
    found = {r["value"]: r["corpus"] for r in tables(rows)["corpus"].as_json()}
    assert found["f1_chexbert micro_f1_14"]["value"] == pytest.approx(2 / 3)
    assert found["radgraph combined"] == 0.5
    assert not any(name.startswith("radcliq") for name in found)
    assert "chex.candidate_labels" not in {r["value"] for r in tables(rows)["values"].as_json()}


def test_the_histogram() -> None:
    assert histogram(np.array([0.0, 1.0, 1.0])) == "0.00 ▄          █ 1.00"
    assert histogram(np.array([2.0, 2.0])) == "all 2"
    assert histogram(np.zeros(0)) == ""


def test_every_format_has_the_numbers() -> None:
    made = list(tables(ROWS, by=["sex"]).values())
    head = {"scores": "a_b.jsonl"}
    content = json.loads(render(made, "json", head))
    assert content["values"][0]["mean"]["value"] == 0.75
    assert not any(isinstance(v, float) and math.isnan(v) for r in content["findings"] for v in r.values())
    tidy = list(csv.DictReader(io.StringIO(render(made, "csv", head))))
    assert {"table": "values", "row": "reward", "column": "n", "value": "2", "low": "", "high": ""} in tidy
    assert "| Reward | 2 | 1 | 0.750" in render(made, "markdown", head)
    latex = render(made, "latex", head)
    assert latex.count(r"\begin{tabular}") == len(made)
    assert latex.isascii()
    assert r"wrong location & 0.333 & 0.000 & 0.333 \\" in latex
    assert latex.count(r"\label{tab:") == latex.count(r"\toprule") == len(made)
    assert "reward  2     1  0.750" in render(made, "table", head)
