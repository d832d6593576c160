"""Findings told field by field become sentences, whoever wrote the file; what is no record stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import records
from judges.containers import unwrap
from judges.draft import Draft
from tests.work import assert_linear


def read(text: str) -> list[str]:
    draft = Draft(text)
    unwrap(draft)
    return [line.strip() for line in draft.text.splitlines() if line.strip()]


EFFUSION, NONE = "Small left pleural effusion.", "No pneumothorax."
TABLE = [("Finding", "Status", "Side", "Size"), ("Pleural effusion", "Present", "Left", "Small"),
         ("Pneumothorax", "Absent", "-", "n/a")]  # fmt: skip


def aligned(rows: list[tuple[str, ...]]) -> str:
    return "\n".join("".join(cell.ljust(20) for cell in row).rstrip() for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join("| " + " | ".join(row) + " |" for row in TABLE),
        "\n".join(["| " + " | ".join(TABLE[0]) + " |", "|---|---|---|---|", *("| " + " | ".join(row) + " |" for row in TABLE[1:])]),
        "\n".join("\t".join(row) for row in TABLE),
        "\n".join(",".join(row) for row in TABLE),
        "\n".join(";".join(row) for row in TABLE),
        aligned(TABLE),
        "Finding: pleural effusion; Side: left; Status: present; Size: small\nFinding: pneumothorax; Status: absent",
        "Finding: Pleural effusion\nSide: Left\nSize: Small\n\nFinding: Pneumothorax\nStatus: Absent",
        "- finding: pleural effusion\n  side: left\n  size: small\n- finding: pneumothorax\n  present: false",
        "pleural_effusion:\n  present: true\n  side: left\n  severity: small\npneumothorax:\n  present: false",
        "Pleural effusion: present; side: left; size: small\nPneumothorax: absent; side: n/a",
        json.dumps({"pleural_effusion": {"present": True, "side": "left", "size": "small"}, "pneumothorax": {"present": False}}),
        json.dumps({"pleural_effusion": {"prob": 0.97, "side": "left", "size": "small"}, "pneumothorax": {"prob": 0.02}}),
        json.dumps({"pleural_effusion": {"label": 1, "side": "left", "size": "small"}, "pneumothorax": {"label": 0}}),
        '<r><finding name="pleural effusion" status="present" side="left" size="small"/>'
        '<finding name="pneumothorax" status="absent"/></r>',
        "<r><item><name>pleural effusion</name><side>left</side><size>small</size><status>present</status></item>\n"
        "<item>\n  <name>pneumothorax</name>\n  <status>absent</status>\n</item></r>",
        "Finding | Present | Absent | Side | Size\nPleural effusion | x | | left | small\nPneumothorax | | x | |",
        "> Finding: pleural effusion\n>> Side: left\n>> Size: small\n> Finding: pneumothorax\n>> Status: absent",
        "Finding 1 of 2\nType .... pleural effusion\nSide .... left\nSize .... small\n"
        "Finding 2 of 2\nType .... pneumothorax\nStatus .. absent",
    ],
)  # fmt: skip
def test_the_same_two_findings_in_every_form(text: str) -> None:
    assert read(text) == [EFFUSION, NONE]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Finding | Right | Left\nEffusion | small | none", ["Right effusion: small. No left effusion."]),
        ("finding: nodule; lobe: right upper; size: 8 mm", ["Nodule in the right upper lobe, measuring 8 mm."]),
        ("finding: consolidation; side: left; lobe: lower", ["Consolidation in the left lower lobe."]),
        ("finding: mediastinal shift; present: yes; direction: left", ["Mediastinal shift to the left."]),
        ("finding: edema; probability: 50%", ["Possible edema."]),
        ("finding: edema; status: possible; severity: mild", ["Possible mild edema."]),
        ("finding: effusion; side: both; status: absent", ["No effusion."]),
        ("finding: heart; size: enlarged; severity: moderate", ["Heart: moderate enlarged."]),
        ("device: PICC; side: left; comment: Tip in the mid SVC", ["Left PICC. Tip in the mid SVC."]),
        ("finding: effusion; side: left; comment: loculated", ["Left effusion, loculated."]),
        ("finding: effusion; status: stable; side: left", ["Left effusion: stable."]),
        ("[x] Effusion\n(x = present, blank = not present)", ["[x] Effusion"]),
        # what is no record
        ("Name: J Roe\nStatus: Final\nFINDINGS: Left effusion.", ["Name: J Roe", "Status: Final", "FINDINGS: Left effusion."]),
        ("Findings: effusion; side: see below", ["Findings: effusion; side: see below"]),
        ("Location: left base, size: 2 cm", ["Location: left base, size: 2 cm"]),
        ("Heart: normal; lungs: clear", ["Heart: normal; lungs: clear"]),
        ("Lungs: clear, size: normal, volume: normal\nNo mass.", ["Lungs: clear, size: normal, volume: normal", "No mass."]),
    ],
)  # fmt: skip
def test_records(text: str, lines: list[str]) -> None:
    assert read(text) == lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<r><finding name="edema">absent</finding><finding name="effusion">small, bilateral</finding></r>',
         ["No edema.", "Effusion: small, bilateral."]),
        ('<r><obs code="opacity" value="yes" site="RUL"/><obs code="effusion" value="no"/></r>',
         ["Opacity, RUL.", "No effusion."]),
        ("Device | Position | OK?\nETT | 5 cm above carina | yes\nNG tube | stomach | yes",
         ["ETT, 5 cm above carina.", "NG tube, stomach."]),
        (json.dumps({"absent": ["edema", "effusion"], "present": ["nodule"]}),
         ["absent: No edema or effusion.", "present: nodule.", "."]),
        ("<r><absent>edema</absent><present>nodule</present></r>", ["No edema.", "Nodule."]),
        ("<pleural_effusion>small, left</pleural_effusion>\n<edema>none</edema>",
         ["pleural effusion: small, left.", "No edema."]),
        ("Finding | Present | Side\nEffusion | yes | left\nNodule | | ", ["Left effusion."]),
        ("+----+----+\n| Finding | Present |\n+----+----+\n| Pleural | Yes |\n| effusion | |\n+----+----+\n| Edema | No |",
         ["+----+----+", "Pleural effusion.", "No edema."]),
    ],
)  # fmt: skip
def test_attributes_grids_and_devices(text: str, said: list[str]) -> None:
    assert read(text) == said


NAMES = st.sampled_from(("effusion", "pneumothorax", "left apical nodule", "ETT"))
KEYS = st.sampled_from(sorted(records.ATTRIBUTES | {"finding", "comment", "nonsense"}))


@given(st.lists(st.tuples(KEYS, st.text("abc 1.,:;|\t\n", max_size=12)), max_size=6), NAMES)
def test_any_fields_are_valid(fields: list[tuple[str, str]], name: str) -> None:
    text = f"finding: {name}; " + "; ".join(f"{key}: {value}" for key, value in fields)
    draft = Draft(text)
    records.take_off(draft)
    assert len(draft.starts) == len(draft.ends) == len(draft.text)
    assert all(0 <= a < b <= len(text) for a, b in zip(draft.starts, draft.ends, strict=True))


def test_a_sentence_stands_for_its_record() -> None:
    text = "No mass.\nFinding: effusion; Side: left; Status: present\nNormal heart."
    draft = Draft(text)
    records.take_off(draft)
    at = draft.text.index("Left effusion")
    assert text[draft.starts[at] : draft.ends[at]] == text.splitlines()[1]


@pytest.mark.parametrize(
    "shape",
    ["finding: effusion; side: left\n", "a: b; ", "effusion:\n  present: yes\n", "finding | side\n", "finding,side\n",
     "side,", "  ", "a:\n ", "finding: a, ", "| a | | |\n"],
)  # fmt: skip
def test_linear(shape: str) -> None:
    assert_linear(lambda text: records.take_off(Draft(text)), shape)
