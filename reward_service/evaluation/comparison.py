"""`reward-service compare`: the same studies scored for several systems, paired by id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reward_service.errors import InvalidRequest
from reward_service.evaluation import statistics as st
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Floats
from reward_service.evaluation.tables import Table

_TIE = 1e-9
_MOST = 10
_NUMBERED = re.compile(r"(?:^|: )(?:line|row|entry)-\d+(?:/\d+)?$")
"""What `reading.entries` makes of the place of a row without an id; rollouts have their number behind it."""


def compare(systems: Sequence[Scores], *, seed: int = 0, anyway: bool = False, most: int = _MOST) -> list[Table]:
    """Every system against the first one: a table of metrics and one of the studies that differ most.

    Raises `InvalidRequest` when ids repeat or none is shared, when ids are numbers of lines and the references do not
    show that the lines belong together; unless `anyway`, when rewards are not of one function or references differ.
    """
    prints = [system.one_fingerprint(anyway) for system in systems]
    if len(set(prints)) > 1 and not anyway:
        named = ", ".join(f"{s.name}: {p[:19]}" for s, p in zip(systems, prints, strict=True))
        raise InvalidRequest(
            f"The files were scored by different reward functions ({named}), so their numbers cannot be compared. "
            "Score both with one profile, or compare --anyway.",
            param="SCORES",
        )
    base = systems[0]
    tables = []
    for i, other in enumerate(systems[1:], 2):
        ours, theirs = _paired(base, other)
        differing = _check_references(base, other, ours, theirs, anyway)
        metrics = [name for name in base.metrics if name in other.metrics]
        a, b = base.matrix(metrics)[ours], other.matrix(metrics)[theirs]
        studies = [base.studies[j] for j in ours]
        names = (base.name, other.name)
        table = _metrics(f"comparison_{i}", names, metrics, a, b, studies, seed)
        if left := len(base.ids) + len(other.ids) - 2 * len(ours):
            alone = f" {left:,} rows whose id is in one file alone are left out."
            table = replace(table, note=table.note + alone)
        if differing:
            table = replace(table, note=f"{table.note} {differing:,} studies have other references in one file.")
        tables.append(table)
        tables.append(_differing(f"differences_{i}", names, [base.ids[j] for j in ours], a[:, 0], b[:, 0], most))
    return tables


def _paired(base: Scores, other: Scores) -> tuple[list[int], list[int]]:
    at = {id: i for i, id in enumerate(other.ids)}
    for system in (base, other):
        if len(set(system.ids)) < len(system.ids):
            raise InvalidRequest(f"{system.name}: an id stands on several rows, so rows cannot be paired.")
    ours = [i for i, id in enumerate(base.ids) if id in at]
    if not ours:
        raise InvalidRequest(f"{base.name} and {other.name} have no id in common.", param="SCORES")
    return ours, [at[base.ids[i]] for i in ours]


def _check_references(base: Scores, other: Scores, ours: Sequence[int], theirs: Sequence[int], anyway: bool) -> int:
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
    name: str, names: tuple[str, str], metrics: Sequence[str], a: Floats, b: Floats, studies: Sequence[str], seed: int
) -> Table:
    differences = b - a
    both = ~np.isnan(differences)
    sums = st.by_study(st.with_counts(differences), studies)
    drawn = st.draws(sums, st.means, seed=seed)
    found = st.intervals(sums, st.means, drawn)
    bootstrap = [st.bootstrap_p(v.value, None if drawn is None else drawn[:, i]) for i, v in enumerate(found)]
    randomised = st.randomisation_p(sums[:, : len(metrics)], seed=seed)
    corrected = st.holm(list(randomised))
    effects = st.paired_effect(differences)
    rows = []
    for i, metric in enumerate(metrics):
        known, change = both[:, i], differences[both[:, i], i]
        if not known.any():
            continue
        outcome = f"{(change > _TIE).sum()}/{(np.abs(change) <= _TIE).sum()}/{(change < -_TIE).sum()}"
        rows.append(
            [metric, int(known.sum()), float(a[known, i].mean()), float(b[known, i].mean()), found[i],
             bootstrap[i], float(randomised[i]), corrected[i], float(effects[i]), outcome]
        )  # fmt: skip
    columns = ("value", "n", names[0], names[1], "difference", "p bootstrap", "p randomisation", "p Holm", "d", "w/t/l")
    note = (
        f"difference: {names[1]} less {names[0]}, with its 95 % interval (BCa bootstrap over studies). p: two-sided, "
        f"{st.RESAMPLES:,} resamples, seed {seed}; Holm over the values, of the randomisation test. "
        f"d: mean difference over its standard deviation. w/t/l: studies where {names[1]} is higher, equal, lower."
    )
    return Table(name, f"{names[1]} less {names[0]}", columns, rows, note)


def _differing(name: str, names: tuple[str, str], ids: Sequence[str], a: Floats, b: Floats, most: int) -> Table:
    change = b - a
    order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")[:most]
    rows = [[ids[i], float(a[i]), float(b[i]), float(change[i])] for i in order if np.abs(change[i]) > _TIE]
    return Table(
        name, f"Studies whose reward differs most, {names[1]} less {names[0]}", ("id", *names, "difference"), rows
    )
