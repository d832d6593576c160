"""Which findings candidates report, miss and invent, from the evidence of the rules judge."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from judges.base import CATEGORIES
from reward_service.evaluation import statistics as st
from reward_service.evaluation.naming import Key
from reward_service.evaluation.statistics import Floats
from reward_service.evaluation.tables import Table

_STATEMENT = re.compile(r"[RP]\d+")  # what a language model's judge numbers instead of naming a finding
_FOUND = ("matched", "wrong_location", "wrong_severity")


class Findings:
    """Counts over rows: per finding, and per row for intervals."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        """In both texts, wherever and however severe."""
        self.invented: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.errors: list[list[float]] = []
        """For each row with a judgement: the six significant counts, then the six insignificant ones."""
        self._rows: list[tuple[int, int, int]] = []
        self._studies: list[str] = []

    def add(self, record: Mapping[str, Any], study: str) -> None:
        """Count one row; one without a judgement counts for nothing."""
        judgement = record.get("judgement")
        if not judgement:
            return
        self.errors.append([judgement[kind][c] for kind in ("significant", "insignificant") for c in CATEGORIES])
        found, invented, missed = _named(judgement)
        self.found.update(found)
        self.invented.update(invented)
        self.missed.update(missed)
        self._rows.append((len(found), len(invented), len(missed)))
        self._studies.append(study)

    def table(self, seed: int) -> Table:
        """Per finding, most frequent first, then micro and macro averages."""
        names = sorted({*self.found, *self.invented, *self.missed}, key=lambda n: (-self.found[n] - self.missed[n], n))
        counts = np.array([[self.found[n], self.invented[n], self.missed[n]] for n in names], dtype=float)
        rows: list[list[Any]] = []
        if names:
            for name, (found, _, missed), scores in zip(names, counts, prf(counts), strict=True):
                rows.append([Key(name), int(found + missed), *map(float, scores)])
            sums = st.by_study(np.array(self._rows, dtype=float), self._studies)
            micro = st.intervals(sums, prf, st.draws(sums, prf, seed=seed))
            support = sum(row[1] for row in rows)
            rows.append(["micro average", support, *micro])
            rows.append(["macro average", support, *map(float, np.nan_to_num(prf(counts)).mean(0))])
        note = "A finding on the wrong side or of the wrong severity counts as found. Macro: no value counts as 0."
        columns = ("finding", "support", "precision", "recall", "F1")
        return Table("findings", "Findings of candidates against those of references", columns, rows, note)

    def error_table(self) -> Table:
        """Errors per report by category and significance."""
        if not self.errors:
            return Table("errors", "Errors per report", (), [])
        mean = np.array(self.errors).mean(0)
        significant, insignificant = mean[: len(CATEGORIES)], mean[len(CATEGORIES) :]
        rows: list[list[Any]] = [
            [Key(c), float(s), float(i), float(s + i)]
            for c, s, i in zip(CATEGORIES, significant, insignificant, strict=True)
        ]
        rows.append(["all", float(significant.sum()), float(insignificant.sum()), float(mean.sum())])
        return Table("errors", "Errors per report", ("category", "significant", "insignificant", "both"), rows)


_FALSE, _MISSED = ("false_finding",), ("missing_finding",)


def row_counts(judgement: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many findings one row has found, invented and missed: the sums of `prf`."""
    found, invented, missed = map(len, _named(judgement))
    return found, invented, missed


def _named(judgement: Mapping[str, Any]) -> list[list[str]]:
    return [of_evidence(judgement.get("evidence") or (), kinds) for kinds in (_FOUND, _FALSE, _MISSED)]


def of_evidence(evidence: Sequence[Mapping[str, Any]], kinds: Sequence[str]) -> list[str]:
    """Names of the findings that evidence of these kinds is about, each place once."""
    places = {
        (one["finding"], tuple(one["reference"] or ()), tuple(one["candidate"] or ()))
        for one in evidence
        if one["kind"] in kinds and not _STATEMENT.fullmatch(one["finding"])
    }
    return [name for name, _, _ in sorted(places)]


def prf(counts: Floats) -> Floats:
    """Precision, recall and F1 of (found, invented, missed), along the last axis; NaN where nothing is counted."""
    found, invented, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    return np.stack(
        [
            st.divided(found, found + invented),
            st.divided(found, found + missed),
            st.divided(2 * found, 2 * found + invented + missed),
        ],
        axis=-1,
    )
