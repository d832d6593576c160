"""`reward-service summarize`: what files of scores say in all, with intervals; one pass over the files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from metrics.corpus import RADGRAPH_LEVELS
from reward_service.errors import InvalidRequest
from reward_service.evaluation import statistics as st
from reward_service.evaluation.corpus_values import CorpusValues
from reward_service.evaluation.findings import Findings
from reward_service.evaluation.measures import BLEU, CHEXBERT, CIDER, CIDER_NOTE, joined
from reward_service.evaluation.naming import Key
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Floats
from reward_service.evaluation.tables import Table

_BARS = "▁▂▃▄▅▆▇█"
_BINS = 12
_UNKNOWN = "unknown"
_MOST_LEVELS = 12
"""A column of numbers with more different values is cut into quarters."""


class Summary:
    """Everything that is counted in one pass over the rows."""

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]],
        name: str,
        *,
        study: str | None = None,
        by: Sequence[str] = (),
        document: Mapping[str, Any] | None = None,
    ) -> None:
        """`document`: what the fingerprint is the hash of; without it RadCliQ of the corpus is left out.

        Raises `InvalidRequest` for a row without a wanted column, and when there is no row.
        """
        self.scores = Scores(name, columns={column: [] for column in by})
        self.findings = Findings()
        self._models = CorpusValues(document) if document else None
        for row in rows:
            self.scores.add(row, study)
            if row.get("values"):
                self._models = self._models or CorpusValues(_document(row["values"]))
                self._models.add([row])
            self.findings.add(row, self.scores.studies[-1])
        if not self.scores.ids:
            raise InvalidRequest(f"{name} has no row.", param="SCORES")

    def tables(self, seed: int = 0) -> list[Table]:
        """All tables, those without rows left out."""
        made = [
            self.values(seed),
            self.corpus(seed),
            *(self.subgroups(column, seed) for column in self.scores.columns),
            self.findings.error_table(),
            self.findings.table(seed),
            self._counts("flags", "Flags", self.scores.flags),
            self._counts("missing", "Components without a value, and why", self.scores.missing),
        ]
        return [table for table in made if table.rows]

    def values(self, seed: int) -> Table:
        """A row for the reward, each component and each further raw value."""
        metrics = self.scores.metrics
        matrix = self.scores.matrix(metrics)
        sums = st.by_study(st.with_counts(matrix), self.scores.studies)
        found = st.intervals(sums, st.means, st.draws(sums, st.means, seed=seed))
        rows = []
        for name, column, interval in zip(metrics, matrix.T, found, strict=True):
            known = column[~np.isnan(column)]
            median = float(np.median(known)) if len(known) else math.nan
            rows.append([name, len(known), len(column) - len(known), interval, median, histogram(known)])
        resampling = "BCa bootstrap" if len(sums) <= st.MOST_RESAMPLED else "normal, jackknife"
        note = f"95 % intervals: {resampling} over {len(sums):,} studies."
        return Table("values", "Values", ("value", "n", "null", "mean", "median", "distribution"), rows, note)

    def corpus(self, seed: int) -> Table:
        """Values of the corpus as a whole, which are no means of sentences' values."""
        rows: list[list[Any]] = []
        if made := self.scores.corpus.measures(wanted={*BLEU, *CIDER, *CHEXBERT}):
            sums, statistic = joined(made)
            sums = st.by_study(sums, self.scores.studies)
            found = st.intervals(sums, statistic, st.draws(sums, statistic, seed=seed))
            rows += [[key, one] for key, one in zip((k for m in made for k in m.keys), found, strict=True)]
        for name, values in (self._models.summary() if self._models else {}).items():
            rows += [
                [Key(f"{name} {key}"), value] for key, value in values.items() if key != "n" and name != "f1_chexbert"
            ]
        note = f"Corpus BLEU: n-grams counted over all reports, no smoothing, one brevity penalty. {CIDER_NOTE}"
        if self.scores.corpus.lacks_texts:
            note += " CIDEr-D needs the texts of all rows and all their references (score --with-texts)."
        return Table("corpus", "Corpus values", ("value", "corpus"), rows, note)

    def subgroups(self, column: str, seed: int) -> Table:
        """The reward and components by the values of a column, and the gap between the best and the worst."""
        labels, names = levels(self.scores.columns[column])
        metrics = [name for name in self.scores.metrics if "." not in name]
        matrix = self.scores.matrix(metrics)
        rows: list[list[Any]] = []
        for name in names:
            inside = np.array([label == name for label in labels])
            studies = [study for study, is_in in zip(self.scores.studies, inside, strict=True) if is_in]
            sums = st.by_study(st.with_counts(matrix[inside]), studies)
            found = st.intervals(sums, st.means, st.draws(sums, st.means, seed=seed))
            few = (sums[:, len(metrics) :] > 0).sum(0) < st.FEWEST if name != _UNKNOWN else [True] * len(metrics)
            found = [
                st.Interval(one.value, math.nan, math.nan) if is_few else one
                for one, is_few in zip(found, few, strict=True)
            ]
            rows.append([name, int(inside.sum()), *found])
        known = [name for name in names if name != _UNKNOWN]
        if len(known) > 1:
            rows.append(
                [
                    "gap",
                    sum(n for name, n, *_ in rows if name != _UNKNOWN and n >= st.FEWEST),
                    *self._gaps(matrix, labels, known, seed),
                ]
            )
        note = (
            "gap: highest mean less the lowest, its interval for these two subgroups. Subgroups of fewer than "
            f"{st.FEWEST} studies have no interval and no part in the gap, nor has '{_UNKNOWN}'."
        )
        return Table(f"by_{column}", f"By {column}", (column, "n", *metrics), rows, note)

    def _gaps(self, matrix: Floats, labels: Sequence[str], names: Sequence[str], seed: int) -> list[st.Interval]:
        inside = np.array([[label == name for name in names] for label in labels])
        gaps = []
        for values in matrix.T:
            sums = st.by_study(st.with_counts(np.where(inside, values[:, None], np.nan)), self.scores.studies)
            enough = (sums[:, len(names) :] > 0).sum(0) >= st.FEWEST
            mean = np.where(enough, st.means(sums.sum(0)), np.nan)
            if enough.sum() < 2:
                gaps.append(st.Interval(math.nan, math.nan, math.nan))
                continue
            high, low = int(np.nanargmax(mean)), int(np.nanargmin(mean))

            def gap(sums: Floats, high: int = high, low: int = low) -> Floats:
                found = st.means(sums)
                return found[..., [high]] - found[..., [low]]

            gaps += st.intervals(sums, gap, st.draws(sums, gap, seed=seed))
        return gaps

    def _counts(self, name: str, title: str, counts: Mapping[str, int]) -> Table:
        total = len(self.scores.ids)
        rows = [
            [Key(key), count, count / total] for key, count in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
        ]
        return Table(name, title, (name, "reports", "share"), rows)


def _document(values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Which keys are CheXbert and RadGraph, by the names of their values: all that F1 needs of a profile's document."""
    found = {}
    for key, given in values.items():
        if "candidate_labels" in given:
            found[key] = {"component": "semb_score"}
        elif set(RADGRAPH_LEVELS) <= given.keys():
            found[key] = {"component": "radgraph_f1"}
    return {"components": found, "weights": dict.fromkeys(found, 1.0)}


def levels(values: Sequence[Any]) -> tuple[list[str], list[str]]:
    """The values as text, and the different ones in order; many different numbers as quarters of their distribution."""
    if len(set(map(str, values))) > _MOST_LEVELS:
        try:
            return _quarters(np.array([math.nan if value in ("", None) else float(value) for value in values]))
        except (TypeError, ValueError):
            pass
    labels = [_UNKNOWN if value in ("", None) else str(value) for value in values]
    return labels, sorted(set(labels))


def _quarters(values: Floats) -> tuple[list[str], list[str]]:
    cuts = np.unique(np.nanquantile(values, [0.25, 0.5, 0.75]))
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
    names = [f"below {cuts[0]:g}", *inner, f"{cuts[-1]:g} and above"]
    at = np.searchsorted(cuts, values, side="right")
    labels = [_UNKNOWN if math.isnan(x) else names[i] for x, i in zip(values, at, strict=True)]
    return labels, [name for name in (*names, _UNKNOWN) if name in set(labels)]


def histogram(values: Floats) -> str:
    """The distribution from the least to the greatest value, in twelve characters."""
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return f"all {low:.3g}"
    counts, _ = np.histogram(values, _BINS, (low, high))
    bars = "".join(" " if not n else _BARS[math.ceil(n / counts.max() * len(_BARS)) - 1] for n in counts)
    return f"{low:.2f} {bars} {high:.2f}"
