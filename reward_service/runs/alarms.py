"""What a trainer wants to be told of a run: the first steps are compared with the last ones.

A difference counts from a fifth of the standard deviation within steps on (Cohen, Statistical Power Analysis, 1988:
a small effect). The other thresholds are round numbers of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from reward_service.runs.totals import Totals, deviation, mean, summed

WINDOW = 20
"""Steps at either end; fewer in a short run."""
LEAST_STEPS = 6
CODES = (
    "spread_collapsing",
    "flag_rising",
    "length_drifting",
    "component_parting",
    "text_over_clinical",
    "mode_collapse",
)
_EFFECT = 0.2
_SPREAD = 0.25  # of what it was
_ALIKE = 0.8  # of the groups, where it was less than half
_FLAG_MORE, _FLAG_TIMES = 0.1, 2.0  # share of the candidates
_LENGTH_TIMES = 1.5
_REPEATED, _STUDIES = 0.3, 4  # share of a step's studies that have one and the same candidate; least of a step


class Alarm(NamedTuple):
    """One thing that goes wrong in a run."""

    code: str
    message: str


def alarms(steps: Sequence[Totals]) -> list[Alarm]:
    """Of a run's steps in order, or of its first and last `WINDOW` ones."""
    if len(steps) < LEAST_STEPS:
        return []
    window = min(WINDOW, len(steps) // 2)
    first, last = summed(steps[:window]), summed(steps[-window:])
    return [
        *_spread(first, last),
        *_flags(first, last),
        *_length(first, last),
        *_parting(first, last),
        *_mode(steps[-window:]),
    ]


def _spread(first: Totals, last: Totals) -> Iterator[Alarm]:
    before, after = first.get("groups"), last.get("groups")
    if not before or not after:
        return
    stds = [one["std"] / one["n"] for one in (before, after)]
    alike = [one["zero_advantage"] / one["n"] for one in (before, after)]
    if stds[1] < _SPREAD * stds[0] or (alike[1] > _ALIKE and alike[0] < 0.5):
        yield Alarm(
            "spread_collapsing",
            f"Spread in groups went from {stds[0]:.3f} to {stds[1]:.3f}; {alike[1]:.0%} of the groups teach nothing.",
        )


def _flags(first: Totals, last: Totals) -> Iterator[Alarm]:
    for flag, count in sorted(last.get("flags", {}).items()):
        before, after = first.get("flags", {}).get(flag, 0) / first["items"], count / last["items"]
        if after - before > _FLAG_MORE and after > _FLAG_TIMES * before:
            yield Alarm("flag_rising", f"Flag {flag} rose from {before:.0%} to {after:.0%} of the candidates.")


def _length(first: Totals, last: Totals) -> Iterator[Alarm]:
    before, after = first["characters"] / first["items"], last["characters"] / last["items"]
    if not before / _LENGTH_TIMES <= after <= before * _LENGTH_TIMES:
        yield Alarm("length_drifting", f"Candidates went from {before:.0f} to {after:.0f} characters in the mean.")


def _effect(first: Mapping[str, Any] | None, last: Mapping[str, Any] | None) -> float:
    """Difference of the means in standard deviations; 0 where one is missing."""
    before, after = mean(first), mean(last)
    if before is None or after is None:
        return 0.0
    spread = max(1e-6, ((deviation(first) or 0.0) + (deviation(last) or 0.0)) / 2)
    return (after - before) / spread


def _parting(first: Totals, last: Totals) -> Iterator[Alarm]:
    up = _effect(first.get("reward"), last.get("reward"))
    keys = [key for key in last.get("components", {}) if key in first.get("components", {})]
    effects = {key: _effect(first["components"][key], last["components"][key]) for key in keys}
    for key, effect in effects.items():
        if up > _EFFECT and effect < -_EFFECT:
            yield Alarm("component_parting", f"The reward rises while {key} falls: it may be paid for something else.")
    judges = {key: effect for key, effect in effects.items() if key in last.get("judges", {})}
    texts = [effect for key, effect in effects.items() if key not in judges]
    if texts and sum(texts) / len(texts) > _EFFECT:
        for key in (key for key, effect in judges.items() if effect < -_EFFECT):
            yield Alarm(
                "text_over_clinical", f"The text metrics rise while {key} falls: words are learnt, not findings."
            )


def _mode(steps: Sequence[Totals]) -> Iterator[Alarm]:
    """Step by step, because over steps the studies come again."""
    large = [step for step in steps if step.get("studies", 0) >= _STUDIES]
    shares = [max(step["repeated"].values(), default=0) / step["studies"] for step in large]
    if shares and median(shares) > _REPEATED:
        yield Alarm("mode_collapse", f"One and the same candidate answers {median(shares):.0%} of a step's studies.")
