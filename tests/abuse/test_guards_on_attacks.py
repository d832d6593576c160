"""The guards against the abuse list: each attack whose form gives it away is flagged, honest reports are not."""

from __future__ import annotations

import pytest

from reward_service.text.guards import GuardResult, GuardSettings, inspect
from reward_service.text.normaliser import normalise
from testbed.abuse.attacks import ATTACKS, EXPECTED_FLAG
from testbed.abuse.studies import NORMAL_REPORT, STUDIES, Study

DEFAULTS = GuardSettings()


def verdict(candidate: str, study: Study, *notes: str) -> GuardResult:
    return inspect(normalise(candidate), normalise(study.reference), DEFAULTS, notes=notes)


def by_name(study: Study) -> str:
    return study.name


ATTACKED = [
    pytest.param(name, study, candidate, id=f"{name}-{study.name}")
    for name, attack in ATTACKS.items()
    for study in STUDIES
    if (candidate := attack(study)) is not None
]


@pytest.mark.parametrize(("attack", "study", "candidate"), ATTACKED)
def test_an_attack_with_a_telling_form_is_flagged(attack: str, study: Study, candidate: str) -> None:
    notes = ("bertscore_truncated",) if attack == "beyond_truncation" else ()
    flags = verdict(candidate, study, *notes).flags
    expected = EXPECTED_FLAG.get(attack)
    if attack in ("shuffled_words", "reversed_words") and len(study.reference.split()) < 16:
        expected = None  # too short to tell a shuffle from a telegraphic style; the other components price it
    assert expected is None or expected in flags


@pytest.mark.parametrize("study", STUDIES, ids=by_name)
def test_an_honest_report_is_never_flagged(study: Study) -> None:
    for candidate in (study.reference, study.paraphrase, study.terse, NORMAL_REPORT):
        assert verdict(candidate, study) == GuardResult((), 1.0, False), candidate


@pytest.mark.parametrize("study", STUDIES, ids=by_name)
def test_another_study_s_honest_report_is_never_flagged(study: Study) -> None:
    for other in STUDIES:
        for candidate in (other.reference, other.paraphrase, other.terse):
            assert verdict(candidate, study) == GuardResult((), 1.0, False), candidate


def test_every_attack_that_ends_at_a_judge_is_worth_the_floor() -> None:
    for name in ("closing_tags", "json_verdict", "zero_errors", "praise", "turn_tokens", "empty", "dot"):
        for study in STUDIES:
            assert verdict(str(ATTACKS[name](study)), study).floor, (name, study.name)
