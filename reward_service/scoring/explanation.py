"""A reward as a list of steps that add up to it: components, their caps and transforms, guards, bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from reward_service.contracts import Composite
from reward_service.profiles.profile import ComponentSpec, Profile
from reward_service.text.guards import Multiply, ToFloor


class Step(NamedTuple):
    """One line of an explanation."""

    kind: Literal["component", "cap", "transform", "bias", "guard", "bounds"]
    name: str
    """Component key or guard; empty for bias and bounds."""
    amount: float
    """What it adds to the reward; all steps together are the reward, to some 1e-11."""
    text: str
    """How it comes to that, e.g. ``0.7 × −0.2``."""


def notes(profile: Profile, made: Composite) -> list[str]:
    """What changes a reward besides its components, in words for the end of a sentence."""
    found = []
    for flag in made.flags:
        action = getattr(profile.guards, flag, None)
        words = flag.replace("_", " ")
        if isinstance(action, ToFloor):
            found.append(f"{words}: the lower bound is paid")
        elif isinstance(action, Multiply) and action.multiplier < 1.0:
            found.append(f"{words}: × {action.multiplier:g}")
        elif flag.startswith("capped:"):
            key = flag.removeprefix("capped:")
            found.append(f"{key} is capped by {_cap(profile, key)}")
    return found


def steps(profile: Profile, components: Mapping[str, float | None], flags: tuple[str, ...]) -> list[Step]:
    """The steps from nothing to the reward. `components`, `flags`: of a composite that has a reward."""
    found = [step for key, spec in profile.components.items() for step in _of_component(profile, key, spec, components)]
    if profile.bias:
        found.append(Step("bias", "", profile.bias, "added by the profile"))
    low, high = profile.bounds
    total = sum(step.amount for step in found)
    for flag in flags:
        action = getattr(profile.guards, flag, None)
        if isinstance(action, ToFloor):
            found.append(Step("guard", flag, low - total, f"the lower bound, {low:g}, is paid"))
            return found
    for flag in flags:
        action = getattr(profile.guards, flag, None)
        if isinstance(action, Multiply):
            cut = (action.multiplier - 1.0) * (total - low)
            found.append(Step("guard", flag, cut, f"what lies above {low:g} is multiplied by {action.multiplier:g}"))
            total += cut
    if not low <= total <= high:
        bound = min(high, max(low, total))
        found.append(Step("bounds", "", bound - total, f"cut to [{low:g}, {high:g}]"))
    return found


def _of_component(
    profile: Profile, key: str, spec: ComponentSpec, components: Mapping[str, float | None]
) -> Iterator[Step]:
    if not spec.weight:
        return
    x, weight, source = components[key], spec.weight, ""
    if x is None and spec.substitute is not None:
        x, source = components[spec.substitute], f" of {spec.substitute}, which stands in"
    if x is None:
        return
    yield Step("component", key, weight * x, f"{weight:g} × {x:.4g}{source}")
    if spec.cap is not None and components[key] is not None and (limit := components[spec.cap.component]) is not None:
        capped = limit + spec.cap.margin
        if x > capped:
            yield Step("cap", key, weight * (capped - x), f"not above {_cap(profile, key)}, {capped:.4g}")
            x = capped
    t = spec.transform(x)
    if t != x:
        yield Step("transform", key, weight * (t - x), f"{spec.transform.kind}: {x:.4g} counts as {t:.4g}")


def _cap(profile: Profile, key: str) -> str:
    cap = profile.components[key].cap
    if cap is None:
        return "none"
    return f"{cap.component} + {cap.margin:g}" if cap.margin else cap.component


def as_json(found: list[Step]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [step._asdict() for step in found]
