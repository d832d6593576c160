"""Sentence BLEU against one reference, in named variants: `Bleu2` (RadCliQ's), and nltk's `Bleu1`, `Bleu3`, `Bleu4`.

Both equal `nltk.translate.bleu_score.sentence_bleu`, several times faster: n-grams are counted once
per text instead of once per pair, and precisions stay plain ratios. nltk is imported only for the smoothing methods
2 to 7, which are its own code: with scipy and scikit-learn installed, its import takes two seconds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as installed
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from metrics.base import Metric, MetricScore
from metrics.ngrams import NGrams

Smoothing = Literal["method0", "method1", "method2", "method3", "method4", "method5", "method7"]
"""nltk's names (Chen & Cherry, WMT 2014). `method6` is absent: nltk's raises when no trigram matches."""


class _Ratio(NamedTuple):
    """All that most smoothing methods need of nltk's `Fraction`, without the cost of a rational number."""

    numerator: int
    denominator: int

    def __float__(self) -> float:
        return self.numerator / self.denominator


def _method0(precisions: list[_Ratio], **_: object) -> list[_Ratio | float]:
    """No smoothing: a zero precision becomes the smallest normal float, so that its logarithm exists.

    nltk's does the same, and warns at every pair.
    """
    return [p if p.numerator else sys.float_info.min for p in precisions]


def _method1(precisions: list[_Ratio], **_: object) -> list[_Ratio | float]:
    """A count of zero becomes 0.1."""
    return [p if p.numerator else 0.1 / p.denominator for p in precisions]


_OWN: dict[str, Callable[..., list[Any]]] = {"method0": _method0, "method1": _method1}


def _brevity_penalty(reference: int, candidate: int) -> float:
    """1 for a candidate longer than the reference, else exp(1 - reference / candidate); lengths in tokens, not 0."""
    return 1.0 if candidate > reference else math.exp(1 - reference / candidate)


class _Bleu(Metric[NGrams]):
    """Geometric mean of clipped n-gram precisions times the brevity penalty (Papineni et al., ACL 2002), in [0, 1].

    Tokens: lower-cased, ``.`` split off by a space, then split at whitespace
    (`prep_reports` in rajpurkarlab/CXR-Report-Metric, which splits at spaces only).
    """

    order: ClassVar[int]
    key: ClassVar[str]

    def __init__(self, smoothing: Smoothing) -> None:
        if smoothing not in get_args(Smoothing):
            raise ValueError(f"smoothing must be one of {', '.join(get_args(Smoothing))}, not {smoothing!r}")
        self.smoothing = smoothing
        self._smooth: Callable[..., list[Any]]
        self._ratio: Callable[[int, int], Any] = _Ratio
        if smoothing in _OWN:
            self._smooth = _OWN[smoothing]
        else:
            from nltk.translate.bleu_score import Fraction, SmoothingFunction

            self._smooth = getattr(SmoothingFunction(), smoothing)
            if smoothing in ("method5", "method7"):
                self._ratio = Fraction  # they average precisions of neighbouring orders, in exact rationals
        self._weight = 1 / self.order
        self._changes_only_zeros = smoothing in ("method0", "method1", "method3", "method4")

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    @property
    def encoding(self) -> str:
        return "bleu-grams@1"

    def manifest(self) -> Mapping[str, object]:
        return {
            "order": self.order,
            "smoothing": self.smoothing,
            "tokens": "lower-case, '.' split off, whitespace",
            **({} if self.smoothing in _OWN else {"nltk": installed("nltk")}),
        }

    def encode(self, texts: Sequence[str]) -> list[NGrams]:
        return [NGrams(text.lower().replace(".", " .").split(), 4) for text in texts]

    def compare(self, candidates: Sequence[NGrams], references: Sequence[NGrams]) -> list[MetricScore]:
        return [MetricScore({self.key: self._bleu(c, r)}) for c, r in zip(candidates, references, strict=True)]

    def nbytes(self, artefact: NGrams) -> int:
        return artefact.nbytes()

    def _bleu(self, candidate: NGrams, reference: NGrams) -> float:
        length = len(candidate.tokens)
        hits = candidate.overlaps(reference)[: self.order]
        if not hits[0]:  # no common word, or an empty text
            return 0.0
        if hits[-1] and self._changes_only_zeros:
            precisions = [hit / (length - n) for n, hit in enumerate(hits)]
        else:
            ratios = [self._ratio(hit, max(1, length - n)) for n, hit in enumerate(hits)]
            smoothed = self._smooth(ratios, references=[reference.tokens], hypothesis=candidate.tokens, hyp_len=length)
            precisions = [float(p) for p in smoothed]
        # nltk's expression term by term: the last bit depends on the order of operations.
        logs = math.fsum([self._weight * math.log(p) for p in precisions if p > 0])
        return _brevity_penalty(len(reference.tokens), length) * math.exp(logs)


class Bleu1(_Bleu):
    """nltk's `sentence_bleu` of single words with `method1`: clipped precision times the brevity penalty."""

    version = 1
    order = 1
    key = "bleu1"

    def __init__(self) -> None:
        super().__init__("method1")


class Bleu2(_Bleu):
    """BLEU-2 of CXR-Report-Metric and RadCliQ: weights (1/2, 1/2), a zero count replaced by 0.1."""

    version = 1
    order = 2
    key = "bleu2"

    def __init__(self) -> None:
        super().__init__("method1")


class Bleu3(_Bleu):
    """nltk's `sentence_bleu` with uniform weights to order 3, a zero count replaced by 0.1 (`method1`)."""

    version = 1
    order = 3
    key = "bleu3"

    def __init__(self) -> None:
        super().__init__("method1")


class Bleu4(_Bleu):
    """nltk's `sentence_bleu` with uniform weights to order 4 and the named smoothing."""

    version = 1
    order = 4
    key = "bleu4"

    def __init__(self, smoothing: Smoothing = "method1") -> None:
        super().__init__(smoothing)
