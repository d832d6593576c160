"""`reward-service compare`: the same studies scored for several systems, paired by id."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reward_service.errors import InvalidRequest
from reward_service.evaluation import statistics as st
from reward_service.evaluation.measures import CIDER, CIDER_NOTE, Measure, both, joined
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Floats, Statistic
from reward_service.evaluation.tables import P, Table

_TIE = 1e-9
_MOST = 10
_NUMBERED = re.compile(r"(?:^|: )(?:line|row|entry)-\d+(?:/\d+)?$")
"""What `reading.entries` makes of the place of a row without an id; rollouts have their number behind it."""


def compare(systems: Sequence[Scores], *, seed: int = 0, anyway: bool = False, most: int = _MOST) -> list[Table]:
    """Every system against the first one: a table of metrics and one of the studies that differ most.

    Raises `InvalidRequest` when ids repeat or none is shared, when ids are numbers of lines and the references do not
    show that the lines belong together; unless `anyway`, when rewards are not of one function or references differ.
    """
    check_functions(systems, anyway)
    base = systems[0]
    tables = []
    for i, other in enumerate(systems[1:], 2):
        ours, theirs = paired_rows(base, other)
        differing = check_references(base, other, ours, theirs, anyway)
        metrics = [name for name in base.metrics if name in other.metrics]
        pairs = paired(base.measures(ours, metrics), other.measures(theirs, metrics))
        names = (base.name, other.name)
        table = _metrics(f"comparison_{i}", names, pairs, [base.studies[j] for j in ours], seed)
        if left := len(base.ids) + len(other.ids) - 2 * len(ours):
            alone = f" {left:,} rows whose id is in one file alone are left out."
            table = replace(table, note=table.note + alone)
        if differing:
            table = replace(table, note=f"{table.note} {differing:,} studies have other references in one file.")
        tables.append(table)
        a, b = base.matrix(["reward"])[ours, 0], other.matrix(["reward"])[theirs, 0]
        tables.append(_differing(f"differences_{i}", names, [base.ids[j] for j in ours], a, b, most))
    return tables


def check_functions(systems: Sequence[Scores], anyway: bool) -> None:
    """Raises `InvalidRequest` when rewards are not of one function, unless `anyway`."""
    prints = [system.one_fingerprint(anyway) for system in systems]
    if len(set(prints)) > 1 and not anyway:
        named = ", ".join(f"{s.name}: {p[:19]}" for s, p in zip(systems, prints, strict=True))
        raise InvalidRequest(
            f"The files were scored by different reward functions ({named}), so their numbers cannot be compared. "
            "Score both with one profile, or compare --anyway.",
            param="SCORES",
        )


def paired(ours: Sequence[Measure], theirs: Sequence[Measure]) -> list[tuple[Measure, Measure]]:
    """The measures that both systems have, on the rows that both have."""
    known = {measure.keys: measure for measure in theirs}
    return [both(measure, known[measure.keys]) for measure in ours if measure.keys in known]


def side_by_side(pairs: Sequence[tuple[Measure, Measure]], studies: Sequence[str]) -> tuple[Floats, Floats, Statistic]:
    """The sums of both systems by study, and all their values as one statistic of either."""
    (a, statistic), (b, _) = joined([a for a, _ in pairs]), joined([b for _, b in pairs])
    return st.by_study(a, studies), st.by_study(b, studies), statistic


def paired_rows(base: Scores, other: Scores) -> tuple[list[int], list[int]]:
    """The rows of equal ids. Raises `InvalidRequest` when ids repeat or none is shared."""
    at = {id: i for i, id in enumerate(other.ids)}
    for system in (base, other):
        system.check_ids()
    ours = [i for i, id in enumerate(base.ids) if id in at]
    if not ours:
        raise InvalidRequest(f"{base.name} and {other.name} have no id in common.", param="SCORES")
    return ours, [at[base.ids[i]] for i in ours]


def check_references(base: Scores, other: Scores, ours: Sequence[int], theirs: Sequence[int], anyway: bool) -> int:
    """The number of pairs whose references are known to differ. Raises `InvalidRequest` as `compare` says."""
    pairs = list(zip(ours, theirs, strict=True))
    numbered = any(_NUMBERED.search(base.ids[i]) for i in ours)
    digests = [(base.references[i], other.references[j]) for i, j in pairs]
    if numbered and not all(a and a == b for a, b in digests):
        raise InvalidRequest(
            f"{base.name} and {other.name} have no ids but the numbers of lines, and their references do not agree "
            "line by line, so rows cannot be paired. Score both with --id-field NAME.",
            param="SCORES",
        )
    differ = [at for at, (a, b) in zip(pairs, digests, strict=True) if a and b and a != b]
    mixed = [(i, j) for i, j in pairs if base.best_of[i] != other.best_of[j]]
    mixed = [(i, j) for i, j in mixed if not base.references[i] or base.references[i] != other.references[j]]
    if mixed and not anyway:
        raise InvalidRequest(
            f"{len(mixed):,} studies (first: {base.ids[mixed[0][0]][:64]}) were scored with the best of several "
            f"references in one of {base.name} and {other.name} and with one in the other, which is easier for the "
            "first. Score both with the same references, or compare --anyway.",
            param="SCORES",
        )
    if differ and not anyway:
        raise InvalidRequest(
            f"{len(differ):,} studies (first: {base.ids[differ[0][0]][:64]}) have other references in {base.name} than "
            f"in {other.name}. Do their ids name the same studies? If so: compare --anyway.",
            param="SCORES",
        )
    return len({*differ, *mixed})


def _metrics(
    name: str, names: tuple[str, str], pairs: Sequence[tuple[Measure, Measure]], studies: Sequence[str], seed: int
) -> Table:
    ours, theirs, statistic = side_by_side(pairs, studies)
    width = ours.shape[1]

    def difference(sums: Floats) -> Floats:
        return statistic(sums[..., width:]) - statistic(sums[..., :width])

    sums = np.hstack([ours, theirs])
    drawn = st.draws(sums, difference, seed=seed)
    found = st.intervals(sums, difference, drawn)
    bootstrap = [st.bootstrap_p(v.value, None if drawn is None else drawn[:, i]) for i, v in enumerate(found)]
    randomised = st.randomisation_p(ours, theirs, statistic, seed=seed)
    told = [
        [key, int(n), float(a), float(b), one, P(p), P(q)]
        for key, n, a, b, one, p, q in zip(
            (key for a, _ in pairs for key in a.keys),
            np.concatenate([a.known().sum(0) for a, _ in pairs]),
            statistic(ours.sum(0)), statistic(theirs.sum(0)), found, bootstrap, randomised, strict=True,
        )
    ]  # fmt: skip
    outcomes = [outcome for a, b in pairs for outcome in _outcomes(a, b)]
    kept = [i for i, row in enumerate(told) if row[1] and not math.isnan(row[4].value)]
    if not kept:
        raise InvalidRequest(f"No study has a value in both {names[0]} and {names[1]}: nothing can be compared.")
    corrected = st.holm([float(randomised[i]) for i in kept])
    rows = [[*told[i], P(p), *outcomes[i]] for i, p in zip(kept, corrected, strict=True)]
    columns = ("value", "n", names[0], names[1], "difference", "p bootstrap", "p randomisation", "p Holm", "d", "w/t/l")
    note = (
        f"difference: {names[1]} less {names[0]}, with its 95 % interval (BCa bootstrap over studies). p: two-sided, "
        f"{st.RESAMPLES:,} resamples, seed {seed}; Holm over the values, of the randomisation test. "
        f"d: mean difference over its standard deviation. w/t/l: studies where {names[1]} is higher, equal, lower. "
        "Values of the corpus are no means over studies: they have neither."
    )
    if any(a.keys == CIDER for a, _ in pairs):
        note += f" {CIDER_NOTE}"
    return Table(name, f"{names[1]} less {names[0]}", columns, rows, note)


def _outcomes(ours: Measure, theirs: Measure) -> list[list[Any]]:
    """For each value the effect and the studies won, tied and lost; None for what studies have no value of."""
    if not ours.is_mean:
        return [[None, None]] * len(ours.keys)
    differences = theirs.values() - ours.values()
    found: list[list[Any]] = []
    for effect, column in zip(st.paired_effect(differences), differences.T, strict=True):
        change = column[~np.isnan(column)]
        outcome = f"{(change > _TIE).sum()}/{(np.abs(change) <= _TIE).sum()}/{(change < -_TIE).sum()}"
        found.append([float(effect), outcome])
    return found


def _differing(name: str, names: tuple[str, str], ids: Sequence[str], a: Floats, b: Floats, most: int) -> Table:
    change = b - a
    order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:most]
    rows = [[ids[i], float(a[i]), float(b[i]), float(change[i])] for i in order if np.abs(change[i]) > _TIE]
    return Table(
        name, f"Studies whose reward differs most, {names[1]} less {names[0]}", ("id", *names, "difference"), rows
    )
