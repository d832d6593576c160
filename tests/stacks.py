"""Where everything stands: the stacks of all other threads, and of every asyncio task down to what it waits for."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any


def everything() -> str:
    return "\n".join((*_threads(), *_tasks()))


def _threads() -> Iterator[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():  # whose stack the failure shows anyway
            yield f"-- thread {names.get(ident, ident)}\n{''.join(traceback.format_stack(frame))}"


def _tasks() -> Iterator[str]:
    """Of all event loops, whatever thread they run in and whatever library made them."""
    for found in gc.get_objects():
        if issubclass(type(found), asyncio.Task) and not found.done():
            yield f"-- task {found.get_name()}\n{''.join(_waits(found.get_coro()))}"


def _waits(awaited: Any) -> Iterator[str]:
    """A task knows its outermost frame only; the others are found from await to await."""
    while awaited is not None:
        frames = (getattr(awaited, name, None) for name in ("cr_frame", "gi_frame", "ag_frame"))
        frame: FrameType | None = next(filter(None, frames), None)
        if frame is None:
            yield f"  waits for {awaited!r}\n"
            return
        yield from traceback.format_list(traceback.StackSummary.extract([(frame, frame.f_lineno)]))
        inner = (getattr(awaited, name, None) for name in ("cr_await", "gi_yieldfrom", "ag_await"))
        awaited = next(filter(None, inner), None)
