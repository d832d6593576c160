"""Files that `reward-service score` has written, as columns of numbers."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from reward_service.errors import InvalidRequest, did_you_mean
from reward_service.evaluation import records
from reward_service.evaluation.measures import CorpusSums, Measure, mean_of
from reward_service.evaluation.naming import Key
from reward_service.evaluation.reading.formats import DELIMITED, Row, opened, rows
from reward_service.evaluation.statistics import Floats


def read(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The scored candidates of these files one after the other; a member of a group names its `group`.

    Raises `InvalidRequest` for a file that holds no scores.
    """
    for record in stored(names):
        yield from candidates(record)


def stored(names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records as they lie in the files, groups whole. Raises `InvalidRequest` for what is no score."""
    with opened(names, named=True) as sources:
        for source in sources:
            tabular = source.format in (*DELIMITED, "parquet")
            for row in rows(source):
                try:
                    record = records.unflattened(row.fields) if tabular else row.fields
                    for one in record.get("results", [record]):
                        one["reward"], one["id"]
                except (ValueError, KeyError, TypeError):
                    raise _no_score(row) from None
                yield record


def system_names(files: Sequence[str], given: Sequence[str] = ()) -> list[str]:
    """What tables call the system of each file: as `given`, else the file's name without folder and endings.

    Files of equal names are numbered. Raises `InvalidRequest` when another number of names than of files is given.
    """
    if given:
        if len(given) != len(files):
            raise InvalidRequest(f"{len(files)} systems and {len(given)} names; as many are needed.", param="--name")
        stems = list(given)
    else:
        stems = [
            "standard input" if file == "-" else Path(file).name.partition(".")[0] or Path(file).name for file in files
        ]
    repeated = {stem for stem in stems if stems.count(stem) > 1}
    return [f"{stem} ({i})" if stem in repeated else stem for i, stem in enumerate(stems, 1)]


def systems(
    files: Sequence[str], names: Sequence[str] = (), *, column: str | None = None, base: str | None = None
) -> list[tuple[str, Iterator[dict[str, Any]]]]:
    """Each system's name and scored candidates: a system a file, or one for each value of `column`.

    `base` names the one that comes first. The files are read once for each value of a column, so that memory does not
    grow with their texts. Raises `InvalidRequest` for a column that a row lacks, and for names that do not fit.
    """
    if column is None:
        found = [(name, read([file])) for file, name in zip(files, system_names(files, names), strict=True)]
    else:
        if "-" in files:
            raise InvalidRequest("Standard input can be read once; with --system give files.", param="--system")
        values = list(dict.fromkeys(of_column(row, column, "--system") for row in read(files)))
        called = system_names(values, names) if names else list(map(str, values))
        found = [(name, _rows_of(files, column, value)) for name, value in zip(called, values, strict=True)]
    if base is None:
        return found
    known = [name for name, _ in found]
    if base not in known:
        raise InvalidRequest(f"There is no system '{base}'.{did_you_mean(base, known, listed=True)}", param="--base")
    return sorted(found, key=lambda system: system[0] != base)


def _rows_of(files: Sequence[str], column: str, value: Any) -> Iterator[dict[str, Any]]:
    return (row for row in read(files) if row[column] == value)


def of_column(record: Mapping[str, Any], column: str, param: str) -> Any:
    """What a row has in a column of its input. Raises `InvalidRequest` that names the likely ones."""
    if column not in record:
        known = [name for name in record if name not in records.OURS]
        carried = did_you_mean(column, known, listed=True) if known else " No column was carried from the input."
        raise InvalidRequest(f"The row '{str(record['id'])[:64]}' has no column '{column}'.{carried}", param=param)
    return record[column]


def _no_score(row: Row) -> InvalidRequest:
    return InvalidRequest(f"{row.place} is not a result of `reward-service score`.", param="SCORES")


def candidates(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A record as it is, or one for each member of a group, with what the group has in common.

    A column of a group that is a list of as many values as candidates has one for each.
    """
    if "results" not in record:
        yield dict(record)
        return
    texts = record.get("candidates")
    shared = {k: v for k, v in record.items() if k not in (*_OF_GROUP, "id", "candidates")}
    for i, member in enumerate(record["results"]):
        own = {name: values[i] for name, values in shared.items() if _for_each(name, values, len(record["results"]))}
        own |= {} if texts is None else {"candidate": texts[i]}
        yield {**shared, **member, **own, "group": record["id"]}


def _for_each(name: str, values: object, count: int) -> bool:
    return name not in records.OURS and isinstance(values, list) and len(values) == count


def document(name: str) -> dict[str, Any]:
    """A file of `reward-service fingerprint --document`. Raises `InvalidRequest`."""
    try:
        found: dict[str, Any] = orjson.loads(Path(name).read_bytes())
        found["components"].keys()
    except OSError as error:
        raise InvalidRequest(f"{name}: {error.strerror}.", param="--document") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidRequest(f"{name} is no document of a fingerprint.", param="--document") from None
    return found


_OF_GROUP = ("results", "mean", "std", "zero_advantage")


@dataclass(slots=True)
class Scores:
    """One system's scores: a row for each candidate. About 8 bytes for each number of a row are kept."""

    name: str
    ids: list[str] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)
    """What is drawn as a whole by the bootstrap: the group, or the value of the column of studies, or the row."""
    fingerprints: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    references: list[str] = field(default_factory=list)
    """`records.reference_digest` of each row's references; empty where it cannot be told."""
    best_of: list[bool] = field(default_factory=list)
    """Whether the row's reward is that of the best of a list of references."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Values of the wanted columns."""
    corpus: CorpusSums = field(default_factory=CorpusSums)
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The rows themselves by id, for those who have asked `of` to keep them."""
    _numbers: dict[str, array[float]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        found: Iterable[Mapping[str, Any]],
        name: str,
        *,
        study: str | None = None,
        by: Sequence[str] = (),
        keep: bool = False,
    ) -> Scores:
        """Raises `InvalidRequest` for a column that a row lacks, and when there is no row."""
        scores = cls(name, columns={column: [] for column in by})
        for record in found:
            scores.add(record, study)
            if keep:
                scores.rows[scores.ids[-1]] = record
        if not scores.ids:
            raise InvalidRequest(f"{name} has no row.", param="SCORES")
        return scores

    def add(self, record: Mapping[str, Any], study: str | None = None) -> None:
        """Take over one row."""
        id = str(record["id"])
        for column in (*self.columns, *([study] if study else [])):
            of_column(record, column, "--study" if column == study else "--by")
        before = len(self.ids)
        self.ids.append(id)
        self.corpus.add(record)
        self.studies.append(str(record[study] if study else record.get("group") or id))
        self.references.append(_references(record))
        self.best_of.append(record.get("reference_index") is not None)
        for column, values in self.columns.items():
            values.append(record[column])
        self.fingerprints[str(record.get("fingerprint"))] += 1
        self.flags.update(record.get("flags") or ())
        self.missing.update(f"{key}: {why['code']}" for key, why in (record.get("missing") or {}).items())
        for name, value in numbers(record):
            kept = self._numbers.get(name)
            if kept is None:
                kept = self._numbers[name] = array("d", [np.nan]) * before
            kept.append(np.nan if value is None else value)
        for kept in self._numbers.values():
            if len(kept) == before:
                kept.append(np.nan)

    def check_ids(self) -> None:
        """Raises `InvalidRequest` when an id stands on several rows: they may be of several systems."""
        if len(set(self.ids)) < len(self.ids):
            first = next(id for id, count in Counter(self.ids).items() if count > 1)
            raise InvalidRequest(
                f"{self.name}: an id stands on several rows (first: {first[:64]}). If they are of several systems, "
                "--system COLUMN takes them apart; summarize and report take them together with --pool.",
                param="SCORES",
            )

    @property
    def metrics(self) -> list[Key]:
        """`reward`, each component, and as ``component.value`` each raw value that the component does not repeat."""
        return [Key(name) for name in self._numbers if not self._repeats(name, name.rpartition(".")[0])]

    def _repeats(self, name: str, component: str) -> bool:
        if component not in self._numbers:
            return False
        return np.array_equal(np.array(self._numbers[name]), np.array(self._numbers[component]), equal_nan=True)

    def matrix(self, metrics: Sequence[str]) -> Floats:
        """(rows, metrics), NaN for null."""
        return np.array([self._numbers[name] for name in metrics], dtype=float).T

    def measures(
        self, rows: Sequence[int], metrics: Sequence[str], wanted: Collection[str] | None = None
    ) -> list[Measure]:
        """Means of these metrics and the values of the corpus, of these rows; `wanted` as in `CorpusSums.measures`."""
        means = [mean_of(metrics, self.matrix(metrics)[list(rows)])] if metrics else []
        return [*means, *self.corpus.measures(rows, wanted)]

    def one_fingerprint(self, anyway: bool = False) -> str:
        """The fingerprint that all rows have. Raises `InvalidRequest` for several, unless `anyway`."""
        if len(self.fingerprints) > 1 and not anyway:
            shown = ", ".join(f"{name[:19]} ({count:,} rows)" for name, count in self.fingerprints.most_common(4))
            raise InvalidRequest(
                f"{self.name}: rows were scored by different reward functions: {shown}. --anyway takes them together.",
                param="SCORES",
            )
        return self.fingerprints.most_common(1)[0][0]


def _references(record: Mapping[str, Any]) -> str:
    texts = record.get("references") or [record.get("reference")]
    known = record.get("reference_digest") or (records.reference_digest(texts) if None not in texts else "")
    return str(known)


def numbers(record: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    """The numbers of a row by name; raw values that a component's own value repeats are left out."""
    components = record.get("components") or {}
    yield "reward", record["reward"]
    yield from components.items()
    for component, values in (record.get("values") or {}).items():
        if len(values) > 1:
            yield from ((f"{component}.{name}", value) for name, value in values.items() if name not in _BITS)


_BITS = ("candidate_labels", "reference_labels")
"""Sets of labels written as numbers: counted by `corpus_values`, and no average of them means anything."""
