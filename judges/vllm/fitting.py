"""Fits a model's calibration to its answers about statements that are known to be said or not."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from judges.vllm import abilities, questions
from judges.vllm.calibration import EPSILON, Calibration, Canary, logit, statements
from judges.vllm.errors import JudgeUncalibratable
from judges.vllm.letters import LETTERS, Question
from judges.vllm.protocol import together
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion

LEAST_AUC: Final = 0.75
"""Below it the model does not tell right from wrong statements; .5 is guessing."""
LEAST_MASS: Final = 0.5
"""Mean probability of the letters together; below it the model does not follow the form."""
LEAST_SPREAD: Final = 0.2
"""Standard deviation of the log-odds; below it the model gives about the same answer to everything."""
LEAST_ACCURACY: Final = 0.5
"""Balanced accuracy over the kinds of a difference (four, so guessing has .25) that makes the answer worth asking."""
Floats = npt.NDArray[np.float64]


class Answers(NamedTuple):
    """A model's answers to the questions about `statements()`, by their positions."""

    said: Sequence[Sequence[float]]
    mass: Sequence[float]
    kind: Mapping[int, Sequence[float]]
    grave: Mapping[int, Sequence[float]]


def fit(model: str, revision: str, prompts: str, answers: Answers) -> Calibration:
    """Threshold and temperature from the answers of one model.

    Raises `JudgeUncalibratable` for a model that misses the letters, answers everything alike, or cannot tell.
    """
    known = statements()
    wrong = np.array([statement.said != "A" for statement in known])
    odds = np.array([logit(1.0 - said[0]) for said in answers.said])
    mass, spread, area = float(np.mean(answers.mass)), float(np.std(odds)), auc(odds, wrong)
    if mass < LEAST_MASS:
        raise JudgeUncalibratable(f"the model answers with letters in {mass:.0%} only; {LEAST_MASS:.0%} are needed")
    if spread < LEAST_SPREAD:
        raise JudgeUncalibratable(f"the model answers every question alike (spread {spread:.2f} of {LEAST_SPREAD})")
    if area < LEAST_AUC:
        raise JudgeUncalibratable(f"the model does not tell right from wrong statements: AUC {area:.2f} of {LEAST_AUC}")
    slope, offset = platt(odds, wrong)
    threshold = 1.0 / (1.0 + math.exp(offset / slope))
    chosen = Calibration(
        model, revision, prompts, round(threshold, 6), round(1.0 / slope, 4), _kind_bias(answers), _grave(answers),
        round(area, 3), (),
    )  # fmt: skip
    canaries = tuple(
        Canary(number=number, wrong=round(chosen.wrong(answers.said[number]), 3))
        for number in range(0, len(known), len(known) // 8)
    )
    return chosen._replace(canaries=canaries)


async def ask_known(settings: VllmJudgeSettings, send: Callable[[bytes], Awaitable[Completion]]) -> Answers:
    """A model's answers to all questions about the known statements; one without letters counts as a guess.

    Raises a `JudgeError` where `send` does, and `JudgeMisconfigured` if the server gives no log-probabilities.
    """
    known = statements()

    async def one(at: int, question: Question) -> tuple[list[float], float]:
        report = questions.show_report([known[at].report])
        completion = await abilities.with_letters(send(questions.ask(settings, report, known[at].text, question)))
        mass = questions.mass(completion, question)
        letters = LETTERS[question]
        guess = [1.0 / len(letters)] * len(letters)
        return guess if mass < questions.LEAST_MASS else questions.read(completion, question), mass

    async def several(question: Question, positions: Sequence[int]) -> dict[int, list[float]]:
        answers = await together(one(at, question) for at in positions)
        return {at: answer for at, (answer, _) in zip(positions, answers, strict=True)}

    said = await together(one(at, Question.SAID) for at in range(len(known)))
    kind = await several(Question.KIND, [at for at, one in enumerate(known) if one.kind])
    grave = await several(Question.GRAVE, [at for at, one in enumerate(known) if one.significant is not None])
    return Answers([answer for answer, _ in said], [mass for _, mass in said], kind, grave)


def auc(scores: Floats, positive: npt.NDArray[np.bool_]) -> float:
    """Share of (positive, negative) pairs in which the positive has the higher score; a tie counts one half."""
    difference = scores[positive][:, None] - scores[~positive][None, :]
    return float(np.mean((np.sign(difference) + 1.0) / 2.0))


def platt(scores: Floats, positive: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of P(positive) = sigmoid(slope * score + offset), both classes weighted alike.

    Maximum likelihood by Newton's method with Platt's smoothed targets (Platt, 1999), so that a perfect separation has
    a finite slope. The slope is at least 0.05.
    """
    many, few = positive.sum(), (~positive).sum()
    target = np.where(positive, (many + 1.0) / (many + 2.0), 1.0 / (few + 2.0))
    weight = np.where(positive, 0.5 / many, 0.5 / few)
    middle, scale = float(scores.mean()), float(scores.std())
    design = np.stack([(scores - middle) / scale, np.ones_like(scores)], axis=1)
    found = np.zeros(2)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ found, -30.0, 30.0)))
        gradient = design.T @ (weight * (target - p))
        hessian = (design * (weight * p * (1.0 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    slope = max(float(found[0]) / scale, 0.05)
    return slope, float(found[1]) - slope * middle


def _kind_bias(answers: Answers) -> tuple[float, ...] | None:
    """The prior of each letter of question 2; None where the letters say too little about the known kinds."""
    known = statements()
    letters = LETTERS[Question.KIND]
    rows = {
        letter: [np.log(np.maximum(p, EPSILON)) for at, p in answers.kind.items() if known[at].kind == letter]
        for letter in letters
    }
    rows = {letter: found for letter, found in rows.items() if found}
    if not rows:
        return None
    bias = np.mean([np.mean(found, axis=0) for found in rows.values()], axis=0)
    hits = [np.mean([letters[int(np.argmax(p - bias))] == letter for p in found]) for letter, found in rows.items()]
    return tuple(round(float(b), 4) for b in bias) if np.mean(hits) >= LEAST_ACCURACY else None


def _grave(answers: Answers) -> float | None:
    """The threshold of question 3 that errs least on both sides; None where the model cannot tell."""
    known = statements()
    positive = np.array([bool(known[at].significant) for at in answers.grave])
    scores = np.array([p[0] for p in answers.grave.values()])
    if not positive.any() or positive.all() or auc(scores, positive) < LEAST_AUC:
        return None
    edges = np.sort(scores)
    middles = (edges[1:] + edges[:-1]) / 2.0
    gains = [np.mean(scores[positive] > edge) - np.mean(scores[~positive] > edge) for edge in middles]
    return round(float(middles[int(np.argmax(gains))]), 6)
