"""What is computed from a verdict: a judgement, from the model's valid answers about a pair.

A verdict is kept as the answers. All that follows from them is computed whenever the verdict is read, so that this
module, with what it imports, may change without a verdict being asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from judges.base import Judgement
from judges.vllm.accounting import judgement, settle
from judges.vllm.answer import parse
from judges.vllm.prompt import NumberedPair

ANSWERS: Final = "answers"
"""Where a judgement's `details` hold the answers, one JSON text per vote; none for an empty candidate."""


def read(
    answers: Sequence[str], pair: NumberedPair, *, significant_only: bool, details: Mapping[str, object]
) -> Judgement:
    """The judgement of these votes, with the answers among its details. Raises `JudgeInvalidOutput`."""
    references, candidates = len(pair.reference.statements), len(pair.candidate)
    accounts = [settle(parse(answer, references, candidates), pair) for answer in answers]
    kept = {**details, ANSWERS: list(answers)}
    return judgement(accounts, pair, significant_only=significant_only, details=kept)
