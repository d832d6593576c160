"""The lexicon as data: complete, free of contradictions, refused when it is not, and quick to load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from judges.rules import compiler, knowledge, phrases
from judges.rules import lexicon as lx
from judges.rules.judge import RulesJudge, validate
from judges.rules.reader import Reader
from tests.judges.rules.conftest import few_rows
from tests.work import work

LUNGS = "concepts/lungs.yaml"


@pytest.fixture
def texts() -> dict[str, str]:
    return knowledge.texts()


@pytest.fixture
def few() -> dict[str, str]:
    return few_rows()


def _with(texts: dict[str, str], concept: str) -> dict[str, str]:
    return texts | {LUNGS: texts[LUNGS].replace("\nconcepts:\n", f"\nconcepts:\n  {concept}\n", 1)}


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
        ('edema: {weight: major, phrases: ["xylo"], asserts: "Xylo.", denies: "No xylo."}', "'edema' stands twice"),
        ('cardiomegaly: {weight: major, phrases: ["xylo"], asserts: "X.", denies: "No x."}', "stands in another file"),
    ],
)
def test_a_contradictory_lexicon_is_refused(few: dict[str, str], concept: str, complaint: str) -> None:
    with pytest.raises(lx.LexiconError, match=complaint):
        compiler.build(_with(few, concept))


def test_a_concept_whose_sentences_say_something_else_is_refused(texts: dict[str, str]) -> None:
    concept = 'xylo: {weight: major, phrases: ["xylo"], asserts: "Possible zylo.", denies: "Xylo is large."}'
    with pytest.raises(lx.LexiconError, match=r"xylo not asserted by .* xylo not denied by"):
        RulesJudge(lexicon=compiler.build(_with(texts, concept)))


def test_a_new_concept_is_one_entry(texts: dict[str, str]) -> None:
    concept = 'xylo: {is_a: nodule, weight: major, phrases: ["{big|} xylo"], asserts: "Xylo.", denies: "No xylo."}'
    judge = RulesJudge(lexicon=compiler.build(_with(texts, concept)))
    one, other = judge.encode(["A xylo in the left lung.", "Left lung nodule."])
    assert not any(judge.compare([one], [other])[0].significant.values())


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ('{role: absnt, direction: forward, phrases: ["xylo"]}', "cues/change.yaml:[0-9]+: unknown role 'absnt'"),
        ('{role: absent, direction: sideward, phrases: ["xylo"]}', "unknown role 'absent' sideward"),
        ('{role: change, value: worst, phrases: ["xylo"]}', "change must be one of stable, worse"),
        ('{role: absent, direction: forward, ends_at: [full_stop], phrases: ["xylo"]}', "ends_at 'full_stop' must be"),
        ('{role: absent, direction: forward, until: comma, phrases: ["xylo"]}', "unknown field 'until'"),
        ("{role: place, value: moon, phrases: [5]}", "not a phrase: 5"),
        ("{role: absent, direction: forward}", "has no phrases: .*absent"),
        ('{role: thing, of: [xylophone], phrases: ["xylo"]}', "unknown concept 'xylophone'"),
    ],
)
def test_a_row_that_says_nothing_known_is_refused(few: dict[str, str], row: str, complaint: str) -> None:
    changed = few["cues/change.yaml"].replace("cues:\n", f"cues:\n  - {row}\n", 1)
    with pytest.raises(lx.LexiconError, match=complaint):
        compiler.build(few | {"cues/change.yaml": changed})


@pytest.mark.parametrize(
    ("file", "name", "complaint"),
    [
        ("concepts/lungs.yaml", "\n  lung:\n", "unknown anatomy .lung."),
        ("concepts/devices.yaml", "\n  device:\n", "unknown concept 'device'"),
        ("concepts/general.yaml", "\n  abnormality:\n", "unknown descriptor 'abnormality'"),
        ("concepts/general.yaml", "\n  whole_examination:\n", "unknown phrase of normality 'whole_examination'"),
        ("cues/places.yaml", "value: above_carina", "unknown place 'above_carina'"),
    ],
)
def test_what_the_code_refers_to_must_be_there(few: dict[str, str], file: str, name: str, complaint: str) -> None:
    assert name in few[file]
    changed = few[file].replace(name, name.replace(":\n", "_2:\n").replace("above_carina", "elsewhere"), 1)
    with pytest.raises(lx.LexiconError, match=complaint):
        compiler.build(few | {file: changed})


def test_its_hash_is_that_of_all_files(judge: RulesJudge, texts: dict[str, str]) -> None:
    assert knowledge.digest(texts) == judge.lexicon.sha256 == judge.manifest()["lexicon_sha256"]
    for name in knowledge.FILES:
        assert knowledge.digest(texts | {name: texts[name] + "\n"}) != judge.lexicon.sha256


def test_phrases_are_plain(texts: dict[str, str]) -> None:
    """No regular expression, no upper case, American spelling: what the folding promises to undo."""
    for entry in knowledge.joined(texts)["concepts"].values():
        for phrase in entry["phrases"]:
            assert set(phrase) <= set("abcdefghijklmnopqrstuvwxyz0123456789 {|}"), phrase


def test_alternatives() -> None:
    assert sorted(phrases.alternatives("{left|right|} lung nodules")) == [
        ("left", "lung", "nodule"),
        ("lung", "nodule"),
        ("right", "lung", "nodule"),
    ]


@pytest.mark.slow
def test_loading_is_quick(texts: dict[str, str]) -> None:
    """Build and the reading of all example sentences: two to three seconds, counted in operations; it is done once."""
    assert work(lambda: RulesJudge(lexicon=compiler.build(texts)), most=24_000_000) > 1_000_000


def test_the_roles_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "judges.md").read_text("utf-8")
    table = page.partition("<!-- roles -->")[2].partition("\n\n")[0]
    named = {role for line in table.splitlines()[3:] for role in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {row["role"] for row in knowledge.joined(knowledge.texts())["cues"]}
