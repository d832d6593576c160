"""F1 over sets counted by hand, and the format of the package."""

from __future__ import annotations

import pytest
from hypothesis import given

from metrics.radgraph.annotation import Annotation, Case, Entity, scores, sets
from tests.metrics.radgraph.graphs import annotations

HEART = Entity("heart", "ANAT-DP", 0, 0)
LARGE = Entity("Large", "OBS-DP", 1, 1, (("located_at", 0),))
NO_EDEMA = Entity("edema", "OBS-DA", 3, 3)


def values(candidate: Annotation, reference: Annotation, case: Case = "pypi-0.1.18") -> dict[str, float]:
    return scores(sets(candidate, case), sets(reference, case))


def graph(*entities: Entity) -> Annotation:
    return Annotation("", entities)


def test_counted_by_hand() -> None:
    candidate = graph(HEART, LARGE)
    # The same entities, but another relation: large is unrelated here, and the heart is enlarged.
    reference = graph(HEART._replace(relations=(("modify", 1),)), LARGE._replace(relations=()), NO_EDEMA)
    # simple: 2 of 2 and 2 of 3. partial: heart and large differ in whether they have relations, so nothing is common.
    # complete: {heart, (large, located_at, heart)} and {(heart, modify, large), Large, edema}.
    # combined: entities 2 of 2 and 2 of 3; the relations differ.
    assert values(candidate, reference) == {
        "partial": 0.0,
        "simple": pytest.approx(0.8, abs=1e-15),
        "complete": 0.0,
        "combined": pytest.approx(0.4, abs=1e-15),
    }


def test_a_label_is_part_of_an_entity() -> None:
    assert values(graph(NO_EDEMA), graph(NO_EDEMA._replace(label="OBS-DP")))["simple"] == 0.0


def test_equal_reports_without_relations_have_half_of_radcliqs_mean() -> None:
    assert values(graph(HEART, NO_EDEMA), graph(HEART, NO_EDEMA)) == {
        "partial": 1.0, "simple": 1.0, "complete": 1.0, "combined": 0.5,
    }  # fmt: skip
    assert set(values(graph(HEART, LARGE), graph(HEART, LARGE)).values()) == {1.0}


def test_no_entities_on_either_side_is_zero() -> None:
    for pair in ((graph(), graph()), (graph(HEART), graph()), (graph(), graph(HEART))):
        assert set(values(*pair).values()) == {0.0}


def test_repeated_entities_count_once() -> None:
    assert values(graph(HEART, HEART._replace(start=7, end=7)), graph(HEART))["simple"] == 1.0


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # {(HEART), (large, located_at, heart)} against {(heart), (large, located_at, heart)}: one of two in common.
        ("pypi-0.1.18", {"partial": 0.0, "simple": 0.0, "complete": 0.5, "combined": 0.0}),
        # RadCliQ's sets keep the case, whatever the setting.
        ("folded", {"partial": 1.0, "simple": 1.0, "complete": 1.0, "combined": 0.0}),
    ],
)
def test_case(case: Case, expected: dict[str, float]) -> None:
    upper = graph(*(entity._replace(tokens=entity.tokens.upper()) for entity in (HEART, LARGE)))
    lower = graph(*(entity._replace(tokens=entity.tokens.lower()) for entity in (HEART, LARGE)))
    assert values(upper, lower, case) == expected


@given(annotations)
def test_json_and_back(annotation: Annotation) -> None:
    assert Annotation.from_json(annotation.as_json()) == annotation
    assert annotation.nbytes > 0


def test_json_is_the_packages() -> None:
    assert Annotation("Large heart", (HEART, LARGE)).as_json() == {
        "text": "Large heart",
        "entities": {
            "1": {"tokens": "heart", "label": "ANAT-DP", "start_ix": 0, "end_ix": 0, "relations": []},
            "2": {"tokens": "Large", "label": "OBS-DP", "start_ix": 1, "end_ix": 1, "relations": [["located_at", "1"]]},
        },
        "data_source": None,
        "data_split": "inference",
    }
