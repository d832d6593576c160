"""A fast part of the fault suite (all of it: `make chaos`): each fault under load with more than 200 in flight."""

from __future__ import annotations

import pytest

from testbed.chaos import faults
from testbed.chaos.account import Tally
from tests.needs import needs
from tests.waiting import SOON

pytestmark = needs("redis-server")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["Redis killed", "model worker killed", "log device full"])
async def test_fault(fault: str) -> None:
    report = await faults.run(fault, before_s=1.0, after_s=0.5)
    print(report.line())
    assert report.problems(recovery_within_s=SOON) == []
    assert report.tally.ok > 0


@pytest.mark.slow
async def test_sigterm() -> None:
    report = await faults.terminate(before_s=1.0)
    print(report.line())
    assert report.problems(recovery_within_s=SOON) == []


def test_the_account_notices_a_wrong_reward() -> None:
    """The suite itself can fail: another number, a number where there is none, a missing code."""
    tally = Tally()
    right = {"id": "3", "status": "ok", "reward": 33 + 50.0, "missing": {}}
    degraded = {"id": "3", "status": "degraded", "reward": 333.0, "missing": {"clinical": {"code": "judge_timeout"}}}
    tally.check([right, degraded], clinical=0.5)
    assert (tally.ok, tally.degraded, tally.wrong) == (1, 1, 0)
    wrong = [
        {**right, "reward": 83.1},
        {**right, "reward": None},
        {**right, "status": "null"},
        {**degraded, "status": "ok"},
        {**degraded, "missing": {}},
    ]
    tally.check(wrong, clinical=0.5)
    assert tally.wrong == len(wrong)
