"""References found by study and by prompt; what is not found is an error, never a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reward_service.errors import ConfigurationError, InvalidRequest
from reward_service.trainers.labels import Label, parse_label
from reward_service.trainers.references import ReferenceStore, resolve

REFERENCE = "Small left effusion, no pneumothorax."


def test_references_are_found_by_study_and_prompt(store: ReferenceStore) -> None:
    found = resolve(parse_label({"study_id": "s50"}, "l"), "", store, "l")
    assert (found.reference, found.prior) == (REFERENCE, "Older.")
    for prompt, reference in [
        ("[INST] Please report study_id: 51. [/INST]", "Normal."),
        ('Study ID="s50"', REFERENCE),
        ("<pad><s>[INST]  Report for room 4?\n[/INST]", "By prompt."),
        ("hashed  prompt", "By hash."),
    ]:
        assert resolve(Label(), prompt, store, "l").reference == reference


@pytest.mark.parametrize(
    ("label", "prompt"),
    [
        ({"study_id": "s99"}, "study_id: 51"),  # a study that is named and unknown is never replaced by another
        (None, "study_id: s50 and study_id: 51"),
        (None, "an unknown prompt"),
    ],
)
def test_a_reference_that_is_not_found_is_an_error(store: ReferenceStore, label: Any, prompt: str) -> None:
    for known in (store, None):
        with pytest.raises(InvalidRequest) as caught:
            resolve(parse_label(label, "l"), prompt, known, "l")
        assert caught.value.code == "reference_not_found"


@pytest.mark.parametrize("label", ["  ", {"reference": ""}])
def test_a_blank_reference_stays_blank_so_that_a_substitute_may_stand_in(store: ReferenceStore, label: Any) -> None:
    for known in (store, None):
        found = resolve(parse_label(label, "l"), "an unknown prompt", known, "l")
        assert found.reference is not None
        assert not found.reference.strip()
    assert resolve(parse_label(label, "l"), "study_id: 51", store, "l").reference == "Normal."


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        (['{"study_id": "a", "reference": "r"}', "not json"], 2),
        (['{"study_id": "a"}'], 1),
        (['{"reference": "r"}'], 1),
        (['{"study_id": "a", "reference": "r"}', '{"study_id": "a", "reference": "other"}'], 2),
    ],
)
def test_bad_reference_files_name_the_line(tmp_path: Path, lines: list[str], number: int) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=f"line {number}"):
        ReferenceStore.load(path)
