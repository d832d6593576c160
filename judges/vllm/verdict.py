"""What is computed from a verdict: a judgement, from the model's valid answers about a pair.

A verdict is kept as the answers. All that follows from them is computed whenever the verdict is read, so that this
module, with what it imports, may change without a verdict being asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from judges.base import Judgement
from judges.vllm import green_answer, weighing
from judges.vllm.accounting import Account, judgement, settle
from judges.vllm.answer import parse
from judges.vllm.calibration import load
from judges.vllm.prompt import NumberedPair, read_pair

if TYPE_CHECKING:
    from judges.vllm.settings import VllmJudgeSettings

ANSWERS: Final = "answers"
"""Where a judgement's `details` hold the answers, one JSON text per vote; none for an empty candidate."""
_ASKED: Final = ("model", "revision", "votes", "requests", "tokens")
"""Details of how a verdict was come by; the others follow from it."""


def read_stored(
    settings: VllmJudgeSettings, candidate: str, reference: str, prior: str | None, stored: Judgement
) -> Judgement:
    """A stored judgement, computed anew from its verdict; one without answers is from an earlier form, and kept.

    Raises a `JudgeError`.
    """
    answers = stored.details.get(ANSWERS)
    if not isinstance(answers, list):
        return stored
    pair = read_pair(candidate, reference, prior, settings.max_statements)
    asked = {name: stored.details[name] for name in _ASKED if name in stored.details}
    return read(answers, pair, settings, asked)


def read(
    answers: Sequence[str], pair: NumberedPair, settings: VllmJudgeSettings, details: Mapping[str, object]
) -> Judgement:
    """The judgement of these votes, with the answers among its details. Raises `JudgeInvalidOutput`."""
    accounts = [_account(answer, pair, settings) for answer in answers]
    kept = {**details, ANSWERS: list(answers)}
    return judgement(accounts, pair, significant_only=settings.significant_only, details=kept)


def _account(answer: str, pair: NumberedPair, settings: VllmJudgeSettings) -> Account:
    """What a stored answer counts, in the form that the protocol gave it; all but GREEN's names statements."""
    if settings.protocol == "green":
        return green_answer.account(green_answer.load(answer), len(pair.withheld))
    if settings.protocol == "statements":
        return settle(weighing.read(answer, pair, load(settings.calibration)), pair)
    return settle(parse(answer, len(pair.reference.statements), len(pair.candidate)), pair)
