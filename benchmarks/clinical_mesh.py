"""What the human MeSH coding of the Indiana reports says, in the rules judge's concept names.

One MeSH heading names what several of our concepts express ("Opacity/lung/base" may be written as infiltrate), so the
relation is heading -> acceptable concepts. It is used for recall (a coded heading found by any of them) and for precision
(a finding backed by any coded heading).
"""

from __future__ import annotations

_LUNG = (
    "lung_opacity airspace_opacity consolidation pneumonia atelectasis scarring fibrosis interstitial_opacity chronic_interstitial_change nodule mass "
    "increased_markings aspiration volume_loss lobar_collapse cavity cavitary_nodule cavitary_mass hilar_mass edema peribronchial_cuffing "
    "round_pneumonia covid_pneumonia tree_in_bud endobronchial_tumor pancoast_tumor hamartoma radiation_fibrosis"
).split()
_CALCIFIED = (
    "calcification calcified_granuloma calcified_lymph_node lung_calcification granuloma granulomatous_disease "
    "aortic_calcification atherosclerosis pleural_plaque coronary_calcification valve_calcification splenic_calcification "
    "pericardial_calcification nodule"
).split()
_SPINE = "degenerative_spine degenerative_bone osteophyte hyperostosis arthritis".split()
_BREAK = "fracture rib_fracture clavicle_fracture sternal_fracture vertebral_compression rib_deformity spine_deformity bone_abnormality old_fracture old_rib_fracture".split()
_SURGICAL = (
    "surgical_clip surgical_material sternotomy cabg cholecystectomy postoperative_change orthopedic_hardware spinal_fusion "
    "device valve_prosthesis foreign_body lung_resection"
).split()
_DEVICE = (
    "device pacemaker defibrillator central_line picc port stent valve_prosthesis orthopedic_hardware spinal_fusion "
    "foreign_body assist_device vascular_filter chest_tube enteric_tube endotracheal_tube tracheostomy surgical_clip "
    "surgical_material breast_implant balloon_pump airway_tube"
).split()
_LINE = "central_line picc port pulmonary_artery_catheter chest_tube device pacemaker".split()
_COPD = "copd emphysema hyperinflation bulla lucency flattened_diaphragm".split()

HEADINGS: dict[str, list[str]] = {
    "Technical Quality of Image Unsatisfactory ": ["limited_study", "obesity", "low_lung_volume"],
    "Opacity": [*_LUNG, "hilar_prominence", "granuloma", "mediastinal_mass", "epicardial_fat"],
    "Density": [*_LUNG, "foreign_body", "hilar_prominence", "calcification", "mediastinal_mass", "bone_lesion", "epicardial_fat", "granuloma", "chest_wall_mass"],
    "Airspace Disease": _LUNG,
    "Infiltrate": _LUNG,
    "Consolidation": _LUNG,
    "Pneumonia": _LUNG,
    "Markings": ["increased_markings", "peribronchial_cuffing", "interstitial_opacity", "congestion", "lung_opacity", "fibrosis", "chronic_interstitial_change", "airway_disease", "scarring"],
    "Cardiomegaly": ["cardiomegaly", "cardiomyopathy", "borderline_heart", "chamber_enlargement", "pericardial_effusion"],
    "Cardiac Shadow": ["cardiomegaly", "cardiomyopathy", "borderline_heart", "chamber_enlargement", "pericardial_effusion"],
    "Heart": ["cardiomegaly", "borderline_heart", "chamber_enlargement", "valve_prosthesis", "valve_calcification", "cabg"],
    "Heart Ventricles": ["chamber_enlargement", "cardiomegaly"],
    "Heart Atria": ["chamber_enlargement", "cardiomegaly"],
    "Heart Failure": ["heart_failure", "edema", "congestion"],
    "Pulmonary Edema": ["edema", "congestion", "heart_failure", "interstitial_opacity"],
    "Pulmonary Congestion": ["congestion", "edema", "heart_failure", "increased_markings"],
    "Hypertension, Pulmonary": ["pulmonary_hypertension", "pulmonary_artery_enlargement", "congestion"],
    "Pulmonary Artery": ["pulmonary_artery_enlargement", "pulmonary_hypertension", "hilar_prominence"],
    "Pulmonary Atelectasis": ["atelectasis", "lobar_collapse", "volume_loss", "lung_opacity"],
    "Volume Loss": ["volume_loss", "atelectasis", "lobar_collapse", "low_lung_volume"],
    "Cicatrix": ["scarring", "fibrosis", "chronic_interstitial_change", "pleural_thickening", "lung_opacity"],
    "Pulmonary Fibrosis": ["fibrosis", "chronic_interstitial_change", "scarring", "interstitial_opacity"],
    "Lung Diseases, Interstitial": ["interstitial_opacity", "chronic_interstitial_change", "fibrosis", "pneumoconiosis"],
    "Emphysema": _COPD,
    "Pulmonary Emphysema": _COPD,
    "Bullous Emphysema": _COPD,
    "Pulmonary Disease, Chronic Obstructive": _COPD,
    "Lung, Hyperlucent": [*_COPD, "lung_cyst"],
    "Lucency": [*_COPD, "lung_cyst", "cavity", "cavitary_nodule", "cavitary_mass", "free_air", "bone_lesion"],
    "Blister": ["bulla", "emphysema"],
    "Cysts": ["lung_cyst", "pneumatocele", "benign_bone_tumor", "bulla", "mediastinal_mass", "bone_lesion"],
    "Cavitation": ["cavity", "cavitary_nodule", "cavitary_mass", "lung_cyst", "bulla"],
    "Nodule": ["nodule", "cavitary_nodule", "mass", "cavitary_mass", "granuloma", "calcified_granuloma", "metastasis", "lung_opacity", "nipple_shadow", "lung_calcification", "pleural_mass"],
    "Mass": ["mass", "cavitary_mass", "nodule", "mediastinal_mass", "hilar_mass", "pleural_mass", "lung_opacity", "hilar_prominence", "soft_tissue_abnormality", "breast_mass", "chest_wall_mass", "goiter"],
    "Granuloma": ["granuloma", "calcified_granuloma", "granulomatous_disease", "calcified_lymph_node", "nodule"],
    "Calcified Granuloma": _CALCIFIED,
    "Calcinosis": _CALCIFIED,
    "Granulomatous Disease": ["granulomatous_disease", "granuloma", "calcified_granuloma", "calcified_lymph_node", "lung_calcification"],
    "Atherosclerosis": ["atherosclerosis", "aortic_calcification", "coronary_calcification", "tortuous_aorta", "calcification"],
    "Aorta": ["tortuous_aorta", "aortic_dilation", "atherosclerosis", "right_aortic_arch", "aortic_abnormality"],
    "Aorta, Thoracic": ["tortuous_aorta", "aortic_dilation", "atherosclerosis", "right_aortic_arch", "aortic_abnormality"],
    "Aortic Aneurysm": ["aortic_dilation", "tortuous_aorta"],
    "Mediastinum": ["mediastinal_widening", "mediastinal_hematoma", "mediastinal_abnormality", "mediastinal_shift", "tortuous_aorta", "mediastinal_mass", "cardiomegaly"],
    "Lymph Nodes": ["lymphadenopathy", "hilar_prominence", "calcified_lymph_node"],
    "Sarcoidosis": ["sarcoidosis", "lymphadenopathy"],
    "Tuberculosis": ["tuberculosis", "granulomatous_disease"],
    "Trachea": ["mediastinal_shift", "tracheal_deviation", "tracheal_narrowing"],
    "Shift": ["mediastinal_shift", "tracheal_deviation"],
    "Pleural Effusion": ["pleural_effusion", "hydropneumothorax", "blunted_costophrenic_angle", "pericardial_effusion"],
    "Costophrenic Angle": ["blunted_costophrenic_angle", "pleural_effusion", "pleural_thickening", "scarring"],
    "Sulcus": ["blunted_costophrenic_angle", "pleural_effusion"],
    "Pneumothorax": ["pneumothorax", "hydropneumothorax"],
    "Hydropneumothorax": ["hydropneumothorax", "pneumothorax", "pleural_effusion"],
    "Pericardial Effusion": ["pericardial_effusion", "cardiomegaly"],
    "Thickening": ["pleural_thickening", "peribronchial_cuffing", "interstitial_opacity", "chronic_interstitial_change", "airway_disease", "scarring", "increased_markings"],
    "Pleura": ["pleural_thickening", "pleural_abnormality", "pleural_plaque"],
    "Diaphragm": ["elevated_diaphragm", "phrenic_palsy", "flattened_diaphragm", "diaphragm_eventration", "hyperinflation"],
    "Diaphragmatic Eventration": ["diaphragm_eventration", "elevated_diaphragm"],
    "Hernia, Hiatal": ["hiatal_hernia", "diaphragmatic_hernia"],
    "Hernia, Diaphragmatic": ["diaphragmatic_hernia", "hiatal_hernia"],
    "Colonic Interposition": ["diaphragmatic_hernia", "bowel_distention"],
    "Pneumoperitoneum": ["free_air"],
    "Thoracic Vertebrae": [*_SPINE, "vertebral_compression", "spine_deformity", "kyphosis", "scoliosis", "osteopenia"],
    "Thoracic vertebrae": [*_SPINE, "vertebral_compression"],
    "Lumbar Vertebrae": [*_SPINE, "vertebral_compression"],
    "Spine": [*_SPINE, "vertebral_compression", "spine_deformity", "kyphosis", "scoliosis"],
    "Spondylosis": _SPINE,
    "Osteophyte": _SPINE,
    "Arthritis": [*_SPINE, "degenerative_shoulder"],
    "Hyperostosis, Diffuse Idiopathic Skeletal": _SPINE,
    "Bone and Bones": [*_SPINE, "degenerative_shoulder", "bone_abnormality"],
    "Shoulder": ["degenerative_shoulder", "ac_separation", "arthritis", "degenerative_bone", "dislocation", "orthopedic_hardware"],
    "Sclerosis": ["bone_lesion", "degenerative_spine", "spine_deformity"],
    "Scoliosis": ["scoliosis"],
    "Kyphosis": ["kyphosis", "scoliosis"],
    "Bone Diseases, Metabolic": ["osteopenia", "metabolic_bone_disease"],
    "Osteoporosis": ["osteopenia"],
    "Fractures, Bone": _BREAK,
    "Ribs": [*_BREAK, "bone_lesion"],
    "Deformity": [*_BREAK, "burst_fracture", "chest_wall_deformity", "pectus_deformity", "degenerative_spine", "scoliosis", "kyphosis"],
    "Expansile Bone Lesions": ["bone_lesion"],
    "Dislocations": ["dislocation"],
    "Funnel Chest": ["pectus_deformity"],
    "Pectus Carinatum": ["pectus_deformity"],
    "Subcutaneous Emphysema": ["subcutaneous_emphysema"],
    "Epicardial Fat": ["epicardial_fat"],
    "Adipose Tissue": ["epicardial_fat"],
    "Nipple Shadow": ["nipple_shadow"],
    "Mastectomy": ["mastectomy", "surgical_clip"],
    "Breast Implants": ["breast_implant"],
    "Pneumonectomy": ["lung_resection", "postoperative_change"],
    "Surgical Instruments": _SURGICAL,
    "Sutures": _SURGICAL,
    "Spinal Fusion": _SURGICAL,
    "Stents": ["stent"],
    "Catheters, Indwelling": _LINE,
    "Tube, Inserted": ["endotracheal_tube", "enteric_tube", "chest_tube", "tracheostomy", "device", "airway_tube"],
    "Implanted Medical Device": _DEVICE,
    "Medical Device": _DEVICE,
    "Foreign Bodies": ["foreign_body", "surgical_clip", "device", "breast_implant", "surgical_material"],
    "Contrast Media": ["foreign_body"],
    "Bronchiectasis": ["bronchiectasis", "airway_disease"],
    "Bronchitis": ["airway_disease", "bronchiectasis"],
    "Bronchiolitis": ["airway_disease"],
    "Cystic Fibrosis": ["cystic_fibrosis", "bronchiectasis"],
}  # fmt: skip

_QUALIFIED: dict[tuple[str, str], list[str]] = {
    ("Lung", "hypoinflation"): ["low_lung_volume"],
    ("Lung", "hyperdistention"): _COPD,
    ("Lung", "azygos lobe"): ["azygos_variant"],
    ("Lung", "hilum"): [
        "hilar_prominence",
        "lymphadenopathy",
        "pulmonary_artery_enlargement",
        "hilar_mass",
        "congestion",
    ],
    ("Lung", "interstitial"): ["interstitial_opacity", "chronic_interstitial_change", "increased_markings"],
}
NOT_A_FINDING = frozenset(("normal", "No Indexing", "Abdomen", "Humerus", "Hypovolemia"))
"""Headings that name no finding, or nothing that a reader of the report could name (an abdomen as such)."""


def accepted(heading: str) -> frozenset[str] | None:
    """Concepts that express `heading`; None where it is no finding."""
    parts = heading.split("/")
    if parts[0] in NOT_A_FINDING:
        return None
    for part in parts[1:]:
        if (parts[0], part) in _QUALIFIED:
            return frozenset(_QUALIFIED[parts[0], part])
    return frozenset(HEADINGS[parts[0]]) if parts[0] in HEADINGS else None
