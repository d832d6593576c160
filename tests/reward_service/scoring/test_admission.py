"""Turns: first come, first served, and whoever gives up is in nobody's way."""

from __future__ import annotations

import asyncio

import pytest

from reward_service.scoring.admission import Admission


async def entered(admission: Admission, count: int, order: list[int], number: int) -> None:
    await admission.enter(count)
    order.append(number)


async def test_turns_come_in_order_and_one_that_is_given_up_blocks_nobody() -> None:
    admission, order = Admission(4), list[int]()
    await admission.enter(4)
    tasks = [asyncio.create_task(entered(admission, count, order, i)) for i, count in enumerate((3, 2, 1, 1))]
    await asyncio.sleep(0)
    tasks[0].cancel()
    admission.leave(2)  # before the first one has heard that it is cancelled
    await asyncio.sleep(0)
    assert order == [1]
    admission.leave(1)
    tasks[2].cancel()  # in the moment of its turn
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError, type(None), asyncio.CancelledError, type(None)]
    assert order == [1, 3]
    assert admission.admitted == 1 + 2 + 1


async def test_whoever_gave_up_keeps_nobody_out() -> None:
    admission = Admission(4)
    await admission.enter(3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(admission.enter(4), 0.02)
    assert admission.fits(1)


async def test_more_than_the_limit_is_let_in_alone() -> None:
    admission, order = Admission(4), list[int]()
    await admission.enter(1)
    large = asyncio.create_task(entered(admission, 9, order, 0))
    await asyncio.sleep(0)
    assert not admission.fits(1)  # the large one is first
    admission.leave(1)
    await large
    assert admission.admitted == 9
    assert not admission.fits(1)
