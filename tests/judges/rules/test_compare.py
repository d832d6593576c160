"""The six categories, their significance, and what each difference costs: worked by hand from the published weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judges.base import Judgement

from .conftest import errors

Compare = Callable[..., Judgement]
EFFUSION = "Small left pleural effusion."
NORMAL = "The heart size is normal. The lungs are clear. No pleural effusion or pneumothorax."


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        (EFFUSION, EFFUSION, []),
        ("Left effusion of small size.", EFFUSION, []),
        (f"{EFFUSION} Right pneumothorax.", EFFUSION, [("false_finding", "pneumothorax", True)]),
        (f"{EFFUSION} Mild scoliosis.", EFFUSION, [("false_finding", "scoliosis", False)]),
        ("No pneumothorax.", EFFUSION, [("missing_finding", "pleural_effusion", True)]),
        ("No pleural effusion.", EFFUSION, [("missing_finding", "pleural_effusion", True)]),
        ("Small right pleural effusion.", EFFUSION, [("wrong_location", "pleural_effusion", True)]),
        ("Small bilateral pleural effusions.", EFFUSION, [("wrong_location", "pleural_effusion", True)]),
        ("Small pleural effusion.", EFFUSION, [("wrong_location", "pleural_effusion", False)]),
        ("Left upper lobe nodule.", "Left lower lobe nodule.", [("wrong_location", "nodule", True)]),
        ("Large left pleural effusion.", EFFUSION, [("wrong_severity", "pleural_effusion", True)]),
        ("Moderate left pleural effusion.", EFFUSION, [("wrong_severity", "pleural_effusion", False)]),
        ("A 4 cm nodule.", "A 9 mm nodule.", [("wrong_severity", "nodule", True)]),
        ("New small left pleural effusion.", EFFUSION, [("false_comparison", "pleural_effusion", True)]),
        ("Unchanged small left pleural effusion.", EFFUSION, [("false_comparison", "pleural_effusion", False)]),
        (EFFUSION, "New small left pleural effusion.", [("missing_comparison", "pleural_effusion", True)]),
        ("Right PICC with tip in the right atrium.", "Right PICC with tip in the SVC.", [("wrong_location", "picc", True)]),
        # hierarchy: an ancestor or descendant matches, a sibling does not
        ("Left basilar opacity.", "Left basilar consolidation.", []),
        ("Left lower lobe pneumonia.", "Left lower lobe opacity.", []),
        ("Mass in the right lung.", "Right lung nodule.", []),
        ("Emphysema.", "Atelectasis.", [("false_finding", "emphysema", True), ("missing_finding", "atelectasis", True)]),
        ("Opacity, no consolidation.", "Consolidation.",
         [("false_finding", "lung_opacity", True), ("missing_finding", "consolidation", True)]),
        # certainty and differentials
        ("Possible pneumonia.", "Pneumonia.", []),
        ("Atelectasis.", "Atelectasis or pneumonia.", []),
        ("Opacity, atelectasis versus pneumonia.", "Opacity, possibly atelectasis.", []),
        # contradicting oneself
        ("Pneumothorax. No pneumothorax.", "Pneumothorax.", [("missing_finding", "pneumothorax", True)]),
        ("Heart size within normal limits. Mild cardiomegaly.", "Mild cardiomegaly.",
         [("missing_finding", "cardiomegaly", False)]),
        ("The lungs are clear, right basal opacity.", "Right basal opacity.",
         [("missing_finding", "lung_opacity", False)]),
        ("Clear lungs. Right basal opacity.", "The lungs are clear. Opacity at the right base.", []),
        ("The left lung is clear. Right basal opacity.", "Right basal opacity.", []),
        ("Clear lungs. Calcified granuloma.", "Calcified granuloma.", []),
        *((f"The lungs are {clear}", "Right basal opacity.", []) for clear in (
            "clear with a right basal opacity.", "clear except for a right basal opacity.",
            "otherwise clear. Right basal opacity.", "grossly clear. Right basal opacity.",
            "clear, but there is a right basal opacity.",
        )),
    ],
)  # fmt: skip
def test_categories(compare: Compare, candidate: str, reference: str, expected: list[tuple[str, str, bool]]) -> None:
    verdict = compare(candidate, reference)
    assert errors(verdict) == expected
    assert sum(verdict.significant.values()) == sum(1 for e in expected if e[2])
    assert sum(verdict.insignificant.values()) == sum(1 for e in expected if not e[2])


@pytest.mark.parametrize(
    ("candidate", "reference", "signed"),
    [
        # weight 1 (a major finding), nothing earned, denied by name: -0.5 -> -.5 / 1.5
        ("No pleural effusion.", EFFUSION, -1 / 3),
        ("No pneumothorax.", EFFUSION, 0.0),
        # credit 0 for the wrong side, a quarter of the weight on top
        ("Small right pleural effusion.", EFFUSION, -0.2),
        # two bands off: half the credit; one band: .85
        ("Large left pleural effusion.", EFFUSION, 0.5),
        ("Moderate left pleural effusion.", EFFUSION, 0.85),
        # (1 - 1) / 1: one invented major finding undoes one right one
        (f"{EFFUSION} Right pneumothorax.", EFFUSION, 0.0),
        (f"{EFFUSION} Mild scoliosis.", EFFUSION, 0.75),
        ("Possible small left pleural effusion.", EFFUSION, 0.5),
        (f"New {EFFUSION}", EFFUSION, 0.8),
        # one step in the hierarchy: .75 of the credit
        ("Left basilar airspace opacity.", "Left basilar consolidation.", 0.75),
        # a normal reference weighs .7: (.7 - 1) / .7 = -3/7 -> -.3
        (f"{NORMAL} Right lung mass.", NORMAL, -0.3),
        # half a major finding for a merely possible one, as for a moderate one: (.7 - .5) / .7
        (f"{NORMAL} Possible right lung mass.", NORMAL, 2 / 7),
        (NORMAL, NORMAL, 1.0),
        ("", EFFUSION, -1.0),
        (" . ", NORMAL, -1.0),
    ],
)
def test_signed_score(compare: Compare, candidate: str, reference: str, signed: float) -> None:
    assert compare(candidate, reference).values["signed"] == pytest.approx(signed)


@pytest.mark.parametrize(
    ("candidate", "signed"),
    [("Stable examination.", 1.0), ("No pneumothorax.", -0.2 / 0.9), ("Right lung mass.", -1.2 / 1.9)],
)
def test_no_change_is_worth_a_normal_report(compare: Compare, candidate: str, signed: float) -> None:
    """.7 for saying so. Dropped: "compared" and "stable", .1 each, -.2 / .9; with an invented mass -1.2 / 1.9."""
    verdict = compare(candidate, "As compared to the previous radiograph, there is no relevant change.")
    assert verdict.values["signed"] == pytest.approx(signed)


def test_green_and_inverse_errors(compare: Compare) -> None:
    """Two matched, one significant false finding: 2 / 3 and 1 / 2."""
    reference = "Small left pleural effusion. Mild cardiomegaly."
    values = compare(f"{reference} Right pneumothorax.", reference).values
    assert values["green"] == pytest.approx(2 / 3)
    assert values["inverse_errors"] == 0.5


def test_a_matched_negative_counts_a_quarter_of_its_weight(compare: Compare) -> None:
    assert compare("No pneumothorax.", "No pneumothorax.").matched_findings == 0.25


def test_a_normal_template_is_worth_nothing_on_an_abnormal_study(compare: Compare) -> None:
    for abnormal in (
        EFFUSION,
        "Right lung mass.",
        "Compression fracture of T8.",
        "Calcified granuloma.",
        "Mild scoliosis.",
    ):
        assert compare(NORMAL, abnormal).values["signed"] <= 0


def test_an_honest_terse_impression_is_worth_most(compare: Compare) -> None:
    reference = (
        "The heart is moderately enlarged. There is a small left pleural effusion with adjacent atelectasis. "
        "No pneumothorax. The bony structures are intact. A right PICC ends in the SVC."
    )
    terse = "Moderate cardiomegaly, small left effusion, atelectasis. Right PICC."
    assert compare(terse, reference).values["signed"] > 0.9


def test_changes_are_those_of_a_side(compare: Compare) -> None:
    reference = "Moderate right effusion, increased. Small left effusion, unchanged."
    swapped = compare("Moderate right effusion, unchanged. Small left effusion, increased.", reference)
    assert [kind for kind, _, _ in errors(swapped)] == ["false_comparison", "missing_comparison"]
    for same in (
        "Moderate right and small left effusions, increased on the right and unchanged on the left.",
        "Increased moderate right effusion and unchanged small left effusion.",
    ):
        assert errors(compare(same, reference)) == []
    both = "Right and left effusions are unchanged."
    assert errors(compare("Bilateral effusions are unchanged.", both)) == []
    # the wrong side is one error, and a side that is not said is none of the comparison
    assert [kind for kind, _, _ in errors(compare("Left effusion, increased.", "Right effusion, increased."))] == [
        "wrong_location"
    ]
    assert [kind for kind, _, _ in errors(compare("Effusion, increased.", "Right effusion, increased."))] == [
        "wrong_location"
    ]


def test_what_is_said_of_alternatives_is_one_statement(compare: Compare) -> None:
    reference = "Right basilar atelectasis or pneumonia."
    verdict = compare("Right basilar atelectasis or pneumonia, increased.", reference)
    assert [kind for kind, _, _ in errors(verdict)] == ["false_comparison"]


# ----- with an earlier report ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "reference", "prior", "expected"),
    [
        ("New left effusion.", "Left effusion.", "No effusion.", []),
        ("New left effusion.", "Left effusion.", "Left effusion.", ["false_comparison"]),
        ("Large left effusion, increased.", "Large left effusion.", "Small left effusion.", []),
        ("Large left effusion, decreased.", "Large left effusion.", "Small left effusion.", ["false_comparison"]),
        ("Unchanged small left effusion.", "Small left effusion.", "Small left effusion.", []),
        ("Unchanged left effusion.", "Left effusion.", "No effusion.", ["false_comparison"]),
        ("The effusion has resolved.", "The lungs are clear.", "Small left effusion.", []),
        ("The effusion has resolved.", "The lungs are clear.", "The lungs are clear.", ["false_comparison"]),
        ("Left effusion.", "Left effusion, increased.", "Small left effusion.", ["missing_comparison"]),
        ("Left effusion.", "New left effusion.", "Left effusion.", []),
        ("Left effusion, increased.", "Left effusion.", None, ["false_comparison"]),
        ("Unchanged left effusion.", "Left effusion. Stable examination.", None, []),
        ("Left effusion.", "Left effusion. Stable examination.", None, ["missing_comparison"]),
        ("Stable examination. Left effusion.", "Unchanged left effusion.", None, []),
        ("Worsening left lung consolidation.", "Worsening left lung opacity.", None, []),
    ],
)
def test_comparisons(compare: Compare, candidate: str, reference: str, prior: str | None, expected: list[str]) -> None:
    kinds = [e.kind for e in compare(candidate, reference, prior).evidence]
    assert [k for k in kinds if k.endswith("comparison")] == expected


# ----- what is not said, and what is said too broadly ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "reference", "expected"),
    [
        # never more than what is named is worth itself (moderate .5, minor .25), its price where it is false
        ("Left basilar opacity.", "Left basilar consolidation.", 0.5),
        ("Slight blunting of the left costophrenic angle.", EFFUSION, 0.25),
        ("Left lower lobe pneumonia.", "Left lower lobe consolidation.", 0.75),
        # a differential with a hit excuses others of its kind only: the effusion (1, possible: .5) is false
        ("Atelectasis or pneumonia.", "Atelectasis.", 0.5),
        ("Atelectasis or effusion.", "Atelectasis.", (0.5 * 0.5 - 0.5) / 0.5),
        # the special name of something true is charged for what it adds; two things at once need both
        ("Left opacity. Left pneumonia.", "Left opacity.", (0.5 - 0.5) / 0.5),
        (f"{EFFUSION} Left hydropneumothorax.", EFFUSION, 0.0),
        (f"{EFFUSION} Left pleural abnormality.", EFFUSION, 1.0),
        # what the reference says of a finding and the candidate leaves out
        ("Left pleural effusion.", EFFUSION, 0.9),
        ("Small pleural effusion.", EFFUSION, 0.65),
        # the name of a family that says no place, or both for one
        ("Opacity.", "Right basilar opacity.", 0.25),
        ("Basilar opacity.", "Right basilar opacity.", 0.65),
        ("Bilateral opacities.", "Right basilar opacity.", 0.25),
        ("Opacity.", "Patchy opacities.", 1.0),
        ("Small bilateral pleural effusions.", EFFUSION, 0.5),
        ("Trace to large left pleural effusion.", EFFUSION, 0.5),
        ("Right PICC.", "Right PICC with tip in the SVC.", 0.9),
        ("Endotracheal tube.", "Endotracheal tube in the right mainstem bronchus.", 0.5),
        # more places than one: as much as a guess among them
        ("Right upper, middle and lower lobe nodule.", "Right lower lobe nodule.", 0.5 + 0.5 / 3),
        ("Right middle and lower lobe nodule.", "Right lower lobe nodule.", 1.0),
        ("Right PICC with tip in the SVC or the right atrium.", "Right PICC with tip in the SVC.", 0.25 + 0.75 / 2),
        ("Right PICC with tip at the cavoatrial junction.", "Right PICC with tip in the SVC.", 0.75),
        (
            "Endotracheal tube tip above the carina and in the right mainstem bronchus.",
            "Endotracheal tube above the carina.",
            (0.5 * 0.25 - 0.5) / 0.5,
        ),
        # the name of what a finding is taken for says it all, and leaves nothing for others to stand for
        ("Left atelectasis.", "Left basilar opacity, definitely atelectasis.", 1.0),
        ("Left atelectasis. Left mass.", "Left basilar opacity, definitely atelectasis.", (0.5 * 2 - 1) / 1),
        # something heavier instead; something that looks like it; a part denied
        ("Left nodule.", "Left granuloma.", (0.75 * 0.6 - 0.5 * 0.75) / 0.6),
        ("Left pneumonia.", "Left atelectasis.", (0.25 * 0.5 - 0.5 * 0.5) / 0.5),
        ("Left atelectasis.", "Left pneumonia.", 0.25),
        ("Left effusion. No pneumothorax.", "Left hydropneumothorax.", 0.25),
        ("Left hydropneumothorax.", "Left effusion. No pneumothorax.", (0.75 - 1) / 1),
        # the more there is, the less it matters what is normal; all normal is not the same as nothing said
        ("No pneumothorax.", "Scoliosis. No pneumothorax.", 0.35 / 0.6),
        ("Scoliosis.", "Scoliosis. No pneumothorax.", 0.25 / 0.6),
        ("No acute cardiopulmonary abnormality.", "Left nodule.", -0.1),
        # denials in part, and nothing at all
        ("No large pleural effusion.", "Large left pleural effusion.", -0.25),
        ("No large pleural effusion.", "Trace left pleural effusion.", 0.0),
        ("This is a second reading.", EFFUSION, -0.5),
        ("No acute cardiopulmonary abnormality.", NORMAL, 0.85),
    ],
)
def test_vagueness(compare: Compare, candidate: str, reference: str, expected: float) -> None:
    """`expected`: (credit - penalty) / weight, before a negative one is squashed."""
    value = expected if expected >= 0 else expected / (1 - expected)
    assert compare(candidate, reference).values["signed"] == pytest.approx(value)


def test_a_second_name_has_no_price_of_its_own(compare: Compare) -> None:
    one = compare(f"{EFFUSION} Right pneumonia.", EFFUSION)
    two = compare(f"{EFFUSION} Right consolidation. Right pneumonia.", EFFUSION)
    assert one.values == two.values


def test_a_tip_astray_that_is_left_out_is_an_error(compare: Compare) -> None:
    reference = "Endotracheal tube in the right mainstem bronchus."
    assert errors(compare("Endotracheal tube in place.", reference)) == [("wrong_location", "endotracheal_tube", True)]
    assert errors(compare("Right PICC.", "Right PICC with tip in the SVC.")) == []


# ----- evidence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidate", "signed"),
    [
        ("No lung opacity. No pleural abnormality.", 1.0),
        # less than is denied, and so right more often, is worth half of it
        ("No large lung opacity. No large pleural abnormality.", 0.5),
        ("No left lung opacity. No left pleural abnormality.", 0.5),
        ("The left lung is clear. No pleural abnormality.", 0.75),
        ("No left pneumonia. No left pulmonary nodule. No left pneumothorax. No left pleural effusion.", 0.5),
    ],
)
def test_a_part_or_a_side_denied_is_half_a_denial(compare: Compare, candidate: str, signed: float) -> None:
    reference = "No pneumonia, pulmonary nodule, pneumothorax or pleural effusion."
    assert compare(candidate, reference).values["signed"] == pytest.approx(signed)
    one_side = "The left lung is clear."
    assert compare(one_side, one_side).values["signed"] == 1.0


@pytest.mark.parametrize(
    ("candidate", "reference", "signed"),
    [
        ("Left pleural effusion measuring 3 cm.", "Large left pleural effusion.", 0.9),
        ("Left pleural effusion measuring 3 cm.", "Large left pleural effusion measuring 3 cm.", 1.0),
        ("Left pleural effusion measuring 9 cm.", "Large left pleural effusion measuring 3 cm.", 0.5),
    ],
)
def test_a_measurement_is_no_grade(compare: Compare, candidate: str, reference: str, signed: float) -> None:
    assert compare(candidate, reference).values["signed"] == pytest.approx(signed)


def test_evidence_points_into_both_texts(compare: Compare) -> None:
    candidate, reference = (
        "Heart normal. Large right pleural effusion.",
        "Trace left pleural effusion, no pneumothorax.",
    )
    for item in compare(candidate, reference).evidence:
        assert item.candidate is not None
        assert item.reference is not None
        assert candidate[slice(*item.candidate)] == "pleural effusion"
        assert reference[slice(*item.reference)] == "pleural effusion"


def test_a_denial_is_shown_beside_what_it_denies(compare: Compare) -> None:
    candidate = "There is no pleural effusion."
    (item,) = compare(candidate, EFFUSION).evidence
    assert (item.kind, item.detail) == ("missing_finding", "denied")
    assert item.candidate is not None
    assert candidate[slice(*item.candidate)] == "pleural effusion"


def test_notes_flag_what_the_score_cannot_say(compare: Compare) -> None:
    assert compare("Pneumothorax. No pneumothorax.", "Pneumothorax.").notes == ("candidate_contradicts_itself",)
    assert compare("Clear lungs.", "See the other report.").notes == ("reference_without_findings",)


def test_by_a_reference_that_says_nothing_only_a_text_that_says_nothing_earns(compare: Compare) -> None:
    silent = "See the other report."
    assert compare(silent, silent).values["signed"] == 1
    assert compare("As dictated.", silent).values["signed"] == 1
    for candidate in ("", "Clear lungs.", "No acute disease.", "Unchanged."):
        assert compare(candidate, silent).values["signed"] <= 0
    assert compare("Left effusion.", silent).values["signed"] < 0


def test_the_quality_of_the_film_does_not_make_a_study_abnormal(compare: Compare) -> None:
    verdict = compare(NORMAL, f"The patient is rotated. {NORMAL}")
    assert verdict.values["signed"] == 1.0
    assert errors(verdict) == []


@pytest.mark.parametrize(
    ("reference", "denial"),
    [
        ("Right internal jugular catheter.", "No lines or tubes are present."),
        ("Left rib fractures.", "No fracture."),
        ("Left lower lobe collapse.", "No volume loss."),
        ("Multifocal pneumonia.", "Unremarkable study."),
        ("Large left pneumothorax.", "Impression: negative chest."),
    ],
)
def test_a_general_denial_contradicts_what_the_same_text_asserts(compare: Compare, reference: str, denial: str) -> None:
    """It is worth half, as where the place of the finding is called normal (`matched.RULED_OUT`)."""
    judged = compare(f"{reference} {denial}", reference)
    assert judged.values["signed"] == pytest.approx(0.5)
    assert [one.detail for one in judged.evidence if one.is_error] == ["called normal"]
    assert compare(f"{reference} {denial}", f"{reference} {denial}").values["signed"] == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Small left effusion. No acute cardiopulmonary abnormality.", "Bibasilar atelectasis. No focal opacity.",
        "Pacemaker. No lines or tubes.", "Large effusion. Previously normal chest.",
        "Left pneumothorax. Normal chest on the right.", "Mild interstitial edema. No focal infiltrate.", "Old left rib fractures. No acute fracture.",
        "Small right effusion. No large effusion.", "Left effusion. The right lung is clear, without abnormality.",
        "Calcified granuloma. No nodule.", "Left effusion. No new effusion.",
    ],
)  # fmt: skip
def test_a_denial_in_part_or_of_something_else_contradicts_nothing(compare: Compare, text: str) -> None:
    first = text.partition(".")[0] + "."
    assert not [one for one in compare(text, first).evidence if one.detail in ("called normal", "contradicted")]


def test_a_candidate_without_findings_is_told(compare: Compare) -> None:
    assert "candidate_without_findings" in compare("Done.", "Left effusion.").notes
    assert "candidate_without_findings" not in compare("Edema.", "Left effusion.").notes
