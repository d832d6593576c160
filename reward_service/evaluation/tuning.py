"""`reward-service reweigh --tune`: non-negative weights from ratings or preferences, judged out of sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import yaml

from reward_service.errors import ConfigurationError, InvalidRequest
from reward_service.evaluation.statistics import Floats
from reward_service.evaluation.tables import Table
from reward_service.profiles.profile import Profile

_FOLDS = 5
_LEAST = 20


class Labelled(NamedTuple):
    """Rows that have every component's value and a label."""

    names: Sequence[str]
    terms: Floats
    """(rows, components): t(x) of each component."""
    labels: Floats
    studies: Sequence[str]


def gathered(rows: Iterable[Mapping[str, Any]], profile: Profile, column: str) -> Labelled:
    """What of scored rows can be fitted to. Raises `InvalidRequest` without the column, and for too few labels.

    A row without a label or without one of the weighted components is left out.
    """
    specs = {key: spec for key, spec in profile.components.items() if spec.weight}
    terms, labels, studies = [], [], []
    for row in rows:
        if column not in row:
            raise InvalidRequest(f"'{row['id']}' has no column '{column}'.", param="LABELS")
        components = row.get("components") or {}
        lacking = [key for key in specs if key not in components]
        if lacking:
            raise InvalidRequest(
                f"'{row['id']}' has no component '{lacking[0]}'; score with this profile.", param="SCORES"
            )
        label = _number(row[column], str(row["id"]), column)
        if label is None or any(components[key] is None for key in specs):
            continue
        terms.append([spec.transform(components[key]) for key, spec in specs.items()])
        labels.append(label)
        studies.append(str(row.get("group") or row["id"]))
    if len(labels) < _LEAST or len(set(labels)) < 2:
        raise InvalidRequest(
            f"{len(labels)} rows have a label in '{column}' and all components, with {len(set(labels))} different "
            f"labels; at least {_LEAST} rows and 2 labels are needed.",
            param="LABELS",
        )
    return Labelled(list(specs), np.array(terms, dtype=float), np.array(labels), studies)


def _number(value: Any, id: str, column: str) -> float | None:
    if value in ("", None) or value != value:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidRequest(f"'{id}': {column} must be a number, higher for the better report.") from None


def centred(data: Labelled) -> tuple[Floats, Floats]:
    """Terms and labels less their mean: of the study where studies have several rows (preferences), else of all."""
    names, at = np.unique(np.asarray(data.studies), return_inverse=True)
    if len(names) == len(data.studies):
        at = np.zeros(len(at), dtype=int)
    counts = np.bincount(at)
    values = np.column_stack([data.terms, data.labels])
    means = np.column_stack([np.bincount(at, column) / counts for column in values.T])
    values = values - means[at]
    return values[:, :-1], values[:, -1]


def fitted(terms: Floats, labels: Floats) -> Floats:
    """Non-negative least squares (Lawson & Hanson 1974), scaled to sum to 1; equal weights where all would be 0."""
    try:
        from scipy.optimize import nnls
    except ImportError:
        raise ConfigurationError(
            "tune needs scipy. Install it with: pip install 'reward-service[evaluation]'."
        ) from None
    found: Floats = nnls(terms, labels)[0]
    return found / found.sum() if found.sum() > 0 else np.full(len(found), 1 / len(found))


def agreement(rewards: Floats, labels: Floats, studies: Sequence[str]) -> float:
    """Share of pairs with different labels that rewards order in the same way; equal rewards count half.

    Pairs within a study where studies have several rows, else all pairs. 0.5 is chance; NaN without a pair.
    """
    groups: dict[str, list[int]] = {}
    single = len(set(studies)) == len(studies)
    for i, study in enumerate(studies):
        groups.setdefault("" if single else study, []).append(i)
    right = total = 0.0
    for rows in groups.values():
        a, b = rewards[rows], labels[rows]
        apart = np.sign(b[:, None] - b[None, :])
        total += float((apart > 0).sum())
        ordered = np.sign(a[:, None] - a[None, :])
        right += float(((1 + ordered) / 2)[apart > 0].sum())
    return right / total if total else math.nan


def tune(data: Labelled, profile: Profile, seed: int = 0) -> tuple[Table, Floats]:
    """Agreement of fitted weights and of the simplest alternatives, and the weights fitted to all rows.

    Fitted weights are judged by five-fold cross-validation over studies: no row is judged by weights that it, or
    another row of its study, has helped to fit. The alternatives need no fit.
    """
    terms, labels = centred(data)
    weights = fitted(terms, labels)
    folds = _folds(data.studies, seed)
    out_of_fold = np.zeros(len(labels))
    for fold in range(_FOLDS):
        inside = folds == fold
        out_of_fold[inside] = data.terms[inside] @ fitted(terms[~inside], labels[~inside])
    current = np.array([profile.components[name].weight for name in data.names])
    judged = {
        "fitted, cross-validated": out_of_fold,
        "fitted, on its own rows": data.terms @ weights,
        "the profile's weights": data.terms @ current,
        "equal weights": data.terms.mean(1),
        **{f"{name} alone": column for name, column in zip(data.names, data.terms.T, strict=True)},
    }
    rows = [[name, _by_fold(rewards, data, folds)] for name, rewards in judged.items()]
    note = (
        f"Share of pairs that stand in the order of the labels, 0.5 is chance: {len(labels):,} rows of "
        f"{len(set(data.studies)):,} studies. Pairs are taken within the {_FOLDS} folds, whose weights differ."
    )
    return Table("tuning", "Agreement with the labels", ("weights", "agreement"), rows, note), weights


def _folds(studies: Sequence[str], seed: int) -> Any:
    names, at = np.unique(np.asarray(studies), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return (order % _FOLDS)[at]


def _by_fold(rewards: Floats, data: Labelled, folds: Any) -> float:
    found = []
    for fold in range(_FOLDS):
        inside = folds == fold
        studies = [study for study, is_in in zip(data.studies, inside, strict=True) if is_in]
        found.append(agreement(rewards[inside], data.labels[inside], studies))
    return float(np.nanmean(found))


def profile_text(profile: Profile, names: Sequence[str], weights: Floats) -> str:
    """The profile as YAML with these weights, which keep the sum that the old ones had."""
    document = profile.model_dump(mode="json", exclude_defaults=True)
    total = sum(abs(spec.weight) for spec in profile.components.values())
    for name, weight in zip(names, weights, strict=True):
        document["components"][name]["weight"] = round(float(weight) * total, 4)
    document["name"] = f"{profile.name}-tuned"
    made: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return made
