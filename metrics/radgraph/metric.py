"""RadGraph F1 (Jain et al. 2021; Yu et al. 2023; Delbrouck et al. 2022): the overlap of two reports' graphs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, get_args

from metrics.base import Metric, MetricScore
from metrics.radgraph.annotation import Annotation, Case, Sets, scores, sets
from metrics.radgraph.model import RadGraph


class RadGraphF1(Metric[Annotation]):
    """F1 between two annotations, each in [0, 1], higher is better.

    `partial`, `simple` and `complete` are the levels of the package `radgraph` (RG_ER, RG_E and RG_ER-bar of Delbrouck
    et al. 2022), `combined` is RadCliQ's mean of entity and relation F1. A side without entities, an empty text too,
    gives 0. `model`: a folder written by `metrics.radgraph.convert`. `case`: which of the two rewards that share the
    package's version number, see `annotation.sets`. `max_words`: words beyond it are not read, and a note says so.
    Raises `ModelUnavailable` when there is no such model.
    """

    version = 1
    cost = "model"
    _keys: ClassVar[tuple[str, ...]] = ("partial", "simple", "complete", "combined")

    def __init__(
        self,
        model: str = "",
        case: Case = "pypi-0.1.18",
        *,
        max_words: int = 1024,
        device: str = "cpu",
        max_batch: int = 128,
        max_padded_tokens: int | None = None,
        threads: int | None = None,
    ) -> None:
        if case not in get_args(Case):
            raise ValueError(f"case must be one of {', '.join(get_args(Case))}, not {case!r}")
        self.case = case
        self.radgraph = RadGraph(
            model,
            max_words=max_words,
            device=device,
            max_batch=max_batch,
            max_padded_tokens=max_padded_tokens,
            threads=threads,
        )

    @property
    def keys(self) -> tuple[str, ...]:
        return self._keys

    @property
    def determinism(self) -> str:
        return self.radgraph.encoder.determinism

    @property
    def encoding(self) -> str:
        """Equal for equal models: an annotation does not depend on `case`."""
        model = json.dumps(self.radgraph.manifest, sort_keys=True, default=str)
        return f"RadGraph@{self.version}:{hashlib.sha256(model.encode()).hexdigest()}"

    def manifest(self) -> Mapping[str, object]:
        return {**self.radgraph.manifest, "case": self.case}

    @property
    def stage(self) -> str:
        """``idle``, ``loading`` or ``ready``."""
        return self.radgraph.stage

    def warm_up(self) -> None:
        """Load and run the largest shapes. Raises `ModelUnavailable`."""
        self.radgraph.warm_up()

    def encode(self, texts: Sequence[str]) -> list[Annotation]:
        return self.radgraph.annotate(texts)

    def compare(self, candidates: Sequence[Annotation], references: Sequence[Annotation]) -> list[MetricScore]:
        known: dict[int, Sets] = {}  # a group shares its reference
        out = []
        for candidate, reference in zip(candidates, references, strict=True):
            c, r = (known.get(id(a)) or known.setdefault(id(a), sets(a, self.case)) for a in (candidate, reference))
            notes = ("radgraph_truncated",) if candidate.truncated or reference.truncated else ()
            out.append(MetricScore(scores(c, r), notes))
        return out

    def nbytes(self, artefact: Annotation) -> int:
        return artefact.nbytes
