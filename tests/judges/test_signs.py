"""What signs, labels and headings say of findings becomes sentences; what only looks like one of them stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import signs
from judges.draft import Draft
from tests.work import assert_linear


def read(text: str) -> list[str]:
    draft = Draft(text)
    signs.take_off(draft)
    return [line.strip() for line in draft.text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("*****\n* Heart normal.  *\n* No mass.       *\n*****", ["*****", "Heart normal.", "No mass.", "*****"]),
        ("# Heart normal. #\n# No mass. #\n# No edema.", ["Heart normal.", "No mass.", "No edema."]),
        ("* Heart normal.\n* No mass.", ["* Heart normal.", "* No mass."]),
        ("+ cardiomegaly, + R effusion, - consolidation, - PTX",
         ["+ cardiomegaly, + R effusion, no consolidation, no PTX"]),
        ("Hyperinflation +\nCollapse -\nEffusion -", ["Hyperinflation.", "No collapse.", "No effusion."]),
        ("PTX R ......... resolved\nHeart ......... normal", ["PTX R: resolved", "Heart: normal"]),
        ("No evidence of:\n- edema\n- effusion\nHeart enlarged.", ["no edema or effusion.", "Heart enlarged."]),
        ("There is no:\n1. Pneumothorax\n2. Effusion", ["There is no Pneumothorax or Effusion."]),
        ("FINDINGS:\n- No effusion\n- Heart enlarged", ["FINDINGS:", "- No effusion", "- Heart enlarged"]),
        ("Labels\nEdema: 0\nNodule: -1\nEffusion: 1", ["Labels", "No edema.", "Possible nodule.", "Effusion."]),
        ("Edema\nAbsent\n\nEffusion\nPresent (left)", ["Edema: Absent", "Effusion: Present (left)"]),
        ("Effusion +. Edema -. Nodule -.", ["Effusion. No edema. No nodule."]),
        ("There is\nno effusion.\n\nThe heart is\nnormal.", ["There is", "no effusion.", "The heart is", "normal."]),
        ("ptx -, effusion + (L), edema -", ["No ptx. Effusion (L). No edema."]),
        ("Edema [ ]  Effusion [x] right  Nodule [x]", ["No edema. Effusion right. Nodule."]),
        ("Findings: Edema ☐ Nodule ☒ left", ["Findings: No edema. Nodule left."]),
        ("Edema (0 = absent, 1 = present): 0", ["Edema : 0"]),
        ("Coding (0 = absent, 1 = present): edema 0, nodule 1", ["Coding  No edema. Nodule."]),
        ("Edema ❌  Nodule ✅", ["No edema. Nodule."]),
        ("Effusion: [x] yes [ ] no", ["Effusion: [x] yes [ ] no"]),
        # fewer than three labels may be anything, and a sign of one kind alone is a dash
        ("Series: 1\nImage: 0", ["Series: 1", "Image: 0"]),
        ("Effusion -\nEdema -\nNodule -", ["Effusion -", "Edema -", "Nodule -"]),
        ("> No mass.\n> Heart normal.", ["No mass.", "Heart normal."]),
        ("Q1: Effusion? A1: No.", ["Effusion? No."]),
    ],
)  # fmt: skip
def test_what_signs_say(text: str, said: list[str]) -> None:
    assert read(text) == said


@given(st.text("abN +-*#>.:01\nQA|", max_size=60))
def test_every_character_keeps_its_place(text: str) -> None:
    draft = Draft(text)
    signs.take_off(draft)
    assert len(draft.starts) == len(draft.ends) == len(draft.text)
    assert all(0 <= a <= b <= len(text) for a, b in zip(draft.starts, draft.ends, strict=True))


@pytest.mark.parametrize(
    "shape",
    ["a +\nb -\n", "+ ab, - ", "a ... b\n", "> ", "no:\n- a\n", "a\nno\n\n", "ab: 0\n: 1", "* a *\n", "# ", "Q1: a A1: b "],
)  # fmt: skip
def test_linear(shape: str) -> None:
    assert_linear(lambda text: signs.take_off(Draft(text)), shape)
