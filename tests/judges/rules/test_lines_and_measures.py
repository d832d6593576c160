"""Devices, measurements, shorthand and words of comparison: everything that each sentence says.

The sentences are ours; they stand by the reason why a reader gets them wrong.
"""

from __future__ import annotations

import pytest

from .conftest import Describe, Read

CASES = [
    # shorthand
    ("RLL PNA.", "pneumonia:right^lower"),
    ("No PNA, +cardiomegaly", "-pneumonia cardiomegaly"),
    ("No effusion + pneumothorax.", "-pleural_effusion -pneumothorax"),
    ("2+ edema.", "edema"),
    ("Neg for PTX.", "-pneumothorax"),
    ("Effusion neg.", "-pleural_effusion"),
    ("Effusions incr.", "pleural_effusion:both pleural_effusion=worse"),
    ("Incr. edema and decr. effusion.", "edema edema=worse pleural_effusion pleural_effusion=better"),
    ("Edema decr. Effusion stable.", "edema edema=better pleural_effusion pleural_effusion=stable"),
    ("ILD and CMG.", "cardiomegaly interstitial_opacity"),
    # the size now and the size before
    ("Nodule measures 12 mm, previously 9 mm.", "nodule#12 nodule=worse"),
    ("Right pneumothorax of 15 mm (previously 22 mm).", "pneumothorax:right#15 pneumothorax=better"),
    ("15 mm nodule previously 9 mm.", "nodule#15 nodule=worse"),
    ("Nodule of 9 x 8 mm previously.", "nodule"),
    # what "right" is
    ("Left base opacity could be pneumonia in the right clinical setting.",
     "lung_opacity:left^lower ?pneumonia:left^lower"),
    ("Left lower lobe consolidation, pneumonia in the appropriate clinical context.",
     "consolidation:left^lower ?pneumonia:left^lower"),
    ("Left base opacities, in the correct clinical setting this could represent pneumonia.",
     "lung_opacity:left^lower ?pneumonia:left^lower"),
    ("In the proper clinical setting, pneumonia.", "?pneumonia"),
    ("The ETT is in the right place.", "endotracheal_tube"),
    # where a finding is not
    ("Diffuse opacities sparing the left upper lobe.", "lung_opacity"),
    ("Bilateral opacities with sparing of the apices, small left effusion.",
     "lung_opacity:both pleural_effusion:left.small"),
    # where a tip is not, or was
    ("NG tube tip is not in the stomach.", "enteric_tube"),
    ("NG tube does not reach the stomach.", "enteric_tube"),
    ("The enteric tube is not seen below the diaphragm.", "enteric_tube"),
    ("The enteric tube is not seen.", "-enteric_tube"),
    ("ETT no longer in the right main bronchus.", "endotracheal_tube"),
    ("PICC tip previously in the right atrium is now in the SVC.", "picc@svc"),
    ("The ETT has been pulled back from the right main bronchus, now 3 cm above the carina.",
     "endotracheal_tube@above_carina"),
    ("ETT tip 4 cm from the carina.", "endotracheal_tube@above_carina"),
    # two devices are no alternatives
    ("ETT/NGT in place.", "endotracheal_tube enteric_tube"),
    ("Left IJ/right PICC.", "central_line:left picc:right"),
    ("Sternotomy wires/clips.", "sternotomy surgical_clip"),
    ("Atelectasis/pneumonia at the left base.", "?atelectasis:left^lower ?pneumonia:left^lower"),
    # one of several, one for another
    ("One of two chest tubes has been removed.", "chest_tube"),
    ("Interval removal of one of the two left chest tubes.", "chest_tube:left"),
    ("The chest tube has been removed.", "-chest_tube chest_tube=resolved"),
    ("The ET tube has been replaced by a tracheostomy.",
     "-endotracheal_tube endotracheal_tube=resolved tracheostomy tracheostomy=new"),
    ("Swan-Ganz exchanged for a triple-lumen catheter.",
     "-pulmonary_artery_catheter pulmonary_artery_catheter=resolved central_line central_line=new"),
    # denied comparatives
    ("The effusion is no larger.", "pleural_effusion pleural_effusion=stable"),
    ("Edema is no worse.", "edema edema=stable"),
    ("The opacity is not new.", "lung_opacity lung_opacity=stable"),
    ("Edema is not as severe as before.", "edema edema=better"),
    ("No enlargement of the left upper lobe nodule.", "nodule:left^upper nodule=stable"),
    ("No enlargement of the heart.", "-cardiomegaly"),
    ("No large focal areas of consolidation.", "~consolidation"),
    ("No resolution of the edema.", "edema edema=stable"),
    ("There is more edema.", "edema edema=worse"),
    ("Slightly more edema.", "edema edema=worse"),
    ("One or more nodules.", "nodule"),
    # a shadow that is accentuated is not larger
    ("Heart size is accentuated by low lung volumes.", "low_lung_volume"),
    ("Cardiac silhouette is accentuated by AP technique.", ""),
    ("Lung markings are accentuated.", "increased_markings"),
    # a longer name of an anatomy hides no finding
    ("Right lung volume loss.", "volume_loss:right"),
    ("Right heart enlargement.", "chamber_enlargement"),
    ("Enlarged right heart.", "chamber_enlargement"),
    ("Mild pulmonary vascular redistribution.", "congestion.small"),
    ("The right lung is consolidated.", "consolidation:right"),
    ("Lung volumes are lower.", "low_lung_volume"),
    ("Lower lung volumes.", "low_lung_volume"),
    # devices that are something else
    ("Epidural catheter in place.", "device"),
    ("External pacer pads over the left chest.", "device:left"),
    ("Left to right shunt.", "congenital_heart"),
    ("SUPPORT DEVICES: ETT 4 cm above the carina.", "endotracheal_tube@above_carina"),
    ("LINES/TUBES: NG tube in the stomach.", "enteric_tube@stomach"),
    ("Lines and tubes: none.", "-device"),
    # what should be done to a tube is no grade of it, and no size of that it lies wrong
    ("ET tube 6 cm above the carina could be advanced 2 cm.", "endotracheal_tube@above_carina-astray"),
    # names of devices
    ("Ryle's tube in the stomach.", "enteric_tube@stomach"),
    ("CVP line in the SVC.", "central_line@svc"),
    ("RIJV line tip in SVC.", "central_line:right@svc"),
    ("LSCV line in place.", "central_line:left"),
    ("J-tube.", "enteric_tube"),
    ("Sengstaken-Blakemore tube.", "enteric_tube"),
    ("Laryngeal mask airway.", "airway_tube"),
    ("Temperature probe in the esophagus.", "device@esophagus-astray"),
    ("Endobronchial valve in the right upper lobe.", "device:right^upper"),
    ("MitraClip.", "valve_prosthesis"),
    ("Left atrial appendage closure device.", "device"),
    ("Extracorporeal membrane oxygenation cannula.", "assist_device"),
    ("Fiducials in the left lower lobe.", "device:left^lower"),
    ("Biliary drain.", "device"),
    ("Button battery in the esophagus.", "foreign_body@esophagus-astray"),
    ("The patient has been reintubated.", "endotracheal_tube"),
    ("Right humeral head replacement.", "orthopedic_hardware:right"),
    ("PICC tip in the left axilla.", "picc:left@subclavian"),
    ("ETT tip in the hypopharynx.", "endotracheal_tube@pharynx-astray"),
    ("Pacer lead in the coronary sinus.", "pacemaker@right_atrium"),
    # names of findings
    ("Bibasilar reticulations.", "interstitial_opacity:both^lower"),
    ("COVID-19 pneumonia.", "pneumonia"),
    ("Lymphangitic carcinomatosis.", "interstitial_opacity"),
    ("Right upper lobe fibrocavitary lesion.", "cavity:right^upper"),
    ("Organizing pneumonia.", "airspace_opacity"),
    ("Radiation pneumonitis.", "scarring"),
    ("Chronic lung changes.", "scarring"),
    ("Meniscus sign on the left.", "pleural_effusion:left"),
    ("Air is seen under the right hemidiaphragm.", "free_air:right"),
    ("The trachea deviates to the left.", "tracheal_deviation:left"),
    ("Boot-shaped heart.", "congenital_heart"),
    ("Rupture of the left hemidiaphragm.", "diaphragmatic_hernia:left"),
    ("Aortic transection.", "aortic_dilation"),
    ("Normal thymic shadow.", ""),
    ("There isn't a pneumothorax.", "-pneumothorax"),
    ("Opacity related to the patient's history of bronchitis.", "lung_opacity"),
    ("There's a small effusion.", "pleural_effusion.small"),
    ("Small effusion, pneumonia cannot be excluded.", "pleural_effusion.small ?pneumonia"),
    ("NG tube isn't seen.", "-enteric_tube"),
    ("The nodule isn't larger.", "nodule nodule=stable"),
    # grades
    ("Significant left effusion.", "pleural_effusion:left.large"),
    ("No significant effusion.", "-pleural_effusion"),
    ("No pneumothorax or significant effusion.", "-pleural_effusion -pneumothorax"),
    ("Complete re-expansion of the left lung, no pneumothorax.", "-pneumothorax"),
    ("Double-lumen endotracheal tube.", "endotracheal_tube"),
    ("Considerable edema.", "edema.large"),
    ("Near-complete opacification of the left hemithorax.", "lung_opacity:left.large"),
    # gone
    ("Left chest tube in place and the effusion has been drained.",
     "chest_tube:left -pleural_effusion pleural_effusion=resolved"),
    ("The right pleural effusion has been drained with no residual fluid.",
     "-pleural_effusion pleural_effusion=resolved"),
    ("Right pneumothorax has re-expanded.", "-pneumothorax pneumothorax=resolved"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_everything_that_is_said(describe: Describe, text: str, expected: str) -> None:
    assert describe(text) == set(expected.split())


@pytest.mark.parametrize(
    "text", ["PA and lateral views of the chest show normal heart size.", "Chest radiograph shows a normal heart."]
)
def test_a_chest_that_is_looked_at_is_no_subject(read: Read, text: str) -> None:
    assert read(text) == {"cardiomegaly": "0"}


@pytest.mark.parametrize("text", ["Clear.", "NORMAL", "IMPRESSION: Normal.", "Chest: within normal limits."])
def test_a_report_of_one_word_speaks_of_the_chest(read: Read, text: str) -> None:
    assert read(text) == read("Normal chest.") != {}


@pytest.mark.parametrize("text", ["Alignment is normal.", "Not clear.", "Normal variant.", "Clear history."])
def test_one_word_among_others_does_not(read: Read, text: str) -> None:
    assert read(text) == {}


def test_a_lung_that_has_expanded_has_no_pneumothorax(read: Read) -> None:
    assert read("The lung has re-expanded.") == {"pneumothorax": "0", "lobar_collapse": "0"}
