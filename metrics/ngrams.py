"""A tokenised text whose n-grams are counted once, on first use, and compared by set intersection in C.

BLEU's clipped counts and ROUGE-N's hits are the same number: the size of a multiset intersection.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

_Level: TypeAlias = tuple[set[str], dict[str, int]]
"""The distinct n-grams of one order, and the count of those that occur more than once."""


class NGrams:
    """The tokens of one text, none of which contains a space; its n-grams are counted when first asked for.

    N-grams are strings joined by a space: the garbage collector does not have to walk them, as it would tuples.
    """

    __slots__ = ("_levels", "tokens")

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self._levels: dict[int, _Level] = {}

    def overlap(self, other: NGrams, n: int) -> int:
        """How many n-grams both texts have, an n-gram counting as often as it occurs in both."""
        distinct, repeated = self._levels.get(n) or self._count(n)
        others, others_repeated = other._levels.get(n) or other._count(n)
        hits = len(distinct & others)
        if repeated and others_repeated:
            for gram in repeated.keys() & others_repeated.keys():
                hits += min(repeated[gram], others_repeated[gram]) - 1
        return hits

    def total(self, n: int) -> int:
        """How many n-grams the text has, repetitions included."""
        return max(0, len(self.tokens) - n + 1)

    def nbytes(self, orders: int) -> int:
        """Rough memory once `orders` orders have been counted: token list, joined strings, set slots."""
        return 400 + len(self.tokens) * (64 + 150 * orders)

    def _count(self, n: int) -> _Level:
        tokens = self.tokens
        grams = tokens if n == 1 else [*map(" ".join, zip(*(tokens[i:] for i in range(n)), strict=False))]
        distinct = set(grams)
        repeated = {}
        if len(distinct) < len(grams):
            repeated = {gram: count for gram, count in Counter(grams).items() if count > 1}
        # Two threads may both count; they store equal values.
        level = self._levels[n] = (distinct, repeated)
        return level
