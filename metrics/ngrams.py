"""A tokenised text and the number of n-grams that it shares with another one, counted fast and exactly.

BLEU's clipped counts and ROUGE-N's hits are the same number, the size of a multiset intersection. N-grams
become integers in the vocabulary of the reference, which is indexed once for all candidates of its group.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import count, repeat
from operator import add, mul
from typing import NamedTuple
from weakref import ReferenceType, ref


class _Index(NamedTuple):
    """A reference's tokens as numbers, and its n-grams: an n-gram is a number of n digits in base `unknown` + 1."""

    vocabulary: dict[str, int]
    unknown: int
    """The digit of every token that is not in the vocabulary."""
    orders: list[tuple[set[int], dict[int, int]]]
    """For n = 1, 2, ...: the distinct n-grams, and how often those occur that occur more than once."""


class NGrams:
    """The tokens of one text, compared in n-grams of up to `order` tokens. A reference is indexed on first use."""

    __slots__ = ("__weakref__", "_index", "_last", "order", "tokens")

    def __init__(self, tokens: list[str], order: int) -> None:
        self.tokens = tokens
        self.order = order
        # Filled on use. Threads may compute the same value twice; each slot is set in one step.
        self._index: _Index | None = None
        self._last: tuple[ReferenceType[NGrams], list[int]] | None = None

    def __reduce__(self) -> tuple[type[NGrams], tuple[list[str], int]]:
        return NGrams, (self.tokens, self.order)

    def overlaps(self, reference: NGrams) -> list[int]:
        """For n = 1..order: how many n-grams both have, each as often as it occurs in both."""
        last = self._last  # read once: another thread may replace it meanwhile
        if last and last[0]() is reference:  # bleu2 and bleu4, rouge1 and rouge2 ask for the same pair
            return last[1]
        vocabulary, unknown, orders = reference._index or reference._make_index()
        ids = codes = [*map(vocabulary.get, self.tokens, repeat(unknown))]
        hits = [0] * self.order
        for n, (distinct, repeated) in enumerate(orders):
            if n:
                codes = _extend(codes, unknown + 1, ids[n:])
            hit = len(distinct.intersection(codes))
            if not hit:  # then no longer n-gram is shared either
                break
            if repeated and (shared := [code for code in codes if code in repeated]):
                for code, times in Counter(shared).items():
                    hit += min(times, repeated[code]) - 1
            hits[n] = hit
        self._last = ref(reference), hits
        return hits

    def nbytes(self) -> int:
        """Rough memory once indexed: token strings and lists, and a set slot and an integer per n-gram."""
        return 600 + len(self.tokens) * (80 + 90 * self.order)

    def _make_index(self) -> _Index:
        vocabulary: dict[str, int] = defaultdict(count().__next__)
        ids = codes = [*map(vocabulary.__getitem__, self.tokens)]
        orders = []
        for n in range(self.order):
            if n:
                codes = _extend(codes, len(vocabulary) + 1, ids[n:])
            distinct = set(codes)
            repeated = {}
            if len(distinct) < len(codes):
                repeated = {code: times for code, times in Counter(codes).items() if times > 1}
            orders.append((distinct, repeated))
        self._index = _Index(vocabulary, len(vocabulary), orders)
        return self._index


def _extend(codes: list[int], base: int, following: list[int]) -> list[int]:
    """N-grams that are one token longer; as many as there are tokens left to append."""
    return [*map(add, map(mul, codes, repeat(base)), following)]
