"""What is to be scored, whoever asks: a request in the native format, a trainer, a file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reward_service.contracts import ComponentError

Pin = str | Mapping[str, object] | None
"""A fingerprint, or its whole document, that must be the one served; None for whatever is served."""


@dataclass(frozen=True, slots=True)
class Item:
    """One pair to score. `fault` marks an item whose text could not even be decoded."""

    id: str | None
    candidate: str
    reference: str
    prior: str | None = None
    fault: ComponentError | None = None
    where: str = ""
    """Its place in the request, for errors that name it."""


class Timings:
    """Milliseconds by component, and in all, of one request."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.components: dict[str, float] = {}
        self.queue_ms = 0.0
        """Until the pairs were admitted."""

    @property
    def total_ms(self) -> float:
        return 1e3 * (time.perf_counter() - self.started)


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """Pairs to score with one profile."""

    items: Sequence[Item]
    profile: str | None = None
    """An enabled profile; None for the first one enabled."""
    pin: Pin = None
    step: int | None = None
    """The training step, which chooses the stage of a schedule."""
    run_id: str | None = None
    timeout_s: float | None = None
    """Seconds from admission's beginning; None for the service's setting."""
    hold: bool = False
    """Wait for room, and try again what may still succeed, until the deadline: a trainer's client would end its run
    on a 429 or 503."""
    timings: Timings = field(default_factory=Timings)
