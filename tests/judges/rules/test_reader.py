"""What the reader makes of a sentence: assertion and its scopes, attributes, sections, styles of writing.

The sentences are ours; the difficulties are those that make rule-based readers fail (pseudo-negation, where a list
ends, hypothetical mentions, what an attribute belongs to).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judges.rules import lexicon as lx
from judges.rules.findings import Finding
from judges.rules.judge import RulesJudge

Read = Callable[[str], dict[str, str]]
Describe = Callable[[str], set[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # words that look like a denial
        ("No change in the small effusion.", {"pleural_effusion": "+"}),
        ("No interval increase in the effusion.", {"pleural_effusion": "+"}),
        ("Pneumonia cannot be excluded.", {"pneumonia": "?"}),
        ("The nodule is no longer seen.", {"nodule": "-"}),
        ("The pneumothorax has resolved.", {"pneumothorax": "-"}),
        ("There has been interval removal of the right jugular catheter.", {"central_line": "-"}),
        # where a list ends
        ("Effusion without pneumothorax, edema is present.", {"pleural_effusion": "+", "pneumothorax": "-", "edema": "+"}),
        ("No consolidation but there is a small effusion.", {"consolidation": "-", "pleural_effusion": "+"}),
        ("No consolidation, however a nodule is seen.", {"consolidation": "-", "nodule": "+"}),
        ("Aside from mild atelectasis, no consolidation.", {"atelectasis": "+", "consolidation": "-"}),
        ("No pneumothorax, effusion, or edema is seen.", {"pneumothorax": "-", "pleural_effusion": "-", "edema": "-"}),
        ("Neither pneumothorax nor effusion is present.", {"pneumothorax": "-", "pleural_effusion": "-"}),
        ("The lungs are clear of consolidation, effusion, and pneumothorax.",
         {"consolidation": "-", "pleural_effusion": "-", "pneumothorax": "-"}),
        ("No pneumothorax, heart is enlarged.", {"pneumothorax": "-", "cardiomegaly": "+"}),
        # denials of a part
        ("No new consolidation.", {"consolidation": "~"}),
        ("No large pleural effusion.", {"pleural_effusion": "~"}),
        ("No other nodule. A 5 mm nodule is seen in the right lung.", {"nodule": "+"}),
        # hypothetical
        ("Evaluate for pneumonia.", {}),
        ("Recommend CT to exclude pulmonary nodule.", {}),
        ("INDICATION: cough, rule out pneumonia. FINDINGS: No nodule.", {"nodule": "-"}),
        ("CLINICAL HISTORY: Pneumonia. Effusion on CT.\nFINDINGS: No nodule.", {"nodule": "-"}),
        # headings in the middle of a line
        ("COMPARISON: None FINDINGS: Consolidation. Small effusion.", {"consolidation": "+", "pleural_effusion": "+"}),
        ("INDICATION: cough FINDINGS: Consolidation. IMPRESSION: Edema.", {"consolidation": "+", "edema": "+"}),
        ("EXAMINATION: CHEST (PORTABLE AP) INDICATION: Sepsis // ?pneumonia COMPARISON: ___ FINDINGS: Edema. Effusion.",
         {"edema": "+", "pleural_effusion": "+"}),
        ("FINDINGS: Small effusion COMPARISON: None", {"pleural_effusion": "+"}),
        ("Findings: Small effusion Impression: Edema", {"pleural_effusion": "+", "edema": "+"}),
        # ... and what is none
        ("Nodule is among the findings: no edema.", {"nodule": "+", "edema": "-"}),
        # possible
        ("Opacity which may represent pneumonia.", {"lung_opacity": "+", "pneumonia": "?"}),
        ("No opacity to suggest pneumonia.", {"lung_opacity": "-", "pneumonia": "-"}),
        ("Hazy opacity, ? consolidation.", {"lung_opacity": "+", "consolidation": "?"}),
        ("Atelectasis or pneumonia at the left base.", {"atelectasis": "?", "pneumonia": "?"}),
        # a longer word wins
        ("Small pericardial effusion.", {"pericardial_effusion": "+"}),
        ("Nodular opacity in the left lung.", {"nodule": "+"}),
        # anatomy and description, in either order
        ("The heart size is mildly enlarged, pulmonary vascularity is normal.", {"cardiomegaly": "+", "congestion": "0"}),
        ("The aorta is tortuous and calcified.", {"tortuous_aorta": "+", "aortic_calcification": "+"}),
        ("Calcified left lower lobe granuloma.", {"calcified_granuloma": "+"}),
        ("Blunting of the left costophrenic angle.", {"blunted_costophrenic_angle": "+"}),
        ("HEART: Enlarged. LUNGS: Clear.", {"cardiomegaly": "+", "lung_opacity": "0"}),
        ("The heart is not enlarged.", {"cardiomegaly": "-"}),
    ],
)  # fmt: skip
def test_assertion(read: Read, text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mild cardiomegaly, moderate right and small left pleural effusions.",
         {"cardiomegaly.small", "pleural_effusion:right.moderate", "pleural_effusion:left.small"}),
        ("Right chest tube, small left and moderate right effusions.",
         {"chest_tube:right", "pleural_effusion:left.small", "pleural_effusion:right.moderate"}),
        ("Consolidation and small-to-moderate left effusion.", {"consolidation", "pleural_effusion:left.small-moderate"}),
        ("Cardiomegaly and mild to moderate edema.", {"cardiomegaly", "edema.small-moderate"}),
        ("Small left effusion, RML and RLL atelectasis.",
         {"pleural_effusion:left.small", "atelectasis:right^middle-lower"}),
        # what belongs to the finding before it
        ("Cardiomegaly, mild, and small left effusion.", {"cardiomegaly.small", "pleural_effusion:left.small"}),
        ("The mass is small and right basilar atelectasis persists.",
         {"mass.small", "atelectasis:right^lower", "atelectasis=stable"}),
        ("Effusion at the left base and right lower lobe atelectasis.",
         {"pleural_effusion:left^lower", "atelectasis:right^lower"}),
    ],
)  # fmt: skip
def test_a_list_of_modifiers_belongs_to_the_finding_it_leads_to(
    describe: Describe, text: str, expected: set[str]
) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dense right lower lobe consolidation.", {"consolidation:right^lower"}),
        ("Reticulonodular lung opacities.", {"interstitial_opacity"}),
        ("Nodular right lower lobe opacity.", {"nodule:right^lower"}),
        ("Prominent interstitial opacities.", {"interstitial_opacity"}),
        ("Cavitary mass in the right lung.", {"cavitary_mass:right"}),
        ("Cavitating right upper lobe nodule.", {"cavitary_nodule:right^upper"}),
        # two findings
        ("Dense right lung and consolidation.", {"lung_opacity:right", "consolidation"}),
        ("Nodule, right lower lobe opacity.", {"nodule", "lung_opacity:right^lower"}),
        ("Tortuous calcified aorta.", {"tortuous_aorta", "aortic_calcification"}),
        ("No nodular opacity, no consolidative airspace opacity.", {"-nodule", "-consolidation", "-airspace_opacity"}),
    ],
)  # fmt: skip
def test_an_adjective_is_no_second_finding(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Large cavitary mass with an air-fluid level in the right upper lobe.",
         {"cavitary_mass:right.large^upper", "air_fluid_level:right^upper"}),
        ("Consolidation with air bronchograms in the RUL, pneumonia.",
         {"consolidation:right^upper", "pneumonia:right^upper"}),
        ("RUL pneumonia with small effusion.", {"pneumonia:right^upper", "pleural_effusion:right.small"}),
        ("Consolidation in the right lower lobe with an associated effusion.",
         {"consolidation:right^lower", "pleural_effusion:right"}),
        ("Right effusion and adjacent basilar atelectasis.", {"pleural_effusion:right", "atelectasis:right^lower"}),
        # a place of its own, or none
        ("Right effusion with left basilar atelectasis.", {"pleural_effusion:right", "atelectasis:left^lower"}),
        ("Right pneumonia and effusion.", {"pneumonia:right", "pleural_effusion"}),
        ("Right pneumothorax with chest tube and effusion.", {"pneumothorax:right", "chest_tube:right", "pleural_effusion"}),
        ("Consolidation with blunting of both costophrenic angles.",
         {"consolidation", "blunted_costophrenic_angle:both"}),
    ],
)  # fmt: skip
def test_what_stands_beside_a_finding_shares_its_place(describe: Describe, text: str, expected: set[str]) -> None:
    assert describe(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a device does not grow or shrink
        ("Right effusion with pigtail catheter in place has decreased.", {"pleural_effusion=better"}),
        ("Right chest tube with increasing pneumothorax.", {"pneumothorax=worse"}),
        ("Right effusion with pigtail catheter, unchanged.", {"chest_tube=stable"}),
        # alternatives
        ("Left lower lobe collapse and/or consolidation, unchanged.", {"lobar_collapse=stable", "consolidation=stable"}),
        ("Worsening atelectasis or pneumonia.", {"atelectasis=worse", "pneumonia=worse"}),
        ("Atelectasis or resolving pneumonia.", {"pneumonia=better"}),
        ("Stable atelectasis versus worsening pneumonia.", {"atelectasis=stable", "pneumonia=worse"}),
    ],
)  # fmt: skip
def test_what_a_change_is_said_of(describe: Describe, text: str, expected: set[str]) -> None:
    assert {said for said in describe(text) if "=" in said} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cardiomegaly, pericardial effusion not excluded.", {"cardiomegaly": "+", "pericardial_effusion": "?"}),
        ("Globular cardiac enlargement, possible pericardial effusion.",
         {"cardiomegaly": "+", "pericardial_effusion": "?"}),
        ("Atelectasis and effusion, pneumonia cannot be excluded.",
         {"atelectasis": "+", "pleural_effusion": "+", "pneumonia": "?"}),
        # lists
        ("Effusion, edema and pneumonia cannot be excluded.", {"pleural_effusion": "?", "edema": "?", "pneumonia": "?"}),
        ("Mass, lymphadenopathy are possible.", {"mass": "?", "lymphadenopathy": "?"}),
        ("Effusion and pneumonia, not excluded.", {"pleural_effusion": "?", "pneumonia": "?"}),
        ("Effusion, not excluded.", {"pleural_effusion": "?"}),
    ],
)  # fmt: skip
def test_doubt_reaches_back_over_a_comma_only_in_a_list(read: Read, text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


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


def test_measurements_of_a_tube_are_no_size(judge: RulesJudge) -> None:
    tube = _finding(judge, "Endotracheal tube terminates 4 cm above the carina.", "endotracheal_tube")
    assert tube.size == 0.0
    assert tube.place


def test_spans_point_into_the_text_as_given(judge: RulesJudge) -> None:
    text = "\u200bNo nodule.  \ufb01ndings: Small left  pleural\u00a0effusion."
    start, end = _finding(judge, text, "pleural_effusion").span
    assert text[start:end] == "pleural\u00a0effusion"


@pytest.mark.parametrize("text", ["", " ", "\n\n", ".", "...", "-", "\u200b", "\ud800", "?!;"])
def test_text_without_words_is_empty(judge: RulesJudge, text: str) -> None:
    assert judge.encode([text])[0].empty
