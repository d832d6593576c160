"""The shapes in which trainers send a label, and those that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reward_client.trainers._shared import item
from reward_service.errors import InvalidRequest
from reward_service.trainers.labels import Label, parse_label

REFERENCE = "Small left effusion, no pneumothorax."


@pytest.mark.parametrize(
    "label",
    [
        REFERENCE,
        {"reference": REFERENCE},
        json.dumps({"reference": REFERENCE, "more": 1}),
        "  " + json.dumps({"reference": REFERENCE}),
        json.dumps(REFERENCE),
    ],
)
def test_labels(label: Any) -> None:
    assert parse_label(label, "labels[0]").reference == REFERENCE


def test_label_objects_carry_prior_and_study() -> None:
    label = parse_label('{"study_id": 50, "prior": "Older."}', "labels[0]")
    assert (label.reference, label.study_id, label.prior) == (None, "50", "Older.")
    assert parse_label(None, "l") == parse_label({"study_id": True, "prior": " "}, "l") == Label()


@pytest.mark.parametrize("label", [3, 0.5, True, [REFERENCE], {"reference": 3}, {"reference": "a", "prior": ["b"]}])
def test_other_labels_are_refused(label: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_label(label, "labels[2]")
    assert caught.value.code == "bad_label"
    assert (caught.value.param or "").startswith("labels[2]")


NO_REPORTS = [
    "{'study_id': '77'}",
    "{'reference': 'Small effusion.'}",
    '{"reference": "Small eff',
    '{"study_id": ' + "7" * 6000 + "}",
    '{"reference": "a"} and more',
    '{"reference": "a"}\n{"reference": "b"}',
    "{reference: Small effusion}",
    "{not json",
    "\ufeff{'study_id': 1}",
    '["Small effusion."]',
    "['Small effusion.']",
    '[{"reference": "a"}]',
    "[1, 2]",
    json.dumps(json.dumps({"reference": REFERENCE})),
    '```json\n{"reference": "a"}\n```',
    "{" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "null", "None", " nan", "NaN", "true", "77", "-3.5", "1e5", "Infinity",
    '"77"', '"50414267"', "'50414267'", '"null"', "[1,2", "[s50, s51]", "(1, 2)", "77,78", "<NA>", "NaT", "N/A", "n.a.",
    "s50414267", "CXR1_1_IM-0001-3001", "files/p10/p10000032/s50414267.txt", "study 50414267", "[nan, None]", "[]",
    "0x1F", "2134-05-06", "#77", "77%", "('Small effusion.',)", "<id>77</id>", "٧٧",
    *(before + "{'a': 1}" for before in ("\u200e", "\u2060", "\0", "\u00ad\n", "\u202e ", "\u2063")),
]  # fmt: skip
REPORTS = [
    "[**2134-5-6**] FINAL REPORT: no effusion.",
    "[REDACTED] chest radiograph. No effusion.",
    "[1] No effusion. [2] Stable heart.",
    "1. No effusion. 2. Stable heart.",
    "None of the prior findings persists.",
    "Nan-based contrast is absent; heart normal.",
    '"No effusion."',
    "No change {see above}.",
    "___",
    "...",
    "12 mm nodule",
    "Normal.",
    "NORMAL",
    "Unremarkable",
    "(Normal.)",
    "“Cardiomegaly”",
    "Heart:normal",
    "None seen.",
    "No change since 2134.",
    "Stable 2 x 3 cm mass",
    "正常",
    "未见异常。",
    "",
    " \n",
]


@pytest.mark.parametrize("label", NO_REPORTS, ids=lambda label: label[:24])
def test_what_is_neither_words_nor_an_object_is_refused_here_and_in_the_client(label: str) -> None:
    """As a report it would be scored, and every candidate would get a number."""
    with pytest.raises(InvalidRequest) as caught:
        parse_label(label, "labels[2]")
    assert (caught.value.code, caught.value.param) == ("bad_label", "labels[2]")
    assert "effusion" not in caught.value.message
    with pytest.raises(ValueError, match="neither a report"):
        item("a candidate", label)


@pytest.mark.parametrize("label", REPORTS)
def test_reports_that_only_remind_of_json_are_reports(label: str) -> None:
    text = json.loads(label) if label.startswith('"') else label  # as `json.dumps` makes it of a text
    assert parse_label(label, "l").reference == text
    assert parse_label({"reference": "{'x': 1}"}, "l").reference == "{'x': 1}"  # said to be the reference
    assert item("a candidate", label).reference == text


@pytest.mark.parametrize("before", ["", " ", "\n", "\ufeff", "\u200b ", "\u200e", "\0"])
def test_what_stands_before_an_object_does_not_matter(before: str) -> None:
    label = before + json.dumps({"reference": REFERENCE, "prior": "P."})
    assert parse_label(label, "l") == Label(REFERENCE, None, "P.")
    assert (item("c", label).reference, item("c", label).prior) == (REFERENCE, "P.")
