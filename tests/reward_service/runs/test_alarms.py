"""Each alarm is raised by the run that it is for, and none by an honest one. The runs are written by hand."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from reward_service.contracts import Composite
from reward_service.runs.alarms import CODES, LEAST_STEPS, Alarm, alarms, looked_at
from reward_service.runs.totals import Scored, Totals, digest, of_requests, summed

Made = Callable[[float, int, random.Random], tuple[str, float, dict[str, float], tuple[str, ...]]]
"""From progress in [0, 1], the study and chance: candidate, reward, components, flags."""


def run(made: Made, steps: int = 60, seed: int = 7) -> list[tuple[int, Totals]]:
    draw = random.Random(seed)
    out: list[tuple[int, Totals]] = []
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
        out.append((step, summed(requests)))
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


STOCK = "No acute cardiopulmonary process today."


def alike(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    _, reward, components, flags = honest(progress, study, draw)
    return STOCK if progress >= 0.5 and draw.random() < 0.75 else "", reward, components, flags


def falling(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    reward = (0.35 if progress < 0.5 else 0.35 - 0.88 * (progress - 0.5)) + draw.gauss(0, 0.3)
    return "", reward, {"bleu2": 0.3, "clinical": reward}, ()


def noisy(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
    """As a step's studies differ, so do its candidates: a step of 32 has a mean that is off by a tenth."""
    reward = 0.3 + draw.gauss(0, 0.55)
    return "", reward, {"bleu2": 0.3, "clinical": reward}, ()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("made", [honest, noisy])
def test_an_honest_run_raises_none(made: Made, seed: int) -> None:
    assert alarms(run(made, seed=seed)) == []


@pytest.mark.parametrize(
    ("made", "codes"),
    [
        (collapsing, {"spread_collapsing"}),
        (flagged, {"flag_rising"}),
        (longer, {"length_drifting"}),
        (hacked, {"component_parting", "text_over_clinical"}),
        (alike, {"mode_collapse"}),
        (falling, {"reward_falling"}),
    ],
)
def test_what_goes_wrong_is_told_with_its_step_and_nothing_else(made: Made, codes: set[str]) -> None:
    raised = alarms(run(made))
    assert {alarm.code for alarm in raised} == codes <= set(CODES)
    for alarm in raised:
        assert alarm.message.endswith(f"; since step {alarm.since}.")
        assert 0 < (alarm.since or 0) < 60


def only(steps: list[tuple[int, Totals]]) -> Alarm:
    (alarm,) = alarms(steps)
    return alarm


def test_a_collapse_says_how_bad_it_is_since_when_and_which_string() -> None:
    """The run says the stock sentence from step 30 on, for three quarters of the 32 candidates."""
    steps = run(alike)
    alarm = only(steps)
    counts = steps[-1][1]["copies"][digest(STOCK)]
    assert alarm.message.startswith(f"{counts} of 32 candidates of step 59 are one string (7")
    assert alarm.digest == digest(STOCK)
    assert digest(STOCK) in alarm.message
    assert alarm.since is not None
    assert abs(alarm.since - 30) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_a_fall_of_the_reward_is_told_since_when_it_began(seed: int) -> None:
    """From 0.35 at step 30 to -0.09 at step 59; a small effect, 0.06, is passed at step 34."""
    alarm = only(run(falling, seed=seed))
    assert alarm.code == "reward_falling"
    assert alarm.since is not None
    assert 31 <= alarm.since <= 42


def test_a_fall_from_the_middle_of_a_long_run_is_seen_though_it_began_low() -> None:
    """It rises from 0.1 to 0.7 at step 300 of 600 and falls back to 0.2."""

    def hill(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
        reward = 0.1 + 1.2 * progress if progress < 0.5 else 0.7 - (progress - 0.5)
        return "", reward + draw.gauss(0, 0.2), {}, ()

    assert [alarm.code for alarm in alarms(run(hill, steps=600))] == ["reward_falling"]
    assert alarms(run(hill, steps=600)[:300]) == []


def test_one_candidate_in_sixteen_of_every_group_is_no_collapse() -> None:
    """The same string answers every study, and is 6 % of what is said."""
    steps = []
    composite = Composite(0.5, "ok", {"bleu2": 0.5}, {}, {}, (), (), ())
    for step in range(40):
        groups = [
            Scored(
                [STOCK, *(f"{step} {study} {k}" for k in range(15))], [f"r{study}"] * 16, [composite] * 16, [], "t", 5.0
            )
            for study in range(8)
        ]
        steps.append((step, of_requests(groups)))
    assert "mode_collapse" not in {alarm.code for alarm in alarms(steps)}


def test_the_worst_alarm_comes_first() -> None:
    def both(progress: float, study: int, draw: random.Random) -> tuple[str, float, dict[str, float], tuple[str, ...]]:
        text, reward, components, _ = alike(progress, study, draw)
        return text, reward, components, ("hedge_density",) if draw.random() < progress else ()

    assert [alarm.code for alarm in alarms(run(both))] == ["mode_collapse", "flag_rising"]


def test_an_alarm_says_when_it_is_over() -> None:
    steps = run(alike)
    over = [(step, totals) for (step, _), (_, totals) in zip(steps[-5:], steps[:5], strict=True)]
    alarm = only([*steps[:-5], *over])
    assert alarm.since is None
    assert "not in the last 5 steps alone" in alarm.message


def test_of_a_long_run_as_many_steps_are_looked_at_as_of_one_of_three_hundred() -> None:
    assert looked_at(range(-1, 300)) == list(range(300))
    chosen = looked_at(range(10_000))
    assert len(chosen) == 320
    assert chosen[:20] == list(range(20))
    assert chosen[-100:] == list(range(9_900, 10_000))
    assert chosen == sorted(set(chosen))


def test_a_run_that_has_just_begun_raises_none() -> None:
    assert alarms(run(collapsing, steps=LEAST_STEPS - 1)) == []
    assert alarms([]) == []


def test_one_study_over_and_over_is_no_mode_collapse() -> None:
    composite = Composite(0.5, "ok", {"bleu2": 0.5}, {}, {}, (), (), ())
    step = of_requests([Scored(["the right answer"], ["the only reference"], [composite], [], "text", 5.0)])
    assert alarms([(i, step) for i in range(40)]) == []
