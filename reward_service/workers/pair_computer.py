"""Runs a synchronous encode/compare component over a batch of pairs, and keeps its artefacts.

Each distinct text is encoded once and each fault stays with the pairs that cause it, so the score of
a pair does not depend on the batch it came in. Where and when that happens is decided in `workers`.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from judges.base import Judgement, Refusal
from reward_service.caching.lru import LeastRecentlyUsed
from reward_service.contracts import ComponentError, ComponentScore, Pair, PairMetric

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

ScoreOrError = ComponentScore | ComponentError
"""What a batch yields per pair: failures are data here, so that one cannot abort its neighbours."""

_ENTRY_OVERHEAD = 300
"""Bytes of dictionary, key tuple and list links per cached artefact (CPython 3.11, measured, rounded up)."""

_LOG_EVERY_S = 10.0


class ArtefactCache:
    """Least-recently-used artefacts under (encoding identity, text), bounded in bytes, for any number of threads.

    Metrics with equal `encoding` that are given the same cache find each other's artefacts.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` counts artefacts, texts and bookkeeping; 0 keeps nothing."""
        self._kept: LeastRecentlyUsed[tuple[str, str], Any] = LeastRecentlyUsed(max_bytes)
        self._lock = threading.Lock()

    def get_many(self, encoding: str, texts: Sequence[str]) -> dict[str, Any]:
        """The artefacts that are there, by text; every text asked for counts as a hit or a miss."""
        with self._lock:
            found = self._kept.get_many([(encoding, text) for text in texts])
        return {text: artefact for text, artefact in zip(texts, found, strict=True) if artefact is not None}

    def put_many(self, encoding: str, artefacts: Iterable[tuple[str, Any, int]]) -> None:
        """Store (text, artefact, bytes of the artefact); what alone exceeds the bound is not kept."""
        with self._lock:
            for text, artefact, nbytes in artefacts:
                self._kept.put((encoding, text), artefact, nbytes + sys.getsizeof(text) + _ENTRY_OVERHEAD)

    def clear(self) -> None:
        """Forget every artefact; what was counted stays."""
        with self._lock:
            self._kept.clear()

    def stats(self) -> dict[str, int]:
        """See `LeastRecentlyUsed.stats`."""
        with self._lock:
            return self._kept.stats()


class PairComputer:
    """One component with its artefact cache: pairs in, scores or errors out, in order."""

    def __init__(self, metric: PairMetric, cache: ArtefactCache) -> None:
        self.metric = metric
        self.cache = cache
        self._keys = frozenset(metric.keys)
        self._encoding = metric.encoding
        self._refuses: Callable[[Any], Refusal | None] = getattr(metric, "refuses", lambda _: None)
        self._quiet_until = 0.0

    def run(self, pairs: Sequence[Pair]) -> list[ScoreOrError]:
        """One result per pair. Never raises `Exception`: a pair at fault yields a `ComponentError`.

        Codes: ``component_error`` (an exception; only its type is told, its text may quote a report),
        ``wrong_length``, ``wrong_keys``, ``not_finite``, and that of a reference which the metric refuses.
        """
        results: list[ScoreOrError | None] = [None] * len(pairs)
        with_prior = self.metric.uses_prior
        texts: dict[str, None] = {}
        for pair in pairs:
            texts[pair.candidate] = texts[pair.reference] = None
            if with_prior and pair.prior is not None:
                texts[pair.prior] = None
        artefacts, failed = self._artefacts(list(texts))
        refused = self._refused({pair.reference for pair in pairs if pair.reference in artefacts}, artefacts)
        sound: list[int] = []
        for i, pair in enumerate(pairs):
            used = (pair.candidate, pair.reference, pair.prior if with_prior else None)
            fault = next((failed[t] for t in used if t in failed), None) if failed else None
            results[i] = fault or refused.get(pair.reference)
            if results[i] is None:
                sound.append(i)

        def compare(indices: Sequence[int]) -> list[Any]:
            columns = [
                [artefacts[pairs[i].candidate] for i in indices],
                [artefacts[pairs[i].reference] for i in indices],
            ]
            if with_prior:
                priors = (pairs[i].prior for i in indices)
                columns.append([None if p is None else artefacts[p] for p in priors])
            return self.metric.compare(*columns)

        for i, compared in zip(sound, self._bisect(compare, sound), strict=True):
            results[i] = compared if isinstance(compared, ComponentError) else self._checked(compared)
        return results  # type: ignore[return-value]  # every position was set above

    def _refused(self, references: Iterable[str], artefacts: Mapping[str, Any]) -> dict[str, ComponentError]:
        found = {text: self._refuses(artefacts[text]) for text in references}
        return {text: ComponentError(*refusal) for text, refusal in found.items() if refusal is not None}

    def _artefacts(self, texts: list[str]) -> tuple[dict[str, Any], dict[str | None, ComponentError]]:
        artefacts = self.cache.get_many(self._encoding, texts)
        missing = [text for text in texts if text not in artefacts]
        failed: dict[str | None, ComponentError] = {}
        fresh: list[tuple[str, Any, int]] = []
        for text, made in zip(missing, self._bisect(self.metric.encode, missing), strict=True):
            if isinstance(made, ComponentError):
                failed[text] = made
            else:
                artefacts[text] = made
                fresh.append((text, made, self.metric.nbytes(made)))
        self.cache.put_many(self._encoding, fresh)
        return artefacts, failed

    def _checked(self, result: Any) -> ScoreOrError:
        try:
            values = {key: float(value) for key, value in result.values.items() if not isinstance(value, str)}
            notes = tuple(result.notes)
        except Exception as error:  # not a MetricScore or Judgement, or a value that is no number
            return ComponentError("component_error", f"{type(error).__name__} while reading a result")
        if values.keys() != self._keys:
            return ComponentError("wrong_keys", f"values {sorted(values)} instead of {sorted(self._keys)}")
        if not all(map(math.isfinite, values.values())):
            bad = sorted(key for key, value in values.items() if not math.isfinite(value))
            return ComponentError("not_finite", f"not a finite number: {', '.join(bad)}")
        return ComponentScore(values, notes, result if isinstance(result, Judgement) else None)

    def _bisect(self, call: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R | ComponentError]:
        """`call` on all items; where that fails, on halves, until only the items at fault have an error."""
        if not items:
            return []
        stage, frames = getattr(call, "__name__", "call"), ""
        try:
            results = call(items)
            if len(results) == len(items):
                return list(results)
            error = ComponentError("wrong_length", f"{stage} returned {len(results)} results for {len(items)} inputs")
        except Exception as exception:
            error = ComponentError("component_error", f"{type(exception).__name__} in {stage}")
            frames = "".join(traceback.format_tb(exception.__traceback__))  # source lines only, never a value
        if len(items) > 1:
            middle = len(items) // 2
            return self._bisect(call, items[:middle]) + self._bisect(call, items[middle:])
        if time.monotonic() > self._quiet_until:
            self._quiet_until = time.monotonic() + _LOG_EVERY_S
            log.warning("a pair could not be scored: %s\n%s", error.message, frames)
        return [error]


def added_up(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The sum for each name of the first one; all have the same names."""
    return {name: sum(c[name] for c in counts) for name in counts[0]} if counts else {}
