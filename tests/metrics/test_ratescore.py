"""RaTEScore's arithmetic: values that the package RaTEScore 0.6.0 gave for the same entities, and its odd corners."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.ratescore import LONG, SHORT, TYPES, Affinity, Entities, Type, directed, ratescore


def entities(*pairs: tuple[tuple[int, int, int], Type]) -> Entities:
    return Entities(np.array([vector for vector, _ in pairs]), [kind for _, kind in pairs])


# Random integer vectors; expected: `compute` of the package both ways, in double precision, and its harmonic mean.
@pytest.mark.parametrize(
    ("affinity", "candidate", "reference", "expected"),
    [
        (
            SHORT,
            entities(((5, -2, -8), "non-disease"), ((-4, -6, 2), "abnormality"), ((6, -2, 3), "non-disease")),
            entities(((-2, -9, -3), "non-abnormality")),
            0.27167229286548433,
        ),
        (
            SHORT,
            entities(((-4, -7, -5), "abnormality"), ((5, -5, -5), "abnormality")),
            entities(
                ((-3, -3, -4), "disease"), ((-4, 0, 1), "abnormality"), ((-3, 8, -3), "disease"),
                ((-4, -3, 3), "non-abnormality"),
            ),
            0.40907070694567466,
        ),
        (
            LONG,
            entities(((-7, 1, 0), "abnormality"), ((9, -9, 1), "disease")),
            entities(((2, 0, 6), "disease"), ((1, -4, 6), "abnormality"), ((6, -4, -8), "disease")),
            0.37594409156767294,
        ),
        (
            LONG,
            entities(
                ((-5, 5, -4), "anatomy"), ((7, 5, 6), "abnormality"), ((1, 6, -1), "non-abnormality"),
                ((0, 6, 3), "non-disease"),
            ),
            entities(((-4, 6, 1), "non-disease"), ((-4, -7, 6), "disease"), ((-1, 7, 8), "abnormality")),
            0.3020287233357826,
        ),
        (
            SHORT,
            entities(((-1, 2, 4), "anatomy"), ((2, -4, 5), "non-disease"), ((2, 1, 7), "anatomy")),
            entities(((-3, 2, 6), "non-abnormality"), ((0, -7, 4), "disease"), ((-4, 9, 7), "non-disease")),
            0.624902738008631,
        ),
        (
            LONG,
            entities(((3, -6, 1), "non-abnormality"), ((9, 8, -5), "non-abnormality"), ((1, 9, 3), "anatomy")),
            entities(((6, 0, 6), "non-abnormality")),
            0.3477280380545784,
        ),
    ],
)  # fmt: skip
def test_the_package_s_values(affinity: Affinity, candidate: Entities, reference: Entities, expected: float) -> None:
    assert ratescore(candidate, reference, affinity) == pytest.approx(expected, abs=1e-10)


def test_the_tables_have_every_pair_of_types() -> None:
    for table in (LONG, SHORT):
        assert [len(row) for row in table.weights] == [len(TYPES)] * len(TYPES)
    assert LONG.weights[TYPES.index("disease")][TYPES.index("anatomy")] == 0.9950209388542061
    assert SHORT.weights[TYPES.index("non-disease")][TYPES.index("abnormality")] == 0.9555801066212176


def test_a_conflict_of_presence_costs_its_factor() -> None:
    present, absent = entities(((1, 2, 2), "disease")), entities(((1, 2, 2), "non-disease"))
    assert ratescore(present, present) == pytest.approx(1)
    assert ratescore(present, absent) == pytest.approx(LONG.conflict)
    assert directed(present, entities(((1, 2, 2), "anatomy"))) == pytest.approx(1)  # another type is no conflict


def test_a_side_without_entities_has_the_published_half_unless_told_otherwise() -> None:
    some, none = entities(((1, 2, 2), "disease")), Entities(np.zeros((0, 3)), [])
    assert [ratescore(none, some), ratescore(some, none), ratescore(none, none)] == [0.5] * 3
    assert ratescore(none, some, empty=0.0) == 0.0


def test_nothing_in_common_is_zero() -> None:
    assert ratescore(entities(((1, 0, 0), "disease")), entities(((0, 1, 0), "disease"))) == 0.0
