"""Tables of systems for a paper, and the tests of values of the corpus, against sacreBLEU, scipy and hand counts."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pytest
from scipy import stats

from judges.base import CATEGORIES
from metrics.chexbert import LABELS
from metrics.corpus import f1_chexbert
from reward_service.errors import InvalidRequest
from reward_service.evaluation import statistics as st
from reward_service.evaluation.comparison import compare
from reward_service.evaluation.measures import CHEXBERT, CorpusSums, Measure, corpus_bleu, joined, mean_of
from reward_service.evaluation.naming import Key
from reward_service.evaluation.records import bleu_counts
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.systems import systems_table
from reward_service.evaluation.tables import P, Table, render, shown

RNG = np.random.default_rng(5)
WORDS = ["small", "left", "right", "pleural", "effusion", "edema", "no", "acute", "focal", "is", "seen", "heart"]
REFERENCES = [" ".join(RNG.choice(WORDS, 12)) for _ in range(60)]


def written(share: float) -> list[str]:
    """The references with this share of words replaced."""
    return [" ".join(w if RNG.random() > share else RNG.choice(WORDS) for w in text.split()) for text in REFERENCES]


GOOD, BAD = written(0.25), written(0.33)


def system(name: str, candidates: list[str], rewards: np.ndarray | None = None, **more: Any) -> Scores:
    rewards = np.zeros(len(candidates)) if rewards is None else rewards
    rows = [
        {"id": str(i), "reward": float(r), "components": {"rougeL": float(r)}, "fingerprint": "f", "candidate": c,
         "reference": ref, "bleu_counts": bleu_counts(c, [ref]), **more}
        for i, (c, ref, r) in enumerate(zip(candidates, REFERENCES, rewards, strict=False))
    ]  # fmt: skip
    return Scores.of(rows, name)


def test_p_of_corpus_bleu_is_sacrebleu_s() -> None:
    """Approximate randomisation of sacreBLEU on the same sentences, unsmoothed, same tokens.

    Its bootstrap test is not that of Noreen: it centres absolute differences. Both tests ask the same question.
    """
    pytest.importorskip("sacrebleu")
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    row = next(r for r in compare([system("bad", BAD), system("good", GOOD)])[0].as_json() if r["value"] == "BLEU-4")
    metric = BLEU(tokenize="none", smooth_method="none", effective_order=False)
    named = [("bad", BAD), ("good", GOOD)]
    theirs = PairedTest(named, {"BLEU": metric}, [REFERENCES], test_type="ar", n_samples=4000)()[1]["BLEU"][1]
    assert 100 * row["good"] == pytest.approx(theirs.score)
    assert row["p randomisation"] == pytest.approx(theirs.p_value, abs=0.03)
    assert row["p bootstrap"] == pytest.approx(row["p randomisation"], abs=0.05)
    assert 0.001 < row["p randomisation"] < 0.5  # else any p would do


def test_the_interval_of_corpus_bleu_is_scipy_s() -> None:
    """`scipy.stats.bootstrap`, BCa, of the statistic that takes the same sums of drawn sentences."""
    counts = np.array([bleu_counts(c, [r]) for c, r in zip(GOOD, REFERENCES, strict=True)], dtype=float)
    cell = systems_table([system("good", GOOD)], metrics=["BLEU-4"]).rows[0][1]
    theirs = stats.bootstrap(
        (np.arange(60),), lambda i: corpus_bleu(counts[i].sum(0))[3], vectorized=False, n_resamples=4000,
        rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (cell.interval.low, cell.interval.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_f1_of_labels_is_that_of_the_whole_file() -> None:
    """`metrics.corpus.f1_chexbert` on the same labels."""
    labels = [RNG.integers(0, 1 << len(LABELS), 2) for _ in range(30)]
    corpus = CorpusSums()
    corpus.add({"id": "no labels"})
    for ours, theirs in labels:
        corpus.add({"values": {"chex": {"candidate_labels": float(ours), "reference_labels": float(theirs)}}})
    (measure,) = corpus.measures()
    bits = [[[bool(x >> i & 1) for i in range(len(LABELS))] for x in pair] for pair in labels]
    wanted = f1_chexbert([a for a, _ in bits], [b for _, b in bits])
    found = dict(zip(CHEXBERT, measure.statistic(np.nansum(measure.sums, 0)), strict=True))
    assert {f"f1_chexbert {name}": value for name, value in wanted.items()} == pytest.approx(found)
    assert measure.known()[:, 0].tolist() == [False] + [True] * 30


def test_findings_are_compared_by_what_is_counted() -> None:
    """a finds 1 of 2 and invents none: 2/3; b finds both and invents one: 4/5."""
    none = dict.fromkeys(CATEGORIES, 0.0)

    def row(id: str, *kinds: str) -> dict[str, Any]:
        evidence = [
            {"kind": k, "finding": f"f{i}", "candidate": [i, i], "reference": [i, i]} for i, k in enumerate(kinds)
        ]
        judged = {"significant": none, "insignificant": none, "evidence": evidence}
        return {"id": id, "reward": 0.0, "components": {}, "fingerprint": "f", "judgement": judged}

    a = Scores.of([row("1", "matched"), row("2", "missing_finding")], "a")
    b = Scores.of([row("1", "matched", "false_finding"), row("2", "matched")], "b")
    found = compare([a, b])[0].as_json()[-1]
    assert (found["value"], found["a"], found["b"]) == ("findings F1", pytest.approx(2 / 3), pytest.approx(0.8))
    assert (found["d"], found["w/t/l"]) == (None, None)


def test_an_exchange_of_sums_is_scipy_s_permutation_of_pairs() -> None:
    """All 2^10 exchanges of a ratio of sums (`scipy.stats.permutation_test`, permutation_type 'samples')."""
    a, b = RNG.uniform(1, 2, (10, 2)), RNG.uniform(1, 2, (10, 2)) + np.array([0.2, 0.0])

    def ratio(sums: np.ndarray) -> np.ndarray:
        return sums[..., :1] / sums[..., 1:]

    def apart(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        first, second = x.astype(int), y.astype(int)
        both = np.vstack([a, b])
        return ratio(both[second].sum(-2))[..., 0] - ratio(both[first].sum(-2))[..., 0]

    exact = stats.permutation_test(
        (np.arange(10), np.arange(10, 20)), apart, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert st.randomisation_p(a, b, ratio, resamples=20_000)[0] == pytest.approx(exact.pvalue, abs=0.012)


def test_measures_side_by_side_have_the_values_that_each_has_alone() -> None:
    mean = mean_of(["x"], np.array([[1.0], [np.nan], [5.0]]))
    product = Measure((Key("y"),), np.array([[2.0], [3.0], [np.nan]]), lambda sums: sums**2)
    sums, statistic = joined([mean, product])
    assert statistic(sums.sum(0)).tolist() == [3.0, 25.0]
    assert statistic(np.stack([sums.sum(0)] * 2)).shape == (2, 2)


BASE = np.linspace(0.2, 0.8, 60)
THREE = [
    system("base", BAD, BASE),
    system("less", BAD, BASE - 0.001 * RNG.normal(size=60)),
    system("more", GOOD, BASE + 0.1),
]


def test_the_table_has_means_the_best_and_stars() -> None:
    table = systems_table(THREE, metrics=["reward", "BLEU-4"])
    base, less, more = (row[1] for row in table.rows)
    assert [c.interval.value for c in (base, less, more)] == pytest.approx([0.5, BASE.mean(), 0.6], abs=1e-3)
    assert (base.interval.low, base.interval.high) == pytest.approx(
        stats.bootstrap((BASE,), np.mean, n_resamples=9999, rng=np.random.default_rng(1)).confidence_interval, abs=5e-3
    )
    assert [c.best for c in (base, less, more)] == [False, False, True]
    assert (base.stars, less.stars, more.stars) == ("", "", "***")
    assert more.p == pytest.approx(4 / 10_001)  # four tests, and no exchange is as far apart
    assert "differs from base" in table.note
    assert "no p is below 0.0004" in table.note


def test_the_usual_values_are_chosen_and_others_are_named() -> None:
    columns = list(systems_table(THREE).columns)
    assert columns == ["system", "reward", "rougeL", "BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr-D"]
    with pytest.raises(InvalidRequest, match=r"Not all systems have the value 'rougel'\. Did you mean 'rougeL'"):
        systems_table(THREE, metrics=["rougel"])
    with pytest.raises(InvalidRequest, match="have no id in common"):
        systems_table(
            [THREE[0], Scores.of([{"id": "x", "reward": 0.0, "components": {}, "fingerprint": "f"}], "other")]
        )


def test_every_format_of_the_table() -> None:
    made = [systems_table(THREE, metrics=["reward", "rougeL"])]
    latex = render(made, "latex", {"fingerprint": "f"})
    for line in (
        r"\label{tab:systems}",
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        "system & Reward & ROUGE-L",
        "p $<$ .05",
    ):
        assert line in latex
    assert r"more & \textbf{0.600} [0." in latex
    assert "$^{***}$" in latex
    assert r"**0.600** [" in (markdown := render(made, "markdown", {}))
    assert r"\*\*\* |" in markdown
    assert "▸0.600" in render(made, "table", {})
    (_, _, more) = json.loads(render(made, "json", {}))["systems"]
    assert (more["system"], more["reward"]["value"], more["reward"]["best"]) == ("more", pytest.approx(0.6), True)
    rows = list(csv.DictReader(io.StringIO(render(made, "csv", {}))))
    assert [r["best"] for r in rows if r["column"] == "reward"] == ["False", "False", "True"]


def test_p_ends_where_its_resolution_ends() -> None:
    assert [shown(P(p)) for p in (1e-4, 0.0009, 0.001, 0.25)] == ["< .001", "< .001", "0.001", "0.250"]
    table = Table("t", "T", ("value", "p"), [[Key("clinical.inverse_errors"), P(1e-4)]])
    assert r"Clinical inverse errors & $<$ .001 \\" in render([table], "latex", {})
    assert json.loads(render([table], "json", {}))["t"] == [{"value": "clinical.inverse_errors", "p": 1e-4}]


def test_nulls_and_studies_of_one_file_alone_are_said() -> None:
    rewards = BASE.copy()
    rewards[3] = np.nan
    rows = [
        {"id": str(i), "reward": None if np.isnan(r) else r, "components": {}, "fingerprint": "f"}
        for i, r in enumerate(rewards)
    ]
    table = systems_table([Scores.of(rows, "a"), Scores.of(rows[:50], "b")])
    assert "Values of 50 reports" in table.note
    assert "10 rows whose id not all systems have are left out" in table.note
    assert "2 null values are left out" in table.note
