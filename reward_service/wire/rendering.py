"""Scored items as the dictionaries of the wire contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from judges.base import Judgement
from judges.reason import reason
from reward_service.contracts import ComponentError
from reward_service.profiles.profile import Profile
from reward_service.scoring.engine import Admitted
from reward_service.scoring.explanation import notes
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.references import best
from reward_service.scoring.served_profile import Served
from reward_service.wire.parsing import ParsedRequest
from reward_service.wire.schemas import Detail

_SAME = 1e-9  # rewards closer than this are one reward


class Paid(NamedTuple):
    """A candidate's pair that is paid."""

    scored: ScoredItem
    reference: int | None = None
    """Which of its references that is of, where they were given as a list."""


def paid(scored: Sequence[ScoredItem], references: Sequence[int]) -> list[Paid]:
    """For each candidate the pair that is paid; `references` as in `ParsedRequest`."""
    found = []
    start = 0
    for count in references:
        own = scored[start : start + max(1, count)]
        start += len(own)
        if count:
            changing = [any(error.retryable for error in one.composite.missing.values()) for one in own]
            chosen = best([one.composite.reward for one in own], changing)
            found.append(Paid(own[chosen], chosen))
        else:
            found.append(Paid(own[0]))
    return found


def result(
    scored: ScoredItem,
    detail: Detail,
    *,
    id: str | None = None,
    reference: int | None = None,
    profile: Profile | None = None,
) -> dict[str, Any]:
    """One entry of `results`. `profile`: the one that pays, for the reasons at detail ``full``."""
    composite = scored.composite
    out: dict[str, Any] = {
        "id": scored.id if id is None else id,
        "reward": composite.reward,
        "status": composite.status,
        "missing": {key: missing(error) for key, error in composite.missing.items()},
        "flags": list(composite.flags),
        "cache": scored.cache,
    }
    if reference is not None:
        out["reference_index"] = reference
    if detail != "reward":
        out["components"] = composite.components
        out["contributions"] = composite.contributions
    if detail == "full":
        out["values"] = {key: dict(score.values) for key, score in scored.scores.items()}
        told, applied = scored.judgement, notes(profile, composite) if profile else ()
        out["judgement"] = None if told is None else judgement(told)
        out["reason"] = None if told is None else reason(told.evidence, applied)
    return out


def render(parsed: ParsedRequest, admitted: Admitted, scored: Sequence[ScoredItem]) -> dict[str, Any]:
    """The answer to a request, but for its timings, from what `parse` laid in one list and its scores."""
    body, served, stage = parsed.body, admitted.served, admitted.stage
    paying = {"profile": stage.name, "fingerprint": stage.fingerprint, "signature": stage.signature}
    echoed = {"run_id": body.run_id, "step": body.step, "stage": None if stage is served else paying}
    candidates = paid(scored, parsed.references)
    return {
        "profile": served.name,
        "fingerprint": admitted.fingerprint,
        "signature": served.signature,
        **({"accepted": accepted(served)} if served.accepted else {}),
        "results": [
            result(one, body.detail, reference=at, profile=stage.profile) for one, at in candidates[: len(body.items)]
        ],
        "groups": [
            group(wanted.id, candidates[start:end], body.detail, stage.profile)
            for wanted, (start, end) in zip(body.groups, parsed.groups, strict=True)
        ],
        **{name: value for name, value in echoed.items() if value is not None},
    }


def accepted(served: Served) -> dict[str, Any]:
    """What stands for what, where the operator accepts older fingerprints."""
    return {"served": served.fingerprint, "fingerprints": [one.fingerprint for one in served.accepted]}


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


def group(id: str | None, members: Sequence[Paid], detail: Detail, profile: Profile) -> dict[str, Any]:
    """One entry of `groups`, with the statistics a group-relative advantage would use."""
    stats = spread([member.scored.composite.reward for member in members])
    results = [
        result(one, detail, id=None if id is None else f"{id}/{i}", reference=at, profile=profile)
        for i, (one, at) in enumerate(members)
    ]
    return {"id": id, "results": results, **stats}


def spread(rewards: Sequence[float | None]) -> Mapping[str, Any]:
    """Mean, population standard deviation, and whether the group teaches nothing."""
    known = [r for r in rewards if r is not None]
    if not known:
        return {"mean": None, "std": None, "zero_advantage": True}
    mean = math.fsum(known) / len(known)
    std = math.sqrt(math.fsum((r - mean) ** 2 for r in known) / len(known))
    return {"mean": mean, "std": std, "zero_advantage": max(known) - min(known) <= _SAME}
