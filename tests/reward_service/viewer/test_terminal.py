"""The pair for a terminal: what is coloured, in what order, and that a report cannot command the terminal."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reward_service.viewer.terminal import pair

CANDIDATE = "Small right effusion."
REFERENCE = "Small left effusion. No pneumothorax."


def paint(text: str, style: str) -> str:
    return f"<{style}>{text}</{style}>"


def one(kind: str, candidate: Any = None, reference: Any = None, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "finding": "pleural_effusion", "significant": True, "candidate": candidate,
            "reference": reference, "detail": "", "cost": 0.0, "side": "", **more}  # fmt: skip


def test_errors_are_coloured_in_both_texts_and_listed_with_their_cost() -> None:
    evidence = [
        one("deduction", reference=[21, 36], finding="pneumothorax", detail="unrepeated", cost=0.07),
        one("wrong_location", [6, 20], [6, 19], detail="right/left", cost=1.25, side="left"),
    ]
    assert pair(CANDIDATE, REFERENCE, {"judgement": {"evidence": evidence}}, paint) == (
        "<heading>Evidence</heading>\n"
        "  -1.250  <significant>wrong location</significant>: pleural effusion, left · significant · right/left\n"
        "  -0.070  <deduction>deduction</deduction>: pneumothorax · unrepeated\n\n"
        "<heading>Candidate</heading>\nSmall <significant>right effusion</significant>.\n\n"
        "<heading>Reference</heading>\nSmall <significant>left effusion</significant>. <deduction>No pneumothorax</deduction>."
    )


def test_without_a_judgement_the_texts_stand_alone() -> None:
    assert (
        pair("", "Clear.", {}, paint) == "<heading>Candidate</heading>\n(empty)\n\n<heading>Reference</heading>\nClear."
    )


@given(st.text(), st.text())
def test_no_text_commands_the_terminal(candidate: str, reference: str) -> None:
    evidence = [one("false_finding", [0, 3], detail="\x1b[2J")]
    shown = pair(f"\x1b[31m{candidate}", reference, {"judgement": {"evidence": evidence}}, lambda text, _: text)
    assert not any((c < " " and c not in "\n\t") or "\x7f" <= c < "\xa0" for c in shown)
