"""Two reports in different styles: the same study costs nothing, a real difference is the error that it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judges.base import Judgement

from .conftest import errors

Compare = Callable[..., Judgement]

SAME = [
    ("There is a right internal jugular catheter. The tip is in the SVC.",
     "Right internal jugular catheter with tip in the SVC."),
    ("Nasogastric tube tip in the stomach.",
     "NGT courses below the diaphragm with tip in the gastric body."),
    ("Left PICC with tip at the cavoatrial junction.",
     "PICC line from the left ends at the superior cavoatrial junction."),
    ("The patient has been extubated.",
     "Endotracheal tube has been removed."),
    ("Right chest tube has been removed. No pneumothorax.",
     "Interval removal of right chest tube. No pneumothorax."),
    ("Interval placement of left pacemaker.",
     "A left pacemaker has been placed."),
    ("As compared to the previous radiograph, there is no relevant change.",
     "No significant interval change."),
    ("Unchanged cardiomegaly and small effusions.",
     "Cardiomegaly and small effusions are unchanged."),
    ("Pulmonary edema has nearly resolved.",
     "Near complete resolution of pulmonary edema."),
    ("Right pleural effusion has resolved.",
     "The previously seen right pleural effusion is no longer visualized."),
    ("Right pleural effusion has decreased.",
     "The right effusion is smaller."),
    ("12 mm nodule, previously 20 mm.",
     "The nodule has decreased and now measures 12 mm."),
    ("The effusion continues to worsen.",
     "The effusion has increased."),
    ("The left effusion has re-accumulated.",
     "Increased left effusion."),
    ("The patient has received a right PICC.",
     "Interval insertion of a right PICC."),
    ("New right pleural effusion.",
     "A right pleural effusion has developed."),
    ("Moderate right and small left pleural effusions.",
     "Bilateral pleural effusions, moderate on the right and small on the left."),
    ("Moderate right pleural effusion, small left pleural effusion.",
     "There are pleural effusions, small on the left and moderate on the right."),
    ("Small pleural effusions.",
     "Small bilateral pleural effusions."),
    ("Small bilateral pleural effusions.",
     "There are small right and small left pleural effusions."),
    ("No pneumothorax. Small left effusion.",
     "Pneumothorax: No. Effusion: left, small."),
    ("No pneumothorax. Small left effusion.",
     "small L eff, no ptx"),
    ("Left basilar opacity, which may represent atelectasis or pneumonia.",
     "Left base opacity, atelectasis versus pneumonia."),
    ("Left basilar opacity, likely atelectasis.",
     "Opacity at the left base most likely represents atelectasis."),
    ("Effusion and atelectasis at the left base.",
     "Left basilar effusion and left basilar atelectasis."),
    ("The lungs are clear. Heart size is normal. No pleural effusion or pneumothorax.",
     "lungs clear heart normal no effusion no pneumothorax"),
    ("The lungs are clear. Heart size is normal. No pleural effusion or pneumothorax.",
     "the lungs are clear . the heart is normal in size . no pneumothorax or pleural effusion ."),
    ("Small left plueral effusion and bibasilar atelactasis.",
     "Small left pleural effusion and bibasilar atelectasis."),
    ("Mild dextroscoliosis of the thoracic spine.",
     "Mild scoliosis of the thoracic spine convex to the right."),
    ("Umbilical venous catheter tip in the right atrium.",
     "UVC terminates in the right atrium."),
    ("Degenerative changes of the thoracic spine.",
     "Degenerative changes are seen in the thoracic spine."),
    ("**Findings:** Small left effusion.\n**Impression:** Small left effusion.",
     "FINDINGS: Small left pleural effusion."),
    ("- **Heart**: Mildly enlarged.\n- **Pleura**: Small *left* effusion.",
     "Mild cardiomegaly. Small left effusion."),
    ("Streaky opacities at the lung bases, probably atelectasis.",
     "Bibasilar streaky opacities, probably atelectasis."),
    ('{"Pleura": "No effusion, no pneumothorax", "Heart": "Enlarged"}',
     "No effusion or pneumothorax. Cardiomegaly."),
    ("1. Small left effusion.\n2. Mild cardiomegaly.",
     "- Mild cardiomegaly\n- Small left pleural effusion"),
    ("Normal chest radiograph.",
     "Chest X-ray within normal limits."),
    ("No acute osseous abnormality.",
     "Bones are intact."),
    ("Right lower lobe consolidation consistent with pneumonia.",
     "Consolidation in the right lower lobe, in keeping with pneumonia."),
    ("Findings are consistent with congestive heart failure.",
     "Appearances are those of cardiac failure."),
    ("Tortuous calcified aorta.",
     "The aorta is tortuous and calcified."),
    ("SMALL LEFT EFFUSION. MILD CARDIOMEGALY.",
     "small left pleural effusion . mild cardiomegaly ."),
    ("Aside from mild bibasilar atelectasis, the lungs are clear.",
     "Mild bibasilar atelectasis. Lungs are otherwise clear."),
]  # fmt: skip

# candidate, reference, errors as category:finding:S (significant) or i (insignificant)
DIFFERENT = [
    ("The left PICC ends in the right atrium.", "The left PICC ends in the mid SVC.",
     "wrong_location:picc:S"),
    ("Right IJ catheter. The tip is in the right atrium.", "Right IJ catheter with tip in the SVC.",
     "wrong_location:central_line:S"),
    ("NG tube in the esophagus.", "NG tube in the stomach.",
     "wrong_location:enteric_tube:S"),
    ("ET tube in the right mainstem bronchus.", "ET tube 3 cm above the carina.",
     "wrong_location:endotracheal_tube:S"),
    ("The endotracheal tube has been removed.", "Endotracheal tube 4 cm above the carina.",
     "missing_finding:endotracheal_tube:S false_comparison:endotracheal_tube:S"),
    ("No pneumothorax, small left effusion.", "No pneumothorax or effusion.",
     "false_finding:pleural_effusion:S"),
    ("ET tube 1 cm above the carina.", "ET tube 4 cm above the carina.",
     "wrong_location:endotracheal_tube:S"),
    ("ET tube too high.", "ET tube 1 cm above the carina.",
     "wrong_location:endotracheal_tube:S"),
    ("Borderline heart size.", "The heart size is top normal.",
     ""),
    ("Acute right rib fractures.", "Old healed right rib fractures.",
     "false_finding:rib_fracture:S missing_finding:old_rib_fracture:i"),
    ("No acute osseous abnormality.", "Old healed right rib fractures.",
     "missing_finding:old_rib_fracture:i"),
    ("Hyperinflation.", "Changes of COPD.",
     ""),
    ("Large right and small left effusions.", "Small right and large left effusions.",
     "wrong_severity:pleural_effusion:S wrong_severity:pleural_effusion:S"),
    ("Moderate right effusion.", "Moderate right and small left effusions.",
     "missing_finding:pleural_effusion:S"),
    ("Left basilar atelectasis.", "Right basilar opacity, likely atelectasis.",
     "wrong_location:atelectasis:S"),
    ("Left base opacity, probably pneumonia.", "Right base opacity, probably pneumonia.",
     "wrong_location:lung_opacity:S wrong_location:pneumonia:S"),
    ("The effusion has increased.", "The effusion has decreased.",
     "false_comparison:pleural_effusion:S missing_comparison:pleural_effusion:S"),
    ("Cardiomegaly and effusions.", "Cardiomegaly and effusions are unchanged.",
     "missing_comparison:cardiomegaly:i missing_comparison:pleural_effusion:i"),
    ("New pneumothorax.", "Pneumothorax.",
     "false_comparison:pneumothorax:S"),
    ("Interval placement of right chest tube with increase in pneumothorax.", "Interval placement of right chest tube with decrease in pneumothorax.",
     "false_comparison:pneumothorax:S missing_comparison:pneumothorax:S"),
    ("12 mm nodule, previously 20 mm.", "12 mm nodule, previously 8 mm.",
     "false_comparison:nodule:S missing_comparison:nodule:S"),
    ("Right upper lobe pneumonia.", "Right lower lobe pneumonia.",
     "wrong_location:pneumonia:i"),
    ("Large pneumothorax.", "Trace pneumothorax.",
     "wrong_severity:pneumothorax:S"),
    ("Pneumothorax: No.", "Pneumothorax: Small, right.",
     "missing_finding:pneumothorax:S"),
    ("Lungs clear. No pleural effusion.", "There is a left lower lobe consolidation with no pleural effusion.",
     "missing_finding:consolidation:S"),
    ("Mild levoscoliosis.", "Mild dextroscoliosis.",
     "wrong_location:scoliosis:i"),
    ("Heart is normal. Left lung mass.", "Heart is normal. Lungs clear.",
     "false_finding:mass:S"),
    ("Moderate left effusion. The right lung is clear without effusion.", "Moderate left effusion.",
     ""),
    ("Left PICC has been removed.", "Left PICC with tip in the SVC.",
     "false_comparison:picc:S missing_finding:picc:S"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_study_in_other_words_costs_nothing(compare: Compare, one: str, other: str) -> None:
    for candidate, reference in ((one, other), (other, one)):
        verdict = compare(candidate, reference)
        assert verdict.values["signed"] > 0.95, (candidate, errors(verdict))


@pytest.mark.parametrize(("candidate", "reference", "expected"), DIFFERENT)
def test_a_difference_is_the_error_that_it_is(compare: Compare, candidate: str, reference: str, expected: str) -> None:
    found = [
        f"{kind}:{finding}:{'S' if serious else 'i'}"
        for kind, finding, serious in errors(compare(candidate, reference))
    ]
    assert found == sorted(expected.split())
