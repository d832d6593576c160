"""XML and HTML around a report: what elements hold stays, sections become headings."""

from __future__ import annotations

import pytest

from judges.draft import Draft
from judges.elements import take_off
from tests.work import assert_linear


def taken_off(text: str) -> str:
    draft = Draft(text)
    take_off(draft)
    return draft.text


@pytest.mark.parametrize(
    ("document", "lines"),
    [
        ("<p>Heart &amp; lungs normal.<br/>No <b>effusion</b>.</p>", ["Heart & lungs normal.", "No effusion."]),
        ("<findings>No mass.</findings>", ["findings:", "No mass."]),
        ("<report><patient><name>Roe</name></patient><Findings>No mass.</Findings></report>", ["Findings:", "No mass."]),
        ('<?xml version="1.0"?><!-- made by hand --><r><![CDATA[No mass.]]></r>', ["No mass."]),
        ('<eCitation><uId id="1"/><AbstractText Label="FINDINGS">No mass.</AbstractText></eCitation>',
         ["FINDINGS:", "No mass."]),
        ('<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1"/><section><code code="1"/><title>Impression</title>'
         "<text><paragraph>No mass.</paragraph></text></section></ClinicalDocument>", ["Impression:", "No mass."]),
        ("<r><paragraph>There is mild cardiomegaly.</paragraph><pleural_effusion>small, left</pleural_effusion></r>",
         ["There is mild cardiomegaly.", "pleural effusion: small, left."]),
        ("<x:doc><x:author><x:id>7</x:id></x:author><x:text>No mass.</x:text></x:doc>", ["No mass."]),
        ("<table><tr><td>Heart</td><td>Normal</td></tr></table>", ["| Heart | Normal |"]),
        ('<CONTAINER:(,,"Report")=SEPARATE>\n  <contains TEXT:(,,"Finding")="No mass.">\n'
         '  <has obs context CODE:(,,"Observer")=(1,DCM,"Person")>', ["Report:", "Finding:", "No mass."]),
        ('<CONTAINER:(,,"Findings")=SEPARATE>\n<contains TEXT:(,,"Finding")="No mass.">\n<contains TEXT:(,,"Finding")="No edema.">',
         ["Findings:", "No mass.", "No edema."]),
        ('Study : 1\n<contains CODE:(,,"Finding")=(36118008,SCT,"Pneumothorax")>\n<inferred from IMAGE:=(CR image,)>',
         ["Pneumothorax."]),
        ('<r><finding name="effusion" side="left" present="true"/><finding name="mass" present="false"/></r>',
         ["name: effusion, side: left, present: yes.", "name: mass, present: no."]),
        ("<study><code>Pneumonia</code><patient>ET tube.</patient></study>", ["Pneumonia", "ET tube."]),
        ("<r><clinicalHistory>Cough</clinicalHistory><ReasonForExam>Pain</ReasonForExam></r>",
         ["clinical History:", "Cough", "Reason For Exam:", "Pain"]),
        ('<r><mesh>Mass</mesh><t Label="FINDINGS">No mass.</t><t Label="IMPRESSION">Normal.</t><mesh>Mass</mesh></r>',
         ["FINDINGS:", "No mass.", "IMPRESSION:", "Normal."]),
        ('<r><p>No mass.</p><t Label="IMPRESSION">Normal.</t></r>', ["No mass.", "IMPRESSION:", "Normal."]),
        ("<html><head><style>p {x}</style></head><body><p>No mass.</p></body></html>", ["No mass."]),
    ],
)  # fmt: skip
def test_elements_are_taken_off(document: str, lines: list[str]) -> None:
    assert [line.strip() for line in taken_off(document).splitlines() if line.strip()] == lines


@pytest.mark.parametrize("text", ["Size < 5 mm and > 3 mm.", "<candidate>No mass.</candidate", "<unknown> No mass."])
def test_what_is_no_element_stays(text: str) -> None:
    assert taken_off(text) == text


@pytest.mark.parametrize(
    "shape", ["<a>", "<", "</a>", "<id>", "<!--", "<style>", "<a b=", '<x TEXT:(,,"', "<?", "&amp;", "]]>"]
)
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: taken_off(f"<r>{text}</r>"), shape)
