"""What the tests of the workers run: variants of `WordOverlap`, pairs for it and its answers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from reward_service.contracts import Pair
from testbed.components import WordOverlap


class WithPrior(WordOverlap):
    """Adds 100 for every word of the prior."""

    uses_prior = True


class SlowToLoad(WordOverlap):
    """Warms up until the file `gate` exists."""

    def __init__(self, gate: str) -> None:
        super().__init__()
        self.gate = gate
        self.warm = False

    def warm_up(self) -> None:
        while not os.path.exists(self.gate):
            time.sleep(0.01)
        self.warm = True


class Together(WordOverlap):
    """Compares only when two processes do so at once; else its values are missing after a minute."""

    def __init__(self, meeting: str) -> None:
        super().__init__()
        self.meeting = meeting

    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
        with open(os.path.join(self.meeting, str(os.getpid())), "w"):
            pass
        end = time.monotonic() + 60.0
        while len(os.listdir(self.meeting)) < 2:
            if time.monotonic() > end:
                return []
            time.sleep(0.01)
        return super().compare(candidates, references)


def loadable_once_there_is(path: str) -> WordOverlap:
    """A factory whose weights are mounted late."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"no weights at {path}")
    return WordOverlap()


def expected(candidate: str, reference: str) -> dict[str, float]:
    """What `WordOverlap` answers."""
    left, right = candidate.split(), reference.split()
    return {"overlap": float(len(set(left) & set(right))), "length": float(len(" ".join(left)))}


def numbered(count: int, start: int = 0, reference: str = "the reference") -> list[Pair]:
    """Distinct pairs against one reference."""
    return [Pair(f"candidate number {i}", reference) for i in range(start, start + count)]
