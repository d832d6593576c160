"""Rows of a file, one after the other: JSONL, JSON, CSV, TSV, Parquet, Excel, plain or compressed.

CSV is read by Python's own `csv`: unlike faster readers it counts lines, which errors name, and leaves every cell the
text that it is, so that the id 007 stays one. Only JSON arrays, dictionaries of lists and Excel are read whole.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import orjson

from reward_service.errors import ConfigurationError, InvalidRequest, quoted
from reward_service.evaluation.reading.columns import USUAL

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "xlsx"]
Compression = Literal["", "gzip", "zstd"]
DELIMITED: tuple[Format, ...] = ("csv", "tsv", "xlsx")
"""Formats whose cells are text or nothing: an empty one and a missing one are the same there."""

_HEAD_BYTES = 65_536
_BATCH_ROWS = 1024
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_DELIMITERS = (",", ";", "\t", "|")
_SAID = re.compile(r'"?sep=(.)"?\s*')
"""The first line by which Excel is told the delimiter."""
_MAGIC: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Row(NamedTuple):
    """One record of a file."""

    place: str
    """Where it is, for errors: ``Line 7``, ``Row 3``."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose format and encoding are known."""

    path: Path
    name: str
    """As it was given; ``-`` for standard input."""
    format: Format
    compression: Compression
    encoding: str
    delimiter: str = ","
    named: bool = False
    """Errors name the file as well as the line."""

    @property
    def called(self) -> str:
        """What errors about the whole file call it."""
        return "Standard input" if self.name == "-" else self.name

    def place(self, what: str) -> str:
        """``Line 7``, or ``predictions.csv: line 7``."""
        return f"{self.name}: {what[:1].lower()}{what[1:]}" if self.named else what


@contextlib.contextmanager
def opened(names: Sequence[str], encoding: str | None = None, *, named: bool = False) -> Iterator[list[Source]]:
    """The files of these names, ``-`` for standard input, which is kept on disk so that it can be read twice.

    Errors name the file when there are several, or when `named`.

    Raises `InvalidRequest` for a file that cannot be read or whose format is unknown.
    """
    with tempfile.TemporaryDirectory(prefix="reward-service-") as folder:
        found = [_recognised(_spooled(folder) if name == "-" else Path(name), name, encoding) for name in names]
        yield [replace(source, named=named or len(names) > 1) for source in found]


def _spooled(folder: str) -> Path:
    path = Path(folder) / "standard-input"
    with path.open("wb") as out:
        shutil.copyfileobj(sys.stdin.buffer, out)
    return path


def _recognised(path: Path, name: str, encoding: str | None) -> Source:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        packed: list[Compression] = [known for start, known in _MAGIC.items() if magic.startswith(start)]
        compression: Compression = packed[0] if packed else ""
        with _bytes(path, compression) as content:
            head = content.read(_HEAD_BYTES)
            if len(head) == _HEAD_BYTES and b"\n" not in head:  # a first line of JSON may be long
                head += _rest_of_line(content) + content.read(_HEAD_BYTES)
    except (EOFError, gzip.BadGzipFile) as error:
        raise _damaged(name, error) from None
    except OSError as error:
        raise InvalidRequest(f"{name}: {error.strerror or error}.", param="IN") from None
    if magic == _OLD_EXCEL:
        raise InvalidRequest(f"{name} is of an old Excel (.xls). Save it as .xlsx or CSV.", param="IN")
    endings = [ending.lower() for ending in Path(name).suffixes]
    if head.startswith(b"PAR1"):
        return Source(path, name, "parquet", compression, "")
    if head.startswith(b"PK\x03\x04"):
        return Source(path, name, "xlsx", compression, "")
    encoding = _encoding(head, encoding)
    text = head.decode(encoding, errors="replace")
    found = _text_format(text, endings)
    return Source(path, name, found, compression, encoding, _delimiter(text, found) if found in DELIMITED else ",")


def _rest_of_line(content: IO[bytes]) -> bytes:
    """What is left of a line; pyarrow's streams have no `readline`."""
    parts = []
    while part := content.read(_HEAD_BYTES):
        parts.append(part)
        if b"\n" in part:
            break
    return b"".join(parts)


def _delimiter(text: str, found: Format) -> str:
    """What stands between cells: what the file says; else that with which most columns have a usual name, or most."""
    first = text.lstrip("\r\n").partition("\n")[0]
    if said := _SAID.fullmatch(first):
        return said[1]
    usual = {name for names in USUAL.values() for name in names}

    def fits(delimiter: str) -> tuple[int, int, bool]:
        cells = [cell.strip().strip('"').lower() for cell in first.split(delimiter)]
        return sum(cell in usual for cell in cells), len(cells), delimiter == ("\t" if found == "tsv" else ",")

    return max(_DELIMITERS, key=fits)


def _encoding(head: bytes, wanted: str | None) -> str:
    if wanted:
        try:
            "a,\n".encode(wanted).decode(wanted)
            return codecs.lookup(wanted).name
        except (LookupError, UnicodeError):
            raise InvalidRequest(f"There is no encoding '{wanted}'.", param="--encoding") from None
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if head[1:200:2].count(0) > 50:  # half of the bytes of a Western text in UTF-16
        return "utf-16-le"
    return "utf-16-be" if head[:200:2].count(0) > 50 else "utf-8"


def _text_format(head: str, endings: Sequence[str]) -> Format:
    """By content where that is clear, for `.json` may hold lines of JSON; by the name's ending else."""
    start = head.lstrip()
    if start.startswith("["):
        return "json"
    if start.startswith("{"):
        first, _, rest = start.partition("\n")
        lines = bool({".jsonl", ".ndjson"} & set(endings)) or bool(rest.strip())
        try:
            return "json" if _is_table(json.loads(first)) and not lines else "jsonl"
        except ValueError:
            # An object over several lines, unless lines are what the name promises.
            return "jsonl" if {".jsonl", ".ndjson"} & set(endings) or first.rstrip().endswith("}") else "json"
    if {".jsonl", ".ndjson"} & set(endings) or not start:
        return "jsonl"
    if ".csv" in endings:
        return "csv"
    header = start.partition("\n")[0]
    if ".tsv" in endings or ("\t" in header and ".txt" in endings):
        return "tsv"
    if "\t" in header or "," in header or ";" in header:
        return "tsv" if header.count("\t") >= header.count(",") else "csv"
    return "jsonl"


def _is_table(value: Any) -> bool:
    """Whether one line of JSON is a whole table: an object of lists, of objects, or with a list of objects."""
    inner = list(value.values()) if isinstance(value, dict) else []
    by_id = bool(inner) and all(isinstance(each, dict) for each in inner)
    return by_id or bool(_columns(value)) or len(_lists_of_objects(value)) == 1


def _lists_of_objects(value: Any) -> list[list[dict[str, Any]]]:
    values = list(value.values()) if isinstance(value, dict) else []
    return [v for v in values if isinstance(v, list) and v and all(isinstance(each, dict) for each in v)]


def _columns(value: Any) -> list[Any]:
    """The values of a dictionary all of whose values are lists: a table by columns, not one entry."""
    values = list(value.values()) if isinstance(value, dict) else []
    return values if all(isinstance(v, list) for v in values) else []


def rows(source: Source) -> Iterator[Row]:
    """All records of a file, in order. Raises `InvalidRequest` naming the line that cannot be read."""
    read = {"jsonl": _json_lines, "json": _json, "parquet": _parquet, "xlsx": _excel}.get(source.format, _delimited)
    try:
        yield from read(source)
    except (EOFError, gzip.BadGzipFile) as error:
        raise _damaged(source.name, error) from None
    except UnicodeError:
        raise InvalidRequest(
            f"{source.name} is not {source.encoding}. Say what it is: --encoding.", param="IN"
        ) from None
    except OSError as error:
        raise InvalidRequest(f"{source.name}: {error.strerror or error}.", param="IN") from None


def _damaged(name: str, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"{name}: the compressed file is damaged ({error}).", param="IN")


@contextlib.contextmanager
def _bytes(path: Path, compression: Compression) -> Iterator[IO[bytes]]:
    if compression == "zstd":
        arrow = pyarrow_for("Files compressed with zstd")
        with arrow.CompressedInputStream(str(path), "zstd") as stream:
            yield stream
    elif compression == "gzip":
        with gzip.open(path, "rb") as file:
            yield file  # type: ignore[misc]  # GzipFile reads as a binary file does
    else:
        with path.open("rb") as plain:
            yield plain


def pyarrow_for(what: str) -> Any:
    """The library, for `what`. Raises `ConfigurationError` that says how to install it."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigurationError(
            f"{what} need pyarrow. Install it with: pip install 'reward-service[evaluation]'."
        ) from None
    return pyarrow


def _lines(source: Source) -> Iterator[str]:
    """The lines with their ends. Raises `InvalidRequest` for the first that is not in the file's encoding."""
    with _bytes(source.path, source.compression) as content:
        buffered: IO[bytes] = io.BufferedReader(content) if source.compression == "zstd" else content  # type: ignore[type-var]
        if "\n".encode(source.encoding) not in (b"\n", codecs.BOM_UTF8 + b"\n"):  # a letter has several bytes
            lines = io.TextIOWrapper(buffered, source.encoding, newline="\n")
            yield next(lines, "").removeprefix("\ufeff")
            yield from lines
            return
        for number, line in enumerate(buffered, 1):
            try:
                text = line.decode(source.encoding.removesuffix("-sig"))
                yield text.removeprefix("\ufeff") if number == 1 else text
            except UnicodeError as error:
                byte = f" (byte 0x{line[error.start]:02x})" if isinstance(error, UnicodeDecodeError) else ""
                raise InvalidRequest(
                    f"{source.name}: line {number} is not {source.encoding}{byte}. "
                    "It may be Latin-1: --encoding latin-1, or cp1252 if it comes from Windows.",
                    param="IN",
                ) from None


def _json_lines(source: Source) -> Iterator[Row]:
    for number, line in enumerate(_lines(source), 1):
        if not line.strip():
            continue
        place = source.place(f"Line {number}")
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            try:  # a lone surrogate makes its item null, so it is passed on as it is; NaN is named by what reads it
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise InvalidRequest(f"{place} is not JSON: {error.msg}.", param="IN") from None
        if not isinstance(entry, dict):
            raise InvalidRequest(f"{place}: must be an object with named fields.", param="IN")
        yield Row(place, entry)


def _json(source: Source) -> Iterator[Row]:
    try:
        content = json.loads("".join(_lines(source)))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{source.name} is not JSON: {error}.", param="IN") from None
    if isinstance(content, dict):
        content = _of_object(content, source)
    for number, entry in enumerate(content, 1):
        if not isinstance(entry, dict):
            raise InvalidRequest(f"{source.place(f'Entry {number}')}: must be an object with named fields.", param="IN")
        yield Row(source.place(f"Entry {number}"), entry)


def _of_object(content: dict[str, Any], source: Source) -> list[dict[str, Any]]:
    """The entries of an object of lists, of an object of entries by id, or of pandas' object of columns."""
    values = list(content.values())
    if values and all(isinstance(value, dict) for value in values):
        if set(content) & set(USUAL["reference"]):  # pandas: {"prediction": {"0": "...", "1": "..."}}
            content = {name: list(column.values()) for name, column in content.items()}
        else:
            return [{"id": id, **entry} for id, entry in content.items()]
    elif len(nested := _lists_of_objects(content)) == 1:  # {"model": "...", "predictions": [{...}, ...]}
        return nested[0]
    elif not values or not _columns(content):
        raise InvalidRequest(
            f"{source.name}: needs an array of objects, or an object of lists of equal length, or of entries by id.",
            param="IN",
        )
    if len({len(column) for column in content.values()}) > 1:
        lengths = ", ".join(f"{quoted(name)} {len(column)}" for name, column in content.items())
        raise InvalidRequest(f"{source.name}: its lists differ in length: {lengths}.", param="IN")
    return [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]


def _delimited(source: Source) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # the default refuses long reports
    reader = csv.reader(_lines(source), delimiter=source.delimiter, strict=True)
    place = source.place("Line 1")
    try:
        header = [name.strip() for name in next(reader, [])]
        if _SAID.fullmatch(source.delimiter.join(header)):
            header = [name.strip() for name in next(reader, [])]
        _refuse_repeated(header, source)
        place = source.place(f"Line {reader.line_num + 1}")
        for cells in reader:
            if cells:
                if len(cells) != len(header):
                    raise InvalidRequest(
                        f"{place}: has {len(cells)} cells; the header names {len(header)}. "
                        "A text with the delimiter in it must stand in quotes.",
                        param="IN",
                    )
                yield Row(place, dict(zip(header, cells, strict=True)))
            place = source.place(f"Line {reader.line_num + 1}")
    except csv.Error as error:
        raise InvalidRequest(f"{place} is not {source.format.upper()}: {error}.", param="IN") from None


def _refuse_repeated(header: Sequence[str], source: Source) -> None:
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise InvalidRequest(f"{source.name}: the column {repeated[0]!r} stands twice.", param="IN")


def _parquet(source: Source) -> Iterator[Row]:
    arrow = pyarrow_for("Parquet files")
    if source.compression:
        raise InvalidRequest(f"{source.name}: unpack it; Parquet is compressed by itself.", param="IN")
    number = 0
    try:
        with arrow.parquet.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for entry in batch.to_pylist():
                    number += 1
                    yield Row(source.place(f"Row {number}"), entry)
    except arrow.ArrowException as error:
        raise InvalidRequest(f"{source.name} is not Parquet: {error}.", param="IN") from None


def _excel(source: Source) -> Iterator[Row]:
    try:
        import openpyxl
    except ImportError:
        raise ConfigurationError(
            "Excel files need openpyxl. Install it with: pip install 'reward-service[excel]'."
        ) from None
    if source.compression:
        raise InvalidRequest(f"{source.name}: unpack it; Excel files are compressed by themselves.", param="IN")
    with source.path.open("rb") as file:  # of a name openpyxl wants an ending
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as error:
            raise InvalidRequest(
                f"{source.name} is no Excel file ({error}). If it is an archive, unpack it.", param="IN"
            ) from None
        try:
            cells = book.worksheets[0].iter_rows(values_only=True)
            # A column without a name, such as the index that pandas writes, keeps its place and is left out.
            header = {i: str(name).strip() for i, name in enumerate(next(cells, ())) if name is not None}
            _refuse_repeated(list(header.values()), source)
            for number, values in enumerate(cells, 2):
                if any(value is not None for value in values):
                    named = {name: values[i] if i < len(values) else None for i, name in header.items()}
                    yield Row(source.place(f"Line {number}"), named)
        finally:
            book.close()
