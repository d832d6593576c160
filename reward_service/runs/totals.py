"""Totals of one step of a run: nested dictionaries whose leaves are counts and sums, so that adding is all there is.

Distributions are counts by bin: rewards and components in bins of `BIN`, milliseconds in bins of a sixth of an octave.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from reward_service.contracts import Composite

Totals = dict[str, Any]

BIN = 0.02
_MOST_BINS = 500  # to either side: values beyond ±10 count as 10
_PER_OCTAVE = 6
_REPEATED = 16  # candidates whose repetition is followed
_KEYS = 64  # flags, reasons: more different ones than that are counted together


class Scored(NamedTuple):
    """One answered request; the lists are as long as each other."""

    candidates: Sequence[str]
    references: Sequence[str]
    composites: Sequence[Composite]
    judges: Sequence[str]
    """Components that judge."""
    profile: str
    milliseconds: float


def of_requests(requests: Sequence[Scored]) -> Totals:
    """Totals of requests for one step. Pairs of one request with equal references are a group of rollouts.

    Of the most frequent candidates `repeated` counts the studies that they answer, `copies` their occurrences.
    """
    composites = [one for request in requests for one in request.composites]
    candidates = [text for request in requests for text in request.candidates]
    references = [text for request in requests for text in request.references]
    columns: defaultdict[str, list[float | None]] = defaultdict(list)
    for composite in composites:
        for key, value in composite.components.items():
            columns[key].append(value)
    studies = Counter(text for text, _ in set(zip(candidates, references, strict=True)))
    made: Totals = {
        "items": len(composites),
        "characters": sum(map(len, candidates)),
        "studies": len(set(references)),
        "repeated": {digest(text): count for text, count in studies.most_common(_REPEATED)},
        "copies": {digest(text): count for text, count in Counter(candidates).most_common(_REPEATED)},
        "profiles": _counts(one.profile for one in requests for _ in one.composites),
        "latency": Counter(_latency_bin(one.milliseconds) for one in requests),
        "judges": _counts(key for one in requests for key in one.judges),
        "statuses": _counts(one.status for one in composites if one.status != "ok"),
        "missing": _counts(f"{key}: {error.code}" for one in composites for key, error in one.missing.items()),
        "flags": _counts(flag for one in composites if one.flags for flag in one.flags),
        "reward": _moments([one.reward for one in composites]),
        "components": {key: _moments(values) for key, values in columns.items()},
        "groups": _groups(requests),
    }
    return {key: value for key, value in made.items() if value}


def of_shadow(name: str, rewards: Sequence[tuple[float, float]]) -> Totals:
    """Totals of pairs that a shadow scored as well: (paid, shadow)."""
    sums = {
        "n": len(rewards), "paid": sum(p for p, _ in rewards), "shadow": sum(s for _, s in rewards),
        "paid2": sum(p * p for p, _ in rewards), "shadow2": sum(s * s for _, s in rewards),
        "product": sum(p * s for p, s in rewards),
    }  # fmt: skip
    return {"shadows": {name: sums}}


def add(into: MutableMapping[str, Any], more: Mapping[str, Any]) -> None:
    """Add `more` in place."""
    for key, value in more.items():
        if isinstance(value, Mapping):
            add(into.setdefault(key, {}), value)
        else:
            into[key] = into.get(key, 0) + value
    for name in ("repeated", "copies"):
        if len(into.get(name, ())) > _REPEATED:
            into[name] = dict(sorted(into[name].items(), key=lambda one: (-one[1], one[0]))[:_REPEATED])


def summed(many: Sequence[Totals]) -> Totals:
    """The sum of all."""
    whole: Totals = {}
    for one in many:
        add(whole, one)
    return whole


def digest(text: str) -> str:
    """By which a candidate is known where its text is not kept."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def mean(moments: Mapping[str, Any] | None) -> float | None:
    """Of what `_moments` counted."""
    return moments["sum"] / moments["n"] if moments and moments.get("n") else None


def deviation(moments: Mapping[str, Any] | None) -> float | None:
    """Population standard deviation of what `_moments` counted."""
    if not moments or not moments.get("n"):
        return None
    return math.sqrt(max(0.0, moments["sum2"] / moments["n"] - (moments["sum"] / moments["n"]) ** 2))


def quantiles(bins: Mapping[str, int], shares: Sequence[float], *, latency: bool = False) -> list[float]:
    """The middle of the bin in which each of the ascending `shares` lies; empty for no bins."""
    ordered = sorted((int(key), count) for key, count in bins.items())
    total = sum(count for _, count in ordered)
    found: list[float] = []
    passed, at = 0, -1
    for share in shares if total else ():
        while at < 0 or passed < share * total:
            at += 1
            passed += ordered[at][1]
        middle = ordered[at][0] + 0.5
        found.append(2 ** (middle / _PER_OCTAVE) if latency else middle * BIN)
    return found


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts = Counter(names)
    if len(counts) <= _KEYS:
        return counts
    kept = dict(counts.most_common(_KEYS))
    return {**kept, "others": counts.total() - sum(kept.values())}


def _moments(values: Sequence[float | None]) -> Totals:
    """What `mean`, `deviation` and `quantiles` read; empty for no values."""
    known = np.array([value for value in values if value is not None])
    if not known.size:
        return {}
    places, counts = np.unique(np.floor(known / BIN + 1e-9).clip(-_MOST_BINS, _MOST_BINS), return_counts=True)
    bins = {str(int(place)): count for place, count in zip(places.tolist(), counts.tolist(), strict=True)}
    return {"n": len(known), "sum": float(known.sum()), "sum2": float(np.square(known).sum()), "bins": bins}


def _latency_bin(milliseconds: float) -> str:
    return str(math.floor(_PER_OCTAVE * math.log2(max(0.01, milliseconds))))


def _groups(requests: Sequence[Scored]) -> Totals:
    count, alike, spread = 0, 0, 0.0
    for request in requests:
        if len(request.composites) < 2:
            continue
        groups: dict[str, list[float | None]] = {}
        for reference, composite in zip(request.references, request.composites, strict=True):
            groups.setdefault(reference, []).append(composite.reward)
        for rewards in groups.values():
            known = [reward for reward in rewards if reward is not None]
            if len(rewards) > 1 and known:
                center = sum(known) / len(known)
                count += 1
                alike += max(known) - min(known) <= 1e-9
                spread += math.sqrt(sum((reward - center) ** 2 for reward in known) / len(known))
    return {"n": count, "zero_advantage": alike, "std": spread} if count else {}
