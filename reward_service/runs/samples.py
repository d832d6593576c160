"""A few items of each step with their texts, kept only where the operator asks for it (`REWARD_KEEP_SAMPLES`).

Which ones is decided by a digest of the pair, not by chance: those with the smallest. So processes that score parts of
a step agree, and the samples of a step are the smallest of all that any of them kept.

A pair that comes again is one sample with a count. The count is exact, in whatever order and at whichever process the
candidates arrive: a pair that is kept at the end was kept from its first candidate on, because the limit only sinks. A
draw in which each candidate had the same chance could not be made from the pairs alone, and would show a text N times.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from judges.base import Judgement
from reward_service.contracts import Composite
from reward_service.runs.totals import digest as text_digest

STEPS = 50
"""The latest steps of a run that have samples; those of earlier ones are deleted."""


class Told(NamedTuple):
    """An item that was scored, with all there is to show of it."""

    candidate: str
    reference: str
    prior: str | None
    composite: Composite
    judgement: Judgement | None


Sample = Mapping[str, Any]
"""As JSON: `digest` of the pair, its `count`, `candidate_digest` as totals and alarms have it, the texts, and `result`
as in an answer at ``detail: full``."""


class Reservoir:
    """At most `most` samples of one step."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, dict[str, Any]] = {}
        self._limit = "g"  # above every digest

    def add(self, items: Sequence[Told]) -> bool:
        """Whether one of `items` is among those kept now."""
        digests = [digest_of(item.candidate, item.reference) for item in items]
        counts = Counter(digest for digest in digests if digest <= self._limit)
        fresh = {d: item for d, item in zip(digests, items, strict=True) if d in counts and d not in self._kept}
        for digest in counts.keys() & self._kept.keys():
            self._kept[digest]["count"] += counts[digest]
        for digest in heapq.nsmallest(self._most, fresh):
            self._kept[digest] = _sample(digest, fresh[digest], counts[digest])
        if len(self._kept) >= self._most:
            self._kept = {digest: self._kept[digest] for digest in heapq.nsmallest(self._most, self._kept)}
            self._limit = max(self._kept, default="")
        return not self._kept.keys().isdisjoint(counts)

    @property
    def samples(self) -> list[Sample]:
        """By digest."""
        return smallest(self._kept.values(), self._most)


def smallest(samples: Iterable[Sample], most: int) -> list[Sample]:
    """Those with the smallest digests, each pair once, with the sum of its counts."""
    by_digest: dict[str, Sample] = {}
    for sample in samples:
        known = by_digest.get(sample["digest"], {})
        by_digest[sample["digest"]] = {**sample, "count": sample.get("count", 1) + known.get("count", 0)}
    return heapq.nsmallest(most, by_digest.values(), key=lambda sample: sample["digest"])


def digest_of(candidate: str, reference: str) -> str:
    """Hex digest of a pair."""
    pair = f"{len(candidate)}\0{candidate}\0{reference}".encode("utf-8", "surrogatepass")
    return blake2b(pair, digest_size=8, person=b"reward-sample").hexdigest()


def _sample(digest: str, item: Told, count: int) -> dict[str, Any]:
    composite, judgement = item.composite, item.judgement
    result: dict[str, Any] = {
        "reward": composite.reward,
        "status": composite.status,
        "components": dict(composite.components),
        "contributions": dict(composite.contributions),
        "missing": {
            key: {"code": error.code, "message": error.message, "retryable": error.retryable}
            for key, error in composite.missing.items()
        },
        "flags": list(composite.flags),
    }
    if judgement is not None:
        result["judgement"] = {"evidence": [one._asdict() for one in judgement.evidence]}
    texts = {name: _writable(getattr(item, name)) for name in ("candidate", "reference", "prior")}
    candidate = text_digest(item.candidate)
    return {"digest": digest, "count": count, "candidate_digest": candidate, **texts, "result": result}


def _writable(text: str | None) -> str | None:
    """A lone surrogate is in no store."""
    return None if text is None else text.encode("utf-8", "replace").decode()
