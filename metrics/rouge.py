"""ROUGE-1, ROUGE-2 and ROUGE-L (F-measure) with the semantics of google's `rouge_score`, an order of magnitude faster.

The values equal that package's on every input; only the counting differs: n-gram overlap is a set
intersection, and the longest common subsequence is rapidfuzz's bit-parallel one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version as installed
from typing import Literal, get_args

from rapidfuzz.distance import LCSseq
from rouge_score.scoring import fmeasure
from rouge_score.tokenize import tokenize

from metrics.base import Metric, MetricScore
from metrics.ngrams import NGrams

Variant = Literal["rouge1", "rouge2", "rougeL"]


class _ToSpace(dict[int, int]):
    """A translation table that turns every character without an entry into a space, and does not grow."""

    def __missing__(self, _: int) -> int:
        return ord(" ")


_ALPHANUMERIC = _ToSpace((ord(char), ord(char)) for char in "abcdefghijklmnopqrstuvwxyz0123456789")


class _CachedStemmer:
    """nltk's Porter stemmer, each word stemmed once: stemming is most of the cost and reports repeat words."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer  # here, because its import takes up to two seconds

        self.stem = lru_cache(maxsize=65_536)(PorterStemmer().stem)


class Rouge(Metric[NGrams]):
    """F-measure of the overlap of candidate and reference, in [0, 1]; 0 when either has no token.

    `variant` is also the key. Tokens are runs of ``[a-z0-9]`` of the lower-cased text; with `stemmer`
    those longer than three characters are Porter-stemmed (Lin, ROUGE, 2004).
    """

    version = 1

    def __init__(self, variant: Variant, stemmer: bool = False) -> None:
        if variant not in get_args(Variant):
            raise ValueError(f"variant must be one of {', '.join(get_args(Variant))}, not {variant!r}")
        self.variant = variant
        self._stemmer = _CachedStemmer() if stemmer else None

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.variant,)

    @property
    def encoding(self) -> str:
        return "rouge-tokens@1" + ("+porter" if self._stemmer else "")

    def manifest(self) -> Mapping[str, object]:
        return {
            "variant": self.variant,
            "stemmer": self._stemmer is not None,
            "rouge-score": installed("rouge-score"),
            "rapidfuzz": installed("rapidfuzz"),
            **({"nltk": installed("nltk")} if self._stemmer else {}),
        }

    def encode(self, texts: Sequence[str]) -> list[NGrams]:
        if self._stemmer:
            return [NGrams(tokenize(text, self._stemmer), 2) for text in texts]
        # What `tokenize` does without a stemmer, at a tenth of its cost.
        return [NGrams(text.lower().translate(_ALPHANUMERIC).split(), 2) for text in texts]

    def compare(self, candidates: Sequence[NGrams], references: Sequence[NGrams]) -> list[MetricScore]:
        return [MetricScore({self.variant: self._f(c, r)}) for c, r in zip(candidates, references, strict=True)]

    def nbytes(self, artefact: NGrams) -> int:
        return artefact.nbytes()

    def _f(self, candidate: NGrams, reference: NGrams) -> float:
        if self.variant == "rougeL":
            n, hits = 1, LCSseq.similarity(candidate.tokens, reference.tokens)
        else:
            n = int(self.variant[-1])
            hits = candidate.overlaps(reference)[n - 1]
        precision = hits / max(len(candidate.tokens) - n + 1, 1)
        recall = hits / max(len(reference.tokens) - n + 1, 1)
        return float(fmeasure(precision, recall))
