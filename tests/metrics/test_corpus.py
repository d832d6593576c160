"""Corpus values: F1-CheXbert against scikit-learn, means against hand-worked numbers."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

from metrics.chexbert import BLANK, FIVE, NEGATIVE, POSITIVE, UNCERTAIN, given
from metrics.corpus import f1_chexbert, radcliq, radgraph
from metrics.radcliq import RadCliQInputs

PERFECT, WORST = RadCliQInputs(1, 1, 1, 1), RadCliQInputs(0, 0, 0, 0)


@pytest.mark.slow
def test_f1_chexbert_equals_scikit_learn_on_a_thousand_tables() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="comes with the extra offline")
    rng = random.Random(7)
    for _ in range(1000):
        reports, blanks = rng.randint(1, 12), rng.random()  # some tables nearly empty, some nearly full
        tables = [
            [
                [BLANK if rng.random() < blanks else rng.randrange(4) for _ in range(13)] + [rng.randrange(2)]
                for _ in range(reports)
            ]
            for _ in range(2)
        ]
        candidates, references = (np.isin(table, (POSITIVE, UNCERTAIN)).astype(int) for table in tables)
        five = list(FIVE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # labels that neither side gives
            expected = {
                f"{average}_f1_{n}": sklearn.f1_score(references[:, c], candidates[:, c], average=average)
                for n, c in (("14", slice(None)), ("5", five))
                for average in ("micro", "macro")
            }
        expected["accuracy_5"] = sklearn.accuracy_score(references[:, five], candidates[:, five])
        assert f1_chexbert(*(list(map(given, table)) for table in tables)) == pytest.approx(expected, abs=1e-12)


def labels(**classes: int) -> tuple[bool, ...]:
    """What counts as given of fourteen classes, blank but for Cardiomegaly, Edema and Fracture."""
    row = [BLANK] * 14
    for name, value in classes.items():
        row[{"cardiomegaly": 1, "edema": 4, "fracture": 11}[name]] = value
    return given(row)


def test_f1_chexbert_by_hand() -> None:
    candidates = [labels(cardiomegaly=POSITIVE, fracture=POSITIVE), labels(edema=NEGATIVE)]
    references = [labels(cardiomegaly=UNCERTAIN), labels(edema=POSITIVE)]
    assert f1_chexbert(candidates, references) == pytest.approx(
        {
            "micro_f1_14": 2 * 1 / (2 + 2),
            "macro_f1_14": 1 / 14,
            "micro_f1_5": 2 * 1 / (1 + 2),
            "macro_f1_5": 1 / 5,
            "accuracy_5": 1 / 2,
        }
    )


def test_tables_without_any_label_score_zero() -> None:
    nothing = f1_chexbert([labels()], [labels()])
    assert nothing == {"micro_f1_14": 0, "macro_f1_14": 0, "micro_f1_5": 0, "macro_f1_5": 0, "accuracy_5": 1}


def test_radgraph_levels_are_plain_means() -> None:
    values = [
        {"simple": 1.0, "partial": 0.5, "complete": 0.25, "combined": 0.5},
        {"simple": 0.0, "partial": 0.0, "complete": 0.0, "combined": 0.0},
    ]
    assert radgraph(values) == {"simple": 0.5, "partial": 0.25, "complete": 0.125, "combined": 0.25}


def test_radcliq_as_boards_print_it() -> None:
    found = radcliq([PERFECT, WORST, WORST])
    assert found["radcliq_v1"] == pytest.approx((-1.440690282804702 + 2 * 2.450143083327131) / 3)
    assert found["radcliq_v0"] == pytest.approx((-0.24213342294409335 + 2 * 5.516160804054496) / 3)
    assert found["inverse_radcliq_v1"] == pytest.approx(1 / 1.15319862795)


def test_beyond_its_pole_the_reciprocal_says_nothing() -> None:
    assert radcliq([PERFECT])["inverse_radcliq_v1"] is None


def test_what_cannot_be_counted_is_refused() -> None:
    for empty in (lambda: f1_chexbert([], []), lambda: radgraph([]), lambda: radcliq([])):
        with pytest.raises(ValueError, match="no report"):
            empty()
    with pytest.raises(ValueError, match="14 labels"):
        f1_chexbert([[0, 1]], [[0, 1]])
    with pytest.raises(ValueError, match="zip"):
        f1_chexbert([labels()], [labels(), labels()])
