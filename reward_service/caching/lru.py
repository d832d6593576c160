"""The one store that both caches in memory use: least recently used values, bounded in bytes.

cachetools' `LRUCache` would do; with sizes it takes two to three and a half times as long for 4,096 keys, and every
pair of every request comes through here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LeastRecentlyUsed(Generic[K, V]):
    """Values by key, each with the bytes that its owner says it takes. Not for several threads without a lock."""

    def __init__(self, max_bytes: int) -> None:
        """0 keeps nothing. Raises ValueError for less."""
        if max_bytes < 0:
            raise ValueError("max_bytes must be 0 or more")
        self._max_bytes = max_bytes
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = self._hits = self._misses = self._evictions = 0

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def peek(self, key: K) -> V | None:
        """The value, without counting or refreshing it."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def get_many(self, keys: Iterable[K]) -> list[V | None]:
        """The value or None per key, in order; each counts as a hit or a miss."""
        entries = self._entries
        found: list[V | None] = []
        hits = 0
        for key in keys:
            if (entry := entries.get(key)) is None:
                found.append(None)
            else:
                entries.move_to_end(key)
                found.append(entry[0])
                hits += 1
        self._hits += hits
        self._misses += len(found) - hits
        return found

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Keep `value`, also instead of another one, and evict the oldest; what alone exceeds the bound is not kept."""
        if (old := self._entries.pop(key, None)) is not None:
            self._bytes -= old[1]
        if nbytes > self._max_bytes:
            return
        self._entries[key] = (value, nbytes)
        self._bytes += nbytes
        while self._bytes > self._max_bytes:
            self._bytes -= self._entries.popitem(last=False)[1][1]
            self._evictions += 1

    def clear(self) -> None:
        """Drop all values; the counters stay."""
        self._entries.clear()
        self._bytes = 0

    def stats(self) -> dict[str, int]:
        """``hits``, ``misses`` and ``evictions`` since construction, ``entries`` and ``bytes`` now."""
        counters = {"hits": self._hits, "misses": self._misses, "evictions": self._evictions}
        return {**counters, "entries": len(self._entries), "bytes": self._bytes}
