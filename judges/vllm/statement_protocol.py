"""The protocol `statements`: one letter about each statement, read by its probability.

Each statement of the candidate is compared with the reference, and each of the reference with the candidate. One token
has no format to break, and what is asked about one statement cannot be steered by another. What it costs is the prompt,
most of which the server finds in its cache.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import orjson

from judges import injection
from judges.vllm import abilities, prefill, questions, weighing
from judges.vllm.calibration import Calibration, load, statements
from judges.vllm.errors import JudgeInvalidOutput, JudgeMisconfigured, JudgeRefused
from judges.vllm.letters import Question
from judges.vllm.prompt import NumberedPair, read_pair, samples
from judges.vllm.protocol import Ask, together
from judges.vllm.settings import VllmJudgeSettings
from judges.vllm.transport import Completion, Observe

VERSION: Final = 2
"""Raised by hand when other questions are asked about a statement, or their answers are stored otherwise."""
DRIFT: Final = 0.25
"""How far a canary's P(wrong) may be from the calibrated one: another batch or processor moves it a little."""
_DIGITS: Final = 6


class Task(NamedTuple):
    """A statement that is asked about."""

    name: str
    """P1, ... or R1, ..."""
    report: str
    """The other report, as `questions.show_report` made it."""
    group: str
    """What requests about the same report have in common."""
    text: str


class StatementProtocol:
    """Raises `ValueError` for a calibration that cannot be read, or is that of another model or other prompts."""

    def __init__(self, settings: VllmJudgeSettings, observe: Observe) -> None:
        self._settings, self._observe = settings, observe
        self._calibration = load(settings.calibration)
        check(self._calibration, settings)

    def manifest(self) -> Mapping[str, object]:
        return {
            "protocol": "statements",
            "statements_version": VERSION,
            "calibration": self._calibration.digest,
            "words": weighing.digest(),
            **prefill.manifest(self._settings.prefill),
            "prompts": {"requests": _sample_requests(self._settings), "injection": injection.SHA256},
        }

    async def vote(self, pair: NumberedPair, vote: int, ask: Ask) -> tuple[str, list[Completion]]:
        """Greedy and graded, so the number of the vote changes nothing."""
        tasks = list(tasks_of(pair))
        known = await asyncio.to_thread(prefill.known, pair, self._settings.prefill)
        completions: list[Completion] = []

        async def weigh(task: Task) -> dict[str, object]:
            if task.name in known.said:
                return {"said": [1.0, 0.0, 0.0]}
            error = known.differing.get(task.name)
            entry: dict[str, object] = {} if error is None else {weighing.RULES: list(error)}
            said: list[float] = []
            for question in Question:
                if question == Question.SAID or (error is None and self._is_worth_asking(question, said)):
                    body = questions.ask(self._settings, task.report, task.text, question)
                    completions.append(await ask(body, task.group))
                    entry[question.name.lower()] = answer = self._read(completions[-1], question)
                    said = said or answer
            return entry

        entries = await together(map(weigh, tasks))
        named = {task.name: entry for task, entry in zip(tasks, entries, strict=True)}
        return orjson.dumps(named).decode(), completions

    async def examine(self, ask: Ask) -> None:
        """Does the server give probabilities, and have the canaries those of the calibration?"""
        known = statements()
        for canary in self._calibration.canaries:
            report, text = known[canary["number"]][:2]
            body = questions.ask(self._settings, questions.show_report([report]), text, Question.SAID)
            try:
                completion = await abilities.with_letters(ask(body, ""))
                wrong = self._calibration.wrong(questions.read(completion, Question.SAID))
            except (JudgeInvalidOutput, JudgeRefused) as error:
                raise JudgeMisconfigured(f"a canary has no verdict: {error.message}") from None
            if abs(wrong - canary["wrong"]) > DRIFT:
                raise JudgeMisconfigured(
                    f"canary {canary['number']} has {wrong:.2f} and not the calibrated {canary['wrong']:.2f}: "
                    "this is not the model that was calibrated (calibration)"
                )

    def _is_worth_asking(self, question: Question, said: list[float]) -> bool:
        """The later questions are about a statement that is judged wrong, and for a model that can tell."""
        if self._calibration.wrong(said) <= 0.5:
            return False
        able = self._calibration.kind_bias if question == Question.KIND else self._calibration.grave_threshold
        return able is not None

    def _read(self, completion: Completion, question: Question) -> list[float]:
        try:
            return [round(p, _DIGITS) for p in questions.read(completion, question)]
        except JudgeInvalidOutput as error:
            self._observe("judge_invalid_answers", 1, {"code": error.code, "repaired": "false"})
            raise


def check(calibration: Calibration, settings: VllmJudgeSettings) -> None:
    """Raises `ValueError` unless this is the calibration of the model, its revision and these prompts."""
    made = {
        "model": (calibration.model, settings.model),
        "revision": (calibration.revision, settings.revision),
        "prompts": (calibration.prompts, questions.digest()),
    }
    for what, (then, now) in made.items():
        if then != now:
            raise ValueError(
                f"calibration {settings.calibration} was made with {what} {then!r}, not {now!r}: "
                "run reward-service judge-calibrate"
            )


def tasks_of(pair: NumberedPair) -> Iterator[Task]:
    """All statements of the pair that a model may see, each with the other report."""
    reference = questions.show_report(pair.reference.shown, pair.reference.earlier)
    candidate = questions.show_report(pair.shown)
    for n, text in enumerate(pair.shown, 1):
        if n - 1 not in pair.withheld:
            yield Task(f"P{n}", reference, pair.reference.key, text)
    key = hashlib.sha256(candidate.encode()).hexdigest()[:12]
    for n, text in enumerate(pair.reference.shown, 1):
        yield Task(f"R{n}", candidate, key, text)


def _sample_requests(settings: VllmJudgeSettings) -> str:
    """sha256 of what is asked about the pairs of `samples.json`: every kind of text that is treated in its own way."""
    requests = []
    for sample in samples():
        pair = read_pair(sample["candidate"], sample["reference"], sample["prior"], sample["max_statements"])
        asked = [
            questions.ask(settings, task.report, task.text, question).decode()
            for task in tasks_of(pair)
            for question in Question
        ]
        known = prefill.known(pair, settings.prefill)
        told = [sorted(known.said), sorted((name, *error) for name, error in known.differing.items())]
        requests.append([asked, told] if pair.is_asked else None)
    return hashlib.sha256(orjson.dumps(requests)).hexdigest()
