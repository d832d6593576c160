"""A row alone decides how far a cue reaches: each of its fields changes a reading, without a change of code."""

from __future__ import annotations

import pytest

from judges.rules import compiler, reading
from judges.rules.reader import Reader
from tests.judges.rules.conftest import few_rows
from tests.work import some_now

FILE = "cues/assertion.yaml"


def read(row: str, text: str) -> list[str]:
    """What the text says where `row`, whose phrase is "xylo", is known."""
    texts = few_rows()
    changed = texts[FILE].replace("cues:\n", f'cues:\n  - {{{row}, phrases: ["xylo"]}}\n', 1)
    reader = Reader(compiler.build(texts | {FILE: changed}))
    return reading.notation(reader.lexicon, reader.read(text))


ROWS = (
    ("role: absent, direction: forward", "Xylo effusion or edema.", "-edema -pleural_effusion"),
    ("role: absent, direction: forward, targets: 1", "Xylo effusion or edema.", "-pleural_effusion edema"),
    ("role: absent, direction: forward, ends_at: [comma]", "Xylo effusion, edema.", "-pleural_effusion edema"),
    ("role: absent, direction: forward, ends_at: [and]", "Xylo effusion and edema.", "-pleural_effusion edema"),
    ("role: absent, direction: forward, ends_at: [comma]", "Xylo effusion with edema.",
     "-edema -pleural_effusion"),
    ("role: absent, direction: backward", "PICC, effusion and edema xylo.", "-edema -picc -pleural_effusion"),
    ("role: absent, direction: backward, applies_to: device", "PICC and edema xylo.", "-picc edema"),
    ("role: absent, direction: backward, targets: 1", "Effusion and edema xylo.", "-edema pleural_effusion"),
    ("role: possible, direction: forward, targets: 1", "Xylo effusion and edema.", "?pleural_effusion edema"),
    ("role: possible, direction: forward, unless: denied", "No effusion xylo edema.", "-edema -pleural_effusion"),
    ("role: hypothetical, direction: forward, ends_at: [comma]", "Xylo effusion, edema.", "edema"),
    ("role: partial, direction: forward, targets: 1", "No xylo effusion or edema.", "-edema ~pleural_effusion"),
)  # fmt: skip


@pytest.mark.parametrize(("row", "text", "expected"), some_now(ROWS, 6))
def test_a_field_of_a_row(row: str, text: str, expected: str) -> None:
    assert read(row, text) == expected.split()
