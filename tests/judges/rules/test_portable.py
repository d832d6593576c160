"""Portable films of inpatients: lines that come and go, advice, doubt, comparisons with the day before.

The sentences are ours; they stand by the reason why a reader gets them wrong.
"""

from __future__ import annotations

import pytest

from .conftest import Describe

CASES = [
    # what is removed, placed or resolved is a whole list, whatever side its members have
    ("Interval removal of the ET tube, NG tube and right chest tube.",
     "-chest_tube -endotracheal_tube -enteric_tube chest_tube=resolved endotracheal_tube=resolved enteric_tube=resolved"),
    ("Interval removal of right chest tube and left PICC, no pneumothorax.",
     "-chest_tube -picc -pneumothorax chest_tube=resolved picc=resolved"),
    ("Removal of left PICC, right chest tube, and ETT with small left effusion.",
     "-chest_tube -endotracheal_tube -picc chest_tube=resolved endotracheal_tube=resolved picc=resolved "
     "pleural_effusion:left.small"),
    ("Interval resolution of right pneumothorax and left effusion.",
     "-pleural_effusion -pneumothorax pleural_effusion=resolved pneumothorax=resolved"),
    ("Interval placement of an ETT, NG tube and right IJ line.",
     "central_line:right central_line=new endotracheal_tube endotracheal_tube=new enteric_tube enteric_tube=new"),
    # ... but no further than the list
    ("Interval removal of ETT, right PICC tip in the SVC.",
     "-endotracheal_tube endotracheal_tube=resolved picc:right@svc"),
    ("Interval removal of the chest tube and new small left pneumothorax.",
     "-chest_tube chest_tube=resolved pneumothorax:left.small pneumothorax=new"),
    ("Interval resolution of edema and small effusions remain.",
     "-edema edema=resolved pleural_effusion:both.small pleural_effusion=stable"),
    # where a tip should be it is not yet
    ("Right PICC ends in the right atrium; recommend withdrawal by 4 cm to position it in the low SVC.",
     "picc:right@right_atrium-astray"),
    ("PICC tip is in the upper right atrium and should be retracted 3 cm to be in the low SVC.",
     "picc@right_atrium-astray"),
    ("NG tube ends in the distal esophagus and needs to be advanced by 10 cm to move all side ports into the stomach.",
     "enteric_tube@esophagus-astray"),
    ("PICC in the right atrium. Withdrawal by 3 cm is recommended.", "picc@right_atrium-astray"),
    ("PICC should be withdrawn 2 cm, as it is in the right atrium.", "picc@right_atrium-astray"),
    ("Recommend advancing the NG tube, which ends in the esophagus.", "enteric_tube@esophagus-astray"),
    ("The chest tube can be removed.", "chest_tube"),
    # a plural that means both sides
    ("Streaky opacities in the lung bases likely reflect atelectasis.",
     "atelectasis:both^lower lung_opacity:both^lower"),
    ("Scarring at the apices.", "scarring:both^upper"),
    ("Left base opacity, scarring at the apex.", "lung_opacity:left^lower scarring^upper"),
    # what is clear gives nothing of its place to what is not
    ("The left base is clear, scarring in the right apex.", "scarring:right^upper"),
    ("The right base is now clear, the left base shows opacity.", "lung_opacity:left^lower"),
    # the carina is a height for what lies in no airway
    ("Tip of left PICC is 5 cm below the carina.", "picc:left"),
    ("Right IJ line 1 cm above the carina.", "central_line:right"),
    ("PICC in the SVC at the level of the carina.", "picc@svc"),
    # what is so only in a setting, and what an "and" adds to what a finding is taken for
    ("Opacity in the lingula, which in the right clinical setting is compatible with pneumonia.",
     "?pneumonia:left^middle lung_opacity:left^middle"),
    ("Right base opacity likely reflects a combination of effusion and adjacent atelectasis.",
     "atelectasis:right^lower lung_opacity:right^lower pleural_effusion:right^lower"),
    ("Left base opacity, likely atelectasis, and small effusion.",
     "atelectasis:left^lower lung_opacity:left^lower pleural_effusion.small"),
    ("Left base opacity, likely atelectasis and no effusion.",
     "-pleural_effusion atelectasis:left^lower lung_opacity:left^lower"),
    ("Right effusion, now moderate to large, with worsening adjacent atelectasis.",
     "atelectasis:right atelectasis=worse pleural_effusion:right.moderate-large"),
    # what a finding is due to lies where it lies
    ("Whiteout of the right hemithorax, likely due to collapse and effusion.",
     "lobar_collapse:right lung_opacity:right pleural_effusion:right"),
    ("No opacity due to pneumonia.", "-lung_opacity -pneumonia"),
    ("Opacity is unlikely due to edema.", "-edema lung_opacity"),
    ("The nodule is no longer visible due to a large effusion.", "-nodule nodule=resolved pleural_effusion.large"),
    ("The left heart border is no longer visible due to a large effusion.",
     "@heart_border=resolved pleural_effusion.large"),
    # what has not changed
    ("Pulmonary edema has improved but not resolved.", "edema edema=better"),
    ("The pneumothorax has not resolved.", "pneumothorax pneumothorax=stable"),
    ("The left effusion has not significantly increased in size.", "pleural_effusion:left pleural_effusion=stable"),
    ("Stable appearance of the left effusion.", "pleural_effusion:left pleural_effusion=stable"),
    ("Stable appearance of the cardiomediastinal silhouette.", "@cardiomediastinum=stable"),
    ("Mild subcutaneous emphysema along the right lateral chest wall is new.",
     "subcutaneous_emphysema:right.small subcutaneous_emphysema=new"),
    ("ETT, NGT, and right IJ line in stable position.",
     "central_line:right central_line=stable endotracheal_tube endotracheal_tube=stable enteric_tube "
     "enteric_tube=stable"),
    ("Effusion, atelectasis unchanged.", "atelectasis atelectasis=stable pleural_effusion"),
    # what one view does not show
    ("Nodule in the left lung is not clearly seen on the lateral view.", "nodule:left"),
    # a denial that is partial for one finding
    ("No displaced rib fracture or pneumothorax.", "-pneumothorax ~rib_fracture"),
    ("No overt edema or focal consolidation.", "-consolidation ~edema"),
    ("No new consolidation or effusion.", "~consolidation ~pleural_effusion"),
    # grades and changes that are not of now
    ("Mild edema, improved from prior, when it was moderate.", "edema.small edema=better"),
    ("Left pneumonia. Follow-up radiographs are recommended to document clearing.", "pneumonia:left"),
    # words
    ("Increase in the left effusion, now moderate in extent, with adjacent atelectasis.",
     "atelectasis:left pleural_effusion:left.moderate pleural_effusion=worse"),
    ("No change in the size of the effusion.", "pleural_effusion pleural_effusion=stable"),
    ("Pleural effusions, left side greater than right.", "pleural_effusion:both"),
    ("Heart size and mediastinal contours are stable.", "@cardiomediastinum=stable"),
    ("Left apical pneumothorax has increased slightly after chest tube removal.",
     "-chest_tube chest_tube=resolved pneumothorax:left^upper pneumothorax=worse"),
    ("Right PICC tip at the SVC/RA junction.", "picc:right@cavoatrial"),
    ("Right PICC ends at the junction of the SVC and right atrium.", "picc:right@cavoatrial"),
    ("The ET tube is too close to the carina.", "endotracheal_tube@too_low-astray"),
    ("Nonemergent CT to further assess the right lung nodule.", ""),
    ("CLIP # 12. No edema.", "-edema"),
    ("Displaced mid-shaft left clavicle fracture.", "clavicle_fracture:left"),
    ("Effusion on the left and basilar areas of atelectasis.", "atelectasis^lower pleural_effusion:left"),
    ("Dobbhoff has been withdrawn into the esophagus.", "enteric_tube@esophagus-astray"),
    ("The right internal jugular vein catheter is unchanged.", "central_line:right central_line=stable"),
    ("PICC tip in the right internal jugular vein.", "picc@jugular-astray"),
    ("Limited exam with low lung volumes.", "limited_study low_lung_volume"),
    ("Rotation limits evaluation for subtle pneumothorax.", "limited_study"),
    ("Interstitial edema has substantially cleared.", "edema edema=better"),
    ("Left basal atelectasis is more severe today.", "atelectasis:left^lower atelectasis=worse"),
    ("Opacities, more severe on the right.", "lung_opacity:both"),
    ("Moderate left pneumothorax without evidence of tension.", "-tension_pneumothorax pneumothorax:left.moderate"),
    ("Upper zone redistribution without overt edema.", "congestion ~edema"),
    ("Esophageal drainage tube ends in the stomach.", "enteric_tube@stomach"),
    ("Right apicolateral pneumothorax.", "pneumothorax:right^upper"),
    ("Repeat radiograph with nipple markers is recommended.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_everything_that_is_said(describe: Describe, text: str, expected: str) -> None:
    assert describe(text) == set(expected.split())
