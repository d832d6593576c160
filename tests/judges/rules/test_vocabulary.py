"""The words that name a finding are those of the lexicon, in every spelling."""

from __future__ import annotations

import pytest

from judges.rules.vocabulary import finding_words


@pytest.mark.parametrize(
    ("word", "finding"),
    [
        ("effusion", "pleural_effusion"), ("effusions", "pleural_effusion"), ("opacities", "lung_opacity"),
        ("oedema", "edema"), ("metastases", "metastasis"), ("masses", "mass"), ("haemothorax", "hemothorax"),
        ("catheter", "central_line"), ("thickening", "thickened"), ("hernias", "hiatal_hernia"),
    ],
)  # fmt: skip
def test_a_word_names_a_finding(word: str, finding: str) -> None:
    assert finding_words()[word] == finding


@pytest.mark.parametrize("word", ["the", "heart", "no", "small", "increased", "normal", "process", "tip", "left"])
def test_a_word_names_none(word: str) -> None:
    assert word not in finding_words()
