"""Arithmetic of the published composites: RadCliQ v0 and v1, and the two stages of the UniRG-CXR reward.

Pure functions of component values; the components come from elsewhere. RadCliQ's constants are those of the
models released with rajpurkarlab/CXR-Report-Metric (Yu et al., Patterns 2023; MIT), written out instead of unpickled.
"""

from __future__ import annotations

from typing import NamedTuple


class RadCliQInputs(NamedTuple):
    """Raw component values. `radgraph`: mean of entity and relation F1. `bertscore`: F1 of distilroberta-base, layer 5,
    rescaled.
    """

    radgraph: float
    bertscore: float
    semb: float
    bleu2: float


class _Regression(NamedTuple):
    """A linear regression on z-scores."""

    mean: RadCliQInputs
    scale: RadCliQInputs
    coefficient: RadCliQInputs
    intercept: float

    def __call__(self, x: RadCliQInputs) -> float:
        terms = (c * (v - m) / s for v, m, s, c in zip(x, self.mean, self.scale, self.coefficient, strict=True))
        return sum(terms) + self.intercept


BERTSCORE_BASELINE_F1 = 0.8473319
"""bert_score's English baseline of distilroberta-base, layer 5: RadCliQ was fitted on F1 that is rescaled by it."""

RADCLIQ_V1 = _Regression(
    mean=RadCliQInputs(0.5379231241355762, 0.6175725628125001, 0.7647942121140658, 0.44738335396242174),
    scale=RadCliQInputs(0.3028258411486429, 0.22430938459304575, 0.2539439110169773, 0.2989271671041838),
    coefficient=RadCliQInputs(-0.37708368261038905, -0.37030009974480316, -0.25261621789593225, 4.315048405e-12),
    intercept=2.4665525613e-10,
)

RADCLIQ_V0 = _Regression(
    mean=RadCliQInputs(0.5398376019082272, 0.6312549595000001, 0.7716797866672277, 0.4607372064809605),
    scale=RadCliQInputs(0.3018344440559102, 0.22466950746141123, 0.24750333805236252, 0.30336670936092264),
    coefficient=RadCliQInputs(-0.4796252644863446, -0.6762170542369337, -0.46366575161751994, 0.2165861905287535),
    intercept=1.641666666666666,
)


def radcliq_v1(x: RadCliQInputs) -> float:
    """Predicted number of errors on RadCliQ's z-scale; lower is better.

    A leaderboard's 1/RadCliQ is the reciprocal of a mean; of a single report it has a pole at 0.
    """
    return RADCLIQ_V1(x)


def radcliq_v0(x: RadCliQInputs) -> float:
    """Predicted number of errors; lower is better. BLEU-2 counts against a report."""
    return RADCLIQ_V0(x)


RADCLIQ_V1_PERFECT = radcliq_v1(RadCliQInputs(1, 1, 1, 1))
"""RadCliQ v1 with every component 1: -1.44069."""
RADCLIQ_V1_WORST = radcliq_v1(RadCliQInputs(0, 0, 0, 0))
"""RadCliQ v1 with every component 0: 2.45014."""


def radcliq_v1_reward(x: RadCliQInputs) -> float:
    """RadCliQ v1 turned round and scaled: 1 with every component 1, 0 with every component 0."""
    return (RADCLIQ_V1_WORST - radcliq_v1(x)) / (RADCLIQ_V1_WORST - RADCLIQ_V1_PERFECT)


def unirg_step1(x: RadCliQInputs) -> float:
    """Stage 1 of UniRG-CXR (arXiv 2601.17151) on raw values; in [0, 1] when the components are. BLEU-2 weighs 0."""
    return 0.370 * x.bertscore + 0.253 * x.semb + 0.377 * x.radgraph


def unirg_step2(x: RadCliQInputs, errors: float) -> float:
    """Stage 2: stage 1 plus half of 1 / (number of CheXprompt errors + 1)."""
    return unirg_step1(x) + 0.5 / (errors + 1)
