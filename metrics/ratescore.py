"""Arithmetic of RaTEScore (Zhao et al., EMNLP 2024): entities of two reports, matched by cosine and type.

Pure functions of entity vectors and types. The entity recogniser (Angelakeke/RaTE-NER-Deberta) and the encoder
(FremyCompany/BioLORD-2023-C, [CLS] of at most 30 tokens) are not run here. The constants are those of the package
RaTEScore 0.6.0 (MIT, Copyright (c) 2024 MAGIC-AI4Med), restated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Type = Literal["abnormality", "anatomy", "disease", "non-abnormality", "non-disease"]
TYPES: Final[tuple[Type, ...]] = get_args(Type)
_PRESENT: Final = ("abnormality", "disease")
_ABSENT: Final = ("non-abnormality", "non-disease")


class Affinity(NamedTuple):
    """What a match of two entities weighs, found by the authors' search against human ratings."""

    weights: tuple[tuple[float, ...], ...]
    """Row: type of the entity that is looked for; column: type of what was found. Both in the order of `TYPES`."""
    conflict: float
    """Factor of the cosine where one is present and the other absent."""


LONG: Final = Affinity(
    (
        (0.4276119164393705, 0.6240929990607657, 0.0034478181112993847, 0.5431049700217344, 0.27005425386213877),
        (0.7487824274337533, 0.2856134859160784, 0.4592143222158069, 0.02097055139911715, 0.00013736314126696204),
        (0.8396510075734789, 0.9950209388542061, 0.8460555030578727, 0.9820689020512646, 0.3789136708096537),
        (0.16546764653692908, 0.018670610691852826, 0.719397354576018, 0.0009357166071730684, 0.0927333564267591),
        (0.7759420231214385, 0.1839139293714062, 0.10073046076318157, 0.03860183811876373, 0.34065681486566446),
    ),
    0.8716553966489615,
)
"""The package's default."""

SHORT: Final = Affinity(
    (
        (0.4070293318365468, 0.6952639610605605, 0.28342529466226446, 0.9479148658006686, 0.23875064111146294),
        (0.5829759950441763, 0.7709590751917746, 0.0006059634829551632, 0.794672584951181, 0.27982942400798977),
        (0.8840397619834857, 0.9637659445696822, 0.19018958438059513, 0.6962283914800402, 0.943727057946997),
        (0.1712744286898638, 0.4485149671497294, 0.00045065329822896076, 0.0007887930317199857, 0.8555432840895761),
        (0.9555801066212176, 0.13122106162635216, 0.6072996585919443, 0.05650711141169969, 0.3214769399791204),
    ),
    0.3611577852354489,
)


class Entities(NamedTuple):
    """The entities of one report."""

    vectors: NDArray[np.floating]
    """[entities, dim], of any length but 0."""
    types: Sequence[Type]


def directed(wanted: Entities, found: Entities, affinity: Affinity = LONG) -> float:
    """How well `found` covers `wanted`: weighted mean of each wanted entity's best cosine; at most 1.

    Neither side may be empty.
    """
    cosines = _unit(wanted.vectors) @ _unit(found.vectors).T
    best = cosines.argmax(axis=1)
    total = weights = 0.0
    for i, j in enumerate(best):
        a, b = wanted.types[i], found.types[j]
        weight = affinity.weights[TYPES.index(a)][TYPES.index(b)]
        conflict = (a in _PRESENT and b in _ABSENT) or (a in _ABSENT and b in _PRESENT)
        total += float(cosines[i, j]) * weight * (affinity.conflict if conflict else 1.0)
        weights += weight
    return total / weights if weights else 0.0


def ratescore(candidate: Entities, reference: Entities, affinity: Affinity = LONG, *, empty: float = 0.5) -> float:
    """Harmonic mean of both directions; 0 where they add up to 0. Higher is better, at most 1.

    `empty`: the value when a side has no entity. The published 0.5 pays an empty report more than many honest ones, so
    as a reward it should be 0.
    """
    if not len(candidate.types) or not len(reference.types):
        return empty
    recall, precision = directed(reference, candidate, affinity), directed(candidate, reference, affinity)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = np.asarray(vectors, dtype=np.float64)
    unit: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit
