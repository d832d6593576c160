"""Scored items as wire dictionaries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from judges.base import Judgement
from reward_service.api.schemas import Detail, ScoreRequest
from reward_service.contracts import ComponentError
from reward_service.scoring.profile_scorer import Scored

_SAME = 1e-9  # rewards closer than this are one reward


def result(scored: Scored, detail: Detail, *, id: str | None = None) -> dict[str, Any]:
    """One entry of `results`."""
    composite = scored.composite
    out: dict[str, Any] = {
        "id": scored.id if id is None else id,
        "reward": composite.reward,
        "status": composite.status,
        "missing": {key: missing(error) for key, error in composite.missing.items()},
        "flags": list(composite.flags),
        "cache": scored.cache,
    }
    if detail != "reward":
        out["components"] = composite.components
        out["contributions"] = composite.contributions
    if detail == "full" and scored.judgement is not None:
        out["judgement"] = judgement(scored.judgement)
    return out


def results_and_groups(
    wanted: ScoreRequest, scored: Sequence[Scored], bounds: Sequence[tuple[int, int]]
) -> dict[str, list[dict[str, Any]]]:
    """``results`` and ``groups`` of an answer, from what `routes.build_items` laid in one list."""
    return {
        "results": [result(s, wanted.detail) for s in scored[: len(wanted.items)]],
        "groups": [
            group(g.id, scored[start:end], wanted.detail) for g, (start, end) in zip(wanted.groups, bounds, strict=True)
        ],
    }


def missing(error: ComponentError) -> dict[str, Any]:
    """Why there is no number."""
    return {"code": error.code, "message": error.message, "retryable": error.retryable}


def judgement(verdict: Judgement) -> dict[str, Any]:
    """A verdict; evidence offsets are into the texts as they were sent."""
    return {
        "significant": dict(verdict.significant),
        "insignificant": dict(verdict.insignificant),
        "matched_findings": verdict.matched_findings,
        "scores": dict(verdict.values),
        "evidence": [e._asdict() for e in verdict.evidence],
        "details": dict(verdict.details),
    }


def group(id: str | None, members: Sequence[Scored], detail: Detail) -> dict[str, Any]:
    """One entry of `groups`, with the statistics a group-relative advantage would use."""
    stats = spread([m.composite.reward for m in members])
    results = [result(m, detail, id=None if id is None else f"{id}/{i}") for i, m in enumerate(members)]
    return {"id": id, "results": results, **stats}


def spread(rewards: Sequence[float | None]) -> Mapping[str, Any]:
    """Mean, population standard deviation, and whether the group teaches nothing."""
    known = [r for r in rewards if r is not None]
    if not known:
        return {"mean": None, "std": None, "zero_advantage": True}
    mean = math.fsum(known) / len(known)
    std = math.sqrt(math.fsum((r - mean) ** 2 for r in known) / len(known))
    return {"mean": mean, "std": std, "zero_advantage": max(known) - min(known) <= _SAME}
