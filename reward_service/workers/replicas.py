"""One runner over several of the same component, each on a device of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from reward_service.contracts import ComponentScore, ModelRunner, Pair
from reward_service.workers.pair_computer import added_up

_COUNTS = ("queue", "batches", "restarts", "waiting", "losses")


class Replicas:
    """A `Runner`. Pairs of one reference keep to one replica, which has it encoded; a replica that is down is left out.

    Which replica computes a pair is no part of its value: all have the same component, whatever their device.
    """

    def __init__(self, runners: Sequence[ModelRunner]) -> None:
        self._runners = list(runners)

    async def start(self) -> None:
        await asyncio.gather(*(runner.start() for runner in self._runners))

    async def stop(self, grace_s: float) -> None:
        await asyncio.gather(*(runner.stop(grace_s) for runner in self._runners))

    async def set_asleep(self, asleep: bool) -> None:
        """All of them. Raises what the first one raises, once all have tried."""
        tried = await asyncio.gather(*(r.set_asleep(asleep) for r in self._runners), return_exceptions=True)
        if failures := [outcome for outcome in tried if isinstance(outcome, BaseException)]:
            raise failures[0]

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        up = [i for i, runner in enumerate(self._runners) if runner.health()["ready"]] or range(len(self._runners))
        chosen: dict[str, int] = {}
        shares: dict[int, list[int]] = {}
        for position, (_, reference, _) in enumerate(pairs):
            if reference not in chosen:  # rendezvous hashing: while one is down, only its references move
                chosen[reference] = max(up, key=lambda i: _affinity(reference, i))
            shares.setdefault(chosen[reference], []).append(position)
        futures: dict[int, asyncio.Future[ComponentScore]] = {}
        for i, share in shares.items():
            futures.update(zip(share, self._runners[i].submit([pairs[p] for p in share], deadline), strict=True))
        return [futures[position] for position in range(len(pairs))]

    def health(self) -> Mapping[str, object]:
        """Ready while one replica is; the others are named in `detail`. Counts are added up."""
        health: list[Mapping[str, Any]] = [runner.health() for runner in self._runners]
        down = [f"replica {i}: {h['detail']}" for i, h in enumerate(health) if not h["ready"]]
        return {
            **added_up([{name: h.get(name, 0) for name in _COUNTS} for h in health]),
            "artefacts": added_up([h["artefacts"] for h in health if "artefacts" in h]),
            "asleep": any(h.get("asleep") for h in health),
            "ready": len(down) < len(health),
            "detail": "; ".join(down) or "ready",
            "replicas": len(health),
        }


def _affinity(reference: str, replica: int) -> bytes:
    return blake2b(reference.encode("utf-8", "surrogatepass"), digest_size=8, salt=b"%d" % replica).digest()
