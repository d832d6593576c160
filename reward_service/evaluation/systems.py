"""`reward-service compare --table`: systems as rows and values as columns, as a paper prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reward_service.errors import InvalidRequest, did_you_mean
from reward_service.evaluation import statistics as st
from reward_service.evaluation.comparison import check_functions, check_references, paired, paired_rows, side_by_side
from reward_service.evaluation.measures import CIDER, CIDER_NOTE, Measure, joined
from reward_service.evaluation.naming import Key
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Floats, Interval
from reward_service.evaluation.tables import Estimate, Table

_SAME = 1e-9
"""Values that are not further apart are equally good."""


def systems_table(
    systems: Sequence[Scores], *, metrics: Sequence[str] = (), seed: int = 0, anyway: bool = False
) -> Table:
    """Each system's values with intervals, and how surely they differ from those of the first one, the base.

    All of the studies that all systems have. `metrics`: names of values, in this order; by default those that
    `names.yaml` puts into tables. Raises what `compare` raises, and `InvalidRequest` for a value that not all have.
    """
    check_functions(systems, anyway)
    rows, left = _shared(systems, anyway)
    keys = _keys(systems, metrics)
    means = [key for key in keys if key in systems[0].metrics]
    measured = [system.measures(at, means, keys) for system, at in zip(systems, rows, strict=True)]
    names = [key for measure in measured[0] for key in measure.keys]
    studies = [systems[0].studies[i] for i in rows[0]]
    found = _intervals(measured, studies, seed)
    ps = _ps(measured, studies, seed)
    chosen = [names.index(key) for key in keys]
    # Holm's correction is over what the table shows: what it leaves out was not looked at.
    corrected = st.holm([float(p[i]) for p in ps for i in chosen])
    shown = np.array([[math.nan] * len(chosen), *np.reshape(corrected, (-1, len(chosen)))])
    cells = [[one[i] for i in chosen] for one in found]
    best = [_best(key, [row[j].value for row in cells]) for j, key in enumerate(keys)]
    made = [
        [system.name, *(Estimate(one, best[j][i], float(shown[i][j])) for j, one in enumerate(cells[i]))]
        for i, system in enumerate(systems)
    ]
    return Table(
        "systems",
        "Systems",
        ["system", *keys],
        made,
        _note(systems, keys, len(studies), left, seed) + _nulls(measured, keys),
        True,
    )


def _shared(systems: Sequence[Scores], anyway: bool) -> tuple[list[list[int]], int]:
    """The rows of the ids that all systems have, in the base's order; how many rows of other ids there are."""
    base = systems[0]
    found = [paired_rows(base, system) for system in systems]
    for system, (ours, theirs) in zip(systems[1:], found[1:], strict=True):
        check_references(base, system, ours, theirs, anyway)
    everywhere = set.intersection(*(set(ours) for ours, _ in found))
    if not everywhere:
        raise InvalidRequest("The systems have no id in common.", param="SCORES")
    rows = [[j for i, j in zip(*pairs, strict=True) if i in everywhere] for pairs in found]
    return rows, sum(len(system.ids) for system in systems) - len(everywhere) * len(systems)


def _keys(systems: Sequence[Scores], metrics: Sequence[str]) -> list[Key]:
    """The values that the table has. Raises `InvalidRequest` for one that a system lacks."""
    have = [[*system.metrics, *system.corpus.keys] for system in systems]
    known = [key for key in have[0] if all(key in each for each in have)]
    for name in metrics:
        if name not in known:
            lacking = " It needs `score --with-texts`." if name in CIDER else ""
            raise InvalidRequest(
                f"Not all systems have the value '{name}'.{did_you_mean(name, known, listed=True)}{lacking}",
                param="--metric",
            )
    return [Key(name) for name in metrics] if metrics else [key for key in known if key.in_tables]


def _intervals(measured: Sequence[Sequence[Measure]], studies: Sequence[str], seed: int) -> list[list[Interval]]:
    """Of every system all values, from the same resamples."""
    sums, statistic = joined([measure for each in measured for measure in each])
    sums = st.by_study(sums, studies)
    found = st.intervals(sums, statistic, st.draws(sums, statistic, seed=seed))
    width = len(found) // len(measured)
    return [found[i * width : (i + 1) * width] for i in range(len(measured))]


def _ps(measured: Sequence[Sequence[Measure]], studies: Sequence[str], seed: int) -> list[Floats]:
    """For every system but the base: p of each value's difference to the base's, over the same exchanges."""
    pairs = [pair for other in measured[1:] for pair in paired(measured[0], other)]
    if not pairs:
        return []
    ours, theirs, statistic = side_by_side(pairs, studies)
    return list(st.randomisation_p(ours, theirs, statistic, seed=seed).reshape(len(measured) - 1, -1))


def _best(key: Key, values: Sequence[float]) -> list[bool]:
    """Which systems have the best value; none where there is only one."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return [False] * len(values)
    best = min(known) if key.lower_is_better else max(known)
    return [abs(value - best) <= _SAME for value in values]


def _nulls(measured: Sequence[Sequence[Measure]], keys: Sequence[Key]) -> str:
    lacking = 0
    for measure in (measure for each in measured for measure in each):
        lacking += int((~measure.known()[:, [key in keys for key in measure.keys]]).any(1).sum())
    return f" {lacking:,} null values are left out." if lacking else ""


def _note(systems: Sequence[Scores], keys: Sequence[Key], studies: int, left: int, seed: int) -> str:
    note = f"Values of {studies:,} reports with 95 % intervals (bootstrap over studies). Bold: best of the column."
    if tests := (len(systems) - 1) * len(keys):
        floor = tests / (st.RESAMPLES + 1)
        note += (
            f" *, **, ***: differs from {systems[0].name} with p < .05, .01, .001 (approximate randomisation over "
            f"studies, {st.RESAMPLES:,} resamples, seed {seed}, two-sided, Holm over the {tests} tests of this table, "
            f"so that no p is below {floor:.4f})."
        )
    if lower := [key.title for key in keys if key.lower_is_better]:
        note += f" Less is better: {', '.join(lower)}."
    if CIDER[0] in keys:
        note += f" {CIDER_NOTE}"
    if left:
        note += f" {left:,} rows whose id not all systems have are left out."
    return note
