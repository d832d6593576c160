"""Messages of hospital systems: their observations and notes are the report (HL7 2.5.1, sections 2.7 and 7.4.2)."""

from __future__ import annotations

import base64

import pytest

from judges.draft import Draft
from judges.exchange import take_off
from tests.work import assert_linear

HEAD = "MSH|^~\\&|RIS|H|EMR|H|2019||ORU^R01|1|P|2.3\rPID|1||123||DOE^JOHN\rOBR|1|||71020^CHEST\r"


def taken_off(text: str) -> Draft:
    draft = Draft(text)
    take_off(draft)
    return draft


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("OBX|1|TX|71020^CHEST^L||Heart normal.||||||F", ["Heart normal."]),
        (HEAD + "OBX|1|FT|71020^CHEST||Heart normal.\\.br\\Small effusion.\\.sp2\\No mass.||||||F",
         ["Heart normal.", "Small effusion.", "No mass."]),
        ("OBX|1|TX|71020&GDT^CHEST||Effusion.||||||F\nOBX|2|TX|71020&GDT^CHEST||No mass.\nOBX|3|TX|71020&IMP^CHEST||Effusion.",
         ["Findings:", "Effusion.", "No mass.", "Impression:", "Effusion."]),
        ("OBX|1|CWE|18782-3^IMPRESSION^LN||J90^Pleural effusion^I10||||||F", ["IMPRESSION:", "Pleural effusion"]),
        ("OBX|1|CWE|71046&GDT^XR||J18.9^Pneumonia^I10~J93^Pneumothorax^I10", ["Findings:", "Pneumonia", "Pneumothorax"]),
        ("OBX|1|TX|11329-0^History^LN||Cough.\nOBX|2|TX|1&ADT^X||No mass.", ["History:", "Cough.", "Addendum:", "No mass."]),
        ("OBX|1|TX|1^X||Mass.||||||D\nOBX|2|ED|1^X||^application^pdf^Base64^JVBER\nOBX|3|TX|1^X||No mass.", ["No mass."]),
        ("OBX|1|ED|1^X||RIS^TEXT^PLAIN^Base64^" + base64.b64encode(b"Small left effusion. No mass.").decode() + "||||||F",
         ["Small left effusion. No mass."]),
        ("FHS|^~\\&|x\nMSH|^~\\&|RIS\nTQ1|1\nOBX|1|TX|1^X||No mass.", ["No mass."]),
        ("OBX|1|TX|71020^CHEST||Left effusion~No mass||||||F", ["Left effusion", "No mass"]),
        ("OBX|1|TX|71020^CHEST||1 \\T\\ 2 \\F\\ 3 \\S\\ 4 \\R\\ 5 \\E\\ 6||||||F", ["1 & 2 | 3 ^ 4 ~ 5 \\ 6"]),
        ("\x0bOBX|1|TX|71020^CHEST||No mass.\rNTE|1||Seen by nobody.\r\x1c", ["No mass.", "Seen by nobody."]),
        ("OBX|1|FT|71020^CHEST||The heart\nis normal.||||||F", ["The heart", "is normal.||||||F"]),
        ("FINDINGS:\\.br\\Effusion.\\.br\\", ["FINDINGS:", "Effusion."]),
    ],
)  # fmt: skip
def test_a_message_is_taken_off(message: str, lines: list[str]) -> None:
    assert [
        line.strip("\x0b\x1c ") for line in taken_off(message).text.splitlines() if line.strip("\x0b\x1c ")
    ] == lines


@pytest.mark.parametrize("text", [HEAD, "OBX|1|TX", "Heart | normal", "The OBX|1|TX|x||y", "AP|lateral"])
def test_what_is_no_message_with_a_report_stays(text: str) -> None:
    assert taken_off(text).text == text


def test_every_character_knows_where_it_came_from() -> None:
    text = HEAD + "OBX|1|FT|71020&IMP^CHEST||Small effusion.\\.br\\No mass.||||||F\r"
    draft = taken_off(text)
    at = draft.text.index("No mass")
    assert text[draft.starts[at] : draft.ends[at + 6]] == "No mass"


@pytest.mark.parametrize("shape", ["OBX|1|TX|a||b\n", "|", "OBX|", "~", "\\.br\\", "a\n", "^"])
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: taken_off("OBX|1|TX|a||" + text), shape)
