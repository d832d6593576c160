"""The plug-in contract: what the engine asks of a metric or judge, and what it hands round itself.

`metrics` and `judges` do not import each other or this package; they satisfy these protocols
structurally, and mypy checks that they do where `registry.py` builds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from judges.base import Judgement

Cost = Literal["inline", "pool", "model", "remote"]
Status = Literal["ok", "degraded", "null"]


class Pair(NamedTuple):
    """The strings one component receives, normalised and cut to the profile's sections."""

    candidate: str
    reference: str
    prior: str | None = None


@dataclass(frozen=True, slots=True)
class ComponentScore:
    """The raw result of one component on one pair: a pure function of the pair, so it can be cached."""

    values: Mapping[str, float]
    notes: tuple[str, ...] = ()
    judgement: Judgement | None = None


class ComponentError(Exception):
    """A component could not score one pair. Becomes `missing: {key: {code, message}}`, never a number.

    `message` must not contain report text. `retryable` says whether the same pair may succeed later.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable

    def __reduce__(self) -> tuple[Any, ...]:  # crosses process borders
        return (_rebuild, (self.code, self.message, self.retryable))


def _rebuild(code: str, message: str, retryable: bool) -> ComponentError:
    return ComponentError(code, message, retryable=retryable)


@dataclass(frozen=True, slots=True)
class Composite:
    """One reward with what it is made of; `contributions` sums to `reward` exactly."""

    reward: float | None
    status: Status
    components: Mapping[str, float | None]
    contributions: Mapping[str, float]
    missing: Mapping[str, ComponentError]
    failed: tuple[str, ...]
    """Keys without a score whose policy is `fail`."""
    blocking: tuple[str, ...]
    """Keys in `missing` for want of which there is no reward."""
    flags: tuple[str, ...]

    @property
    def may_heal(self) -> bool:
        """Whether another try may bring the reward that is missing: this is what tells a 503 from a 422."""
        absent = [key for key in self.failed if key in self.missing] or self.blocking
        return bool(absent) and all(self.missing[key].retryable for key in absent)


class Component(Protocol):
    """What metrics and judges have in common."""

    @property
    def version(self) -> int: ...
    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def determinism(self) -> str: ...
    @property
    def uses_prior(self) -> bool: ...
    def manifest(self) -> Mapping[str, object]: ...


class PairMetric(Component, Protocol):
    """Synchronous, batch-wise encode/compare (a text metric, an encoder metric, the rules judge).

    With `uses_prior`, `compare` takes a third sequence: the encoded prior or None per position.
    Results have `.values` and `.notes`; a judge's are `Judgement`s. `refuses`, if the class has it, is asked with the
    encoded reference first: a `judges.base.Refusal` is the pair's error, None lets it be compared.
    """

    @property
    def cost(self) -> Literal["inline", "pool", "model"]: ...
    @property
    def encoding(self) -> str: ...
    def encode(self, texts: Sequence[str]) -> list[Any]: ...
    def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]: ...
    def nbytes(self, artefact: Any) -> int: ...


class AsyncJudge(Component, Protocol):
    """A judge behind a network: one awaitable judgement per pair; it does its own scheduling."""

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...
    async def judge(
        self,
        candidate: str,
        reference: str,
        prior: str | None,
        *,
        deadline: float,
        started: Callable[[], None] = lambda: None,
    ) -> Judgement:
        """Verdict, or an exception with `code`, `message`, `retryable`. `deadline`: `time.monotonic()` seconds.

        `started` is called when work that costs something begins; until then, being cancelled saves it.
        """
        ...

    def read(self, candidate: str, reference: str, prior: str | None, stored: Judgement) -> Judgement:
        """A stored judgement, computed anew from the verdict in it by the code of now.

        `reads_with`, if the class has it, names the module that does this: it is hashed for the fingerprint of a
        profile. Raises what `judge` raises.
        """
        ...

    def health(self) -> Mapping[str, object]:
        """At least ``{"ready": bool, "detail": str}``."""
        ...


class WorkFuture(asyncio.Future[ComponentScore]):
    """What `Runner.submit` should return: once `started` is set, it refuses to be cancelled.

    So that work which has begun delivers its result to the cache although nobody waits for it.
    """

    started = False

    def cancel(self, msg: Any = None) -> bool:
        return False if self.started else super().cancel(msg)

    def __await__(self) -> Generator[Any, None, ComponentScore]:
        """Whoever awaits it can be cancelled at once, by a time limit say, also where the work goes on."""
        if self.done():
            return self.result()
        try:
            return (yield from asyncio.shield(self))
        except asyncio.CancelledError:
            self.cancel()
            raise

    __iter__ = __await__


class Runner(Protocol):
    """Runs one component for the engine, wherever that is: here, in a pool, in a model worker, over HTTP."""

    async def start(self) -> None:
        """Load and warm up. Raises `ComponentError` that names the setting or extra to fix."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Finish what has started, fail the rest with code ``shutting_down``."""
        ...

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        """One future per pair, at once. A future fails with `ComponentError`.

        Cancelling a future whose work has not started drops that work; started work finishes.
        `deadline` is absolute `time.monotonic()` seconds; work not started by then fails with ``deadline``.
        """
        ...

    def health(self) -> Mapping[str, object]:
        """At least ``{"ready": bool, "detail": str}``; plus queue length, cache hit counts, restarts."""
        ...


class ModelRunner(Runner, Protocol):
    """A runner whose component holds a model, the memory of which can be lent to somebody else for a while."""

    async def set_asleep(self, asleep: bool) -> None:
        """Release the memory, or load again. Pairs that are submitted meanwhile wait. Raises `ComponentError`."""
        ...
