"""From raw component values to one reward: transforms, missing-value policy, weights, penalties, bounds.

    reward = clip(low + m * (sum_i w_i * t_i(x_i) + b - low), low, high)

m is the product of the penalising guards' multipliers. Shrinking towards the lower bound instead of
towards zero keeps a penalty from *raising* a negative sum. Terms and reward lie on a binary grid of 2^-40,
so contributions add up to the reward exactly, in any order, also after a JSON round trip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from reward_service.contracts import ComponentError, Composite, Outcome, Status
from reward_service.profiles.profile import Profile
from reward_service.text.guards import Verdict

VERSION = 1
_GRID = 2.0**40
LARGEST = 4096.0
"""Most that a weighted sum may be: with larger ones, contributions on the grid would not add up exactly."""


def raw_value(outcome: Outcome, value: str | None) -> float:
    """The value of an outcome that a component reports: a named one, its error counts, or its first.

    `errors` and `significant_errors` count over the six categories of a judgement.
    """
    if value is None:
        return next(iter(outcome.values.values()))
    if value not in outcome.values and outcome.judgement is not None:
        counted = float(sum(outcome.judgement.significant.values()))
        if value == "errors":
            counted += float(sum(outcome.judgement.insignificant.values()))
        return counted
    return outcome.values[value]


def compose(profile: Profile, outcomes: Mapping[str, Outcome | ComponentError], verdict: Verdict) -> Composite:
    """Combine the outcomes of every component key of `profile`. Pure; never raises for missing values."""
    values: dict[str, float | None] = {}
    missing: dict[str, ComponentError] = {}
    for key, spec in profile.components.items():
        outcome = outcomes[key]
        if isinstance(outcome, ComponentError):
            values[key] = None
            missing[key] = outcome
        else:
            values[key] = raw_value(outcome, spec.value)
    terms: dict[str, float] = {}
    failed: list[str] = []
    blocking: dict[str, None] = {}
    flags = list(verdict.flags)
    status: Status = "ok"
    for key, spec in profile.components.items():
        if spec.weight == 0.0:
            continue
        x = values[key]
        if x is None and spec.substitute is not None:
            x = values[spec.substitute]
            if x is not None:
                status = "degraded"
                flags.append(f"substituted:{key}")
        elif x is not None and spec.cap is not None:
            limit = values[spec.cap.component]
            if limit is None:
                x = None  # a declared limit that cannot be applied must not be one that a candidate can switch off
            elif x > limit + spec.cap.margin:
                x = limit + spec.cap.margin
                flags.append(f"capped:{key}")
        if x is None:
            failed += [key] if spec.when_missing == "fail" else []
            others = (key, spec.substitute, spec.cap and spec.cap.component)
            blocking |= {name: None for name in others if name in missing}
            status = "null"
        elif status != "null":
            term = spec.weight * spec.transform(x)
            terms[key] = _grid(term) if abs(term) <= LARGEST else term
    if status != "null" and not math.fsum(map(abs, terms.values())) + abs(profile.bias) <= LARGEST:
        status = "null"
        missing = {**missing, "reward": ComponentError("out_of_range", f"the weighted sum exceeds {LARGEST:g}")}
        blocking["reward"] = None
    flags = list(dict.fromkeys(flags))
    if status == "null":
        return Composite(None, "null", values, {}, missing, tuple(failed), tuple(blocking), tuple(flags))
    reward = _bounded(profile, math.fsum(terms.values()) + profile.bias, verdict)
    terms["adjustment"] = reward - math.fsum(terms.values())
    return Composite(reward, status, values, terms, missing, (), (), tuple(flags))


def _bounded(profile: Profile, total: float, verdict: Verdict) -> float:
    low, high = profile.bounds
    if verdict.floor:
        return _grid(low)
    return _grid(min(high, max(low, low + verdict.multiplier * (total - low) if verdict.multiplier < 1.0 else total)))


def _grid(x: float) -> float:
    return round(x * _GRID) / _GRID
