"""Values of a file as functions of sums over its rows, so that all of them can be resampled in the same way.

A mean over reports is made of a number and a count for each row. Values of the corpus are no means: each is made of
what its rows add to it, e.g. matches and n-grams for BLEU.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.chexbert import FIVE, LABELS, given_of_sum
from metrics.cider import by_candidate
from reward_service.evaluation import records
from reward_service.evaluation import statistics as st
from reward_service.evaluation.findings import prf, row_counts
from reward_service.evaluation.naming import Key
from reward_service.evaluation.statistics import Floats, Statistic

BLEU: Final = tuple(Key(f"BLEU-{n}") for n in range(1, 5))
CIDER: Final = (Key("CIDEr-D"),)
CHEXBERT: Final = tuple(
    Key(f"f1_chexbert {name}") for name in ("micro_f1_14", "macro_f1_14", "micro_f1_5", "macro_f1_5", "accuracy_5")
)
FINDINGS: Final = (Key("findings F1"),)
CIDER_NOTE: Final = "CIDEr-D: its idf is that of the whole set, also in resamples."


class Measure(NamedTuple):
    """Values that are made of the same sums."""

    keys: tuple[Key, ...]
    sums: Floats
    """(rows, k); NaN where a row lacks what the values are made of."""
    statistic: Statistic

    @property
    def is_mean(self) -> bool:
        """Whether the rows have values of their own, of which these are the means."""
        return self.statistic is st.means

    def values(self) -> Floats:
        """(rows, keys) of a mean: the rows' own values."""
        return self.sums[:, : len(self.keys)]

    def known(self) -> NDArray[np.bool_]:
        """(rows, keys): which rows count for which value."""
        known = ~np.isnan(self.sums)
        return known[:, : len(self.keys)] if self.is_mean else np.repeat(known[:, :1], len(self.keys), axis=1)


def mean_of(keys: Sequence[str], values: Floats) -> Measure:
    """Means of values of shape (rows, keys), NaN for missing ones."""
    return Measure(tuple(map(Key, keys)), np.hstack([values, np.where(np.isnan(values), np.nan, 1.0)]), st.means)


def both(ours: Measure, theirs: Measure) -> tuple[Measure, Measure]:
    """The same values of two systems on the rows, in the same order, that both have."""
    lacking = np.isnan(ours.sums) | np.isnan(theirs.sums)
    first, second = (measure._replace(sums=np.where(lacking, np.nan, measure.sums)) for measure in (ours, theirs))
    return first, second


def joined(measures: Sequence[Measure]) -> tuple[Floats, Statistic]:
    """The sums of several measures side by side, and all their values as one statistic of them."""
    ends = np.cumsum([measure.sums.shape[1] for measure in measures])[:-1]

    def statistic(sums: Floats) -> Floats:
        parts = zip(measures, np.split(sums, ends, axis=-1), strict=True)
        return np.concatenate([measure.statistic(part) for measure, part in parts], axis=-1)

    return np.nan_to_num(np.hstack([measure.sums for measure in measures])), statistic


class CorpusSums:
    """What the values of the corpus are made of, gathered row by row."""

    def __init__(self) -> None:
        self._rows = 0
        self._kept: dict[str, array[float]] = {}
        self._tokens: list[tuple[list[str], list[list[str]]]] = []
        """Of candidate and references, where the rows hold texts."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Take over one row."""
        for name, numbers in _parts(record):
            kept = self._kept.setdefault(name, array("d"))
            kept.extend([math.nan] * (self._rows * len(numbers) - len(kept)))
            kept.extend(numbers)
        self._rows += 1
        references = record.get("references") or [record.get("reference")]
        if isinstance(record.get("candidate"), str) and None not in references:
            told = [tokens for tokens in map(records.tokens, references) if tokens]
            self._tokens.append((records.tokens(record["candidate"]), told))

    @property
    def keys(self) -> list[Key]:
        """The values that the rows have."""
        have = {*self._kept, *(["cider"] if self._tokens and not self.lacks_texts else [])}
        return [key for name, (keys, _, _) in _FAMILIES.items() if name in have for key in keys]

    @property
    def lacks_texts(self) -> bool:
        """Whether only some rows hold texts, so that CIDEr-D is not known."""
        return 0 < len(self._tokens) < self._rows

    def measures(self, rows: Sequence[int] | None = None, wanted: Collection[str] | None = None) -> list[Measure]:
        """What can be told of these rows, by default of all; `wanted`: only what has one of these keys."""
        made = []
        for name, (keys, width, statistic) in _FAMILIES.items():
            if not set(self.keys if wanted is None else wanted) & set(keys) & set(self.keys):
                continue
            if name == "cider":
                made.append(self._cider(rows))
            else:
                sums = np.array(self._kept[name]).reshape(-1, width)
                sums = np.vstack([sums, np.full((self._rows - len(sums), width), np.nan)])
                made.append(Measure(keys, sums if rows is None else sums[rows], statistic))
        return made

    def _cider(self, rows: Sequence[int] | None) -> Measure:
        tokens = self._tokens if rows is None else [self._tokens[i] for i in rows]
        values = np.full((len(tokens), 1), np.nan)
        compared = [i for i, (_, references) in enumerate(tokens) if references]  # nothing is like an empty reference
        if compared:
            values[compared, 0] = by_candidate(*zip(*(tokens[i] for i in compared), strict=True))
        return mean_of(CIDER, values)


def _parts(record: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[float]]]:
    """What one row adds to the values of the corpus, by family."""
    if record.get("bleu_counts") and record["bleu_counts"][-1]:  # an empty reference would only lengthen the candidates
        yield "bleu", record["bleu_counts"]
    if record.get("judgement"):
        yield "findings", row_counts(record["judgement"])
    for given in (record.get("values") or {}).values():
        if "candidate_labels" in given:
            yield "chexbert", _labels(given)
            return


def _labels(given: Mapping[str, float]) -> list[float]:
    ours, theirs = given_of_sum(given["candidate_labels"]), given_of_sum(given["reference_labels"])
    both_give = [float(a and b) for a, b in zip(ours, theirs, strict=True)]
    either = [float(a + b) for a, b in zip(ours, theirs, strict=True)]
    return [*both_give, *either, float(all(ours[i] == theirs[i] for i in FIVE)), 1.0]


def corpus_bleu(sums: Floats) -> Floats:
    """BLEU-1 to BLEU-4 of a corpus (Papineni et al., ACL 2002, section 2.3) from sums of `records.bleu_counts`."""
    hits, grams, candidate, reference = sums[..., :4], sums[..., 4:8], sums[..., 8], sums[..., 9]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(st.divided(hits, grams))
        penalty = np.minimum(0.0, 1 - reference / candidate)
        return np.exp(np.cumsum(logs, -1) / np.arange(1, 5) + penalty[..., None])


def _f1_chexbert(sums: Floats) -> Floats:
    """As `metrics.corpus.f1_chexbert`, from sums of `_labels`."""
    n = len(LABELS)
    found = []
    for columns in (list(range(n)), list(FIVE)):
        both_give, either = sums[..., :n][..., columns], sums[..., n : 2 * n][..., columns]
        found.append(2 * both_give.sum(-1) / np.maximum(either.sum(-1), 1))
        found.append((2 * both_give / np.maximum(either, 1)).mean(-1))
    return np.stack([*found, st.divided(sums[..., -2], sums[..., -1])], axis=-1)


def _findings_f1(sums: Floats) -> Floats:
    return prf(sums)[..., 2:]


_FAMILIES: Final[Mapping[str, tuple[tuple[Key, ...], int, Statistic]]] = {
    "bleu": (BLEU, 10, corpus_bleu),
    "cider": (CIDER, 2, st.means),
    "chexbert": (CHEXBERT, 2 * len(LABELS) + 2, _f1_chexbert),
    "findings": (FINDINGS, 3, _findings_f1),
}
"""Keys, numbers a row and statistic of the values of the corpus."""
