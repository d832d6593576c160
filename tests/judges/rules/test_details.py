"""Details of findings and tips of devices: what a difference costs, and that their tables are refused when they err."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import Judgement
from judges.rules import compiler, details, shipped, tips
from judges.rules import lexicon as lx
from judges.rules.findings import Finding
from judges.rules.judge import RulesJudge
from tests.judges.rules.conftest import few_rows

Compare = Callable[..., Judgement]
LEXICON = shipped.default()


def finding(concept: str, **said: int) -> Finding:
    empty = dict.fromkeys(("side", "zone", "severity", "place", "group"), 0)
    return Finding(LEXICON.ids[concept], **(empty | said), size=0.0, certain=True, contradicted=False, span=(0, 1))


def mask(*names: str) -> int:
    return sum(1 << LEXICON.detail_names.index(name) for name in names)


@pytest.mark.parametrize(
    ("mine", "theirs", "right"),
    [
        (("t8",), ("t8",), 1.0),
        (("t4",), ("t8",), 0.0),
        # the next one counts half; of several the share of the larger number
        (("t7",), ("t8",), 0.5),
        (("r5",), ("r5", "r6"), 0.5),
        (("r4", "r5", "r6"), ("r5",), 1 / 3),
        (("r4", "r5", "r6", "r7"), ("r5", "r6", "r7", "r8"), 3 / 4),
        # of what is no level several values are those that it may have
        (("two",), ("two", "more"), 1.0),
        (("two", "more"), ("two",), 0.5),
        (("acute",), ("chronic",), 0.0),
    ],
)
def test_how_much_of_a_detail_is_right(mine: tuple[str, ...], theirs: tuple[str, ...], right: float) -> None:
    x, y = (finding("rib_fracture", details=mask(*names)) for names in (mine, theirs))
    if mine[0][0] == "t":
        x, y = (one._replace(concept=LEXICON.ids["vertebral_compression"]) for one in (x, y))
    kind = next(kind for kind in LEXICON.details if kind.mask & x.details)
    shares = [loss.share for loss in details.losses(LEXICON, x, y)]
    assert shares == ([] if mine == theirs else [pytest.approx(kind.price.other + (1 - kind.price.other) * right)])


@given(st.integers(0, (1 << len(LEXICON.detail_names)) - 1), st.integers(0, (1 << len(LEXICON.detail_names)) - 1))
def test_no_detail_earns_and_none_costs_that_both_have(mine: int, theirs: int) -> None:
    for concept in ("rib_fracture", "vertebral_compression", "central_line", "nodule"):
        x, y = finding(concept, details=mine), finding(concept, details=theirs)
        assert all(0.0 <= loss.share <= 1.0 for loss in details.losses(LEXICON, x, y))
        assert list(details.losses(LEXICON, y, y)) == []


@given(st.integers(0, (1 << len(LEXICON.places)) - 1), st.integers(0, (1 << len(LEXICON.places)) - 1))
def test_no_place_earns_and_none_costs_that_both_have(mine: int, theirs: int) -> None:
    for concept in ("endotracheal_tube", "picc", "umbilical_arterial_catheter", "pacemaker"):
        x, y = (tips.judged(LEXICON, finding(concept, place=place)) for place in (mine, theirs))
        assert all(0.0 <= loss.share <= 1.0 and loss.penalty >= 0.0 for loss in tips.losses(LEXICON, x, y))
        assert list(tips.losses(LEXICON, y, y)) == []


@pytest.mark.parametrize(
    ("reference", "candidates"),
    [
        (
            "Endotracheal tube in the right mainstem bronchus.",
            ["Endotracheal tube in good position.", "Normal heart size.", "Endotracheal tube.",
             "Endotracheal tube in the right mainstem bronchus."],
        ),
        (
            "PICC tip in the internal jugular vein.",
            ["PICC tip in the SVC.", "Normal heart size.", "PICC in place.", "PICC is malpositioned.",
             "PICC tip in the jugular vein."],
        ),
        ("UAC tip at T2.", ["UAC tip at T8.", "Normal heart size.", "UAC tip at T3."]),
        # a difference of height that leaves it where it belongs costs little, and none within the movement of the neck
        ("ETT 2 cm above the carina.", ["ETT 1 cm below the carina.", "ETT 6.5 cm above the carina.",
                                        "ETT 3.8 cm above the carina."]),
    ],
)  # fmt: skip
def test_the_order_of_what_is_said_of_a_tip(compare: Compare, reference: str, candidates: list[str]) -> None:
    scores = [compare(candidate, reference).values["signed"] for candidate in candidates]
    assert scores == sorted(set(scores)), dict(zip(candidates, scores, strict=True))
    assert scores[0] < 0.0


def test_levels_that_are_both_right_places_are_one(judge: RulesJudge) -> None:
    one, other = judge.encode(["UAC tip at T7.", "UAC tip at T8."])
    assert judge.compare([one], [other])[0].values["signed"] == 1.0


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("details", "price: site", "price: sight", "price must be one of"),
        ("details", "of: [mediastinal_mass", "of: [mediastinal_moss", "unknown concept 'mediastinal_moss'"),
        ("details", "other: 0.5", "other: 1.5", "other must lie between"),
        ("details", "ordered: true", "sorted: true", "unknown field 'sorted'"),
        ("places", "of: [pacemaker]", "of: [pacer]", "unknown concept 'pacer'"),
        ("places", "levels_well: [t8", "levels_well: [t13", "unknown level 't13'"),
        ("places", "next_door: 0.75", "next_house: 0.75", "'next_"),
    ],
)
def test_a_table_that_errs_is_refused(file: str, old: str, new: str, complaint: str) -> None:
    texts = few_rows()
    name = f"cues/{file}.yaml"
    assert old in texts[name]
    with pytest.raises(lx.LexiconError, match=complaint):
        compiler.build(texts | {name: texts[name].replace(old, new, 1)})
