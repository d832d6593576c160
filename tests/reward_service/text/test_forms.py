"""Form is not content: a report in any form is read as its plain text is, and no guard finds fault with it.

`python -m benchmarks.forms` measures the same on real reports.
"""

from __future__ import annotations

import random

import pytest

from benchmarks import forms
from judges.rules.judge import RulesJudge
from testbed.forms import aside, dressed, exported, filed, report, shown
from testbed.forms.report import Written

NORMAL = (
    "The heart size is normal.", "The lungs are clear.", "There is no pleural effusion or pneumothorax.",
    "The visualized osseous structures are intact.", "No focal consolidation.", "The mediastinum is unremarkable.",
)  # fmt: skip
ABNORMAL = (
    "Small bilateral pleural effusions, right greater than left.", "Moderate cardiomegaly, unchanged.",
    "There is mild pulmonary edema, improved since the prior study.", "No large pneumothorax.",
    "A 6 mm nodule in the right upper lobe is possibly a granuloma.", "The thoracic aorta is tortuous and calcified.",
    "Bibasilar opacities may represent atelectasis or pneumonia.", "Degenerative changes of the thoracic spine.",
    "The endotracheal tube ends 4.5 cm above the carina.", "Right PICC with its tip in the SVC.",
    "There is a large left pneumothorax with XXXX shift to the right.", "The previously seen opacity has resolved.",
)  # fmt: skip
IMPRESSIONS = (
    "No acute cardiopulmonary process.", "1. Small effusions. 2. Mild pulmonary edema.", "Cardiomegaly without edema.",
    "Left pneumothorax.", "Stable chest.", "",
)  # fmt: skip


def written(count: int = 24) -> list[Written]:
    """Synthetic reports, from one sentence to ten."""
    rng = random.Random(0)
    pools = (NORMAL, ABNORMAL, NORMAL + ABNORMAL)
    findings = (rng.sample(pools[n % 3], rng.randint(1, min(10, len(pools[n % 3])))) for n in range(count))
    return [Written(" ".join(said), rng.choice(IMPRESSIONS)) for said in findings]


FORMS = {**shown.FORMS, **filed.FORMS, **dressed.FORMS}


@pytest.fixture(scope="module")
def judge() -> RulesJudge:
    return RulesJudge()


@pytest.mark.parametrize("name", FORMS)
def test_form_is_not_content(judge: RulesJudge, name: str) -> None:
    found = forms.scored(judge, forms.both_ways(FORMS[name], written()))
    assert not [(one.flags, one.candidate) for one in found if one.penalised]
    assert sum(one.signed for one in found) / len(found) >= forms.MEAN
    assert not [(one.signed, one.candidate, one.reference) for one in found if one.signed < forms.LEAST]


def test_every_form_keeps_the_words_of_the_report() -> None:
    plain = Written("The heart is large. No effusion, no edema.", "1. Cardiomegaly. 2. No edema.")
    for name, form in {
        **shown.FORMS,
        **shown.LOSSY,
        **aside.FORMS,
        **exported.FORMS,
        **filed.FORMS,
        **dressed.FORMS,
    }.items():
        text = form(plain).lower()
        assert all(word in text for word in ("heart", "large", "effusion", "edema", "cardiomegaly")), name
    assert plain.sentences == ["The heart is large.", "No effusion, no edema.", "Cardiomegaly.", "No edema."]
    assert dict(report.by_organ(plain)) == {
        "heart": ["The heart is large.", "Cardiomegaly."],
        "pleura": ["No effusion, no edema."],
        "other": ["No edema."],
    }
