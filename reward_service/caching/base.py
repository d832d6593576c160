"""The score cache: what every level of it can do, how its keys are made, and the level in memory.

Raw component results are kept under the component's fingerprint and a digest of the texts, so changing
a weight costs no computation and no report text ever becomes a key. `cache_redis.py` puts Redis behind
the same protocol.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from reward_service.contracts import Outcome

CacheKey = str
"""``<component fingerprint hex>:<pair digest hex>``."""

_DIGEST_BYTES = 20


def text_digest(text: str) -> bytes:
    """Digest of one text; compute it once per distinct text and pass it to `pair_digest`."""
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES, person=b"reward-text").digest()


def pair_digest(candidate: bytes, reference: bytes, prior: bytes | None) -> str:
    """Digest of a pair from its texts' digests. Fixed lengths, so no two pairs share an input.

    No prior (None) differs from an empty one, whose digest is that of ``""``.
    """
    joined = candidate + reference + (prior or b"")
    return blake2b(joined, digest_size=_DIGEST_BYTES, person=b"reward-pair").hexdigest()


class ScoreCache(Protocol):
    """Outcomes by key. No method raises: a level that fails is a miss, a counter and a rare warning.

    The first value stored under a key is the one that stays, at every level: a score that has been
    given out cannot change, which matters where a component is not deterministic (an LLM's verdict).
    """

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def get_many(self, keys: Sequence[CacheKey]) -> list[Outcome | None]:
        """The stored outcome or None per key, in order; at most one network round trip for all."""
        ...

    async def put_many(self, entries: Sequence[tuple[CacheKey, Outcome]], *, permanent: bool = False) -> None:
        """Store, and give up the claim on, each key. `permanent` entries (LLM verdicts) do not expire.

        A permanent entry is settled on return, within a short time limit: `get_many` then answers the
        verdict that stays, which is another process's if that one was first.
        """
        ...

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        """Those of the missing `keys` that this process should compute; `wait` for the others.

        A claim ends with `put_many` or `release`, or a few seconds after this process has died.
        """
        ...

    async def wait(self, key: CacheKey, deadline: float) -> Outcome | None:
        """What another process computes for `key`; None when it gave up or at `deadline` (`time.monotonic()`)."""
        ...

    async def release(self, keys: Sequence[CacheKey]) -> None:
        """Give up claims without a result."""
        ...

    def stats(self) -> dict[str, dict[str, int]]:
        """Counters by level, e.g. ``{"memory": {"hits": 3, ...}, "redis": {...}}``."""
        ...


def outcome_nbytes(outcome: Outcome) -> int:
    """Approximate memory held by an outcome and its cache entry (within a factor of two, see the tests)."""
    size = 650 + 110 * len(outcome.values) + 70 * len(outcome.notes)
    if (judgement := outcome.judgement) is not None:
        size += 1400 + 380 * len(judgement.evidence) + 110 * len(judgement.values) + 70 * len(judgement.notes)
        if judgement.details:
            size += 4 * len(repr(judgement.details))
    return size


class MemoryCache:
    """Least recently used outcomes of this process, bounded in estimated bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[CacheKey, tuple[Outcome, int]] = OrderedDict()
        self._bytes = self._hits = self._misses = self._evictions = 0

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        self._entries.clear()
        self._bytes = 0

    async def get_many(self, keys: Sequence[CacheKey]) -> list[Outcome | None]:
        return self.look_up(keys)

    async def put_many(self, entries: Sequence[tuple[CacheKey, Outcome]], *, permanent: bool = False) -> None:
        for key, outcome in entries:
            self.store(key, outcome)

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        return {key for key in keys if key not in self._entries}

    async def wait(self, key: CacheKey, deadline: float) -> Outcome | None:
        return self.peek(key)

    async def release(self, keys: Sequence[CacheKey]) -> None:
        return None

    def stats(self) -> dict[str, dict[str, int]]:
        counters = {"hits": self._hits, "misses": self._misses, "evictions": self._evictions}
        return {"memory": {**counters, "entries": len(self._entries), "bytes": self._bytes}}

    def look_up(self, keys: Sequence[CacheKey]) -> list[Outcome | None]:
        """`get_many` without a coroutine."""
        entries = self._entries
        found: list[Outcome | None] = []
        hits = 0
        for key in keys:
            if (entry := entries.get(key)) is None:
                found.append(None)
            else:
                entries.move_to_end(key)
                found.append(entry[0])
                hits += 1
        self._hits += hits
        self._misses += len(keys) - hits
        return found

    def peek(self, key: CacheKey) -> Outcome | None:
        """The stored outcome, without counting or refreshing it."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def store(self, key: CacheKey, outcome: Outcome, *, replace: bool = False) -> None:
        """Keep `outcome`, unless the key has one already (`replace`: also then), and evict the oldest."""
        old = self._entries.get(key)
        if old is not None and not replace:
            return
        size = outcome_nbytes(outcome) + len(key)
        self._entries[key] = (outcome, size)
        self._bytes += size - (0 if old is None else old[1])
        while self._bytes > self._max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed
            self._evictions += 1
