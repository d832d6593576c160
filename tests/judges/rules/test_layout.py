"""How a text was laid out makes no difference: wrapped lines, lists, tables, gaps, separators, stray marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.rules.judge import RulesJudge
from judges.rules.layout import Layout
from judges.rules.reading import explain
from judges.rules.shipped import default
from tests.work import assert_linear, some_now

LONG = "THERE IS NO EVIDENCE OF PNEUMOTHORAX OR\nPLEURAL EFFUSION. THE HEART IS ENLARGED.\nTHE LUNGS ARE CLEAR."


def undone(text: str) -> str:
    draft = Layout(default()).undo(text)
    return text if draft is None else draft.text


@pytest.mark.parametrize(
    ("text", "without_layout"),
    [
        # wrapped lines
        (LONG, LONG.replace("\n", " ")),
        ("NO PNEUMOTHORAX OR\nPLEURAL EFFUSION.", "NO PNEUMOTHORAX OR PLEURAL EFFUSION."),
        ("CARDIOMEGALY WITHOUT PULMONARY\nEDEMA.", "CARDIOMEGALY WITHOUT PULMONARY EDEMA."),  # one phrase
        ("Small left air-\nspace opacity.", "Small left air-space opacity."),
        ("Mild cardio-\nmegaly of the right-\nsided heart.", "Mild cardiomegaly of the right-sided heart."),
        ("HEART:\nEnlarged.", "HEART: Enlarged."),
        ("1. MILD PULMONARY\nEDEMA.\n2. STABLE\nHEART.", "MILD PULMONARY EDEMA.\nSTABLE HEART."),
        (LONG.replace("\n", "\n\n"), LONG.replace("\n", " ")),
        # what stands at the side of every line
        ("001  Small left pleural\n002  effusion.", "Small left pleural effusion."),
        ("1 cm nodule.\n2 cm mass.", "1 cm nodule.\n2 cm mass."),
        ("*****\n* Small left *\n* effusion. *\n*****", "\nSmall left effusion.\n"),
        ("+-----+\n| Small left |\n| effusion. |\n+-----+", "\nSmall left effusion.\n"),
        ("> Small left\n> effusion.", "Small left effusion."),
        ("> Small left effusion.", "Small left effusion."),
        ("[00:00:06] Small effusion.\n[00:00:12] No edema.", "Small effusion.\nNo edema."),
        ("001  A nodule of 1\n002  cm is seen.\n003  No edema.", "A nodule of 1 cm is seen.\nNo edema."),
        ("XR Chest\n\nheart size normal. No edema.", "XR Chest\n\nheart size normal. No edema."),
        (
            "Fracture of the right posterior\n5th rib, healed. No edema.",
            "Fracture of the right posterior 5th rib, healed. No edema.",
        ),
        # lines of their own
        ("HEART NORMAL\nLUNGS CLEAR\nNO EFFUSION", "HEART NORMAL\nLUNGS CLEAR\nNO EFFUSION"),
        ("FINDINGS\nClear lungs.", "FINDINGS\nClear lungs."),
        ("No effusion.\n\nCardiomegaly.", "No effusion.\n\nCardiomegaly."),
        ("- no effusion\n- clear lungs", "no effusion\nclear lungs"),
        ("1. Effusion.\n2) Edema.\na. Mass.\n(iv) Cyst.\n* Clip.", "Effusion.\nEdema.\nMass.\nCyst.\nClip."),
        ("## Findings\n**Heart**: large", "Findings\nHeart: large"),
        # tables
        ("| Organ | Finding |\n|---|:--|\n| Heart | Normal |", "\n\nHeart: Normal"),
        ("| 1 | The heart is large. |\n| 2 | No edema. |", "The heart is large.\nNo edema."),
        ("Heart | large\nLungs | clear", "Heart: large\nLungs: clear"),
        ("| Effusion | small | left |", "Effusion: small. left"),
        # signs between sentences
        ("Heart large | Lungs clear // No edema • Clip", "Heart large. Lungs clear. No edema. Clip"),
        ("HEART LARGE - LUNGS CLEAR - NO EDEMA", "HEART LARGE. LUNGS CLEAR. NO EDEMA"),
        ("Effusion on the left; none on the right.", "Effusion on the left; none on the right."),
        ("Heart large; Lungs clear; No edema.", "Heart large. Lungs clear. No edema."),
        ("IMPRESSION - No edema - no mass", "IMPRESSION - No edema. no mass"),
        ("(1) Heart large (2) Lungs clear.", "Heart large. Lungs clear."),
        ("None of these: 1) fracture 2) edema.", "None of these: fracture  or edema."),
        ("Edema: ___\nEffusion - ___", "Edema: not stated\nEffusion: not stated"),
        ("1.1. Heart large.\n1.2. Lungs clear.", "Heart large.\nLungs clear."),
        ("Heart large. - Lungs clear. - No edema - Old fracture", "Heart large. Lungs clear. No edema. Old fracture"),
        ("Heart large - XXXX change - No edema", "Heart large. XXXX change. No edema"),
        ("No edema~Heart large", "No edema\nHeart large"),
        ('"a","b"\n"Heart large","No edema."', '"a","b"\n"Heart large. No edema."'),
        ("Aorta unchangedNo edema. MitraClip, PleurX.", "Aorta unchanged. No edema. MitraClip, PleurX."),
        ("No edema / overt CHF. PLEURA: Effusion.", "No edema / overt CHF. PLEURA: Effusion."),
        ("Effusion: none / Heart: large", "Effusion: none. Heart: large"),
        ("Fracture , age - indeterminate .", "Fracture , age-indeterminate ."),
        ("- [x] There is no edema.\n- [x] The heart is large.", "There is no edema.\nThe heart is large."),
        ("Effusion:\n[x] yes\n[ ] no", "Effusion:yes"),
        ("The previously<br>described mass.<br>No edema.", "The previously described mass.\nNo edema."),
        # stray marks, of which a policy may strew some
        ("The ; thoracic : mass cannot ; be ; excluded. No edema.", "The thoracic mass cannot be excluded. No edema."),
        ("No edema. Left , lower lobe pneumonia ?", "No edema. Left lower lobe pneumonia"),
        ("Effusion (3) of the left lung.", "Effusion (3) of the left lung."),
        # headings in the line of a sentence
        ("EXAM: Chest views REASON FOR EXAM: Cough", "EXAM: Chest views. REASON FOR EXAM: Cough"),
        ("Compatible with CHF: improved", "Compatible with CHF: improved"),
        # dictation
        ("no effusion comma no edema period clear lungs period", "no effusion, no edema. clear lungs."),
        ("Over a period of weeks. The colon is large.", "Over a period of weeks. The colon is large."),
        # gaps
        ("Seen by ___ on [**2101-3-4**] at <HOSPITAL>.", "Seen by XXXX on XXXX at XXXX."),
        # punctuation
        ("No ? effusion , or : edema ; seen.", "No effusion or edema seen."),
        ("Left effusion ? No edema.", "Left effusion? No edema."),
        ("FINDINGS : No edema. IMPRESSION : Clear.", "FINDINGS: No edema. IMPRESSION: Clear."),
        ("no effusion , no edema . right - sided line .", "no effusion , no edema . right-sided line ."),
        ("no effusion - cardiomegaly .", "no effusion - cardiomegaly ."),
        ("Opacity. Impression: ? pneumonia.", "Opacity. Impression: ? pneumonia."),
    ],
)
def test_layout_is_undone(text: str, without_layout: str) -> None:
    assert undone(text) == without_layout


@given(st.text(st.sampled_from("\n |*-.?,:;_X1a)>#[]A")))
def test_every_character_knows_where_it_came_from(text: str) -> None:
    draft = Layout(default()).undo(text)
    if draft is not None:
        assert len(draft.text) == len(draft.starts) == len(draft.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(draft.starts, draft.ends, strict=True))
        assert list(draft.starts) == sorted(draft.starts)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"lungs": "Clear.", "pleura": "Small left\\neffusion."}\n```',
        "| Lungs | Clear |\n|---|---|\n| Pleura | Small ? left effusion. |",
        "NO PNEUMOTHORAX OR CONSOLIDATION; THERE\nIS A SMALL LEFT EFFUSION.",
    ],
)
def test_evidence_points_into_the_text_as_it_came(judge: RulesJudge, text: str) -> None:
    verdict = judge.compare(*(judge.encode([each]) for each in (text, "Small left pleural effusion.")))[0]
    spans = [text[e.candidate[0] : e.candidate[1]] for e in verdict.evidence if e.candidate]
    assert [span.lower() for span in spans] == ["effusion"]
    assert any(phrase["words"].lower() == "effusion" for phrase in _phrases(text))


def _phrases(text: str) -> list[dict[str, object]]:
    return [p for s in explain(text)["sentences"] for c in s["clauses"] for p in c["phrases"]]


SHAPES = ("A\n", "a b\n", "| a ", "|a|\n|-|\n", "a - ", "a ; ", " ,", "a ?", "- ", "1. ", "[**", "__", "*a", "**", "# ", "> ", " . ", "period ", "(1) ", "1 a\n", "* a *\n", "a\n\n",
     "a A: ", "AB ",)  # fmt: skip


@pytest.mark.parametrize("shape", some_now(SHAPES, 8))
def test_cost_is_linear(shape: str) -> None:
    layout = Layout(default())
    assert_linear(layout.undo, shape)
