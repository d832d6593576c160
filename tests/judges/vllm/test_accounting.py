"""An answer is valid or refused; a valid one obeys the conservation law before anything is counted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judges.vllm.accounting import Account, judgement, settle
from judges.vllm.answer import parse
from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.prompt import read_pair

REFERENCE = "Small left effusion. Mild cardiomegaly. No pneumothorax."  # two findings, one normal
CANDIDATE = "Effusion on the left. The heart is large. No pneumothorax is seen."
PAIR = read_pair(CANDIDATE, REFERENCE, None, 60)


def pairs(text: str) -> list[dict[str, str]]:
    return [dict(zip(("ref", "cand"), both.split("-"), strict=True)) for both in text.split()]


def entry(significant: bool = True, **ids: str) -> dict[str, Any]:
    return {**ids, "significant": significant}


ALL = pairs("R1-P1 R2-P2 R3-P3")


def settled(
    answer: Callable[..., str], candidate: str = CANDIDATE, reference: str = REFERENCE, **lists: Any
) -> Account:
    pair = read_pair(candidate, reference, None, 60)
    return settle(parse(answer(**lists), len(pair.reference.statements), len(pair.candidate)), pair)


def kinds(account: Account) -> list[tuple[str, str, bool]]:
    return [(e.kind, e.finding, e.significant) for e in account.errors]


def values(account: Account) -> dict[str, float]:
    return dict(judgement([account], PAIR, significant_only=False, details={}).values)


# --- validation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "0",
        "No errors.",
        '{"matched":[]}',
        '{"matched":[],',
        "```json\n{}\n```",
        '{"matched":"all"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(JudgeInvalidOutput):
        parse(text, 3, 3)


@pytest.mark.parametrize(
    "lists",
    [
        {"matched": [{"ref": "R4", "cand": "P1"}]},
        {"matched": [{"ref": "P1", "cand": "R1"}]},
        {"matched": [{"ref": "R1"}]},
        {"matched": [{"ref": "R1", "cand": "P1", "why": "same"}]},
        {"matched": [["R1", "P1"]]},
        {"missing": [{"ref": "R1", "significant": 1}]},
        {"missing": [{"ref": "R1", "significant": "false"}]},
        {"missing": [{"ref": "R01", "significant": True}]},
        {"missing": [{"ref": 1, "significant": True}]},
        {"normal": ["P9"]},
        {"normal": [["P1"]]},
        {"normal": ["P1"] * 4},
        {"false": {"cand": "P1"}},
        {"false": None},
    ],
)
def test_what_breaks_the_schema_is_refused(answer: Callable[..., str], lists: dict[str, Any]) -> None:
    parse(answer(), 3, 3)
    with pytest.raises(JudgeInvalidOutput):
        parse(answer(**lists), 3, 3)


def test_extra_and_duplicate_keys_are_refused(answer: Callable[..., str]) -> None:
    good = answer()
    with pytest.raises(JudgeInvalidOutput):
        parse(good.replace("{", '{"score":1,', 1), 3, 3)
    with pytest.raises(JudgeInvalidOutput):
        parse(good.replace("{", '{"matched":[],', 1), 3, 3)
    with pytest.raises(JudgeInvalidOutput):
        parse(good.replace("[]", "[NaN]", 1), 3, 3)


def test_an_entry_given_twice_counts_once_and_significant_wins(answer: Callable[..., str]) -> None:
    read = parse(answer(missing=[entry(False, ref="R1"), entry(True, ref="R1")], matched=ALL + ALL), 3, 3)
    assert read.missing == {0: True}
    assert len(read.matched) == 3


# --- the conservation law ------------------------------------------------------------------------------------------


def test_a_perfect_candidate_is_worth_one(answer: Callable[..., str]) -> None:
    account = settled(answer, matched=ALL)
    assert kinds(account) == []
    assert account.matched == 2.25  # two findings and a negative at a quarter
    assert values(account) == {"signed": 1.0, "green": 1.0, "inverse_errors": 1.0, "quality": 1.0}


def test_no_errors_cannot_merely_be_asserted(answer: Callable[..., str]) -> None:
    account = settled(answer)
    assert kinds(account) == [
        ("missing_finding", "R1", True),
        ("missing_finding", "R2", True),
        ("false_finding", "P1", True),
        ("false_finding", "P2", True),
        ("false_finding", "P3", True),
    ]
    assert account.corrections == 5
    assert values(account)["signed"] == pytest.approx(-0.6)  # -3/2, squashed
    assert values(account)["green"] == 0.0


def test_a_normal_statement_may_be_left_out_of_an_abnormal_report(answer: Callable[..., str]) -> None:
    account = settled(answer, "Effusion on the left. The heart is large.", matched=ALL[:2])
    assert kinds(account) == []
    assert values(account)["signed"] == 1.0


def test_a_distorted_finding_is_no_match_and_cancels_its_credit(answer: Callable[..., str]) -> None:
    account = settled(answer, matched=ALL, location=[entry(ref="R1", cand="P1")])
    assert kinds(account) == [("wrong_location", "R1/P1", True)]
    assert account.matched == 1.25
    assert values(account)["signed"] == 0.5  # the heart alone
    mild = settled(answer, matched=ALL[1:], severity=[entry(False, ref="R1", cand="P1")])
    assert mild.matched == 2.25
    assert values(mild)["signed"] == 0.875  # (2 - 1/4) / 2


def test_one_statement_cannot_match_more_findings_than_it_can_hold(answer: Callable[..., str]) -> None:
    reference = "Left effusion. Cardiomegaly. Rib fracture. No pneumothorax."
    greedy = pairs("R1-P1 R2-P1 R3-P1 R4-P1")
    one = settled(answer, "The lungs look fine.", reference, matched=greedy)
    assert [f for k, f, _ in kinds(one) if k == "missing_finding"] == ["R2", "R3"]
    held = settled(answer, "Left effusion, cardiomegaly and rib fracture.", reference, matched=greedy)
    assert kinds(held) == []


def test_one_normal_sentence_may_match_many_normal_statements(answer: Callable[..., str]) -> None:
    reference = "Lungs are clear. Heart is normal. No effusion. No pneumothorax."
    account = settled(answer, "Normal chest.", reference, matched=pairs("R1-P1 R2-P1 R3-P1 R4-P1"))
    assert kinds(account) == []
    assert values(account)["signed"] == 1.0


def test_matched_and_missing_is_believed_of_a_list_only(answer: Callable[..., str]) -> None:
    contradiction = settled(answer, matched=ALL, missing=[entry(ref="R1")])
    assert ("missing_finding", "R1", True) in kinds(contradiction)
    assert [e.cost for e in contradiction.errors] == [0.5, 0.5]  # P1 has lost what it stood for
    part = settled(answer, "Effusion.", "Effusion and atelectasis.", matched=ALL[:1], missing=[entry(ref="R1")])
    assert kinds(part) == [("missing_finding", "R1", True)]
    assert part.lost == 0.5


def test_a_matched_statement_may_also_hold_an_invention(answer: Callable[..., str]) -> None:
    account = settled(answer, matched=ALL, false=[entry(cand="P1")])
    assert kinds(account) == [("false_finding", "P1", True)]
    assert values(account)["signed"] == 0.5


def test_comparisons(answer: Callable[..., str]) -> None:
    account = settled(
        answer, matched=ALL, comparison_added=[entry(cand="P2")], comparison_omitted=[entry(False, ref="R1")]
    )
    assert kinds(account) == [("missing_comparison", "R1/P1", False), ("false_comparison", "P2", True)]
    assert account.lost == (0.25 + 0.5) / 2
    alone = settled(answer, matched=ALL[1:], normal=["P1"], comparison_omitted=[entry(ref="R1")])
    assert alone.lost == 0.5  # its credit and no more


def test_evidence_points_into_both_texts(answer: Callable[..., str]) -> None:
    verdict = judgement([settled(answer, matched=ALL[:1])], PAIR, significant_only=False, details={})
    by_kind = {e.kind: e for e in verdict.evidence}
    assert REFERENCE[slice(*by_kind["missing_finding"].reference)] == "Mild cardiomegaly."
    assert by_kind["missing_finding"].candidate is None
    assert CANDIDATE[slice(*by_kind["matched"].candidate)] == "Effusion on the left."
    assert REFERENCE[slice(*by_kind["matched"].reference)] == "Small left effusion."


def test_votes_are_averaged_and_scored_once(answer: Callable[..., str]) -> None:
    votes = [
        settled(answer, matched=ALL),
        settled(answer, matched=ALL),
        settled(answer, matched=ALL, false=[entry(cand="P1")]),
    ]
    verdict = judgement(votes, PAIR, significant_only=False, details={})
    assert verdict.significant["false_finding"] == pytest.approx(1 / 3)
    assert verdict.values["signed"] == pytest.approx(1 - 1 / 6)
    assert verdict.values["inverse_errors"] == pytest.approx(1 / (1 + 1 / 3))
    assert verdict.details["spread"] == {"errors": [0, 1]}
    (error,) = (e for e in verdict.evidence if e.is_error)
    assert (error.kind, error.detail, error.cost) == ("false_finding", "1/3 votes", pytest.approx(1 / 6))


def test_significant_only_is_about_inverse_errors(answer: Callable[..., str]) -> None:
    account = settled(answer, matched=ALL, false=[entry(False, cand="P1"), entry(cand="P2")])
    assert judgement([account], PAIR, significant_only=False, details={}).values["inverse_errors"] == pytest.approx(
        1 / 3
    )
    assert judgement([account], PAIR, significant_only=True, details={}).values["inverse_errors"] == 0.5


REF, CAND, FLAG = st.sampled_from(["R1", "R2", "R3"]), st.sampled_from(["P1", "P2", "P3"]), st.booleans()
ANSWERS = st.fixed_dictionaries(
    {
        "matched": st.lists(st.fixed_dictionaries({"ref": REF, "cand": CAND}), max_size=6),
        "location": st.lists(st.fixed_dictionaries({"ref": REF, "cand": CAND, "significant": FLAG}), max_size=3),
        "severity": st.lists(st.fixed_dictionaries({"ref": REF, "cand": CAND, "significant": FLAG}), max_size=3),
        "missing": st.lists(st.fixed_dictionaries({"ref": REF, "significant": FLAG}), max_size=3),
        "false": st.lists(st.fixed_dictionaries({"cand": CAND, "significant": FLAG}), max_size=3),
        "comparison_added": st.lists(st.fixed_dictionaries({"cand": CAND, "significant": FLAG}), max_size=3),
        "comparison_omitted": st.lists(st.fixed_dictionaries({"ref": REF, "significant": FLAG}), max_size=3),
        "normal": st.lists(CAND, max_size=3),
    }
)


def _unsquashed(signed: float) -> float:
    return signed if signed >= 0 else signed / (1 + signed)


@pytest.mark.parametrize("reference", [REFERENCE, "No effusion. Heart is normal. No pneumothorax."])
@settings(max_examples=30)
@given(votes=st.lists(ANSWERS, max_size=3))
def test_costs_of_all_votes_add_up(votes: list[dict[str, Any]], reference: str) -> None:
    """Also where nothing but normal statements can be earned, and for an empty candidate, which has no vote."""
    pair = read_pair(CANDIDATE if votes else "", reference, None, 60)
    accounts = [settle(parse(json.dumps(lists), 3, 3), pair) for lists in votes]
    verdict = judgement(accounts, pair, significant_only=False, details={})
    s = _unsquashed(verdict.values["signed"]) if votes else -1.0
    assert math.fsum(e.cost for e in verdict.evidence) == pytest.approx(1 - s, rel=1e-9, abs=1e-9)
    assert all(e.cost >= 0 for e in verdict.evidence)
    lost = sum(e.cost for e in verdict.evidence if e.kind == "deduction")
    assert lost == 0 or reference != REFERENCE or not votes  # with findings, what is normal is worth nothing


@given(ANSWERS)
def test_whatever_is_answered_every_statement_is_accounted_for(lists: dict[str, Any]) -> None:
    account = settle(parse(json.dumps(lists), 3, 3), PAIR)
    entries = [(e.kind, e.finding.split("/")) for e in (*account.errors, *account.matches)]
    for ref in ("R1", "R2"):  # R3 is normal
        assert any(ref in ids for _, ids in entries)
        assert sum(ref in ids and kind in ("matched", "wrong_location", "wrong_severity") for kind, ids in entries) <= 1
    supports = {e["cand"] for e in lists["matched"] + lists["location"] + lists["severity"]}
    for cand in ("P1", "P2", "P3"):
        assert any(cand in ids for _, ids in entries) or cand in supports | set(lists["normal"])
    assert math.fsum(e.cost for e in account.errors if not e.candidate) <= 1.0  # no more than all credit
    assert {e.kind for e in account.deductions} == set()  # the findings are all that can be earned
    scores = values(account)
    assert -1.0 < scores["signed"] <= 1.0
    assert 0.0 <= scores["green"] <= 1.0
    assert _unsquashed(scores["signed"]) == pytest.approx(1 - account.lost, rel=1e-9, abs=1e-9)
    if not lists["matched"] and not lists["location"] and not lists["severity"]:
        assert scores["signed"] <= 0.0  # nothing matched is worth nothing, however few errors are admitted
