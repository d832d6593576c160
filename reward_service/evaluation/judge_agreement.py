"""`reward-service judge-eval`: a judge's counts against labelled ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judges.base import Judgement, Refusal
from judges.vllm.evaluate import Labelled, agreement, read_labelled, table
from reward_service.components.registry import COMPONENTS, build, row
from reward_service.errors import InvalidRequest, ServiceError
from reward_service.settings import Settings

_PATIENCE_S = 3600.0


async def evaluate(source: str, name: str, seed: int) -> str:
    """The agreement table. Raises `InvalidRequest` for a wrong file, `ServiceError` when a pair has no judgement."""
    if not row(name).judges:
        judges = ", ".join(known for known, entry in COMPONENTS.items() if entry.judges)
        raise InvalidRequest(f"'{name}' is no judge. Judges: {judges}.", param="--judge")
    labelled = _read(source)
    judge: Any = build(name, Settings().for_component(name, {}))
    if hasattr(judge, "encode"):
        return table(agreement(labelled, _compare(judge, labelled), seed=seed))
    await judge.start()
    try:
        deadline = time.monotonic() + _PATIENCE_S
        judgements = (judge.judge(r.candidate, r.reference, r.prior, deadline=deadline) for r in labelled)
        judged = await asyncio.gather(*judgements, return_exceptions=True)
    finally:
        await judge.aclose()
    _all_judged(judged, BaseException)
    return table(agreement(labelled, [v for v in judged if isinstance(v, Judgement)], seed=seed))


def _all_judged(judged: Sequence[object], failure: type) -> None:
    """Agreement over the pairs that happened to work would be agreement on the easy ones."""
    failed = [one for one in judged if isinstance(one, failure)]
    if failed:
        codes = sorted({str(getattr(one, "code", type(one).__name__)) for one in failed})
        raise ServiceError(
            f"{len(failed)} of {len(judged)} pairs have no judgement ({', '.join(codes)}).", code="judge"
        )


def _read(source: str) -> list[Labelled]:
    try:
        labelled = read_labelled(Path(source).read_bytes().split(b"\n"))
        if len(labelled) < 2:
            raise ValueError("agreement needs at least two labelled pairs")
        return labelled
    except OSError as error:
        raise InvalidRequest(f"{source}: {error.strerror}.", param="FILE") from None
    except ValueError as error:
        raise InvalidRequest(f"{source}: {error}.", param="FILE") from None


def _compare(judge: Any, labelled: Sequence[Labelled]) -> list[Judgement]:
    candidates = judge.encode([pair.candidate for pair in labelled])
    references = judge.encode([pair.reference for pair in labelled])
    _all_judged([judge.refuses(reference) for reference in references], Refusal)
    priors = [None if pair.prior is None else judge.encode([pair.prior])[0] for pair in labelled]
    judgements: list[Judgement] = judge.compare(candidates, references, priors)
    return judgements
