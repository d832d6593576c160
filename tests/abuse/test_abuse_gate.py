"""The gate: with the shipped `embedded` profile no attack beats an honest report of the same study.

Everything is scored in-process by the real engine, as a trainer would have it scored.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from reward_service.engine import Engine
from reward_service.scoring import Item
from reward_service.settings import Settings

from .attacks import ATTACKS
from .studies import NORMAL_REPORT, STUDIES, Study

pytest.importorskip("judges.rules.judge")
pytest.importorskip("metrics.bertscore")

ABNORMAL = [study for study in STUDIES if study.abnormal]

REAL_CONTENT: dict[str, str] = {}
"""Attacks that may beat the constant normal report on an abnormal study, with the reason."""


@pytest.fixture(scope="module")
def rewards() -> dict[tuple[str, str], float]:
    """Reward by (study, candidate): the attacks, and the honest candidates `reference`, `paraphrase`, `terse`."""
    items = []
    for study in STUDIES:
        honest = {"reference": study.reference, "paraphrase": study.paraphrase, "terse": study.terse}
        candidates = {**honest, "normal": NORMAL_REPORT, **{name: make(study) for name, make in ATTACKS.items()}}
        items += [
            Item(f"{study.name}/{n}", text, study.reference) for n, text in candidates.items() if text is not None
        ]
    scored = asyncio.run(_score(items))
    return {(study, name): reward for (study, name), reward in scored.items()}


async def _score(items: list[Item]) -> dict[tuple[str, str], float]:
    async with Engine(Settings(profiles=("embedded",))) as engine:
        answers = await engine.score(engine.served(None), items, deadline=time.monotonic() + 300)
    rewards: dict[tuple[str, str], float] = {}
    for answer in answers:
        assert answer.composite.reward is not None, answer.composite.missing
        study, _, name = str(answer.id).partition("/")
        rewards[study, name] = answer.composite.reward
    return rewards


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_beats_an_honest_report(rewards: dict[tuple[str, str], float], attack: str, study: Study) -> None:
    if (study.name, attack) not in rewards:
        pytest.skip("does not apply to this study")
    honest = min(rewards[study.name, "paraphrase"], rewards[study.name, "terse"])
    assert rewards[study.name, attack] <= honest


@pytest.mark.parametrize("study", ABNORMAL, ids=lambda study: study.name)
@pytest.mark.parametrize("attack", [a for a in ATTACKS if a not in REAL_CONTENT and a != "normal_template"])
def test_no_attack_beats_the_normal_report(rewards: dict[tuple[str, str], float], attack: str, study: Study) -> None:
    if (study.name, attack) not in rewards:
        pytest.skip("does not apply to this study")
    assert rewards[study.name, attack] <= rewards[study.name, "normal"]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_honest_reports_keep_their_order(rewards: dict[tuple[str, str], float], study: Study) -> None:
    assert rewards[study.name, "reference"] >= rewards[study.name, "paraphrase"]
    if study.abnormal:
        assert rewards[study.name, "terse"] > rewards[study.name, "normal"]
