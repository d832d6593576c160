"""The composites against the ReXrank board, published pairs, and values worked out in rational arithmetic."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from metrics.bleu import Bleu2
from metrics.radcliq import RadCliQInputs, radcliq_v0, radcliq_v1, radcliq_v1_reward, unirg_step1, unirg_step2

ONES = RadCliQInputs(1, 1, 1, 1)
ZEROS = RadCliQInputs(0, 0, 0, 0)
DATA = Path(os.environ.get("REWARD_BENCH_DATA", Path(__file__).resolve().parents[2] / "../shared/data"))
PUBLISHED = DATA / "peer_cases" / "moerad_cxr_report_metric_590.json"


# Rows of the ReXrank board for UniRG-CXR, findings: BLEU-2, BERTScore, SembScore, RadGraph -> 1 / RadCliQ-v1.
# The board rounds its inputs to three digits, which moves ReXGradient's 1.621 to 1.618.
@pytest.mark.parametrize(
    ("bleu2", "bertscore", "semb", "radgraph", "expected"),
    [
        (0.248, 0.493, 0.487, 0.265, 1.217),
        (0.291, 0.538, 0.576, 0.298, 1.618),
        (0.265, 0.565, 0.659, 0.286, 1.977),
        (0.190, 0.428, 0.460, 0.236, 1.008),
        (0.130, 0.026, 0.433, 0.072, 0.530),
    ],
)
def test_board_rows(bleu2: float, bertscore: float, semb: float, radgraph: float, expected: float) -> None:
    assert 1 / radcliq_v1(RadCliQInputs(radgraph, bertscore, semb, bleu2)) == pytest.approx(expected, abs=1.5e-3)


# The released coefficients, means and scales in exact fractions, rounded once at the end.
@pytest.mark.parametrize(
    ("inputs", "v0", "v1"),
    [  # RadGraph, BERTScore, SembScore, BLEU-2
        ((0, 0, 0, 0), 5.516160804054496, 2.450143083327131),
        ((1, 1, 1, 1), -0.24213342294409335, -1.440690282804702),
        ((1, 0, 0, 0), 3.92712657044827, 1.2049267531088108),
        ((0, 1, 0, 0), 2.5063306678795665, 0.7992977546012656),
        ((0, 0, 1, 0), 3.6427890941366865, 1.4553713761250484),
        ((0, 0, 0, 1), 6.230102656754871, 2.4501430833415663),
        ((0.3, 0.5, 0.6, 0.25), 2.5889979031095716, 0.6542924955810615),
        ((0.75, -0.2, 0.9, 0.1), 3.3117108024288213, 0.9511053649281332),
        ((0, -5.5, -1, 0), 23.94359826293442, 12.524564098521473),
    ],
)
def test_full_precision(inputs: tuple[float, ...], v0: float, v1: float) -> None:
    x = RadCliQInputs(*inputs)
    assert radcliq_v0(x) == pytest.approx(v0, abs=1e-13)
    assert radcliq_v1(x) == pytest.approx(v1, abs=1e-13)


@pytest.mark.skipif(
    not PUBLISHED.is_file(), reason="needs the 590 published pairs: set REWARD_BENCH_DATA to the folder of them"
)
def test_published_pairs() -> None:
    """CXR-Report-Metric's own output on 590 pairs; it printed BERTScore with eight digits."""
    cases = json.loads(PUBLISHED.read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 590
    for e in (case["expected"] for case in cases):
        x = RadCliQInputs(e["radgraph_combined"], e["bertscore"], e["semb_score"], e["bleu_score"])
        assert radcliq_v0(x) == pytest.approx(e["RadCliQ-v0"], abs=1e-7)
        assert radcliq_v1(x) == pytest.approx(e["RadCliQ-v1"], abs=1e-7)
    metric = Bleu2()
    candidates, references = (metric.encode([case[side] for case in cases]) for side in ("candidate", "reference"))
    for case, comparison in zip(cases, metric.compare(candidates, references), strict=True):
        assert comparison.values["bleu2"] == pytest.approx(case["expected"]["bleu_score"], abs=1e-15)


def test_the_reward_form_is_1_and_0_at_the_corners() -> None:
    assert (radcliq_v1_reward(ONES), radcliq_v1_reward(ZEROS)) == (1, 0)
    assert radcliq_v1_reward(RadCliQInputs(1, 0, 0, 0)) == pytest.approx(0.32004, abs=1e-5)  # 1.245216 / 3.890833


def test_unirg_stages() -> None:
    assert unirg_step1(ONES) == pytest.approx(1.0)
    assert unirg_step1(RadCliQInputs(0.5, 0, 0, 1)) == pytest.approx(0.1885)
    assert unirg_step2(ONES, 0) == pytest.approx(1.5)
    assert unirg_step2(ZEROS, 4) == pytest.approx(0.1)
