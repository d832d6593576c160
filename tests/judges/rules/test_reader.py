"""What the reader makes of a text, beyond the sentences of `readings.yaml`: styles of writing, sides, spans, sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judges.rules import lexicon as lx
from judges.rules.findings import Finding
from judges.rules.judge import RulesJudge

Read = Callable[[str], dict[str, str]]


@pytest.mark.parametrize(
    "text",
    [
        "Small left pleural effusion. No pneumothorax. The heart is mildly enlarged.",
        "SMALL LEFT PLEURAL EFFUSION. NO PNEUMOTHORAX. THE HEART IS MILDLY ENLARGED.",
        "small left pleural effusion . no pneumothorax . the heart is mildly enlarged .",
        "1. Small left pleural effusion.\n2. No pneumothorax.\n3. The heart is mildly enlarged.",
        "- Small left pleural effusion\n- No pneumothorax\n- The heart is mildly enlarged",
        "Small left pleural effusion No pneumothorax The heart is mildly enlarged",
        "Heart: Mildly enlarged.\nPleura: Small left effusion, no pneumothorax.",
        "There is a small\nleft pleural effusion. There is no\npneumothorax. Mild cardiomegaly.",
        "The image demonstrates a small pleural effusion on the left side, without any sign of pneumothorax. "
        "The cardiac silhouette appears mildly enlarged.",
        "Small left-sided pleural collection. Pneumothorax: none. Slight enlargement of the cardiac silhouette.",
        "IMPRESSION: Small effusion on the left. Mild cardiac enlargement. Pneumothorax is not identified.",
        "Ｓmall left pleu\u200bral effusion. No pneumothorax. Mild cardiomegaly.",
    ],
)
def test_one_study_in_many_styles(judge: RulesJudge, read: Read, text: str) -> None:
    assert read(text) == {"pleural_effusion": "+", "pneumothorax": "-", "cardiomegaly": "+"}
    effusion = _finding(judge, text, "pleural_effusion")
    assert (effusion.side, effusion.severity) == (lx.LEFT, 0b0010)
    assert _finding(judge, text, "cardiomegaly").severity == 0b0010


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("Pulmonary oedema.", "Pulmonary edema."),
        ("Left haemothorax.", "Left hemothorax."),
        ("Tumours in both lungs.", "Tumors in both lungs."),
        ("Oesophageal stent.", "Esophageal stent."),
        ("Apical pneumothoraces visualised.", "Apical pneumothoraces visualized."),
    ],
)
def test_british_spelling(read: Read, british: str, american: str) -> None:
    assert read(british) == read(american) != {}


@pytest.mark.parametrize(
    "text",
    ["The lungs are clear.", "Clear lungs.", "lungs clear", "Both lungs are clear."],
)
def test_normality_rules_out_but_never_asserts(read: Read, text: str) -> None:
    assert read(text)["lung_opacity"] == "0"
    assert set(read(text).values()) == {"0"}


def _finding(judge: RulesJudge, text: str, name: str, side: int | None = None) -> Finding:
    concept = [c.name for c in judge.lexicon.concepts].index(name)
    sides = judge.encode([text])[0].positive[concept]
    return next(iter(sides.values())) if side is None else sides[side]


def test_attributes_belong_to_their_finding(judge: RulesJudge) -> None:
    text = (
        "Mild increase in the large left pleural effusion, trace right apical pneumothorax and a 2.3 x 1.8 cm nodule."
    )
    effusion = _finding(judge, text, "pleural_effusion")
    assert (effusion.side, effusion.severity) == (lx.LEFT, 0b1000)
    pneumothorax = _finding(judge, text, "pneumothorax")
    assert (pneumothorax.side, pneumothorax.zone, pneumothorax.severity) == (lx.RIGHT, lx.UPPER, 0b0001)
    assert _finding(judge, text, "nodule").size == 23.0
    assert judge.encode([text])[0].changes == {("pleural_effusion", lx.LEFT): (lx.WORSE, (5, 13))}


def test_both_sides_and_their_difference(judge: RulesJudge) -> None:
    assert _finding(judge, "Bilateral pleural effusions, left greater than right.", "pleural_effusion").side == lx.BOTH
    text = "Bilateral effusions, large on the left."
    assert _finding(judge, text, "pleural_effusion").side == lx.BOTH
    two = "Small right effusion. Large left effusion."
    assert _finding(judge, two, "pleural_effusion", lx.LEFT).severity == 0b1000
    assert _finding(judge, two, "pleural_effusion", lx.RIGHT).severity == 0b0010


def test_the_right_atrium_is_no_side(judge: RulesJudge) -> None:
    text = "Left chest port with its tip in the right atrium."
    port = _finding(judge, text, "port")
    assert port.side == lx.LEFT
    assert port.place


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("The left lung is clear.", lx.LEFT),
        ("Clear left lung.", lx.LEFT),
        ("The lungs are clear on the left.", lx.LEFT),
        ("No abnormality of the left lung.", lx.LEFT),
        ("The lungs are clear.", 0),
        ("The left lung is clear. The right lung is clear.", 0),
        ("The left lung is clear and the right lung is clear.", 0),
    ],
)
def test_normality_has_a_side(judge: RulesJudge, text: str, side: int) -> None:
    denial = judge.encode([text])[0].negative[judge.lexicon.ids["lung_opacity"]]
    assert (denial.side, denial.partial) == (side, side > 0)


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("The right lung is clear without effusion.", lx.RIGHT),
        ("The right hemithorax shows no pneumothorax or effusion.", lx.RIGHT),
        ("No right effusion.", lx.RIGHT),
        ("The right lung is clear, no effusion.", 0),
        ("The right lung is clear. No effusion.", 0),
        ("The right lung is clear without effusion. No left effusion.", 0),
        ("Right chest tube without effusion.", 0),
    ],
)
def test_a_denial_has_the_side_of_its_anatomy(judge: RulesJudge, text: str, side: int) -> None:
    assert judge.encode([text])[0].negative[judge.lexicon.ids["pleural_effusion"]].side == side
    other = judge.encode([f"Moderate left effusion. {text}"])[0].positive[judge.lexicon.ids["pleural_effusion"]]
    assert other[lx.LEFT].contradicted == (side == 0)


def test_measurements_of_a_tube_are_the_height_of_its_tip(judge: RulesJudge) -> None:
    tube = _finding(judge, "Endotracheal tube terminates 4 cm above the carina.", "endotracheal_tube")
    assert tube.size == 40.0
    assert tube.place


def test_spans_point_into_the_text_as_given(judge: RulesJudge) -> None:
    text = "\u200bNo nodule.  \ufb01ndings: Small left  pleural\u00a0effusion."
    start, end = _finding(judge, text, "pleural_effusion").span
    assert text[start:end] == "pleural\u00a0effusion"


@pytest.mark.parametrize("text", ["", " ", "\n\n", ".", "...", "-", "\u200b", "\ud800", "?!;"])
def test_text_without_words_is_empty(judge: RulesJudge, text: str) -> None:
    assert judge.encode([text])[0].empty


@pytest.mark.parametrize("text", ["Large pneumothorax, I", "There is a large pneumothorax and I"])
def test_a_text_may_be_cut_off_anywhere(judge: RulesJudge, text: str) -> None:
    judge.encode([text[:end] for end in range(len(text) + 1)])
