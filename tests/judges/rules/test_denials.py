"""What the statements of a normal report weigh against each other."""

from __future__ import annotations

import pytest

from tests.judges.rules.conftest import Compare

NORMAL = {
    "lung_opacity": "The lungs are clear.",
    "pleural_effusion": "No pleural effusion.",
    "pneumothorax": "No pneumothorax.",
    "cardiomegaly": "The heart size is normal.",
    "bone_abnormality": "Osseous structures are intact.",
    "mediastinal_abnormality": "The mediastinum is unremarkable.",
}
MAJOR = {"lung_opacity", "pleural_effusion", "pneumothorax"}


@pytest.mark.parametrize("name", NORMAL)
def test_what_is_left_out_costs_its_share(compare: Compare, name: str) -> None:
    """Consolidation, effusion and pneumothorax are major; what the heart, bones and mediastinum show is moderate.

    A phrase for a whole organ weighs as much as the heaviest thing that it rules out, not as all of it.
    """
    whole = " ".join(NORMAL.values())
    found = compare(" ".join(text for each, text in NORMAL.items() if each != name), whole)
    total = len(MAJOR) + 0.5 * (len(NORMAL) - len(MAJOR))
    share = (1 if name in MAJOR else 0.5) / total
    assert found.values["signed"] == pytest.approx(1 - share)
    assert {one.finding: one.cost for one in found.evidence if one.cost} == {name: pytest.approx(share)}


def test_the_whole_examination_weighs_as_much_as_its_parts(compare: Compare) -> None:
    """ "No acute disease" rules out six major findings, and one that is denied beside it is the seventh of seven parts."""
    reference = "No acute cardiopulmonary disease. No free air."
    assert compare("No acute cardiopulmonary disease.", reference).values["signed"] == pytest.approx(6 / 7)
