"""`reward-service reweigh`: rewards under other weights from the raw values that a file of scores holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from judges.base import Evidence, Judgement
from reward_service.contracts import ComponentError, ComponentScore
from reward_service.errors import InvalidRequest
from reward_service.evaluation.scores import candidates
from reward_service.profiles.fingerprint import (
    PARTS,
    canonical,
    changed_fields,
    changed_parts,
    digest,
    of_profile,
    same,
)
from reward_service.scoring.profile_scorer import ProfileScorer
from reward_service.scoring.request import Item
from reward_service.text.guards import GuardSettings
from reward_service.wire.rendering import result, spread

Document = Mapping[str, Any]
"""What a profile's fingerprint is the hash of."""
_RECOMPUTED = ("weights", "transforms", "policy", "guards", "bounds", "canaries")
"""Parts of a profile that may differ from the one that scored: nothing of them is in a raw value."""


def reweighed(
    found: Iterable[dict[str, Any]],
    scorer: ProfileScorer,
    *,
    anyway: bool = False,
    documents: Callable[[], Iterable[Document]] = tuple,
) -> Iterator[dict[str, Any]]:
    """The same records with the rewards that scoring anew with the scorer's profile would give.

    Needs records of `score --detail full --with-texts`: guards look at the texts. Raises `InvalidRequest` for others,
    for candidates with several references (values of the best one alone are kept, and another may be the best now), and
    where parts of the profile differ that raw values depend on. `anyway` takes values by the component's key then.
    `documents`: those of profiles that may have scored; with the right one it is known what differs.
    """
    checked: set[str] = set()
    for record in found:
        before = str(record.get("fingerprint"))
        if before not in checked and not anyway:
            _check(before, next(candidates(record)), scorer.served.document, scorer.served.fingerprint, documents)
        checked.add(before)
        made = [_one(row, scorer) for row in candidates(record)]
        whole = {**record, "fingerprint": scorer.served.fingerprint}
        if "results" in record:
            members = [{**old, **new} for old, new in zip(record["results"], made, strict=True)]
            yield {**whole, "results": members, **spread([one["reward"] for one in members])}
        else:
            yield {**whole, **made[0]}


def _check(
    before: str,
    row: Mapping[str, Any],
    document: Document,
    fingerprint: str,
    documents: Callable[[], Iterable[Document]],
) -> None:
    changed = [part for part in changed_parts(before, fingerprint) if part not in _RECOMPUTED]
    if not changed or (changed == ["components"] and _equal_up_to_defaults(before, row, document)):
        return
    known = next((one for one in documents() if same(of_profile(one), before)), None)
    if known is not None:
        changed = list(differences(known, document))
        more = ""
    else:
        more = _other_keys(row, document) + " With --document FILE, of `fingerprint --document`, it can be said what."
    if changed:
        raise InvalidRequest(
            f"The profile differs from the one that scored in {', '.join(changed)}, on which raw values depend or may "
            f"depend.{more} Score anew, or --anyway where only keys were left out or another value was chosen.",
            param="--profile",
        )


def differences(before: Document, after: Document) -> Iterator[str]:
    """In what two profiles differ that raw values depend on: fields of components that both have, and parts.

    Which value of a component is reported is nothing that they depend on, nor is a key that `after` leaves out.
    """
    for key, built in after["components"].items():
        if key not in before["components"]:
            yield f"{key} (no component of the one that scored)"
            continue
        old, new = ({k: v for k, v in one.items() if k != "value"} for one in (before["components"][key], built))
        yield from changed_fields(old, json.loads(canonical(new)), key)
        codes = [one["code"][part].get(key) for one in (before, after) for part in ("components", "verdicts")]
        if codes[:2] != codes[2:]:
            yield f"{key}.code"
    for part in ("sections", "normaliser"):
        yield from changed_fields(before[part], json.loads(canonical(after[part])), part)
    old, new = before["code"]["reward"], after["code"]["reward"]
    yield from (f"code.{module}" for module in sorted(old.keys() & new.keys()) if old[module] != new[module])


def _equal_up_to_defaults(before: str, row: Mapping[str, Any], document: Document) -> bool:
    """Whether the components are those that scored once a value that is the default is named or left unsaid."""
    components, values = document["components"], row.get("values") or {}
    if any(key not in values for key in components):
        return False
    choices = []
    for key, built in components.items():
        default = next(iter(values[key]), None)
        named = (None, default) if built["value"] in (None, default) else (built["value"],)
        choices.append([(key, {**built, "value": value}) for value in named])
    at = 4 * PARTS.index("components")
    wanted = before.partition(".")[2][at : at + 4]
    return any(digest(dict(each))[:4] == wanted for each in product(*choices))


def _other_keys(row: Mapping[str, Any], document: Document) -> str:
    """Which keys one of the two profiles has alone."""
    theirs, ours = set(row.get("values") or {}), set(document["components"])
    told = (("It leaves out ", theirs - ours), ("New in it: ", ours - theirs))
    return "".join(f" {words}{', '.join(sorted(keys))}." for words, keys in told if keys)


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
