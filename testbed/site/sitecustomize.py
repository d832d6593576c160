"""Imported by every Python process that has this folder on PYTHONPATH: registers components that fail on command.

That reaches all processes of the service, also those it starts itself, without a word about it in the service.
"""

import os
import signal
import time

from reward_service.components import registry

_MODULE = "testbed.components"
registry.COMPONENTS |= {
    "held": registry.Row(f"{_MODULE}:Held"),
    "overlap": registry.Row(f"{_MODULE}:Overlap"),
    "overlap_inline": registry.Row(f"{_MODULE}:InlineOverlap"),
    "overlap_pool": registry.Row(f"{_MODULE}:PoolOverlap"),
    "cannot_be_left": registry.Row(f"{_MODULE}:CannotBeLeft"),
    "cannot_warm_up": registry.Row(f"{_MODULE}:CannotWarmUp"),
    "slow_to_load": registry.Row(f"{_MODULE}:SlowToLoad"),
}

_offset = 0.0
_true_time = time.time


def _step_the_wall_clock(*_: object) -> None:
    global _offset
    _offset = -86_400.0 if _offset >= 0 else 86_400.0


if os.environ.get("CHAOS_CLOCK"):  # SIGUSR2 then sets it a day back, and the next one two days forward
    time.time = lambda: _true_time() + _offset
    signal.signal(signal.SIGUSR2, _step_the_wall_clock)
