"""`reward-service reweigh`: rewards under other weights from the raw values that a file of scores holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from judges.base import Evidence, Judgement
from reward_service.contracts import ComponentError, ComponentScore
from reward_service.errors import InvalidRequest
from reward_service.evaluation.scores import candidates
from reward_service.profiles.fingerprint import changed_parts
from reward_service.scoring.profile_scorer import ProfileScorer
from reward_service.scoring.request import Item
from reward_service.text.guards import GuardSettings
from reward_service.wire.rendering import result, spread

_RECOMPUTED = ("weights", "transforms", "policy", "guards", "bounds", "canaries")
"""Parts of a profile that may differ from the one that scored: nothing of them is in a raw value."""


def reweighed(
    found: Iterable[dict[str, Any]], scorer: ProfileScorer, *, anyway: bool = False
) -> Iterator[dict[str, Any]]:
    """The same records with the rewards that scoring anew with the scorer's profile would give.

    Needs records of `score --detail full --with-texts`: guards look at the texts. Raises `InvalidRequest` for others,
    for candidates with several references (values of the best one alone are kept, and another may be the best now), and
    where parts of the profile differ that raw values depend on. `anyway` takes values by the component's key then.
    """
    checked: set[str] = set()
    for record in found:
        before = str(record.get("fingerprint"))
        if before not in checked:
            _check(before, scorer, anyway)
            checked.add(before)
        made = [_one(row, scorer) for row in candidates(record)]
        whole = {**record, "fingerprint": scorer.served.fingerprint}
        if "results" in record:
            members = [{**old, **new} for old, new in zip(record["results"], made, strict=True)]
            yield {**whole, "results": members, **spread([one["reward"] for one in members])}
        else:
            yield {**whole, **made[0]}


def _check(before: str, scorer: ProfileScorer, anyway: bool) -> None:
    changed = [p for p in changed_parts(before, scorer.served.fingerprint) if p not in _RECOMPUTED]
    if changed and not anyway:
        raise InvalidRequest(
            f"The profile differs from the one that scored in {', '.join(changed)}, on which raw values depend or may "
            "depend. Score anew, or --anyway where only keys were left out or another value was chosen.",
            param="--profile",
        )


def _one(row: Mapping[str, Any], scorer: ProfileScorer) -> dict[str, Any]:
    if "references" in row:
        raise InvalidRequest(f"'{row['id']}' has several references; score anew.", param="SCORES")
    if "values" not in row or not isinstance(row.get("reference"), str) or not isinstance(row.get("candidate"), str):
        raise InvalidRequest(
            f"'{row['id']}' lacks raw values or texts. Score with --detail full --with-texts once.", param="SCORES"
        )
    item = Item(None, row["candidate"], row["reference"], row.get("prior"), _fault(row))
    scores = {key: _score(key, row) for key in scorer.profile.components}
    made = result(scorer.recompose(item, scores), "full", profile=scorer.profile)
    names = ["reward", "status", "missing", "flags", "components", "contributions"]
    return {name: made[name] for name in (*names, *(["reason"] if "reason" in row else []))}


def _fault(row: Mapping[str, Any]) -> ComponentError | None:
    missing = (row.get("missing") or {}).get("item")
    return None if missing is None else _error(missing)


def _error(missing: Mapping[str, Any]) -> ComponentError:
    return ComponentError(missing["code"], missing["message"], retryable=missing["retryable"])


def _score(key: str, row: Mapping[str, Any]) -> ComponentScore | ComponentError:
    missing = row.get("missing") or {}
    for name in (key, "item"):
        if name in missing:
            return _error(missing[name])
    values = row["values"].get(key)
    if values is None:
        raise InvalidRequest(f"'{row['id']}' has no values of component '{key}'; score anew.", param="--profile")
    judgement = row.get("judgement")
    judged = _counts(judgement) if judgement is not None and judgement["scores"] == values else None
    return ComponentScore(values, _notes(row["flags"]), judged)


def _counts(judgement: Mapping[str, Any]) -> Judgement:
    evidence = tuple(_evidence(one) for one in judgement["evidence"])
    return Judgement(
        judgement["significant"],
        judgement["insignificant"],
        judgement["matched_findings"],
        evidence,
        judgement["scores"],
    )


def _evidence(one: Mapping[str, Any]) -> Evidence:
    fields: dict[str, Any] = {name: tuple(at) if isinstance(at, list) else at for name, at in one.items()}
    return Evidence(**fields)


def _notes(flags: Sequence[str]) -> tuple[str, ...]:
    """Flags that came from components: no guard's, and not of the composition (``capped:key``)."""
    return tuple(flag for flag in flags if flag not in GuardSettings.model_fields and ":" not in flag)
