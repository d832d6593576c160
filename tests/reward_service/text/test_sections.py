"""Sections: headings as different hospitals and models write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.text.sections import select
from tests.work import assert_linear

F, I = "Lungs are clear. No effusion.", "No acute disease."  # noqa: E741


@pytest.mark.parametrize(
    "text",
    [
        f"FINDINGS: {F} IMPRESSION: {I}",
        f"FINDINGS:\n{F}\n\nIMPRESSION:\n{I}",
        f"Findings:\n{F}\nImpression:\n{I}",
        f"Findings\n{F}\nImpression\n{I}",
        f"FINDINGS - {F}\nIMPRESSION - {I}",
        f"## Findings\n{F}\n\n## Impression\n{I}",
        f"**Findings:** {F}\n**Impression:** {I}",
        f"**Findings**: {F}\n\n**Impression**: {I}",
        f"1. Findings: {F}\n2. Impression: {I}",
        f"<findings>{F}</findings>\n<impression>{I}</impression>",
        f"<FINDINGS>\n{F}\n</FINDINGS> <IMPRESSION> {I} </IMPRESSION>",
        f"{F}\nIMPRESSION: {I}",
        f"{F} Impression: {I}",
        f"Finding: {F} Conclusion: {I}",
        f"FINDINGS: {F} CONCLUSION: {I}",
        f"FINDINGS: {F} SUMMARY: {I} COMMUNICATION: Called.",
        f"FINDINGS: {F} FINAL IMPRESSION: {I}",
        f"FINDINGS: {F}\nOPINION: {I}",
        f"IMPRESSION: {I} FINDINGS: {F}",
        f"INDICATION: Rule out pneumothorax. FINDINGS: {F} IMPRESSION: {I}",
        f"CLINICAL HISTORY: Cough.\nTECHNIQUE: Two views.\nCOMPARISON: None.\nFINDINGS: {F}\nIMPRESSION: {I}",
        f"REASON FOR EXAM: Fever\nEXAMINATION: Chest\nFINDINGS: {F}\nTECHNIQUE: PA\nIMPRESSION: {I}",
        f"FINDINGS: {F} IMPRESSION: {I} FINDINGS: again",
    ],
)
def test_both_sections_are_found(text: str) -> None:
    assert select(text, "findings") == (F, text.index(F))
    assert select(text, "impression") == (I, text.index(I))
    assert select(text, "all") == (text, 0)


def test_lower_cased_tokenised_text() -> None:
    text = "findings : lungs are clear . impression : no acute disease ."
    assert select(text, "findings") == ("lungs are clear .", 11)
    assert select(text, "impression") == ("no acute disease .", 42)


@pytest.mark.parametrize("scope", ["all", "findings", "impression"])
@pytest.mark.parametrize(
    "text",
    [
        F,
        "",
        "There is no impression on the trachea. These findings are stable.",
        "LUNGS: Clear. HEART: Normal size.",  # organ headings belong to whichever section they stand in
        "Comparison is made with the prior study. Clear lungs.",
        "Findings consistent with pneumonia.",
    ],
)
def test_a_text_without_headings_is_taken_whole(text: str, scope: str) -> None:
    assert select(text, scope) == (text, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        (f"IMPRESSION: {I}", "findings"),
        (f"FINDINGS: {F}", "impression"),
        (f"FINDINGS:\nIMPRESSION: {I}", "findings"),
        ("INDICATION: Pneumothorax. TECHNIQUE: PA and lateral.", "findings"),
        (f"HISTORY: Cough.\nIMPRESSION: {I}", "findings"),
        (f"<impression>{I}</impression>", "findings"),
    ],
)
def test_a_section_that_is_lacking_is_none(text: str, scope: str) -> None:
    assert select(text, scope) is None  # type: ignore[arg-type]


def test_a_joint_section_is_both() -> None:
    text = f"HISTORY: Cough.\nFINDINGS AND IMPRESSION: {F}"
    assert select(text, "findings") == select(text, "impression") == (F, text.index(F))


def test_sub_headings_and_lists_stay_inside_their_section() -> None:
    body = "1. Small effusion.\n2. Stable nodule.\nRecommendation: CT in 3 months."
    text = f"FINDINGS: {F}\nIMPRESSION:\n{body}"
    assert select(text, "impression") == (body, text.index(body))


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["FINDINGS:", "Impression -", "\n", "<findings>", "a.", "history"])).map(" ".join)
)
def test_the_offset_locates_the_section(text: str) -> None:
    for scope in ("findings", "impression"):
        found = select(text, scope)  # type: ignore[arg-type]
        if found is not None:
            section, start = found
            assert text[start : start + len(section)] == section


@pytest.mark.parametrize(
    "shape", ["findings:\n", "Findings: a. Impression: b. ", "impression ", "\n# ", "history\n", "<findings>", "* "]
)
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: select(text, "impression"), shape)
