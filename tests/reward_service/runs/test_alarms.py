"""Each alarm is raised by the run that it is for, and none by an honest one. The runs are written by hand."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from reward_service.contracts import Composite
from reward_service.runs.alarms import CODES, LEAST_STEPS, alarms
from reward_service.runs.totals import Scored, Totals, of_requests, summed

Made = Callable[[float, int, random.Random], tuple[str, float, dict[str, float], tuple[str, ...]]]
"""From progress in [0, 1], the study and chance: candidate, reward, components, flags."""


def run(made: Made, steps: int = 60, seed: int = 7) -> list[Totals]:
    draw = random.Random(seed)
    out = []
    for step in range(steps):
        requests = []
        for study in range(8):
            pairs = []
            for rollout in range(4):
                text, reward, components, flags = made(step / (steps - 1), study, draw)
                composite = Composite(reward, "ok", components, {}, {}, (), (), flags)
                pairs.append(
                    (
                        text or f"candidate {step} {study} {rollout} of this run",
                        f"reference {study}",
                        composite,
                    )
                )
            requests.append(of_requests([Scored(*zip(*pairs, strict=True), ["clinical"], "text", 5.0)]))
        out.append(summed(requests))
    return out


def honest(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    reward = 0.2 + 0.4 * progress + draw.gauss(0, 0.15)
    return "", reward, {"bleu2": reward / 2, "clinical": reward}, ("repetition",) if draw.random() < 0.05 else ()


def collapsing(
    progress: float, study: int, draw: random.Random
) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    reward = 0.4 + draw.gauss(0, 0.15 * (1 - progress) ** 3)
    return "", reward, {"bleu2": reward, "clinical": reward}, ()


def flagged(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    text, reward, components, _ = honest(progress, study, draw)
    return text, reward, components, ("hedge_density",) if draw.random() < 0.6 * progress else ()


def longer(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    _, reward, components, flags = honest(progress, study, draw)
    return f"{draw.random()} " + "words " * int(10 + 30 * progress), reward, components, flags


def hacked(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    _, reward, _, flags = honest(progress, study, draw)
    return "", reward, {"bleu2": reward, "clinical": 0.6 - 0.5 * progress + draw.gauss(0, 0.1)}, flags


def alike(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    _, reward, components, flags = honest(progress, study, draw)
    return "No acute cardiopulmonary process today." if draw.random() < progress else "", reward, components, flags


@pytest.mark.parametrize("seed", range(5))
def test_an_honest_run_raises_none(seed: int) -> None:
    assert alarms(run(honest, seed=seed)) == []


@pytest.mark.parametrize(
    ("made", "codes"),
    [
        (collapsing, {"spread_collapsing"}),
        (flagged, {"flag_rising"}),
        (longer, {"length_drifting"}),
        (hacked, {"component_parting", "text_over_clinical"}),
        (alike, {"mode_collapse"}),
    ],
)
def test_what_goes_wrong_is_told_and_nothing_else(made: Made, codes: set[str]) -> None:
    raised = alarms(run(made))
    assert {alarm.code for alarm in raised} == codes <= set(CODES)
    assert all(alarm.message for alarm in raised)


def test_a_run_that_has_just_begun_raises_none() -> None:
    assert alarms(run(collapsing, steps=LEAST_STEPS - 1)) == []
    assert alarms([]) == []


def test_one_study_over_and_over_is_no_mode_collapse() -> None:
    composite = Composite(0.5, "ok", {"bleu2": 0.5}, {}, {}, (), (), ())
    step = of_requests([Scored(["the right answer"], ["the only reference"], [composite], [], "text", 5.0)])
    assert alarms([step] * 40) == []
