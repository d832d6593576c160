"""Slips of form: what no report has, and what some honest reports have and must not count."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.text.slips import function_words, misplaced, slips
from testbed.abuse.studies import STUDIES
from tests.work import assert_linear

_TOKEN = re.compile(r"[^\W_]+|[.;!?\n]")


def count(text: str) -> int:
    tokens = _TOKEN.findall(text.lower())
    return slips(text, misplaced(function_words(tokens)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # honest
        ("Small effusion, possibly loculated; no pneumothorax. Lungs: clear.", 0),
        ("Pneumothorax: no. Opacity, ?infective. Pneumothorax? No.", 0),
        ("1. Stable.\n2. Edema and/or infection, 1.5 cm nodule in the left upper lobe.", 0),
        ("small effusion . no pneumothorax , heart normal . lungs clear .", 0),
        ("XXXX XXXX. The ___ is normal. Dr. [** **] , seen on ___ .", 0),
        ("Swan-Ganz catheter. L R c/w edema. Tetralogy of Fallot. He is 70.", 0),
        # of each kind one
        ("Small effusion , : loculated.", 1),
        (", Small effusion.", 1),
        ("Small effusion. : Edema.", 1),
        ("Lines end in the : atrium.", 1),
        ("There is no / effusion.", 1),
        ("Effusion / or edema.", 1),
        ("There effusion.", 1),
        ("Stable stable effusion.", 1),
        ("Effusion. Effusion. Edema.", 1),
        ("Clear . . . lungs.", 1),
        ("The lungs are Clear.", 1),
        ("Edema is present. effusion is small. The heart is large. No nodule.", 1),
        ("The is heart.", 1),
        ("The The heart is large.", 1),
        ("No The heart is large.", 1),
        ("Small : effusion , and edema, large. Clear, stable. Old: no.", 1),
    ],
)
def test_what_is_a_slip(text: str, expected: int) -> None:
    assert count(text) == expected


def test_the_studies_have_none() -> None:
    for study in STUDIES:
        assert [count(text) for text in (study.reference, study.paraphrase, study.terse)] == [0, 0, 0], study.name


@given(st.text(alphabet="aT .,:;/?-\n", max_size=60))
def test_any_text_has_a_number(text: str) -> None:
    assert 0 <= count(text) <= 4 * len(text) + 1


@pytest.mark.parametrize("shape", [", : ", "a a ", ". . ", "is The ", "no . ", "there x ", "aaaa"])
def test_it_is_linear(shape: str) -> None:
    assert_linear(count, shape)
