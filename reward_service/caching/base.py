"""The score cache: what every level of it can do, how its keys are made, and the level in memory.

Raw component results are kept under the component's fingerprint and a digest of the texts, so changing
a weight costs no computation and no report text ever becomes a key. `redis.py` puts Redis behind
the same protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from reward_service.caching.codec import decode, encode
from reward_service.caching.lru import LeastRecentlyUsed
from reward_service.contracts import ComponentScore

CacheKey = str
"""``<component fingerprint hex>:<pair digest hex>``."""

_DIGEST_BYTES = 20
_ENTRY_BYTES = 180  # of a dict's entry and the headers of its two objects


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
    """Component scores by key. No method raises: a level that fails is a miss, a counter and a rare warning.

    The first value stored under a key is the one that stays, at every level: a score that has been
    given out cannot change, which matters where a component is not deterministic (an LLM's judgement).
    """

    async def start(self) -> None: ...

    async def aclose(self) -> None: ...

    async def get_many(self, keys: Sequence[CacheKey]) -> list[ComponentScore | None]:
        """The stored score or None per key, in order; at most one network round trip for all."""
        ...

    async def put_many(
        self, entries: Sequence[tuple[CacheKey, ComponentScore]], *, permanent: bool = False
    ) -> set[CacheKey]:
        """Store, and give up the claim on, each key. `permanent` entries (LLM judgements) do not expire.

        A permanent entry is settled on return, within a short time limit: `get_many` then answers the
        judgement that stays, which is another process's if that one was first. The keys of those for which there is
        no room are returned: they must not be given out, since the next judgement of the pair may differ.
        """
        ...

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        """Those of the missing `keys` that this process should compute; `wait` for the others.

        A claim ends with `put_many` or `release`, or a few seconds after this process has died.
        """
        ...

    async def wait(self, key: CacheKey, deadline: float) -> ComponentScore | None:
        """What another process computes for `key`; None when it gave up, at `deadline` (`time.monotonic()`), or after
        the longest time that a claim may last: `claim` then says whether it still holds."""
        ...

    async def release(self, keys: Sequence[CacheKey]) -> None:
        """Give up claims without a result."""
        ...

    def stats(self) -> dict[str, dict[str, int]]:
        """Counters by level, e.g. ``{"memory": {"hits": 3, ...}, "redis": {...}}``."""
        ...


def score_nbytes(score: ComponentScore) -> int:
    """Approximate memory held by an score and its cache entry (within a factor of two, see the tests)."""
    size = 650 + 110 * len(score.values) + 70 * len(score.notes)
    if (judgement := score.judgement) is not None:
        size += 1400 + 420 * len(judgement.evidence) + 110 * len(judgement.values) + 70 * len(judgement.notes)
        if judgement.details:
            size += 4 * len(repr(judgement.details))
    return size


class MemoryCache:
    """Least recently used scores of this process, bounded in estimated bytes.

    Permanent ones are never evicted. They are kept compressed and bounded on their own, by the same number of bytes;
    when these are used up, no more are taken.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._permanent: dict[CacheKey, bytes] = {}
        self._permanent_bytes = 0
        self._kept: LeastRecentlyUsed[CacheKey, ComponentScore] = LeastRecentlyUsed(max_bytes)

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        self._kept.clear()
        self._permanent.clear()
        self._permanent_bytes = 0

    async def get_many(self, keys: Sequence[CacheKey]) -> list[ComponentScore | None]:
        return self.look_up(keys)

    async def put_many(
        self, entries: Sequence[tuple[CacheKey, ComponentScore]], *, permanent: bool = False
    ) -> set[CacheKey]:
        refused = set()
        for key, score in entries:
            if permanent and not self._keep(key, score):
                refused.add(key)
            elif not permanent:
                self.store(key, score)
        return refused

    async def claim(self, keys: Sequence[CacheKey]) -> set[CacheKey]:
        return {key for key in keys if key not in self._kept and key not in self._permanent}

    async def wait(self, key: CacheKey, deadline: float) -> ComponentScore | None:
        return self.peek(key)

    async def release(self, keys: Sequence[CacheKey]) -> None:
        return None

    def stats(self) -> dict[str, dict[str, int]]:
        permanent = {"permanent": len(self._permanent), "permanent_bytes": self._permanent_bytes}
        return {"memory": {**self._kept.stats(), **permanent}}

    def look_up(self, keys: Sequence[CacheKey]) -> list[ComponentScore | None]:
        """`get_many` without a coroutine."""
        found = self._kept.get_many(keys)
        if self._permanent:
            for i, key in enumerate(keys):
                if found[i] is None and (blob := self._permanent.get(key)) is not None:
                    found[i] = decode(key, blob)
        return found

    def peek(self, key: CacheKey) -> ComponentScore | None:
        """The stored score, without counting or refreshing it."""
        blob = self._permanent.get(key)
        return self._kept.peek(key) if blob is None else decode(key, blob)

    def store(self, key: CacheKey, score: ComponentScore, *, replace: bool = False) -> None:
        """Keep `score`, unless the key has one already (`replace`: also then)."""
        if replace or key not in self._kept:
            self._kept.put(key, score, score_nbytes(score) + len(key))

    def _keep(self, key: CacheKey, score: ComponentScore) -> bool:
        """Keep a permanent score, unless the key has one already; False if there is no room for it."""
        if key in self._permanent:
            return True
        score = self._kept.peek(key) or score  # the first one stays
        try:
            blob = encode(key, score)
        except TypeError:  # not a finite number: nothing to keep
            return False
        size = len(blob) + len(key) + _ENTRY_BYTES
        if self._permanent_bytes + size > self._max_bytes:
            return False
        self._permanent[key] = blob
        self._permanent_bytes += size
        return True
