"""Where records go: a file that is complete or not there, resumed where it was interrupted, in three formats.

Records are always collected as JSONL in `OUT.partial`; `OUT.partial.run` says what run they belong to. At the end the
file gets its name, or is turned into CSV or Parquet. So every format is resumed in the same way.
"""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

import orjson

from reward_service.errors import InvalidRequest
from reward_service.evaluation import records
from reward_service.evaluation.reading.entries import Entry
from reward_service.evaluation.reading.formats import pyarrow_for

_BATCH_ROWS = 1024
_INTEGER_BITS = 63
"""Larger numbers, e.g. ids without a sign, are text in a table."""
_OF_ONE_ANSWER = ("results", "groups", "timing_ms")


class Output:
    """One output; use as a context manager. `run`: what the rows depend on besides the fingerprint, plain JSON.

    Raises `InvalidRequest` when it cannot be written, or when another run's rows wait to be continued there.
    """

    def __init__(self, name: str, run: Mapping[str, Any], *, restart: bool = False) -> None:
        self.name = name
        self.done = 0
        """Entries whose records were there already."""
        self.nulls = 0
        self.answer: dict[str, Any] = {}
        """What is common to all answers, e.g. fingerprint and signature; empty before the first one."""
        self._settings = dict(run)
        self._resumes = False
        path = Path(name)
        self._whole: Path | None = None if name == "-" or (path.exists() and not path.is_file()) else path
        self._partial, self._run = Path(f"{name}.partial"), Path(f"{name}.partial.run")
        self._kind = path.suffix.lower() if path.suffix.lower() in (".csv", ".tsv", ".parquet") else ".jsonl"
        if path.suffix.lower() in (".gz", ".zst", ".xlsx"):
            raise InvalidRequest(f"{name}: the output is JSONL, CSV or Parquet, by its ending.", param="--output")
        if self._kind == ".parquet":
            pyarrow_for("Parquet files")
        self._file: IO[bytes] | None = None
        if self._whole is not None and not restart and self._partial.is_file() and self._run.is_file():
            self._take_up()

    def _take_up(self) -> None:
        try:
            begun = orjson.loads(self._run.read_bytes())
        except (OSError, ValueError):
            return  # killed while it was written, before the first record
        differs = [key for key, value in self._settings.items() if begun["run"].get(key) != value]
        if differs:
            raise InvalidRequest(
                f"{self._partial} holds rows of an interrupted run of another kind (differs: {', '.join(differs)}). "
                "Run that one again to finish it, or begin anew with --restart.",
                param="--output",
            )
        self.answer = begun["answer"]
        self._resumes = True

    @property
    def resumes(self) -> bool:
        """Whether rows of an interrupted run wait to be continued."""
        return self._resumes

    def skip(self, entries: Iterator[Entry]) -> None:
        """Pass over the entries whose records are there; what was cut off in the middle is scored again."""
        if not self.resumes:
            return
        keep = 0
        with self._written(), self._partial.open("r+b") as file:
            for line in file:
                try:
                    record = records.of_line(line) if line.endswith(b"\n") else None
                except ValueError:
                    record = None
                if record is None:
                    break
                entry = next(entries, None)
                if entry is None or entry.id != record["id"]:
                    raise InvalidRequest(f"{self._partial} has other rows than the input; --restart begins anew.")
                self.nulls += records.nulls(record)
                self.done += 1
                keep += len(line)
            file.truncate(keep)

    def earlier(self) -> Iterator[dict[str, Any]]:
        """The records of the interrupted run, after `skip`."""
        with self._partial.open("rb") as file:
            yield from map(records.of_line, islice(file, self.done))

    def write(self, record: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Append a record, which is of this answer."""
        self.append(records.line(record), record, answer)

    def append(self, line: bytes, record: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """As `write`, for a record that has been made a line of JSONL."""
        self.answer = self.answer or {key: value for key, value in answer.items() if key not in _OF_ONE_ANSWER}
        with self._written():
            if self._file is None:
                self._open()
            assert self._file is not None
            self._file.write(line)
        self.nulls += records.nulls(record)

    def flush(self) -> None:
        """Everything written so far outlives this process."""
        if self._file is not None:
            with self._written():
                self._file.flush()

    def _open(self) -> None:
        if self._whole is None:
            self._file = sys.stdout.buffer if self.name == "-" else Path(self.name).open("wb")  # noqa: SIM115
            return
        if not self.resumes:
            self._partial.unlink(missing_ok=True)
            self._run.write_bytes(orjson.dumps({"run": self._settings, "answer": self.answer}))
        self._file = self._partial.open("ab")

    def finish(self) -> None:
        """Give the complete output its name."""
        self.close()
        if self._whole is None:
            return
        with self._written():
            if not self._partial.exists():  # nothing to score
                self._partial.touch()
            if self._kind != ".jsonl":
                made = Path(f"{self.name}.made")
                try:
                    (_to_parquet if self._kind == ".parquet" else _to_csv)(self._partial, made)
                    made.replace(self._whole)
                finally:
                    made.unlink(missing_ok=True)
                self._partial.unlink()
            else:
                self._partial.replace(self._whole)
            self._run.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep what is there, for another run to continue."""
        file, self._file = self._file, None
        if file is not None:
            with self._written():
                file.flush()
                if file is not sys.stdout.buffer:
                    file.close()

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except (TimeoutError, ConnectionError):  # no fault of the file's
            raise
        except OSError as error:
            kept = " The rows before are kept; the same command continues." if self._partial.exists() else ""
            raise InvalidRequest(f"{self.name}: {error.strerror}.{kept}", param="--output") from None


def write_whole(name: str, content: bytes) -> None:
    """A small file, complete or not there; `-` for standard output. Raises `InvalidRequest` where that cannot be."""
    if name == "-":
        sys.stdout.buffer.write(content)
        return
    partial = Path(f"{name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(name)
    except OSError as error:
        raise InvalidRequest(f"{name}: {error.strerror}.", param="--output") from None


def rows_of(jsonl: Path) -> Iterator[dict[str, Any]]:
    """Flat rows of a file of records."""
    with jsonl.open("rb") as file:
        for line in file:
            yield from records.flat(records.of_line(line))


def _column_types(jsonl: Path) -> dict[str, type]:
    """Name -> type of every column, in the order of first use; mixed ones are text."""
    found: dict[str, type] = {}
    for row in rows_of(jsonl):
        for name, value in row.items():
            kind = str if isinstance(value, int) and value.bit_length() > _INTEGER_BITS else type(value)
            known = found.setdefault(name, kind)
            if value is None or known is kind:
                continue
            if known is type(None):
                found[name] = kind
            else:
                found[name] = float if {known, kind} <= {int, float} else str
    return found


def _to_csv(jsonl: Path, made: Path) -> None:
    columns = list(_column_types(jsonl))
    delimiter = "\t" if made.name.endswith(".tsv.made") else ","
    with made.open("w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, columns, delimiter=delimiter, lineterminator="\n")
        table.writeheader()
        table.writerows(rows_of(jsonl))


def _to_parquet(jsonl: Path, made: Path) -> None:
    arrow = pyarrow_for("Parquet files")
    types = {float: arrow.float64(), int: arrow.int64(), bool: arrow.bool_()}
    kinds = _column_types(jsonl)
    schema = arrow.schema([(name, types.get(kind, arrow.string())) for name, kind in kinds.items()])
    with arrow.parquet.ParquetWriter(made, schema) as out:
        batch: list[dict[str, Any]] = []
        for row in rows_of(jsonl):
            batch.append({name: _as(kinds[name], value) for name, value in row.items()})
            if len(batch) == _BATCH_ROWS:
                out.write_batch(arrow.RecordBatch.from_pylist(batch, schema))
                batch = []
        out.write_batch(arrow.RecordBatch.from_pylist(batch, schema))


def _as(kind: type, value: Any) -> Any:
    return value if value is None or kind is type(value) or kind in (int, bool) else kind(value)
