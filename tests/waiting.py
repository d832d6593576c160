"""Waiting for what must happen. The limit is no measure: it only ends a test that would wait in vain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SOON = 60.0
"""Seconds within which anything happens, on a machine that is busy with other things."""


def soon() -> float:
    """A deadline (`time.monotonic()`) that is not reached."""
    return time.monotonic() + SOON


async def turns(number: int = 20) -> None:
    """Let the event loop go round so many times: whatever is ready to run has run by then."""
    for _ in range(number):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Returns when `condition` holds. Raises `AssertionError` when it never does."""
    limit = soon()
    while not condition():
        assert time.monotonic() < limit, f"not within {SOON:g} s"
        await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], object]) -> None:
    """The same where there is no event loop."""
    limit = soon()
    while not condition():
        assert time.monotonic() < limit, f"not within {SOON:g} s"
        time.sleep(0.005)
