"""Synthetic studies for the abuse suite: a reference, two honest ways to report it, and how to falsify it.

All text is written for this project. The studies cover normal and abnormal findings, devices, several writing
styles (prose, telegraphic, numbered, capitals, lower-cased tokens, headings) and lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

NORMAL_REPORT = (
    "The heart size and mediastinal contours are within normal limits. The lungs are clear. "
    "There is no pleural effusion or pneumothorax. No acute osseous abnormality."
)
"""The constant report of a policy that has stopped to look at the image."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study. The edits are (old, new) pairs that apply to `reference`, and touch every statement of their kind."""

    name: str
    reference: str
    paraphrase: str
    """Every finding of the reference, in other words."""
    terse: str
    """A correct impression: every positive finding, or that there is none."""
    negation: tuple[str, str]
    """Denies every positive finding, or asserts one in a normal study."""
    severity: tuple[str, str] | None = None
    side: tuple[str, str] | None = None
    abnormal: bool = True


STUDIES = (
    Study(
        "normal prose",
        "The cardiac silhouette is normal in size. The mediastinal contours are unremarkable. The lungs are clear "
        "without focal consolidation. There is no pleural effusion or pneumothorax. The visualized bones are intact.",
        "Heart size is normal and the mediastinum is unremarkable. No focal consolidation is seen in either lung. "
        "No pneumothorax or pleural effusion. No acute bony abnormality.",
        "No acute cardiopulmonary abnormality.",
        ("There is no pleural effusion or pneumothorax", "There is a pleural effusion and a pneumothorax"),
        abnormal=False,
    ),
    Study(
        "normal telegraphic",
        "Heart size normal. Lungs clear. No effusion. No pneumothorax. No edema.",
        "Normal heart size. Clear lungs. No edema, pneumothorax or effusion.",
        "No acute disease.",
        ("No edema", "Pulmonary edema"),
        abnormal=False,
    ),
    Study(
        "right pneumothorax",
        "There is a moderate right apical pneumothorax. No mediastinal shift is seen. The left lung is clear. "
        "The heart size is normal. There is no pleural effusion.",
        "A moderate pneumothorax is present at the right apex, without shift of the mediastinum. Clear left lung. "
        "Normal heart size. No pleural effusion.",
        "Moderate right apical pneumothorax.",
        ("There is a moderate right apical pneumothorax", "There is no right apical pneumothorax"),
        ("moderate", "tiny"),
        ("right apical", "left apical"),
    ),
    Study(
        "left effusion with atelectasis",
        "There is a large left pleural effusion with adjacent left basilar atelectasis. The right lung is clear. "
        "The cardiac silhouette is partially obscured. No pneumothorax is identified.",
        "Large pleural effusion on the left and associated atelectasis at the left base. Right lung is clear. The "
        "heart is partly obscured. There is no pneumothorax.",
        "Large left pleural effusion with left basilar atelectasis.",
        ("There is a large left pleural effusion with", "There is no left pleural effusion or"),
        ("large", "trace"),
        ("large left", "large right"),
    ),
    Study(
        "heart failure",
        "The heart is moderately enlarged. There is moderate pulmonary edema. Small bilateral pleural effusions are "
        "present. There is no pneumothorax. Degenerative changes are noted in the thoracic spine.",
        "Moderate cardiomegaly with moderate pulmonary edema and small pleural effusions on both sides. No "
        "pneumothorax. Degenerative change of the thoracic spine.",
        "Moderate cardiomegaly, moderate pulmonary edema and small bilateral pleural effusions.",
        (
            "The heart is moderately enlarged. There is moderate pulmonary edema. Small bilateral pleural effusions "
            "are present. There is no pneumothorax. Degenerative changes are noted",
            "The heart is not enlarged. There is no pulmonary edema. No pleural effusions are present. There is no "
            "pneumothorax. No degenerative changes are noted",
        ),
        (
            "moderately enlarged. There is moderate pulmonary edema. Small",
            "minimally enlarged. There is minimal pulmonary edema. Large",
        ),
    ),
    Study(
        "pneumonia",
        "There is consolidation in the right lower lobe, consistent with pneumonia. The left lung is clear. No pleural "
        "effusion or pneumothorax. Heart size is within normal limits.",
        "Right lower lobe consolidation, in keeping with pneumonia. Clear left lung. The heart is normal in size. "
        "There is no pneumothorax or pleural effusion.",
        "Right lower lobe pneumonia.",
        ("There is consolidation in the right lower lobe, consistent with", "There is no consolidation and no"),
        None,
        ("right lower lobe", "left lower lobe"),
    ),
    Study(
        "intensive care devices",
        "FINDINGS: The endotracheal tube ends 4 cm above the carina. A right internal jugular catheter ends in the "
        "superior vena cava. There is a moderate left pleural effusion with mild bibasilar atelectasis. The heart is "
        "normal in size.\nIMPRESSION: Moderate left pleural effusion. No pneumothorax.",
        "Endotracheal tube tip 4 cm above the carina. Right internal jugular line with its tip in the superior vena "
        "cava. Moderate pleural effusion on the left and mild atelectasis at both bases. Normal heart size. There is "
        "no pneumothorax.",
        "Endotracheal tube 4 cm above the carina and right internal jugular catheter in the superior vena cava. "
        "Moderate left pleural effusion with mild bibasilar atelectasis.",
        (
            "There is a moderate left pleural effusion with mild bibasilar atelectasis. The heart is normal in size."
            "\nIMPRESSION: Moderate left pleural effusion. No pneumothorax.",
            "There is no pleural effusion and no atelectasis. The heart is normal in size."
            "\nIMPRESSION: No pleural effusion. No pneumothorax.",
        ),
        (
            "a moderate left pleural effusion with mild bibasilar atelectasis. The heart is normal in size."
            "\nIMPRESSION: Moderate left",
            "a massive left pleural effusion with severe bibasilar atelectasis. The heart is normal in size."
            "\nIMPRESSION: Massive left",
        ),
        (
            "a moderate left pleural effusion with mild bibasilar atelectasis. The heart is normal in size."
            "\nIMPRESSION: Moderate left",
            "a moderate right pleural effusion with mild bibasilar atelectasis. The heart is normal in size."
            "\nIMPRESSION: Moderate right",
        ),
    ),
    Study(
        "numbered impression",
        "1. 2 cm nodule in the left upper lobe, suspicious for malignancy.\n2. Emphysema.\n3. No pleural effusion.",
        "Emphysema. There is a 2 cm nodule in the left upper lobe, which is suspicious for malignancy. No effusion.",
        "2 cm left upper lobe nodule suspicious for malignancy, and emphysema.",
        (
            "2 cm nodule in the left upper lobe, suspicious for malignancy.\n2. Emphysema.",
            "No nodule in the left upper lobe, no concern for malignancy.\n2. No emphysema.",
        ),
        None,
        ("left upper lobe", "right upper lobe"),
    ),
    Study(
        "capitals",
        "THERE IS A SMALL RIGHT PLEURAL EFFUSION. MILD CARDIOMEGALY. NO PNEUMOTHORAX. OLD LEFT RIB FRACTURES.",
        "SMALL PLEURAL EFFUSION ON THE RIGHT. THE HEART IS MILDLY ENLARGED. OLD FRACTURES OF LEFT RIBS. "
        "NO PNEUMOTHORAX.",
        "SMALL RIGHT PLEURAL EFFUSION. MILD CARDIOMEGALY. OLD LEFT RIB FRACTURES.",
        (
            "THERE IS A SMALL RIGHT PLEURAL EFFUSION. MILD CARDIOMEGALY. NO PNEUMOTHORAX. OLD LEFT RIB FRACTURES.",
            "THERE IS NO RIGHT PLEURAL EFFUSION. NO CARDIOMEGALY. NO PNEUMOTHORAX. NO LEFT RIB FRACTURES.",
        ),
        ("A SMALL RIGHT PLEURAL EFFUSION. MILD", "A LARGE RIGHT PLEURAL EFFUSION. SEVERE"),
        (
            "A SMALL RIGHT PLEURAL EFFUSION. MILD CARDIOMEGALY. NO PNEUMOTHORAX. OLD LEFT",
            "A SMALL LEFT PLEURAL EFFUSION. MILD CARDIOMEGALY. NO PNEUMOTHORAX. OLD RIGHT",
        ),
    ),
    Study(
        "lower-cased tokens",
        "there is a patchy opacity in the left lower lobe . the heart is mildly enlarged . there is no pleural "
        "effusion . no pneumothorax is seen .",
        "patchy left lower lobe opacity . mild cardiomegaly . no effusion or pneumothorax .",
        "patchy left lower lobe opacity and mild cardiomegaly .",
        (
            "there is a patchy opacity in the left lower lobe . the heart is mildly enlarged",
            "there is no patchy opacity in the left lower lobe . the heart is not enlarged",
        ),
        ("mildly enlarged", "massively enlarged"),
        ("left lower lobe", "right lower lobe"),
    ),
    Study(
        "chronic changes",
        "The lungs are hyperinflated with emphysema. A calcified granuloma is seen in the right upper lobe. The aorta "
        "is tortuous. No focal consolidation, pleural effusion or pneumothorax.",
        "Hyperinflated lungs with emphysema. Calcified granuloma in the right upper lobe. Tortuous aorta. There is no "
        "pneumothorax, effusion or focal consolidation.",
        "Emphysema with hyperinflated lungs, right upper lobe calcified granuloma and tortuous aorta.",
        (
            "The lungs are hyperinflated with emphysema. A calcified granuloma is seen in the right upper lobe. The "
            "aorta is tortuous.",
            "The lungs are not hyperinflated and without emphysema. No calcified granuloma is seen in the right upper "
            "lobe. The aorta is not tortuous.",
        ),
    ),
    Study(
        "interval change",
        "Comparison is made with the prior study. The right pleural effusion has increased and is now large. The left "
        "basilar opacity is unchanged. There is no pneumothorax. Stable moderate cardiomegaly.",
        "Compared with the prior study, the right pleural effusion has increased and is large. Unchanged opacity at "
        "the left base. Moderate cardiomegaly is stable. No pneumothorax.",
        "Increased, now large right pleural effusion. Unchanged left basilar opacity. Stable moderate cardiomegaly.",
        (
            "The right pleural effusion has increased and is now large. The left basilar opacity is unchanged. There "
            "is no pneumothorax. Stable moderate cardiomegaly.",
            "The right pleural effusion has resolved. The left basilar opacity is no longer seen. There is no "
            "pneumothorax. No cardiomegaly.",
        ),
        (
            "increased and is now large. The left basilar opacity is unchanged. There is no pneumothorax. Stable "
            "moderate",
            "increased and is now tiny. The left basilar opacity is unchanged. There is no pneumothorax. Stable severe",
        ),
        (
            "right pleural effusion has increased and is now large. The left",
            "left pleural effusion has increased and is now large. The right",
        ),
    ),
)
