"""Everything the client raises. All are picklable, because trainers carry exceptions across processes.

No message holds report text: items are named by id.
"""

from __future__ import annotations


class RewardClientError(Exception):
    """Base of all errors of this package. Constructor arguments are positional so that pickling restores them."""


class ApiError(RewardClientError):
    """The service refused or failed a request; carries its error envelope.

    `item` names the item that the service's `param` points at, by the caller's own id, when it does.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        item: str | None = None,
    ) -> None:
        super().__init__(status, code, message, param, request_id, retryable, item)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.request_id = request_id
        self.retryable = retryable
        self.item = item

    def __str__(self) -> str:
        where = "".join(
            f", {name} {value}"
            for name, value in (("item", self.item), ("param", self.param), ("request", self.request_id))
            if value
        )
        return f"{self.message} (HTTP {self.status} {self.code}{where})"


class BudgetSpent(RewardClientError):
    """No answer within the time allowed for the whole call, retries included."""

    def __init__(self, budget_s: float, doing: str, last: str) -> None:
        super().__init__(budget_s, doing, last)
        self.budget_s = budget_s
        self.doing = doing
        self.last = last

    def __str__(self) -> str:
        return f"gave up {self.doing} after {self.budget_s:g} s; last failure: {self.last}"


class FingerprintChanged(RewardClientError):
    """The service now computes another reward function than the one this run was started with."""

    def __init__(self, expected: str, found: str, message: str = "") -> None:
        super().__init__(expected, found, message)
        self.expected = expected
        self.found = found
        self.message = message

    def __str__(self) -> str:
        if self.message:  # the service's own words say what differs and what to do
            return f"the service refuses the pinned fingerprint {self.expected}. {self.message}"
        return (
            f"the reward function changed: expected fingerprint {self.expected}, found {self.found}. "
            "Restore the service, or start a new run with the new fingerprint."
        )


class AnswerMismatch(RewardClientError):
    """An answer does not belong to what was asked: swapped, lost, repeated or malformed results."""


class MissingScore(RewardClientError):
    """A trainer that accepts numbers only would need a reward that is missing, and no substitute was declared."""

    def __init__(self, item: str, reasons: str) -> None:
        super().__init__(item, reasons)
        self.item = item
        self.reasons = reasons

    def __str__(self) -> str:
        return (
            f"no reward for item {self.item} ({self.reasons}). Fix the cause, or declare a substitute value "
            "(REWARD_CLIENT_MISSING or missing=...), which is logged as rr_valid 0."
        )
