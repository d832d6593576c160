"""What can go wrong between a pair and its judgement, one class per cause.

A judge failure is never a score: whatever escapes `VllmJudge` is one of these, with a stable `code`, a message
that holds no report text, and whether the same pair may succeed later.
"""

from __future__ import annotations

from typing import ClassVar


class JudgeError(Exception):
    """No judgement for this pair. `code` is stable, `message` names the setting to change where there is one."""

    code: ClassVar[str] = "judge_failed"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class JudgeUnavailable(JudgeError):
    """No server could be reached, or all were overloaded or failing, for as long as the deadline allowed."""

    code = "judge_unavailable"
    retryable = True


class JudgeFault(JudgeUnavailable):
    """A server failed at this very request (500, 501), as some do at a field that they do not know."""


class JudgeBusy(JudgeUnavailable):
    """A server asked for patience (429, 503); `wait_s` is how long, 0 where it does not say."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class JudgeSpent(JudgeError):
    """`tokens_a_day` is used up; the next day (UTC) has its own."""

    code = "judge_spent"


class JudgeTimeout(JudgeError):
    """The deadline passed, or every attempt took longer than `attempt_timeout_s`."""

    code = "judge_timeout"
    retryable = True


class JudgeInvalidOutput(JudgeError):
    """The model's answer broke the format, and so did its answer to the repair request."""

    code = "judge_invalid_output"


class JudgeRefused(JudgeError):
    """The model declined to answer, twice."""

    code = "judge_refused"


class JudgeTooLong(JudgeError):
    """The prompt does not fit the server's context length (`--max-model-len`)."""

    code = "judge_too_long"


class TooManyStatements(JudgeError):
    """A report has more statements than `max_statements`."""

    code = "too_many_statements"


class EmptyReference(JudgeError):
    """The reference holds no statement, so there is nothing to judge against."""

    code = "empty_reference"


class JudgeMisconfigured(JudgeError):
    """The server refuses the settings: model name, API key, or constrained decoding is off."""

    code = "judge_misconfigured"


class JudgeFieldRefused(JudgeMisconfigured):
    """The server refuses something in the request (400, 422), such as a field that it does not know."""


class JudgeUncalibratable(JudgeError):
    """The model misses the letters, answers everything alike, or cannot tell right from wrong statements."""

    code = "judge_uncalibratable"
