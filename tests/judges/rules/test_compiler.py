"""The lexicon as data: complete, free of contradictions, refused when it is not, and quick to load."""

from __future__ import annotations

from importlib import resources

import pytest
import yaml

from judges.rules import compiler
from judges.rules import lexicon as lx
from judges.rules.judge import RulesJudge, validate
from judges.rules.reader import Reader
from tests.work import work


@pytest.fixture
def texts() -> dict[str, str]:
    folder = resources.files("judges.rules")
    return {name: (folder / name).read_text("utf-8") for name in compiler.FILES}


def _with(texts: dict[str, str], concept: str) -> dict[str, str]:
    return texts | {"lexicon.yaml": texts["lexicon.yaml"].replace("\nconcepts:\n", f"\nconcepts:\n  {concept}\n", 1)}


def test_it_covers_chest_radiography(judge: RulesJudge) -> None:
    assert len(judge.lexicon.concepts) >= 150
    names = {c.name for c in judge.lexicon.concepts}
    chexpert = {"cardiomegaly", "lung_opacity", "edema", "consolidation", "pneumonia", "atelectasis", "pneumothorax"}
    assert chexpert | {"pleural_effusion", "fracture", "device", "mediastinal_widening"} <= names


def test_every_concept_is_asserted_and_denied_by_its_own_sentences(judge: RulesJudge) -> None:
    validate(judge.lexicon, Reader(judge.lexicon))


@pytest.mark.parametrize(
    ("concept", "complaint"),
    [
        ('x: {weight: major, phrases: ["xylo"], denies: "No xylo."}', "needs a sentence that asserts"),
        ('x: {weight: major, phrases: ["xylo"], asserts: "Xylo."}', "one that denies"),
        ('x: {weight: huge, phrases: ["xylo"], asserts: "Xylo.", denies: "No xylo."}', "weight must be"),
        ('x: {weight: major, phrases: ["nodule"], asserts: "Nodule.", denies: "No nodule."}', "belongs to"),
        ('x: {is_a: y, weight: major, phrases: ["xylo"], asserts: "Xylo.", denies: "No xylo."}', "unknown concept 'y'"),
        ('x: {is_a: x, weight: major, phrases: ["xylo"], asserts: "Xylo.", denies: "No xylo."}', "its own ancestor"),
        ('x: {weight: major, phrases: ["{xylo"], asserts: "Xylo.", denies: "No xylo."}', "unbalanced braces"),
        ('x: {weight: major, phrase: ["xylo"], asserts: "Xylo.", denies: "No xylo."}', "unknown field 'phrase'"),
        ('x: {weight: major, phrases: ["xylo"], with: ["heart+odd"], asserts: "X.", denies: "No x."}', "unknown part"),
    ],
)
def test_a_contradictory_lexicon_is_refused(texts: dict[str, str], concept: str, complaint: str) -> None:
    with pytest.raises(lx.LexiconError, match=complaint):
        compiler.build(_with(texts, concept))


def test_a_concept_whose_sentences_say_something_else_is_refused(texts: dict[str, str]) -> None:
    concept = 'xylo: {weight: major, phrases: ["xylo"], asserts: "Possible zylo.", denies: "Xylo is large."}'
    with pytest.raises(lx.LexiconError, match=r"xylo not asserted by .* xylo not denied by"):
        RulesJudge(lexicon=compiler.build(_with(texts, concept)))


def test_a_new_concept_is_one_entry(texts: dict[str, str]) -> None:
    concept = 'xylo: {is_a: nodule, weight: major, phrases: ["{big|} xylo"], asserts: "Xylo.", denies: "No xylo."}'
    judge = RulesJudge(lexicon=compiler.build(_with(texts, concept)))
    one, other = judge.encode(["A xylo in the left lung.", "Left lung nodule."])
    assert not any(judge.compare([one], [other])[0].significant.values())


def test_its_hash_is_that_of_both_files(judge: RulesJudge, texts: dict[str, str]) -> None:
    assert compiler.build(texts).sha256 == judge.lexicon.sha256 == judge.manifest()["lexicon_sha256"]
    for name in compiler.FILES:
        assert compiler.build(texts | {name: texts[name] + "\n"}).sha256 != judge.lexicon.sha256


def test_phrases_are_plain(texts: dict[str, str]) -> None:
    """No regular expression, no upper case, American spelling: what the folding promises to undo."""
    for entry in yaml.safe_load(texts["lexicon.yaml"])["concepts"].values():
        for phrase in entry["phrases"]:
            assert set(phrase) <= set("abcdefghijklmnopqrstuvwxyz0123456789 {|}"), phrase


def test_alternatives() -> None:
    assert sorted(compiler.alternatives("{left|right|} lung nodules")) == [
        ("left", "lung", "nodule"),
        ("lung", "nodule"),
        ("right", "lung", "nodule"),
    ]


def test_loading_is_quick(texts: dict[str, str]) -> None:
    """Build and the reading of all example sentences: a second or so, counted in operations."""
    assert work(lambda: RulesJudge(lexicon=compiler.build(texts)), most=5_000_000) > 1_000_000
