"""What a report is packed in: taken off whole or left as it is, with every character's place in the text as it came."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import containers
from judges.containers import unwrap
from judges.draft import Draft
from tests.work import assert_linear, some_now

REPORT = "Small left effusion. No pneumothorax."


def unwrapped(text: str) -> Draft:
    draft = Draft(text)
    unwrap(draft)
    return draft


@pytest.mark.parametrize(
    ("packed", "lines"),
    [
        (REPORT, [REPORT]),
        ("Left effusion.\\nNo pneumothorax.", ["Left effusion.", "No pneumothorax."]),
        ("Left effusion.\\r\\nNo pneumothorax.", ["Left effusion.", "No pneumothorax."]),
        ("Left effusion.\\\\nNo pneumothorax.", ["Left effusion.", "No pneumothorax."]),
        (f"```\n{REPORT}\n```", [REPORT]),
        (f'```json\n{{"findings": "{REPORT}"}}\n```', [f"findings: {REPORT}"]),
        ('Here is the report:\n{"heart": "Normal"}', ["Here is the report:", "heart: Normal."]),
        ('{"lung_fields": "Clear", "score": 0.9, "missing": null}', ["lung fields: Clear."]),
        ('{"a": {"heart": "Normal.", "lungs": ["Clear.", "No mass"]}}', ["a:", "heart: Normal.", "lungs: Clear. No mass."]),
        ("{'heart': 'Normal.', \"lungs\": \"It's clear\"}", ["heart: Normal.", "lungs: It's clear."]),
        (
            '[{"finding": "effusion", "side": "left"}, {"finding": "edema", "present": false}]',
            ["Left effusion.", "No edema."],
        ),
        (json.dumps({"output": json.dumps({"findings": "One.\nTwo."})}), ["findings: One.", "Two."]),
        (json.dumps({"role": "assistant", "code": {"x": "y"}, "content": REPORT}), ["code:", "x: y.", REPORT]),
        ('[{"type": "edema", "side": "left"}, {"type": "mass", "status": "new"}]',
         ["Left edema.", "Mass: new."]),
        (json.dumps({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Chest X-ray"}, "subject":
         {"display": "J Roe"}, "contained": [{"resourceType": "Observation", "valueString": REPORT}]}), [REPORT]),
        ('[{"system": "Lungs", "text": "Clear."}, {"system": "Heart", "text": "Large."}]', ["Lungs: Clear.", "Heart: Large."]),
        ('{"edema": 0, "mass": 1, "nodule": -1, "cyst": null}', ["edema: no.", "mass: yes.", "nodule: possible."]),
        (json.dumps({"resourceType": "DiagnosticReport", "presentedForm": [{"contentType": "text/plain", "data":
         base64.b64encode(REPORT.encode()).decode()}], "conclusion": "Effusion."}), [REPORT, "conclusion: Effusion."]),
        (json.dumps({"resourceType": "DiagnosticReport", "presentedForm": [{"contentType": "application/pdf", "data":
         base64.b64encode(b"%PDF-1.4" + bytes(range(256))).decode()}], "conclusion": "Effusion."}), ["conclusion: Effusion."]),
        ('{"clinicalHistory": "Cough"}', ["clinical History: Cough."]),
        (json.dumps({"choices": [{"message": {"role": "assistant", "content": REPORT}}], "usage": {"total_tokens": 9}}),
         [REPORT]),
        (r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}\b FINDINGS:\b0\par " + REPORT + r"\par}", ["FINDINGS:", REPORT]),
        (r"{\rtf1{\*\themedata " + "ab" * 300 + r"}{\stylesheet{\s0 Normal;}}{\pict\wmetafile8 " + "0f" * 300 + r"}\pard " + REPORT
         + r"\par}", [REPORT]),
        (r"\section{Findings}\begin{itemize}\item \textbf{Edema.}\item 5\% {loss}\end{itemize}",
         ["Findings:", "-  Edema.", "-  5% {loss}"]),
        (r"\boxed{" + REPORT + "}", [REPORT]),
        ('{"x": "caf\\u00e9 \\ud83d"}', ["x: café ."]),
        ("<p>Heart &amp; lungs normal.<br/>No <b>effusion</b>.</p>", ["Heart & lungs normal.", "No effusion."]),
        (f"<findings>{REPORT}</findings>", ["findings:", REPORT]),
    ],
)  # fmt: skip
def test_a_container_is_taken_off(packed: str, lines: list[str]) -> None:
    assert [line.strip() for line in unwrapped(packed).text.splitlines() if line.strip()] == lines


@pytest.mark.parametrize(
    "text",
    [
        '{"findings": "Small left',  # cut off
        f'{REPORT} {{"matched": ["R1"], "false": []}}',  # a report before it
        '{"findings": heart}', "{}", "[1, 2", "Size {3 cm}", "[normal]", "a < b and b > a", "</candidate>",
        "R&D", '{"a" "b"}', "AP\\lateral",
    ],
)  # fmt: skip
def test_what_is_no_container_stays(text: str) -> None:
    assert unwrapped(text).text == text


@given(st.text(st.sampled_from("{}[]\"':,\\n`<>/b &amp;ae1. ")))
def test_every_character_knows_where_it_came_from(text: str) -> None:
    draft = unwrapped(text)
    assert len(draft.text) == len(draft.starts) == len(draft.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(draft.starts, draft.ends, strict=True))
    assert list(draft.starts) == sorted(draft.starts)


KEYS = st.text(st.characters(categories=("Ll",)), min_size=1).filter(lambda key: key not in containers._ABOUT)


@given(st.dictionaries(KEYS, st.text(), min_size=1))
def test_no_word_of_a_json_object_is_lost(report: dict[str, str]) -> None:
    found = unwrapped(json.dumps(report)).text
    words = (word for value in report.values() for word in value.split() if word.isascii() and word.isalnum())
    assert all(word in found for word in words)


@pytest.mark.parametrize(
    "shape",
    some_now(['{"a":', '["', "```", "\\n", "<p ", "<br>", '{"a": "b"}, ', '"\\', "&amp;", "[[", "'a"], 3),
)
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: unwrapped("{" + text), shape)


@pytest.mark.parametrize(
    ("original", "dropped"),
    [
        ("Herz nicht vergrößert. Kein Erguss.", True),
        ("Сердце не увеличено.", True),
        ("Severe edema. Large effusion.", False),  # a report in English is not hidden by a heading
        ("The heart is normal.", False),
    ],
)
def test_only_a_report_in_another_language_gives_way_to_its_translation(original: str, dropped: bool) -> None:
    found = unwrapped(f"{original}\n\nENGLISH TRANSLATION:\n{REPORT}").text
    assert (original not in found) == dropped
    assert found.endswith(REPORT)
