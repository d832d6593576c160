"""The client's one retry policy: what is tried again, and how long it waits."""

from __future__ import annotations

import random

import pytest

from reward_client.retry import SCORING, STARTING


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_heal_is_tried_again(status: int) -> None:
    assert SCORING.may_heal(status)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 413, 422, 501])
def test_what_cannot_heal_is_final(status: int) -> None:
    assert not SCORING.may_heal(status)


def test_pauses_double_up_to_the_longest_and_keep_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert [SCORING.pause_s(failures, {}) for failures in range(1, 8)] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert STARTING.pause_s(10**6, {}) == 2.0
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    assert SCORING.pause_s(1, {}) == 0.125


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), ("0.1", 0.25), ("-5", 0.25), ("Fri, 31 Dec", 0.25)])
def test_retry_after_is_the_least(monkeypatch: pytest.MonkeyPatch, header: str, seconds: float) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert SCORING.pause_s(1, {"retry-after": header}) == seconds
