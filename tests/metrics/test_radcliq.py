"""The composites against the ReXrank board and the corner values published with them."""

from __future__ import annotations

import pytest

from metrics.radcliq import RadCliQInputs, radcliq_v0, radcliq_v1, radcliq_v1_reward, unirg_step1, unirg_step2

ONES = RadCliQInputs(1, 1, 1, 1)
ZEROS = RadCliQInputs(0, 0, 0, 0)


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


def test_corners() -> None:
    assert radcliq_v1(ONES) == pytest.approx(-1.44069, abs=1e-5)
    assert radcliq_v1(ZEROS) == pytest.approx(2.45014, abs=1e-5)
    assert (radcliq_v1_reward(ONES), radcliq_v1_reward(ZEROS)) == pytest.approx((1, 0), abs=1e-5)
    assert radcliq_v0(ONES) == pytest.approx(5.51616 - 1.58903 - 3.00983 - 1.87337 + 0.71394)


def test_unirg_stages() -> None:
    assert unirg_step1(ONES) == pytest.approx(1.0)
    assert unirg_step1(RadCliQInputs(0.5, 0, 0, 1)) == pytest.approx(0.1885)
    assert unirg_step2(ONES, 0) == pytest.approx(1.5)
    assert unirg_step2(ZEROS, 4) == pytest.approx(0.1)
