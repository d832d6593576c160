"""`WordOverlap` at every cost, so that a test can make each kind of runner fail."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tests.reward_service.fake_metrics import WordOverlap


class Overlap(WordOverlap):
    """In a model worker. The word `hang` costs three seconds."""

    def encode(self, texts: Sequence[str]) -> list[Any]:
        if any("hang" in text.split() for text in texts):
            time.sleep(3.0)
        return super().encode(texts)


class InlineOverlap(WordOverlap):
    """On the event loop or a thread."""

    cost = "inline"


class PoolOverlap(WordOverlap):
    """In a pool of processes, when there is much to do."""

    cost = "pool"


class CannotBeLeft(PoolOverlap):
    """Built a second time, for its runner, it keeps a thread for a minute that nothing can end."""

    built = False

    def __init__(self) -> None:
        super().__init__()
        if CannotBeLeft.built:
            time.sleep(60)
        CannotBeLeft.built = True


class CannotWarmUp(WordOverlap):
    """Is built, and then cannot be loaded: weights that are named but not there."""

    def warm_up(self) -> None:
        raise OSError("disk gone")


class SlowToLoad(WordOverlap):
    """Needs a minute."""

    def warm_up(self) -> None:
        time.sleep(60)
