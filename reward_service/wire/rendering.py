"""Scored items as the dictionaries of the wire contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from judges.base import Judgement
from reward_service.contracts import ComponentError
from reward_service.scoring.engine import Admitted
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.wire.parsing import ParsedRequest
from reward_service.wire.schemas import Detail

_SAME = 1e-9  # rewards closer than this are one reward


def result(scored: ScoredItem, detail: Detail, *, id: str | None = None) -> dict[str, Any]:
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
    if detail == "full":
        out["values"] = {key: dict(score.values) for key, score in scored.scores.items()}
        if scored.judgement is not None:
            out["judgement"] = judgement(scored.judgement)
    return out


def render(parsed: ParsedRequest, admitted: Admitted, scored: Sequence[ScoredItem]) -> dict[str, Any]:
    """The answer to a request, but for its timings, from what `parse` laid in one list and its scores."""
    body, served, stage = parsed.body, admitted.served, admitted.stage
    paying = {"profile": stage.name, "fingerprint": stage.fingerprint, "signature": stage.signature}
    echoed = {"run_id": body.run_id, "step": body.step, "stage": None if stage is served else paying}
    return {
        "profile": served.name,
        "fingerprint": served.fingerprint,
        "signature": served.signature,
        "results": [result(one, body.detail) for one in scored[: len(body.items)]],
        "groups": [
            group(wanted.id, scored[start:end], body.detail)
            for wanted, (start, end) in zip(body.groups, parsed.groups, strict=True)
        ],
        **{name: value for name, value in echoed.items() if value is not None},
    }


def missing(error: ComponentError) -> dict[str, Any]:
    """Why there is no number."""
    return {"code": error.code, "message": error.message, "retryable": error.retryable}


def judgement(judgement: Judgement) -> dict[str, Any]:
    """A judgement; evidence offsets are into the texts as they were sent."""
    return {
        "significant": dict(judgement.significant),
        "insignificant": dict(judgement.insignificant),
        "matched_findings": judgement.matched_findings,
        "scores": dict(judgement.values),
        "evidence": [e._asdict() for e in judgement.evidence],
        "details": dict(judgement.details),
    }


def group(id: str | None, members: Sequence[ScoredItem], detail: Detail) -> dict[str, Any]:
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
