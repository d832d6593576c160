"""What a trainer wants to be told of a run: the first steps are compared with the last ones.

A difference counts from a fifth of the standard deviation within steps on (Cohen, Statistical Power Analysis, 1988:
a small effect). The other thresholds are round numbers of ours, but for two that have their reason beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from reward_service.runs.totals import Totals, deviation, mean, summed

WINDOW = 20
"""Steps at either end; fewer in a short run."""
LEAST_STEPS = 6
CODES = (
    "mode_collapse",
    "reward_falling",
    "spread_collapsing",
    "text_over_clinical",
    "component_parting",
    "flag_rising",
    "length_drifting",
)
"""The worst first: what ends a training, then what is learnt instead of the task, then what may be a sign of either."""
_EFFECT = 0.2
_SPREAD = 0.25  # of what it was
_ALIKE = 0.8  # of the groups, where it was less than half
_FLAG_MORE, _FLAG_TIMES = 0.1, 2.0  # share of the candidates
_LENGTH_TIMES = 1.5
# A stock sentence is right where there is nothing to find, for a third of MIMIC-CXR's studies (`No Finding`, Johnson et
# al. 2019), and one in sixteen candidates of the others may well be it: 37 % of a step without anything being wrong.
_COPIES = 0.5  # of the candidates are one string
_REPEATED, _STUDIES = 0.3, 4  # share of the studies that have it; least of a step: one group alone may agree
# The best of many windows lies high by chance alone, and a run is asked about after each of its steps. Of 3,000 runs of
# noise 4 standard errors raised two when asked once, 5 none.
_ERRORS = 5.0
_RECENT, _BETWEEN = 100, 10  # steps looked at one by one; windows in the long middle
_SINCE = 5  # steps whose sum says whether it had begun


class Alarm(NamedTuple):
    """One thing that goes wrong in a run."""

    code: str
    message: str
    """How bad, of how many, and since when."""
    since: int | None
    """The step; None where the last steps taken alone do not show it."""
    digest: str | None = None
    """Of the candidate that it is about, as samples have it."""


class _Found(NamedTuple):
    code: str
    subject: str
    message: str
    holds: Callable[[Totals], bool]
    """Whether a few steps show it, too."""
    digest: str | None = None
    of: str | None = None
    """What the figures are of, where it is not all candidates of the last steps."""


def looked_at(numbers: Sequence[int]) -> list[int]:
    """Of a run's ascending steps those that alarms are computed from: both ends, and windows between them.

    So a run of ten thousand steps costs no more than one of three hundred.
    """
    numbers = [number for number in numbers if number >= 0]
    first, middle, recent = numbers[:WINDOW], numbers[WINDOW:-_RECENT], numbers[max(WINDOW, len(numbers) - _RECENT) :]
    if len(middle) > _BETWEEN * WINDOW:
        starts = [round(i * (len(middle) - WINDOW) / (_BETWEEN - 1)) for i in range(_BETWEEN)]
        middle = [number for start in starts for number in middle[start : start + WINDOW]]
    return [*first, *middle, *recent]


def alarms(steps: Sequence[tuple[int, Totals]]) -> list[Alarm]:
    """Of a run's steps in order, or of those that `looked_at` chooses; the worst first."""
    chosen = set(looked_at([number for number, _ in steps]))
    numbers, slim = [], []
    for number, totals in steps:
        if number in chosen and totals.get("items"):
            numbers.append(number)
            slim.append(_slim(totals))
    if len(slim) < LEAST_STEPS:
        return []
    window = min(WINDOW, len(slim) // 2)
    first, last = summed(slim[:window]), summed(slim[-window:])
    found = [*_between(first, last), *_falling(slim, window), *_mode(list(zip(numbers, slim, strict=True)), last)]
    span = f"of steps {numbers[-window]} to {numbers[-1]}"
    made = [_alarm(one, numbers, slim, f"{last['items']} candidates {span}") for one in found]
    return sorted(made, key=lambda alarm: CODES.index(alarm.code))


def _alarm(found: _Found, numbers: Sequence[int], steps: Sequence[Totals], of: str) -> Alarm:
    since = _since(found.holds, numbers, steps)
    told = f"since step {since}" if since is not None else f"not in the last {_SINCE} steps alone"
    return Alarm(found.code, f"{found.message} ({found.of or of}); {told}.", since, found.digest)


def _since(holds: Callable[[Totals], bool], numbers: Sequence[int], steps: Sequence[Totals]) -> int | None:
    """Where the few steps begin to show it that are the first of all that do up to the end."""
    end = len(steps)
    while end >= _SINCE and holds(summed(steps[end - _SINCE : end])):
        end -= 1
    if end == len(steps):
        return None
    begin = max(0, end + 1 - _SINCE)
    return next((numbers[i] for i in range(begin, end + 1) if holds(steps[i])), numbers[begin + _SINCE // 2])


def _slim(totals: Totals) -> Totals:
    """What alarms read of a step; summing it up costs a tenth of summing up all."""
    kept: Totals = {key: totals[key] for key in ("items", "characters", "groups", "flags", "judges") if key in totals}
    kept["components"] = {key: _sums(moments) for key, moments in totals.get("components", {}).items()}
    kept["reward"] = _sums(totals.get("reward", {}))
    if totals.get("studies", 0) >= _STUDIES and "copies" in totals:
        kept["large"] = {key: totals[key] for key in ("items", "studies", "repeated", "copies")}
    return kept


def _sums(moments: Mapping[str, Any]) -> Totals:
    return {key: moments[key] for key in ("n", "sum", "sum2") if key in moments}


def _between(first: Totals, last: Totals) -> Iterator[_Found]:
    """What both ends show; it holds for a few steps where they show the same in place of the last."""
    for check in (_spread, _flags, _length, _parting):
        for code, subject, message in check(first, last):

            def holds(few: Totals, check: _Check = check, same: tuple[str, str] = (code, subject)) -> bool:
                return any((code, subject) == same for code, subject, _ in check(first, few))

            yield _Found(code, subject, message, holds)


_Check = Callable[[Totals, Totals], Iterator[tuple[str, str, str]]]
"""From the first and the last steps: code, what it is about, message."""


def _spread(first: Totals, last: Totals) -> Iterator[tuple[str, str, str]]:
    before, after = first.get("groups"), last.get("groups")
    if not before or not after:
        return
    stds = [one["std"] / one["n"] for one in (before, after)]
    alike = [one["zero_advantage"] / one["n"] for one in (before, after)]
    if stds[1] < _SPREAD * stds[0] or (alike[1] > _ALIKE and alike[0] < 0.5):
        few = f"{after['zero_advantage']} of {after['n']} groups teach nothing"
        yield "spread_collapsing", "", f"Spread in groups went from {stds[0]:.3f} to {stds[1]:.3f}; {few}"


def _flags(first: Totals, last: Totals) -> Iterator[tuple[str, str, str]]:
    for flag, count in sorted(last.get("flags", {}).items()):
        before, after = first.get("flags", {}).get(flag, 0) / first["items"], count / last["items"]
        if after - before > _FLAG_MORE and after > _FLAG_TIMES * before:
            yield "flag_rising", flag, f"Flag {flag} rose from {before:.0%} to {after:.0%} of the candidates"


def _length(first: Totals, last: Totals) -> Iterator[tuple[str, str, str]]:
    before, after = first["characters"] / first["items"], last["characters"] / last["items"]
    if not before / _LENGTH_TIMES <= after <= before * _LENGTH_TIMES:
        way = "longer" if after > before else "shorter"
        yield "length_drifting", way, f"Candidates went from {before:.0f} to {after:.0f} characters in the mean"


def _effect(first: Mapping[str, Any] | None, last: Mapping[str, Any] | None) -> float:
    """Difference of the means in standard deviations; 0 where one is missing."""
    before, after = mean(first), mean(last)
    if before is None or after is None:
        return 0.0
    spread = max(1e-6, ((deviation(first) or 0.0) + (deviation(last) or 0.0)) / 2)
    return (after - before) / spread


def _went(first: Totals, last: Totals, key: str) -> str:
    before, after = mean(first["components"][key]), mean(last["components"][key])
    return f"{key} falls from {before:.2f} to {after:.2f}"


def _parting(first: Totals, last: Totals) -> Iterator[tuple[str, str, str]]:
    up = _effect(first.get("reward"), last.get("reward"))
    keys = [key for key in last.get("components", {}) if key in first.get("components", {})]
    effects = {key: _effect(first["components"][key], last["components"][key]) for key in keys}
    for key, effect in effects.items():
        if up > _EFFECT and effect < -_EFFECT:
            told = f"The reward rises from {mean(first['reward']):.2f} to {mean(last['reward']):.2f} while"
            yield "component_parting", key, f"{told} {_went(first, last, key)}: it may be paid for something else"
    judges = {key: effect for key, effect in effects.items() if key in last.get("judges", {})}
    texts = [effect for key, effect in effects.items() if key not in judges]
    if texts and sum(texts) / len(texts) > _EFFECT:
        for key in (key for key, effect in judges.items() if effect < -_EFFECT):
            told = f"The text metrics rise while {_went(first, last, key)}"
            yield "text_over_clinical", key, f"{told}: words are learnt, not findings"


def _falling(steps: Sequence[Totals], window: int) -> Iterator[_Found]:
    """The last steps' mean reward lies below the best that the run has had.

    By more than chance, which is what the means of adjacent steps differ by (their median, so that one broken step
    says nothing), and by more than a small effect.
    """
    rewarded = [step["reward"] for step in steps if step["reward"]]
    if len(rewarded) < 2 * window:
        return
    means = [one["sum"] / one["n"] for one in rewarded]
    error = 1.4826 / math.sqrt(2) * median(abs(after - before) for before, after in pairwise(means))
    sums = [summed(rewarded[i : i + window]) for i in range(len(rewarded) - 2 * window + 1)]
    last = summed(rewarded[-window:])
    best = max(sums, key=lambda one: one["sum"] / one["n"])
    high, low = best["sum"] / best["n"], last["sum"] / last["n"]
    needed = max(_EFFECT * ((deviation(best) or 0.0) + (deviation(last) or 0.0)) / 2, 1e-6)
    if high - low > max(needed, _ERRORS * error * math.sqrt(2 / window)):

        def holds(few: Totals) -> bool:
            return bool(few["reward"]) and high - few["reward"]["sum"] / few["reward"]["n"] > needed

        yield _Found("reward_falling", "", f"The reward fell from {high:.3f} in the mean to {low:.3f}", holds)


def _mode(steps: Sequence[tuple[int, Totals]], last: Totals) -> Iterator[_Found]:
    """One string is most of what the policy says. Only steps of several studies are counted."""
    if "large" not in last:
        return
    text = max(last["large"]["copies"].items(), key=lambda one: (one[1], one[0]))[0]

    def share(large: Totals, of: str, whole: str) -> float:
        found: float = large[of].get(text, 0) / large[whole]
        return found

    def holds(few: Totals) -> bool:
        if "large" not in few:
            return False
        copies, studies = share(few["large"], "copies", "items"), share(few["large"], "repeated", "studies")
        return copies > _COPIES and studies > _REPEATED

    if holds(last):
        number, latest = next((number, step["large"]) for number, step in reversed(steps) if "large" in step)
        message = f"{latest['copies'].get(text, 0)} of {latest['items']} candidates of step {number} are one string"
        of = f"{share(last['large'], 'copies', 'items'):.0%} of the last {last['large']['items']}; its digest is {text}"
        yield _Found("mode_collapse", text, message, holds, text, of)
