"""What stands around a report on its page says nothing of the patient; what looks like it and does, stays."""

from __future__ import annotations

import pytest

from judges.rules.judge import RulesJudge
from judges.rules.layout import Layout
from judges.rules.letterhead import without_letterhead
from judges.rules.shipped import default
from reward_service.text.normaliser import normalise
from tests.work import assert_linear

REPORT = "Heart size is normal. Small left pleural effusion. No pneumothorax."


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(default())


def undone(layout: Layout, text: str) -> str:
    draft = layout.undo(text)
    return (text if draft is None else draft.text).strip()


@pytest.mark.parametrize(
    "head",
    [
        "John Smith\nMRN: 0012345  DOB: 01/02/1950\nSex: M  Age: 54\n\n",
        "St. Mary's Medical Center\n123 Main Street, Springfield, IL 62701\n\n",
        "Patient: Smith, John A.\nAccession #: 8812345\nOrdering physician: Jones, Mary MD\nExam date: 03/04/2019 10:22\n\n",
        "Lakeview Regional Hospital\nPatient Name: DOE, JANE\n\n",
        "04-Mar-2019\n",
        "Page 1 of 1\n",
        "Patient: Roe\nAllergies: none\nPCP: Smith, John\n\n",
        "ST. MARY HOSPITAL\nHeart Failure Clinic\nLocation: Pneumonia Unit 4\n",
        "PCP: Small, David\nWard: Fracture Clinic\nRadiologist: Dr. Mass\n",
    ],
)
def test_a_letterhead_is_taken_off(layout: Layout, head: str) -> None:
    assert undone(layout, head + REPORT) == REPORT


@pytest.mark.parametrize(
    "tail",
    [
        "\n\nDictated by: John Smith, MD\nDictated: 03/04/2019 10:22 AM",
        "\n\nElectronically Signed by: Karen Miller, M.D. at 3/4/2019 10:22:13 AM",
        "\n\nJohn Smith MD\nLakeview Radiology Associates\n(555) 123-4567",
        "\n\nSigner Name: Karen Miller\nSigned: 3/4/2019 10:22\nWorkstation: WKSRAD7",
        "\nPage 2 of 2",
        "\n(Continued on next page)",
        "\n\nThank you for allowing us to participate in the care of your patient.\nSigned: X Y MD\nGMC: 1234567",
    ],
)
def test_who_signed_is_taken_off(layout: Layout, tail: str) -> None:
    assert undone(layout, REPORT + tail) == REPORT


def test_a_piece_of_a_sentence_in_capitals_is_no_name(layout: Layout) -> None:
    assert undone(layout, "MRN: 123\nTHERE IS NO EVIDENCE OF\nPNEUMOTHORAX.") == "THERE IS NO EVIDENCE OF PNEUMOTHORAX."
    again = "THERE IS NO\nEVIDENCE OF\nMASS.\nPAGE 1\nEVIDENCE OF\nEDEMA."
    assert undone(layout, again).replace("\n", " ") == "THERE IS NO EVIDENCE OF MASS. EVIDENCE OF EDEMA."


def test_what_comes_again_on_the_next_page_stays_if_it_says_something(layout: Layout) -> None:
    said = "Large right pneumothorax.\nPage 1 of 2\nLarge right pneumothorax.\nHeart normal."
    assert undone(layout, said).count("Large right pneumothorax.") == 2
    tubes = "ETT 4 cm above carina.\nHeart normal.\nPage 1 of 2\nETT 1 cm above carina."
    assert "ETT 4 cm" in undone(layout, tubes)
    assert "ETT 1 cm" in undone(layout, tubes)


@pytest.mark.parametrize(
    "between",
    [
        "\f",
        "---------\nPage 1\n\fPatient: DOE, JANE MRN: 1",
        "DOE, JOHN MRN 123 Page 2 of 2",
        "Page 2 of 2\nDOE, JOHN\nMRN 123",
        "DOE, JOHN (continued)",
        "- 2 -",
        "(Over)",
    ],
)
def test_what_stands_at_a_page_break_is_taken_off(layout: Layout, between: str) -> None:
    text = normalise(f"Small left pleural effusion. There is left basilar\n\n{between}\n\natelectasis.").text
    assert undone(layout, text) == "Small left pleural effusion. There is left basilar atelectasis."


@pytest.mark.parametrize(
    "text",
    [
        "Retained Guidewire\nHeart normal.",  # a name, but nothing beside it tells that it is of the file
        "Age: 54 with pneumothorax\nHeart normal.",  # a value that names a finding
        "Status: new effusion since the prior\nHeart normal.",
        "Small nodule.\nLocation: right upper lobe",
        "Small effusion.\nStatus: unchanged",
        "Small effusion.\nSite: left",
        "HOSPITAL ACQUIRED PNEUMONIA\nNo mass.",
        "HEART NORMAL.\nSMALL NODULE IN LUNG CENTER",
        "Heart normal.\nAddendum: Zorbitis seen",
        "Volume Overload\nPatient: Roe\nNo effusion.",  # of two words that say nothing each
        "Status: Esophageal Perforation\nNo effusion.",
        "Heart normal.\nReviewed by Dr Roe, heart size unchanged.",
        "Heart normal.\nPage of a history\nNo mass.",
        "Hospital acquired pneumonia is likely.\nNo mass.",
        "Heart normal.\nRe: large pneumothorax",
        "Re: large pneumothorax\nHeart normal.",
        "On the right is a large pneumothorax, as Dr Roe wrote:\nHeart normal.",
        "To: all. There is a large pneumothorax @ right\nHeart normal.",
    ],
)
def test_what_says_something_stays(layout: Layout, text: str) -> None:
    assert undone(layout, text).replace("\n", " ").split() == text.split()


def test_a_sentence_that_a_page_break_cuts_is_one(layout: Layout) -> None:
    head = "DOE, JOHN\nMRN 4481920\nCHEST, TWO VIEWS   03/04/2019\n"
    text = f"{head}\nSmall left pleural effusion. There is no\n\nPage 1\n\n{head}\npneumothorax.\n\nPage 2"
    assert undone(layout, text) == "Small left pleural effusion. There is no pneumothorax."


def test_a_reference_with_a_letterhead_weighs_as_without() -> None:
    judge = RulesJudge()
    plain, headed = judge.encode([REPORT, f"Riverside Hospital\nMRN: 4481920\n\n{REPORT}\n\nSigned by: A. Poe, MD"])
    (verdict,) = judge.compare([plain], [headed])
    assert verdict.values["signed"] == 1
    assert not [each for each in verdict.evidence if each.cost]


@pytest.mark.parametrize(
    "shape", ["Page 1\n", "MRN: 1\n", "A B\n", "MRN: ", "No. ", "1/2/2019 ", "\n", "- 1 -\nMRN: 1\n", "a@", "xxxx"]
)
def test_cost_is_linear(shape: str) -> None:
    assert_linear(lambda text: without_letterhead(text, lambda word: 0), shape)
