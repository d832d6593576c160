"""Statements of which nothing is read: seen, priced a little, and never held against what the reference says too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judges import scores
from judges.base import Judgement
from judges.rules.judge import RulesJudge
from judges.rules.unread import COST, MOST, NAME, WORTH

Compare = Callable[..., Judgement]
NORMAL = "The heart size is normal. The lungs are clear. No pleural effusion."


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("Zorbitis.", ["Zorbitis"]),
        ("There is a left zorbitis with flumption.", ["zorbitis with flumption"]),
        ("The patient has zorbed. Small effusion.", ["zorbed"]),
        ("IMPRESSION: Zorbitis?", ["Zorbitis"]),
        # read, denied, hypothetical, or of another section
        ("Effusion with zorbitis.", []),
        ("INDICATION: Zorbitis.\nFINDINGS: Effusion.", []),
        ("Evaluate for zorbitis.", []),
        ("If zorbitis is suspected, CT may be helpful.", []),
        # about the film, the team, what should be done; placeholders
        ("Frontal and lateral views of the chest were obtained.", []),
        ("Zorbitis protocol recommended.", []),
        ("Findings were discussed with Dr. Zorb by telephone at 14:20.", []),
        ("The wellaerated right lung is partially visualized.", []),
        ("It is so.", []),
    ],
)
def test_what_is_unread(judge: RulesJudge, text: str, unread: list[str]) -> None:
    assert [text[slice(*one.span)] for one in judge.encode([text])[0].unread if not one.denied] == unread


def test_a_reference_that_has_some_is_not_normal(judge: RulesJudge, compare: Compare) -> None:
    """W = WORTH for each, and what the normal statements weigh beside that: .25 + .7 * (1 - .25 / .5)."""
    reference = f"{NORMAL} Zorbitis on the left."
    assert compare(NORMAL, reference).values["signed"] == pytest.approx(1 - WORTH / (WORTH + scores.NORMAL_REPORT / 2))
    assert compare(f"{NORMAL} Left zorbitis.", reference).values["signed"] == 1.0
    assert compare(f"{NORMAL} No zorbitis.", reference).values["signed"] < 1.0
    assert compare(NORMAL, f"{NORMAL} No zorbitis.").values["signed"] == 1.0
    many = " ".join(f"Zorbitis{word} is seen." for word in ("lum", "rum", "kum", "gum"))
    known = "Left effusion. Right pneumothorax. Left rib fractures."
    assert compare(known, f"{known} {many}").values["signed"] > 1 - 4 * WORTH / (2 + 4 * WORTH)  # some at most weigh
    (item,) = [each for each in compare(NORMAL, reference).evidence if each.kind != "matched"]
    assert (item.kind, item.finding, item.significant) == ("missing_finding", NAME, False)
    assert reference[slice(*item.reference or ())] == "Zorbitis"


def test_a_denial_of_something_unknown_invents_nothing(judge: RulesJudge, compare: Compare) -> None:
    (one,) = judge.encode(["No evidence of zorbitis."])[0].unread
    assert (one.denied, one.words) == (True, {"zorbitis"})
    assert compare(f"{NORMAL} No zorbitis.", NORMAL).values["signed"] == 1.0
    assert compare(f"{NORMAL} Zorbitis.", f"{NORMAL} No zorbitis.").notes == (NAME,)


@pytest.mark.parametrize("reference", [NORMAL, "Large left pleural effusion. Right pneumothorax. Edema."])
def test_it_costs_a_little_in_any_study_and_is_seen(compare: Compare, reference: str) -> None:
    candidate = f"{reference} Zorbitis."
    verdict = compare(candidate, reference)
    assert verdict.values["signed"] == pytest.approx(1 - COST)
    assert verdict.notes == (NAME,)
    (item,) = [each for each in verdict.evidence if each.kind != "matched"]
    assert (item.kind, item.finding, item.significant) == ("false_finding", NAME, False)
    assert candidate[slice(*item.candidate or ())] == "Zorbitis"


def test_many_cost_no_more_than_the_most(compare: Compare) -> None:
    many = " ".join(f"Zorb{letter}itis." for letter in "abcdefgh")
    assert compare(f"{NORMAL} {many}", NORMAL).values["signed"] == pytest.approx(1 - MOST * COST)


def test_what_the_reference_says_in_nearly_the_same_words_costs_nothing(compare: Compare) -> None:
    assert compare(f"Left zorbitis of the flumption. {NORMAL}", f"{NORMAL} Flumption shows zorbitis.").notes == ()
    assert compare(f"Zorbitis. {NORMAL}", f"Effusion due to zorbitis. {NORMAL}").notes == ()


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["Zorbitis.", "No zorbitis.", "Flumption?", "Effusion.", "flumption", "\n"])).map(" ".join)
)
def test_no_report_has_invented_what_it_says(judge: RulesJudge, text: str) -> None:
    (read,) = judge.encode([text])
    assert NAME not in judge.compare([read], [read])[0].notes
