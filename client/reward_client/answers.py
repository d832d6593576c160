"""What comes back: scores and errors, believed only where they are in the shape and order that was asked for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reward_client.calls import Call
from reward_client.errors import AnswerMismatch, ApiError
from reward_client.types import GroupScore, Missing, Score


def item_scores(call: Call, body: Mapping[str, Any]) -> list[Score]:
    """The answer to an items call, under the caller's names."""
    stage = _stage(body)
    return [_score(name, result, stage) for name, result in zip(call.names, body["results"], strict=True)]


def scores_of(calls: Sequence[Call], bodies: Sequence[Mapping[str, Any]]) -> list[Score] | list[GroupScore]:
    """The answers to calls of one kind, in order."""
    if any(call.sizes is not None for call in calls):
        return [group for call, body in zip(calls, bodies, strict=True) for group in group_scores(call, body)]
    return [score for call, body in zip(calls, bodies, strict=True) for score in item_scores(call, body)]


def group_scores(call: Call, body: Mapping[str, Any]) -> list[GroupScore]:
    """The answer to a groups call. Raises `AnswerMismatch` when a group has lost or swapped candidates."""
    answers = []
    stage = _stage(body)
    for name, size, group in zip(call.names, call.sizes or (), body["groups"], strict=True):
        results = group.get("results")
        if not isinstance(results, list) or len(results) != size:
            raise AnswerMismatch(f"group {name}: {size} candidates were sent, not as many results came back")
        expected = [f"{group['id']}/{index}" for index in range(size)]
        if [result.get("id") for result in results] != expected:
            raise AnswerMismatch(f"group {name}: the results' ids are not in the order sent; nothing was used")
        scores = tuple(_score(f"{name}/{index}", result, stage) for index, result in enumerate(results))
        mean, std = _number(name, group.get("mean")), _number(name, group.get("std"))
        answers.append(GroupScore(name, scores, mean, std, bool(group.get("zero_advantage"))))
    return answers


def _stage(body: Mapping[str, Any]) -> str | None:
    stage = body.get("stage")
    return str(stage["profile"]) if isinstance(stage, Mapping) and "profile" in stage else None


def _score(name: str, result: Mapping[str, Any], stage: str | None) -> Score:
    reward, status = _number(name, result.get("reward")), str(result.get("status"))
    if (reward is None) != (status == "null"):
        raise AnswerMismatch(f"item {name}: status {status!r} contradicts its reward")
    return Score(
        id=name,
        reward=reward,
        status=status,
        components={key: _number(name, value) for key, value in (result.get("components") or {}).items()},
        contributions={key: float(value) for key, value in (result.get("contributions") or {}).items()},
        missing={
            key: Missing(str(entry.get("code")), str(entry.get("message")))
            for key, entry in (result.get("missing") or {}).items()
        },
        flags=tuple(result.get("flags") or ()),
        cache=str(result.get("cache") or ""),
        judgement=result.get("judgement"),
        reason=result.get("reason"),
        values=result.get("values") or {},
        stage=stage,
    )


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AnswerMismatch(f"item {name}: a score is neither a finite number nor null")
    return float(value)


def fingerprints(stages: Any) -> list[str]:
    """Those of a schedule's stages, where there are any."""
    entries = stages if isinstance(stages, list) else []
    return [str(stage["fingerprint"]) for stage in entries if isinstance(stage, Mapping) and "fingerprint" in stage]


def json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AnswerMismatch("the answer is not a JSON object; is this a reward service?")
    return value


def api_error(status: int, body: bytes) -> ApiError:
    try:
        error = json.loads(body)["error"]
        return ApiError(
            status,
            str(error["code"]),
            str(error["message"]),
            error.get("param"),
            error.get("request_id"),
            error.get("retryable"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):  # a proxy's page: its text may be anything, so left out
        return ApiError(status, "http_error", "the answer carries no error envelope; is a proxy in between?")


def job_error(body: Mapping[str, Any]) -> ApiError:
    failure = body.get("failure")
    if not isinstance(failure, Mapping) or not isinstance(failure.get("status"), int):
        raise AnswerMismatch("the answer is no job's; is this a reward service?")
    return api_error(failure["status"], json.dumps(failure).encode())


def name_item(error: ApiError, names: Sequence[str]) -> ApiError:
    found = re.match(r"(?:items|groups)\[(\d+)\]", error.param or "")
    if not found or int(found[1]) >= len(names):
        return error
    item = names[int(found[1])]
    return ApiError(error.status, error.code, error.message, error.param, error.request_id, error.retryable, item)
