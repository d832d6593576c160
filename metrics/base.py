"""The shape every metric has: *encode* a text once, *compare* two encodings as often as needed.

The split is what makes a rollout group cheap: sixteen candidates that share a reference cost
seventeen encodings and sixteen comparisons. A metric is synchronous and batch-wise; where it runs,
and what is cached, is its caller's business.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Literal, NamedTuple, TypeVar

A = TypeVar("A")

Cost = Literal["inline", "pool", "model"]


class MetricScore(NamedTuple):
    """What one candidate/reference comparison produced."""

    values: dict[str, float]
    """Raw values by key (every key of `Metric.keys`), finite floats."""
    notes: tuple[str, ...] = ()
    """Facts about this pair worth flagging, e.g. ``("bertscore_truncated",)``; never report text."""


class Metric(ABC, Generic[A]):
    """A pure function of (candidate, reference), factored into encode and compare.

    Purity is the contract: the values for a pair never depend on the other texts in the call.
    """

    version: ClassVar[int]
    """Raised by hand whenever any output changes; part of the fingerprint."""
    cost: ClassVar[Cost] = "inline"
    """Where the caller should run it: event loop or thread, process pool, or a model worker."""
    uses_prior: ClassVar[bool] = False

    @property
    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """Names of the values that `compare` returns."""

    @property
    def determinism(self) -> str:
        """``exact``, ``tolerance(x)`` or ``first_verdict``."""
        return "exact"

    @property
    def encoding(self) -> str:
        """Identity of the artefact format; metrics with equal `encoding` may share artefacts."""
        return f"{type(self).__name__}@{self.version}"

    @abstractmethod
    def manifest(self) -> Mapping[str, object]:
        """All that determines the values besides class and `version`, as plain JSON:

        settings, sha256 of weights, tokenizer, versions of the libraries that change the numbers.
        Not device, paths, timeouts or batch sizes.
        """

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[A]:
        """One artefact per text, in order. Texts may be empty."""

    @abstractmethod
    def compare(self, candidates: Sequence[A], references: Sequence[A]) -> list[MetricScore]:
        """One `MetricScore` per position; the two sequences have equal length."""

    def nbytes(self, artefact: A) -> int:
        """Approximate memory held by `artefact`, for a cache bounded in bytes."""
        return 1024
