"""The folder of a run on a cluster, `OUT.ray`: entries in files, and a file of records for each that has been scored.

`run.json` comes last when a run is begun, and a file of records gets its name when it is complete. So whatever was
killed, a file that is there is whole, and what is left to do is a file of entries without one of records. A file that
is written twice has the same bytes, because scores are functions of the texts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from reward_service.errors import InvalidRequest
from reward_service.evaluation import records
from reward_service.evaluation.reading.entries import Entry
from reward_service.evaluation.reading.formats import Source, rows

_SHARD_PAIRS = 2048
"""Pairs in one file: a second or two of text metrics, so that little is lost with an actor, in few files."""

_FIELDS = [field.name for field in dataclasses.fields(Entry)]


class Begun(NamedTuple):
    """What a run has written down at its beginning."""

    run: Mapping[str, Any]
    """What the records depend on besides the fingerprint."""
    answer: Mapping[str, Any]
    """Fingerprint, signature and profile of all records."""
    sizes: list[int]
    """Entries in each shard."""


class Shards:
    """The shards of one run. The folder is on a file system that all machines of the cluster share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.begun: Begun | None = None
        with contextlib.suppress(FileNotFoundError):
            self.begun = Begun(**orjson.loads((folder / "run.json").read_bytes()))

    def begin(self, entries: Iterable[Entry], run: Mapping[str, Any], answer: Mapping[str, Any]) -> Begun:
        """Write all entries down, instead of whatever is there. Raises `InvalidRequest` where that cannot be."""
        try:
            if self._folder.exists():
                shutil.rmtree(self._folder)
            self._folder.mkdir()
            sizes = [self._spool(number, shard) for number, shard in enumerate(_cut(entries))]
            self.begun = Begun(run, answer, sizes)
            _write(self._folder / "run.json", [orjson.dumps(self.begun._asdict())])
        except OSError as error:
            raise InvalidRequest(f"{self._folder}: {error.strerror}.", param="--output") from None
        return self.begun

    def _spool(self, number: int, shard: list[Entry]) -> int:
        fields = ({name: getattr(entry, name) for name in _FIELDS} for entry in shard)
        _write(self._entries(number), map(records.line, fields))
        return len(shard)

    def left(self) -> list[int]:
        """Numbers of the shards that have no records yet, in order."""
        assert self.begun is not None
        return [number for number in range(len(self.begun.sizes)) if not self._records(number).exists()]

    def entries(self, number: int) -> Iterator[Entry]:
        """The entries of one shard, as they were read from the input."""
        path = self._entries(number)
        for row in rows(Source(path, path.name, "jsonl", "", "utf-8")):
            fields = row.fields
            texts = {name: tuple(fields[name]) for name in ("candidates", "references")}
            yield Entry(**{**fields, **texts})

    def write(self, number: int, lines: Iterable[bytes]) -> None:
        """The records of one shard: all of them, or none."""
        _write(self._records(number), lines)

    def records(self) -> Iterator[bytes]:
        """The lines of all records, in the order of the input."""
        assert self.begun is not None
        for number in range(len(self.begun.sizes)):
            with self._records(number).open("rb") as file:
                yield from file

    def remove(self) -> None:
        """Forget the run; what says that it had begun goes first."""
        (self._folder / "run.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _entries(self, number: int) -> Path:
        return self._folder / f"entries-{number:06}.jsonl"

    def _records(self, number: int) -> Path:
        return self._folder / f"records-{number:06}.jsonl"


def _cut(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    shard: list[Entry] = []
    pairs = 0
    for entry in entries:
        shard.append(entry)
        pairs += entry.pairs
        if pairs >= _SHARD_PAIRS:
            yield shard
            shard, pairs = [], 0
    if shard:
        yield shard


def _write(path: Path, lines: Iterable[bytes]) -> None:
    """Under a name of this process's own until it is complete, so that nobody reads half of it."""
    partial = path.with_name(f"{path.name}.{os.uname().nodename}-{os.getpid()}")
    with partial.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
