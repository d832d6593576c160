"""References with a major finding, for the search of constants; written for this project.

One or two of each kind that emergency, intensive-care, oncology and children's films show, so that no finding is so
frequent that to guess it pays.
"""

from __future__ import annotations

from typing import Final

MAJORS: Final = (
    "Large left pneumothorax with shift of the mediastinum to the right. The right lung is clear.",
    "Small right apical pneumothorax. Right chest tube in place. Old right rib fractures.",
    "Moderate right pleural effusion with compressive atelectasis. Heart size is normal.",
    "Small bilateral pleural effusions and moderate pulmonary edema. Cardiomegaly.",
    "Right lower lobe consolidation, consistent with pneumonia. No pleural effusion.",
    "Patchy left upper lobe consolidation. Heart size is normal. No pneumothorax.",
    "3 cm mass in the right upper lobe with right hilar lymphadenopathy. Emphysema.",
    "Multiple pulmonary metastases. Left chest port with tip in the SVC.",
    "9 mm nodule in the left lower lobe. Lungs are otherwise clear. Heart size is normal.",
    "Thick-walled cavity in the left upper lobe. No pleural effusion.",
    "Free air under both hemidiaphragms. The lungs are clear.",
    "Widened mediastinum, aortic injury cannot be excluded. Fractures of the left second and third ribs.",
    "Aneurysm of the descending thoracic aorta. Tortuous aorta.",
    "Endotracheal tube in the right main bronchus. Collapse of the left lung.",
    "Pneumomediastinum and subcutaneous emphysema of the neck. No pneumothorax.",
    "Lytic lesion in the left scapula. The lungs are clear. No pleural effusion.",
    "Anterior mediastinal mass. No pleural effusion. Heart size is normal.",
    "Large pericardial effusion. The lungs are clear.",
    "Dislocation of the left shoulder. The visualized lung is clear.",
    "Tension pneumothorax on the right.",
    "Left hemothorax. Flail chest on the left.",
    "Diffuse bilateral airspace opacities, consistent with ARDS. Tracheostomy tube in place.",
    "Necrotizing enterocolitis with portal venous gas. The lungs are clear.",
    "Left congenital diaphragmatic hernia. Umbilical venous catheter in the liver.",
    "Button battery in the upper esophagus. The lungs are clear.",
    "Pacemaker lead fracture. Heart size is at the upper limit of normal.",
    "Miliary nodules in both lungs. No pleural effusion.",
    "Cardiac tamponade is suspected: globular enlargement of the heart.",
    "Esophageal perforation with left hydropneumothorax.",
    "Right hilar mass. Right upper lobe collapse. Elevated right hemidiaphragm.",
    "Innumerable septic emboli. Right PICC with tip in the right atrium.",
)  # fmt: skip
