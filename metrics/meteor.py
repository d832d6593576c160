"""METEOR against one reference (Lavie and Agarwal, WMT 2007), as `nltk.translate.meteor_score` computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version as installed
from typing import Any, ClassVar

from metrics.base import Cost, Metric, MetricScore
from metrics.wordnet import WordNet

Tokens = tuple[str, ...]


class Meteor(Metric[Tokens]):
    """Words aligned by form, stem and synonym; a mean of precision and recall times a penalty for order, in [0, 1].

    nltk's weights (alpha 0.9, beta 3, gamma 0.5), Porter's stems and the synonyms of WordNet 3.0. Tokens are those of
    BLEU: lower-cased, ``.`` split off, white space. It is not METEOR 1.5, which pycocoevalcap runs in Java: that has
    other weights, a table of paraphrases, and function words of their own weight.
    """

    version = 1
    cost: ClassVar[Cost] = "pool"  # a word that is met for the first time takes ten times as long as one that is known
    key: ClassVar[str] = "meteor"

    def __init__(self, wordnet: str = "/usr/share/wordnet") -> None:
        """`wordnet`: the folder of WordNet's files, by default where Debian puts them. Raises `NoWordNet`."""
        from nltk.stem.porter import PorterStemmer
        from nltk.translate.meteor_score import single_meteor_score

        self._score: Any = single_meteor_score
        self._wordnet = WordNet(wordnet)
        self._synsets = _Synsets(self._wordnet)
        self._stems = _Stems(PorterStemmer())

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)

    def manifest(self) -> Mapping[str, object]:
        return {
            "tokens": "lower-case, '.' split off, whitespace",
            "nltk": installed("nltk"),
            "wordnet_sha256": self._wordnet.sha256,
        }

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        return [tuple(text.lower().replace(".", " .").split()) for text in texts]

    def compare(self, candidates: Sequence[Tokens], references: Sequence[Tokens]) -> list[MetricScore]:
        return [MetricScore({self.key: self._meteor(c, r)}) for c, r in zip(candidates, references, strict=True)]

    def nbytes(self, artefact: Tokens) -> int:
        return 64 + sum(56 + len(token) for token in artefact)

    def _meteor(self, candidate: Tokens, reference: Tokens) -> float:
        return float(self._score(reference, candidate, preprocess=str, stemmer=self._stems, wordnet=self._synsets))


class _Stems:
    """nltk's stemmer, which remembers."""

    def __init__(self, stemmer: Any) -> None:
        self.stem = lru_cache(maxsize=20_000)(stemmer.stem)


class _Lemma(str):
    """A synonym as nltk asks for it."""

    __slots__ = ()

    def name(self) -> str:
        return str(self)


class _Synset(list[_Lemma]):
    def lemmas(self) -> list[_Lemma]:
        return self


class _Synsets:
    """`WordNet` as nltk asks for it: one synset that holds the synonyms of all."""

    def __init__(self, wordnet: WordNet) -> None:
        self._wordnet = wordnet
        self.synsets = lru_cache(maxsize=20_000)(self._of)

    def _of(self, word: str) -> list[_Synset]:
        return [_Synset(map(_Lemma, self._wordnet.synonyms(word)))]
