"""What is ruled out because something is called normal, and of what that speaks. The sentences are ours."""

from __future__ import annotations

import pytest

from .conftest import Read


def test_an_expanded_lung_is_not_yet_a_clear_one(read: Read) -> None:
    assert "lung_opacity" not in read("The lungs are well expanded.")


@pytest.mark.parametrize(
    "text",
    [
        "No acute osseous abnormality.",
        "No acute abnormality of the bones.",
        "No acute abnormality is seen in the spine.",
    ],
)
def test_an_acute_bone_is_no_chest(read: Read, text: str) -> None:
    assert "pneumonia" not in read(text)


@pytest.mark.parametrize(
    "text", ["PA and lateral views of the chest show normal heart size.", "Chest radiograph shows a normal heart."]
)
def test_a_chest_that_is_looked_at_is_no_subject(read: Read, text: str) -> None:
    assert read(text) == {"cardiomegaly": "0"}


@pytest.mark.parametrize("text", ["Clear.", "NORMAL", "IMPRESSION: Normal.", "Chest: within normal limits."])
def test_a_report_of_one_word_speaks_of_the_chest(read: Read, text: str) -> None:
    assert read(text) == read("Normal chest.") != {}


@pytest.mark.parametrize("text", ["Alignment is normal.", "Not clear.", "Normal variant.", "Clear history."])
def test_one_word_among_others_does_not(read: Read, text: str) -> None:
    assert read(text) == {}


def test_a_lung_that_has_expanded_has_no_pneumothorax(read: Read) -> None:
    assert read("The lung has re-expanded.") == {"pneumothorax": "0", "lobar_collapse": "0"}
