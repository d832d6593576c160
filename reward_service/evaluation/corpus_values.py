"""Values of a whole file, as leaderboards print them, from the raw values of its results (``detail: full``).

What each value is, and which one boards print, is said in `metrics.corpus`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from metrics import corpus
from metrics.chexbert import given_of_sum
from metrics.radcliq import BERTSCORE_BASELINE_F1, RadCliQInputs

Values = Mapping[str, Mapping[str, float]]
"""A result's ``values``: raw values by component key."""


class CorpusValues:
    """Gathers results one by one; holds a few numbers for each.

    A result counts for a value when it has all that the value is made of.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        """`document`: what the profile's fingerprint is the hash of; it says which component each key is.

        Where a component stands under several keys, the first one that is paid counts, else the first.

        RadCliQ is counted only where BERTScore is rescaled as it was when RadCliQ was fitted.
        """
        components = document["components"]
        self._keys: dict[str, str] = {}
        for key in sorted(components, key=lambda key: not document["weights"][key]):
            self._keys.setdefault(components[key]["component"], key)
        baseline = components.get(self._keys.get("bertscore", ""), {}).get("manifest", {}).get("baseline") or {}
        self._radcliq = baseline.get("f1") == BERTSCORE_BASELINE_F1
        self._labels: list[tuple[tuple[bool, ...], tuple[bool, ...]]] = []
        self._levels: list[Mapping[str, float]] = []
        self._inputs: list[RadCliQInputs] = []

    def add(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Results that have ``values``; others are left out."""
        for result in results:
            if values := result.get("values"):
                self._add(values)

    def _add(self, values: Values) -> None:
        semb, levels, bertscore, bleu2 = (
            values.get(self._keys.get(name, "")) for name in ("semb_score", "radgraph_f1", "bertscore", "bleu2")
        )
        if semb:
            self._labels.append((given_of_sum(semb["candidate_labels"]), given_of_sum(semb["reference_labels"])))
        if levels:
            self._levels.append(levels)
        if self._radcliq and semb and levels and bertscore and bleu2:
            first = next(iter(bleu2.values()))
            self._inputs.append(RadCliQInputs(levels["combined"], bertscore["f1"], semb["semb"], first))

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """``f1_chexbert``, ``radgraph`` and ``radcliq``, each with ``n``; what no result has is left out."""
        found: dict[str, dict[str, float | int | None]] = {}
        if self._labels:
            candidates, references = zip(*self._labels, strict=True)
            found["f1_chexbert"] = {"n": len(self._labels), **corpus.f1_chexbert(candidates, references)}
        if self._levels:
            found["radgraph"] = {"n": len(self._levels), **corpus.radgraph(self._levels)}
        if self._inputs:
            found["radcliq"] = {"n": len(self._inputs), **corpus.radcliq(self._inputs)}
        return found
