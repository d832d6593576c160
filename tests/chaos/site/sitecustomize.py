"""Imported by every Python process that has this folder on PYTHONPATH: registers components that fail on command.

That reaches all processes of the service, also those it starts itself, without a word about it in the service.
"""

from reward_service import registry

_MODULE = "tests.chaos.components"
registry.COMPONENTS |= {
    "overlap": registry.Row(f"{_MODULE}:Overlap"),
    "overlap_inline": registry.Row(f"{_MODULE}:InlineOverlap"),
    "overlap_pool": registry.Row(f"{_MODULE}:PoolOverlap"),
    "cannot_warm_up": registry.Row(f"{_MODULE}:CannotWarmUp"),
    "slow_to_load": registry.Row(f"{_MODULE}:SlowToLoad"),
}
