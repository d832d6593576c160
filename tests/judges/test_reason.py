"""The sentence about what was lost: its words, its order, its length, and that no text of a report is in it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Evidence
from judges.reason import MOST_CHARACTERS, MOST_PARTS, reason
from judges.rules.judge import RulesJudge

REFERENCE = "Small left pleural effusion. Right PICC with tip in the SVC. No pneumothorax."
NORMAL = "The heart size is normal. The lungs are clear. No pleural effusion or pneumothorax."


@pytest.fixture(scope="module")
def judge() -> RulesJudge:
    return RulesJudge()


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        # W = 1.5: 1 / 1.5 for the effusion, and the side of the PICC .5 · 1.25 / 1.5
        ("Left PICC with tip in the SVC.", REFERENCE, "Misses the left pleural effusion (−.67); wrong side of the PICC (−.42)."),
        (REFERENCE, REFERENCE, "Nothing is lost."),
        ("Small left effusion. Right PICC.", REFERENCE, "No exact tip position of the right PICC (−.03)."),
        (f"{REFERENCE} New large right pneumothorax.", REFERENCE, "Invents right pneumothorax (−.67)."),
        ("The lungs are clear.", NORMAL, "No 'no pleural effusion' (−.29); no 'no pneumothorax' (−.29); no 'no cardiomegaly' (−.14)."),
        ("No effusion.", "Large left effusion, increased.", "Denies the left pleural effusion (−1.50)."),
        ("Moderate left effusion, decreased.", "Large left effusion, increased.",
         "Invents 'better' of the left pleural effusion (−.60); "
         "moderate instead of large left pleural effusion (−.15)."),
        ("Left effusion. No effusion.", "Left effusion.", "Asserts and denies the left pleural effusion (−1.00)."),
        ("Possible left effusion.", "Left effusion.", "Is not sure of the left pleural effusion (−.50)."),
        ("Left nodule.", "Left lung mass.", "Says nodule for the left mass (−.25)."),
        ("This is a second reading.", "Left effusion.",
         "Misses the left pleural effusion (−1.00); says nothing of a chest (−.50)."),
        ("Kleiner Pleuraerguss links. Kein Pneumothorax, keine Infiltrate.", "Left effusion.",
         "Misses the left pleural effusion (−1.00); is in another language (−1.00)."),
        ("", "Left effusion.", "Misses the left pleural effusion (−1.00); says nothing (−1.00)."),
        ("Left effusion.", "See the other report.", "Invents left pleural effusion (−1.43); the reference has nothing to earn (−1.00)."),
    ],
)  # fmt: skip
def test_what_the_rules_judge_takes_points_for(
    judge: RulesJudge, candidate: str, reference: str, expected: str
) -> None:
    (verdict,) = judge.compare(judge.encode([candidate]), judge.encode([reference]))
    assert reason(verdict.evidence) == expected


def item(kind: str, finding: str, detail: str = "", cost: float = 0.1, side: str = "") -> Evidence:
    return Evidence(kind, finding, True, (0, 1), (0, 1), detail, cost, side)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (item("missing_finding", "R2"), "Misses the R2 (−.10)."),
        (item("false_finding", "P1", "withheld"), "Addresses the grader in P1 (−.10)."),
        (item("wrong_location", "R1/P1"), "Wrong location of the R1/P1 (−.10)."),
        (item("wrong_severity", "R1/P1"), "Wrong severity of the R1/P1 (−.10)."),
        (item("false_comparison", "P2", "2/3 votes"), "Invents a comparison of the P2 (−.10)."),
        (item("deduction", "R3", "unrepeated 1/3 votes"), "No 'no R3' (−.10)."),
        (item("wrong_severity", "rib_fracture", "acuity"), "Wrong acuity of the rib fracture (−.10)."),
        (item("deduction", "rib_fracture", "number"), "No exact count of the rib fracture (−.10)."),
        (item("false_finding", "unread", "unread"), "Says what cannot be read (−.10)."),
        (item("deduction", "@study", "compared"), "Differs in 'compared' (−.10)."),
        (item("wrong_location", "nodule", "unspecified/left", side="left"), "No side of the nodule (−.10)."),
        (item("wrong_location", "nodule", "zone", side="left"), "Wrong zone of the left nodule (−.10)."),
    ],
)
def test_words_for_what_else_there_is(one: Evidence, expected: str) -> None:
    assert reason([one]) == expected


def test_guards_and_caps_follow_the_items() -> None:
    assert reason([], ["repetition: × 0.25"]) == "Nothing is lost; repetition: × 0.25."


DETAILS = st.sampled_from(
    ["", "denied", "left/right", "unspecified/bilateral", "tip", "stable", "empty", "1/3 votes", "a/b"]
)
ITEMS = st.builds(
    item,
    st.sampled_from([*CATEGORIES, "deduction", "matched"]),
    st.sampled_from(["pleural_effusion", "picc", "@study", "@heart", "R1/P2", "a" * 40]),
    DETAILS,
    st.floats(0, 3),
    st.sampled_from(["", "left", "bilateral"]),
)


@given(st.lists(ITEMS, max_size=40))
def test_it_is_bounded_ordered_and_adds_up(evidence: list[Evidence]) -> None:
    sentence = reason(evidence)
    assert len(sentence) < MOST_CHARACTERS + 120
    assert sentence[0] == sentence[0].upper()
    assert sentence.count(";") <= MOST_PARTS
    figures = [float(found) for found in re.findall(r"\(−(\d*\.\d\d)\)", sentence)]
    told = figures[:-1] if " more (" in sentence else figures
    assert told == sorted(told, reverse=True)
    lost = math.fsum(one.cost for one in evidence)
    assert sum(figures) == pytest.approx(lost, abs=0.006 * (len(evidence) + 1))
