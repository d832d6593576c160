"""`reward-service groups`: what rollouts of one study would teach: spread, agreement of components, best of n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

from reward_service.errors import InvalidRequest
from reward_service.evaluation import statistics as st
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Floats
from reward_service.evaluation.tables import Table

_SAME = 1e-9  # rewards closer than this are one reward


def profile_groups(scores: Scores, *, seed: int = 0, most: int = 20) -> list[Table]:
    """Tables over the groups of at least two candidates; of single studies the `most` with the least spread.

    Raises `InvalidRequest` when there is no such group.
    """
    rewards = scores.matrix(["reward"])[:, 0]
    members: dict[str, list[int]] = {}
    for i, study in enumerate(scores.studies):
        members.setdefault(study, []).append(i)
    groups = {study: np.array(rows) for study, rows in members.items() if len(rows) > 1}
    if not groups:
        raise InvalidRequest(
            f"{scores.name}: no study has several candidates. Score rollouts as lists in 'candidates', or say --study.",
            param="SCORES",
        )
    known = {study: rewards[rows][~np.isnan(rewards[rows])] for study, rows in groups.items()}
    return [
        _overview(known, seed),
        _best_of_n(known, seed),
        _correlation(scores, groups),
        _studies(known, most),
    ]


def _overview(known: Mapping[str, Floats], seed: int) -> Table:
    rows: list[list[Any]] = [["groups", len(known)], ["candidates", sum(map(len, known.values()))]]
    means = np.array([r.mean() if len(r) else np.nan for r in known.values()])
    spreads = np.array([r.std() if len(r) else np.nan for r in known.values()])
    flat = np.array([float(_flat(r)) for r in known.values()])
    sums = st.with_counts(np.stack([means, spreads, flat], axis=1))
    found = st.intervals(sums, st.means, st.draws(sums, st.means, seed=seed))
    names = ("mean reward", "spread within a group", "share without advantage")
    rows += [[name, interval] for name, interval in zip(names, found, strict=True)]
    note = "spread: population standard deviation. Without advantage: fewer than two distinct rewards."
    return Table("groups", "Groups of rollouts", ("of groups", "value"), rows, note)


def _flat(rewards: Floats) -> bool:
    return len(rewards) < 2 or bool(rewards.max() - rewards.min() <= _SAME)


def best_of(rewards: Floats, n: int) -> float:
    """Expected best of n of m rewards, drawn without replacement: the i-th smallest has share C(i-1, n-1) / C(m, n)."""
    ordered = np.sort(rewards)
    m = len(ordered)
    return float(sum(x * (comb(i, n - 1) / comb(m, n)) for i, x in enumerate(map(float, ordered))))


def _best_of_n(known: Mapping[str, Floats], seed: int) -> Table:
    """Over the groups that are as large as the most common size, so that all n have the same studies."""
    sizes = [len(rewards) for rewards in known.values()]
    size = max(set(sizes), key=lambda n: (sizes.count(n), n))
    steps = sorted({*(2**k for k in range(size.bit_length()) if 2**k <= size), size} - {0})
    values = np.array([[best_of(r, n) for n in steps] for r in known.values() if len(r) >= max(size, 1)])
    if not steps:
        return Table("best_of_n", "Best of n", (), [])
    sums = st.with_counts(values)
    found = st.intervals(sums, st.means, st.draws(sums, st.means, seed=seed))
    rows = [[str(n), interval] for n, interval in zip(steps, found, strict=True)]
    note = f"Expected best reward of n candidates of a group, over the {len(values):,} groups of at least {size}."
    return Table("best_of_n", "Best of n", ("n", "reward"), rows, note)


def _correlation(scores: Scores, groups: Mapping[str, Any]) -> Table:
    """Pearson's r of values less their group's mean: whether components prefer the same candidate."""
    names = [name for name in scores.metrics if "." not in name]
    matrix = scores.matrix(names)
    centred = []
    for rows in groups.values():
        whole = matrix[rows][~np.isnan(matrix[rows]).any(1)]
        if len(whole) > 1:
            centred.append(whole - whole.mean(0))
    if not centred:
        return Table("correlation", "Correlation within groups", (), [])
    values = np.vstack(centred)
    product = values.T @ values
    spread = np.sqrt(np.diag(product))
    r = st.divided(product, np.outer(spread, spread))
    rows_ = [[name, *map(float, line)] for name, line in zip(names, r, strict=True)]
    return Table("correlation", "Correlation within groups", ("value", *names), rows_)


def _studies(known: Mapping[str, Floats], most: int) -> Table:
    ordered = sorted(known.items(), key=lambda item: (item[1].std() if len(item[1]) else -1.0, item[0]))
    rows = [_study(study, rewards) for study, rewards in (ordered[:most] if most else ordered)]
    columns = ("study", "n", "mean", "spread", "lowest", "highest", "advantage")
    return Table("studies", "Studies with the least spread", columns, rows)


def _study(study: str, rewards: Floats) -> Sequence[Any]:
    if not len(rewards):
        return [study, 0, None, None, None, None, "no"]
    ends = (float(rewards.mean()), float(rewards.std()), float(rewards.min()), float(rewards.max()))
    return [study, len(rewards), *ends, "no" if _flat(rewards) else "yes"]
