"""Arithmetic of the published composites: RadCliQ v0 and v1, and the two stages of the UniRG-CXR reward.

Pure functions of component values; the components come from elsewhere. RadCliQ's constants are those of the
models released with rajpurkarlab/CXR-Report-Metric (Yu et al., Patterns 2023), written out instead of unpickled.
"""

from __future__ import annotations

from typing import NamedTuple


class RadCliQInputs(NamedTuple):
    """Raw component values; BERTScore is rescaled distilroberta-base, layer 5."""

    radgraph: float
    bertscore: float
    semb: float
    bleu2: float


_V1_MEAN = RadCliQInputs(0.5379231241, 0.6175725628, 0.7647942121, 0.4473833540)
_V1_SCALE = RadCliQInputs(0.3028258411, 0.2243093846, 0.2539439110, 0.2989271672)
_V1_COEFFICIENT = RadCliQInputs(-0.3770836826, -0.3703000997, -0.2526162179, 4.315e-12)
_V1_INTERCEPT = 2.467e-10

_V0_COEFFICIENT = RadCliQInputs(-1.58903, -3.00983, -1.87337, 0.71394)
_V0_INTERCEPT = 5.51616

RADCLIQ_V1_PERFECT = -1.44069
"""RadCliQ v1 with every component 1."""
RADCLIQ_V1_WORST = 2.45014
"""RadCliQ v1 with every component 0."""


def radcliq_v1(x: RadCliQInputs) -> float:
    """Predicted number of errors on RadCliQ's z-scale; lower is better.

    A leaderboard's 1/RadCliQ is the reciprocal of a mean; of a single report it has a pole at 0.
    """
    terms = (c * (v - m) / s for v, m, s, c in zip(x, _V1_MEAN, _V1_SCALE, _V1_COEFFICIENT, strict=True))
    return sum(terms) + _V1_INTERCEPT


def radcliq_v0(x: RadCliQInputs) -> float:
    """Predicted number of errors; lower is better. Collapsed coefficients, five decimals."""
    return sum(c * v for c, v in zip(_V0_COEFFICIENT, x, strict=True)) + _V0_INTERCEPT


def radcliq_v1_reward(x: RadCliQInputs) -> float:
    """RadCliQ v1 turned round and scaled: 1 with every component 1, 0 with every component 0."""
    return (RADCLIQ_V1_WORST - radcliq_v1(x)) / (RADCLIQ_V1_WORST - RADCLIQ_V1_PERFECT)


def unirg_step1(x: RadCliQInputs) -> float:
    """Stage 1 of UniRG-CXR (arXiv 2601.17151) on raw values; in [0, 1] when the components are. BLEU-2 weighs 0."""
    return 0.370 * x.bertscore + 0.253 * x.semb + 0.377 * x.radgraph


def unirg_step2(x: RadCliQInputs, errors: float) -> float:
    """Stage 2: stage 1 plus half of 1 / (number of CheXprompt errors + 1)."""
    return unirg_step1(x) + 0.5 / (errors + 1)
