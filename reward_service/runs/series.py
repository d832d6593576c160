"""A run as the points of charts: shares, means and quantiles by step; too many steps are joined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reward_service.runs.totals import BIN, Totals, deviation, mean, quantiles, summed

_BAND = (0.05, 0.25, 0.5, 0.75, 0.95)


def points(steps: Sequence[tuple[int, Totals]], most: int) -> list[dict[str, Any]]:
    """At most `most` points, ascending."""
    width = max(1, math.ceil(len(steps) / most))
    joined = [steps[i : i + width] for i in range(0, len(steps), width)]
    return [_point(part[0][0], part[-1][0], summed([totals for _, totals in part])) for part in joined]


def _point(first: int, last: int, totals: Totals) -> dict[str, Any]:
    items = max(1, totals.get("items", 0))
    groups = totals.get("groups")
    found = quantiles(totals.get("latency", {}), (0.5, 0.95), latency=True)
    latency = dict(zip(("median", "q95"), found, strict=False))
    statuses = totals.get("statuses", {})
    return {
        "step": last,
        "steps": [first, last],
        "items": totals.get("items", 0),
        "null": statuses.get("null", 0) / items,
        "degraded": statuses.get("degraded", 0) / items,
        "profiles": totals.get("profiles", {}),
        "missing": totals.get("missing", {}),
        "reward": {**_spread(totals.get("reward")), "histogram": _histogram(totals.get("reward"))},
        "components": {key: _spread(moments) for key, moments in totals.get("components", {}).items()},
        "flags": {flag: count / items for flag, count in totals.get("flags", {}).items()},
        "characters": totals.get("characters", 0) / items,
        "group_std": groups["std"] / groups["n"] if groups else None,
        "zero_advantage": groups["zero_advantage"] / groups["n"] if groups else None,
        "latency_ms": {"median": latency.get("median"), "q95": latency.get("q95")},
        "shadows": {name: _beside(sums) for name, sums in totals.get("shadows", {}).items()},
    }


def _spread(moments: Mapping[str, Any] | None) -> dict[str, Any]:
    found = quantiles(moments["bins"], _BAND) if moments else []
    return {"mean": mean(moments), "std": deviation(moments), "quantiles": found}


def _histogram(moments: Mapping[str, Any] | None) -> list[list[float]]:
    bins = moments["bins"] if moments else {}
    return [[round(int(key) * BIN, 6), bins[key]] for key in sorted(bins, key=int)]


def _beside(sums: Mapping[str, float]) -> dict[str, float | None]:
    """Mean difference, and Pearson's correlation of paid and shadow rewards; None where a side does not vary."""
    n = sums["n"]
    covariance = sums["product"] / n - sums["paid"] * sums["shadow"] / n**2
    variances = [sums[f"{side}2"] / n - (sums[side] / n) ** 2 for side in ("paid", "shadow")]
    varied = min(variances) > 1e-12
    correlation = max(-1.0, min(1.0, covariance / math.sqrt(variances[0] * variances[1]))) if varied else None
    return {"mean_difference": (sums["shadow"] - sums["paid"]) / n, "correlation": correlation}
