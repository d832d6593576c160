"""CIDEr-D of a whole test set (Vedantam et al., CVPR 2015): agreement in n-grams, the rarer the heavier.

A corpus value and no component: the weight of an n-gram comes from how many references of the set have it, so one
report's value depends on all the others.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

_ORDER: Final = 4
_SIGMA: Final = 6.0
"""Of the Gaussian penalty on a difference in length, in tokens (section 5 of the paper)."""
_SCALE: Final = 10.0

NGram = tuple[str, ...]


def cider_d(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """Mean over the candidates, from 0 to 10; `references[i]` are the token lists of candidate i's references.

    As in pycocoevalcap: n-grams up to 4, counts of the candidate clipped to the reference's, the mean over orders and
    references, times 10. A set of one study gives 0, for the idf of all its n-grams is 0. Raises `ValueError` when the
    two differ in length, or there is none.
    """
    return sum(by_candidate(candidates, references)) / len(candidates)


def by_candidate(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """What `cider_d` is the mean of: a value for each candidate, with the idf of this whole set. Raises as it does."""
    if not candidates or len(candidates) != len(references):
        raise ValueError("as many candidates as lists of references are needed, and at least one")
    counted = [[_counts(tokens) for tokens in each] for each in references]
    studies: Counter[NGram] = Counter()
    for each in counted:
        studies.update({gram for counts in each for gram in counts})
    known = math.log(len(references))
    idf: defaultdict[int, float] = defaultdict(float)
    for count in set(studies.values()):
        idf[count] = known - math.log(count)
    idf[0] = known
    found = []
    for candidate, each in zip(candidates, counted, strict=True):
        ours = _Vector(_counts(candidate), studies, idf)
        found.append(_SCALE * sum(ours.similarity(_Vector(counts, studies, idf)) for counts in each) / len(each))
    return found


def _counts(tokens: Sequence[str]) -> Counter[NGram]:
    return Counter(tuple(tokens[i : i + n]) for n in range(1, _ORDER + 1) for i in range(len(tokens) - n + 1))


class _Vector:
    """tf-idf of one text, an n-gram's order with it."""

    def __init__(self, counts: Counter[NGram], studies: Counter[NGram], idf: defaultdict[int, float]) -> None:
        self.weights = {gram: count * idf[studies[gram]] for gram, count in counts.items()}
        self.squares = [0.0] * _ORDER
        for gram, weight in self.weights.items():
            self.squares[len(gram) - 1] += weight * weight
        self.length = sum(count for gram, count in counts.items() if len(gram) == 2)
        """In pairs of words, as pycocoevalcap takes it."""

    def similarity(self, other: _Vector) -> float:
        """Mean over the orders of the clipped cosine, less for another length."""
        products = [0.0] * _ORDER
        for gram, weight in self.weights.items():
            theirs = other.weights.get(gram)
            if theirs is not None:
                products[len(gram) - 1] += min(weight, theirs) * theirs
        norms = [math.sqrt(a * b) for a, b in zip(self.squares, other.squares, strict=True)]
        cosine = sum(p / n if n else p for p, n in zip(products, norms, strict=True))
        apart = self.length - other.length
        return cosine / _ORDER * math.exp(-(apart**2) / (2 * _SIGMA**2))
