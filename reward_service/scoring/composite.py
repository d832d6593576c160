"""From raw component values to one reward: transforms, missing-value policy, weights, penalties, bounds.

    reward = clip(low + m * (sum_i w_i * t_i(x_i) + b - low), low, high)

m is the product of the penalising guards' multipliers. Shrinking towards the lower bound instead of
towards zero keeps a penalty from *raising* a negative sum. Terms and reward lie on a binary grid of 2^-40,
so contributions add up to the reward exactly, in any order, also after a JSON round trip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from judges.crimson import of_judgement
from reward_service.contracts import ComponentError, ComponentScore, Composite, Status
from reward_service.profiles.profile import ComponentSpec, Profile
from reward_service.text.guards import GuardResult

VERSION = 1
_GRID = 2.0**40
LARGEST = 4096.0
"""Most that a weighted sum may be: with larger ones, contributions on the grid would not add up exactly."""


def raw_value(score: ComponentScore, value: str | None) -> float:
    """The value of an score that a component reports: a named one, one of its judgement, or its first.

    `errors` and `significant_errors` count over the six categories of a judgement, `crimson` is made of these counts.
    """
    if value is None:
        return next(iter(score.values.values()))
    if value not in score.values and score.judgement is not None:
        if value == "crimson":
            return of_judgement(score.judgement)
        counted = float(sum(score.judgement.significant.values()))
        if value == "errors":
            counted += float(sum(score.judgement.insignificant.values()))
        return counted
    return score.values[value]


def compose(profile: Profile, scores: Mapping[str, ComponentScore | ComponentError], guarded: GuardResult) -> Composite:
    """Combine the scores of every component key of `profile`. Pure; never raises for missing values."""
    values: dict[str, float | None] = {}
    missing: dict[str, ComponentError] = {}
    for key, spec in profile.components.items():
        score = scores[key]
        if isinstance(score, ComponentError):
            values[key] = None
            missing[key] = score
        else:
            values[key] = raw_value(score, spec.value)
    terms: dict[str, float] = {}
    without: list[str] = []
    flags = list(guarded.flags)
    for key, spec in profile.components.items():
        if spec.weight == 0.0:
            continue
        x, flag = _weighted_value(key, spec, values)
        flags += [flag] if flag else []
        if x is None:
            without.append(key)
        else:
            term = spec.weight * spec.transform(x)
            terms[key] = _grid(term) if abs(term) <= LARGEST else term
    blocking = _blocking(profile, without, missing)
    if not without and not math.fsum(map(abs, terms.values())) + abs(profile.bias) <= LARGEST:
        missing = {**missing, "reward": ComponentError("out_of_range", f"the weighted sum exceeds {LARGEST:g}")}
        blocking = ("reward",)
    flags = list(dict.fromkeys(flags))
    if without or blocking:
        failed = tuple(key for key in without if profile.components[key].when_missing == "fail")
        return Composite(None, "null", values, {}, missing, failed, blocking, tuple(flags))
    reward = _bounded(profile, math.fsum(terms.values()) + profile.bias, guarded)
    terms["adjustment"] = reward - math.fsum(terms.values())
    substituted = any(values[key] is None for key in terms if key in values)
    status: Status = "degraded" if substituted else "ok"
    return Composite(reward, status, values, terms, missing, (), (), tuple(flags))


def _weighted_value(
    key: str, spec: ComponentSpec, values: Mapping[str, float | None]
) -> tuple[float | None, str | None]:
    """What a component enters into the sum, None for nothing, and the flag that says how it was come by."""
    x = values[key]
    if x is None:
        x = values[spec.substitute] if spec.substitute is not None else None
        return x, None if x is None else f"substituted:{key}"
    if spec.cap is None:
        return x, None
    limit = values[spec.cap.component]
    if limit is None:
        return None, None  # a declared limit that cannot be applied must not be one that a candidate can switch off
    limit += spec.cap.margin
    return (limit, f"capped:{key}") if x > limit else (x, None)


def _blocking(profile: Profile, without: Sequence[str], missing: Mapping[str, ComponentError]) -> tuple[str, ...]:
    """The keys in `missing` for want of which the components in `without` have nothing to enter."""
    blocking: dict[str, None] = {}
    for key in without:
        spec = profile.components[key]
        others = (key, spec.substitute, spec.cap.component if spec.cap else None)
        blocking |= {name: None for name in others if name is not None and name in missing}
    return tuple(blocking)


def _bounded(profile: Profile, total: float, guarded: GuardResult) -> float:
    low, high = profile.bounds
    if guarded.floor:
        return _grid(low)
    return _grid(min(high, max(low, low + guarded.multiplier * (total - low) if guarded.multiplier < 1.0 else total)))


def _grid(x: float) -> float:
    return round(x * _GRID) / _GRID
