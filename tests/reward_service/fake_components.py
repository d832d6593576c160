"""Components that misbehave on purpose, for tests of the engine; registered by the tests that need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from metrics.base import Metric, MetricScore


class Length(Metric[str]):
    """Candidate length over reference length; raises on a poisoned text, NaN on another, counts comparisons."""

    version = 1
    compared: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    @property
    def keys(self) -> tuple[str, ...]:
        return ("ratio",)

    def manifest(self) -> Mapping[str, object]:
        return {"scale": self.scale}

    def encode(self, texts: Sequence[str]) -> list[str]:
        if any("poison" in text for text in texts):
            raise RuntimeError("poison in " + " ".join(texts))
        return list(texts)

    def compare(self, candidates: Sequence[str], references: Sequence[str]) -> list[MetricScore]:
        self.compared.extend(zip(candidates, references, strict=True))
        return [
            MetricScore({"ratio": float("nan") if "not a number" in c else self.scale * len(c) / len(r)})
            for c, r in zip(candidates, references, strict=True)
        ]


class LengthWithPrior(Length):
    """The same plus the length of the prior."""

    uses_prior = True

    def compare(
        self, candidates: Sequence[str], references: Sequence[str], priors: Sequence[str | None]
    ) -> list[MetricScore]:  # type: ignore[override]
        return [
            MetricScore({"ratio": len(c) / len(r) + len(p or "")})
            for c, r, p in zip(candidates, references, priors, strict=True)
        ]


class Noting(Length):
    """Notes that its encoder cut every text, which a guard takes up."""

    def compare(self, candidates: Sequence[str], references: Sequence[str]) -> list[MetricScore]:
        return [c._replace(notes=("noting_truncated",)) for c in super().compare(candidates, references)]


class Broken(Length):
    """Cannot be built."""

    def __init__(self) -> None:
        raise FileNotFoundError("weights.safetensors")


class Unloadable(Length):
    """Can be built and cannot be loaded, like a model whose weights are damaged."""

    cost = "model"

    def warm_up(self) -> None:
        raise RuntimeError("no weights here")


class NeverThere(Length):
    """Scores nothing."""

    def encode(self, texts: Sequence[str]) -> list[str]:
        raise RuntimeError("not there")
