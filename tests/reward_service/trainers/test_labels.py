"""The shapes in which trainers send a label, and those that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
    ],
)
def test_labels(label: Any) -> None:
    assert parse_label(label, "labels[0]").reference == REFERENCE


def test_label_objects_carry_prior_and_study() -> None:
    label = parse_label('{"study_id": 50, "prior": "Older."}', "labels[0]")
    assert (label.reference, label.study_id, label.prior) == (None, "50", "Older.")
    assert parse_label("{not json", "l").reference == "{not json"
    assert parse_label(None, "l") == parse_label({"study_id": True, "prior": " "}, "l") == Label()


@pytest.mark.parametrize("label", [3, 0.5, True, [REFERENCE], {"reference": 3}, {"reference": "a", "prior": ["b"]}])
def test_other_labels_are_refused(label: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_label(label, "labels[2]")
    assert caught.value.code == "bad_label"
    assert (caught.value.param or "").startswith("labels[2]")
