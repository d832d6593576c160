"""What is no English report of a chest radiograph is recognised, and little else.

The cases below `cases/scope` are written for this purpose, before the recogniser was; `python -m benchmarks.scope` prints
them by kind.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import scope
from judges.rules import compiler, knowledge
from judges.rules import lexicon as lx
from judges.rules.judge import RulesJudge
from tests.judges.rules.conftest import few_rows
from tests.work import assert_linear

CHEST = "The lungs are clear. No pleural effusion."
OUTSIDE = {
    "Pneumothorax rechts.": "language: German",
    "Kein Pneumothorax.": "language: German",
    "Pas de pneumothorax.": "language: French",
    "Geen pneumothorax. Geen consolidatie.": "language: Dutch",
    "Opacité basale gauche.": "language: French",
    "Cuore nei limiti.": "language: Italian",
    "Правосторонний гидроторакс.": "language: Cyrillic script",
    "胸片 CXR：无气胸 (pneumothorax)，心脏不大，余未见异常。": "language: CJK script",
    "FINDINGS: Herz nicht vergrößert. IMPRESSION: Kein Erguss.": "language: German",
    "Acute appendicitis. No abscess.": "examination: abdomen",
    "EXAM: CT HEAD\nFINDINGS: No hemorrhage. No fracture. Endotracheal tube and nasogastric tube.": "examination: head and brain",
    "MRI left knee. Large effusion.": "examination: magnetic resonance",
    "Right shoulder, two views. No fracture. The visualized lung is clear.": "examination: limbs and joints",
    "Heart size normal. No effusion. Diastolic dysfunction grade I. Normal valves.": "examination: heart by other means",
    "CT CHEST\nTree-in-bud nodules in the left lower lobe. Small right effusion.": "examination: computed tomography",
    "REPORT: CT abdomen. The lungs are clear. No pleural effusion.": "examination: abdomen",
    "REPORT: Hand. No acute abnormality. The visualized lungs are clear.": "examination: limbs and joints",
    "EXAM: MR CHEST. FINDINGS: Small pleural effusion. Normal heart.": "examination: magnetic resonance",
    "THORACIC SPINE, AP AND LATERAL. No fracture. The visualized lungs are clear.": "examination: spine",
    "Florp grumbles beneath. Blick snark.": "2 of 2 statements not read",
}
INSIDE = (
    "Normal.",
    "No change.",
    "Pneumothorax.",
    "No pneumothorax.",
    "CXR: normal",
    "ø pneumothorax",
    "XXXX XXXX.",
    "Chest. Lungs are clear. Left knee. Severe joint space narrowing, medial compartment of the knee.",
    f"INDICATION: dolor torácico y tos desde hace tres días.\nFINDINGS: {CHEST}",
    f"Historia: tos y fiebre. {CHEST}",
    f"INDICATION: hip fracture, brain metastases on MRI.\n{CHEST}",
    f"COMPARISON: CT abdomen and pelvis of last week.\nFINDINGS: {CHEST}",
    f"{CHEST} CT of the abdomen is recommended.",
    f"{CHEST} The hepatic lesion seen on CT abdomen is not visible.",
    f"{CHEST} The included upper abdomen is unremarkable, bowel gas in the left upper quadrant.",
    "EXAM: CHEST RADIOGRAPH AFTER CT-GUIDED BIOPSY. FINDINGS: No pneumothorax.",
    f"REPORT: Chest x-ray. {CHEST}",
    f"FINDINGS: Degenerative changes of the thoracic spine. {CHEST}",
    f"Abdominal pain. {CHEST}",
    "COMPARISON: None. Separation of the right acromioclavicular joint. Normal heart. No effusion. Clear lungs. "
    "IMPRESSION: No acute disease.",
    "CT chest: small right pleural effusion. No pneumothorax.",
)


def test_references_of_other_examinations_and_languages_are_recognised(judge: RulesJudge) -> None:
    def in_scope(text: str) -> bool:
        return judge.encode([text])[0].outside is None

    for name in (scope.CHEST, scope.EXAMINATIONS, scope.LANGUAGES):
        cases = [case for case in scope.load("open") if case.file == name]
        wrong = [case.id for case in cases if in_scope(case.text) != (name == scope.CHEST)]
        assert len(wrong) <= (0 if name == scope.CHEST else 0.03 * len(cases)), wrong
    assert scope.false_alarms(judge, scope.notes()) == []


def test_short_and_mixed_texts(judge: RulesJudge) -> None:
    assert {text: str(read.outside) for text, read in zip(OUTSIDE, judge.encode(list(OUTSIDE)), strict=True)} == OUTSIDE
    assert {text: read.outside for text, read in zip(INSIDE, judge.encode(INSIDE), strict=True) if read.outside} == {}


STATEMENTS = ("No pleural effusion.", "Heart size is normal.", "Normal liver and pancreas.", "Kein Erguss rechts.",
              "Florp grumbles.", "The bladder is empty.", "No fracture.", "Pas de foyer.")  # fmt: skip


@given(statements=st.lists(st.sampled_from(STATEMENTS), min_size=1, unique=True), data=st.data())
def test_below_a_heading_the_order_of_statements_does_not_matter(
    judge: RulesJudge, statements: list[str], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(statements))
    one, two = judge.encode(["FINDINGS: " + " ".join(order) for order in (statements, other)])
    assert one.outside == two.outside


@pytest.mark.parametrize("unit", ["Kein Erguss, ", "CT head. ", "liver florp ", "é ", "FINDINGS: Leber frei. ", "œ"])
def test_cost_is_linear_in_length(judge: RulesJudge, unit: str) -> None:
    assert_linear(lambda text: judge.encode([text]), unit)


def test_a_reference_outside_is_refused_without_its_words(judge: RulesJudge) -> None:
    german, chest = judge.encode(["Schlüsselbeinfraktur links, Weichteilschwellung.", CHEST])
    assert judge.refuses(chest) is None
    refusal = judge.refuses(german)
    assert refusal is not None
    assert refusal == ("out_of_scope", "The reference is no English report of a chest radiograph: language: German.")


@pytest.mark.parametrize(
    ("candidate", "note"),
    [
        ("Kein Pneumothorax. Herz normal groß.", "candidate_in_another_language"),
        ("CT abdomen: the appendix is dilated. No pleural effusion.", "candidate_of_another_examination"),
        ("Florp grumbles. Snark blick.", "candidate_not_read"),
    ],
)
def test_a_candidate_outside_is_worth_what_silence_is(judge: RulesJudge, candidate: str, note: str) -> None:
    reference = "Small left pleural effusion. No pneumothorax."
    said, nothing, other = judge.encode([candidate, "", reference])
    scored, silent = (judge.compare([one], [other])[0] for one in (said, nothing))
    assert scored.values == silent.values
    assert scored.values["signed"] == -1.0
    assert scored.notes == (note,)


def test_a_prior_outside_is_left_out(judge: RulesJudge) -> None:
    candidate, reference, prior = judge.encode(["New effusion.", "Effusion.", "Kein Erguss. Infiltrat rechts."])
    assert judge.compare([candidate], [reference], [prior]) == judge.compare([candidate], [reference], [None])


def test_a_phrase_that_says_two_things_is_refused() -> None:
    texts = few_rows()
    changed = texts[knowledge.EXAMINATION].replace("  chest:\n    [", "  chest:\n    [subdural hematoma, ", 1)
    changed = changed.replace("        [intracranial, ", "        [intracranial, subdural hematoma, ", 1)
    with pytest.raises(lx.LexiconError, match="'subdural hematoma' says two things"):
        compiler.build(texts | {knowledge.EXAMINATION: changed})
