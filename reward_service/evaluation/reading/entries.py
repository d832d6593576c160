"""Entries: what one record of a file asks to be scored, validated; and the check of whole files before scoring."""

from __future__ import annotations

import hashlib
import json
import math
import re
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import orjson

from reward_service.errors import InvalidRequest, did_you_mean, quoted
from reward_service.evaluation.reading.columns import AND, Columns, WrongColumns, likely, parts
from reward_service.evaluation.reading.formats import DELIMITED, Row, Source, rows

_NOTHING = {"nan", "NaN", "<NA>", "NULL", "null"}
"""How programs write a missing value as text; no report consists of one of these words."""
_LIKE_A_LIST = re.compile(r"""\s*\[\s*["'\]]""")
"""Python's own way to write a list, with single quotes, is meant as one too."""
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: the pairs of every candidate with every reference are scored, a candidate is paid for its best."""

    place: str
    id: str
    candidates: tuple[str, ...]
    references: tuple[str, ...]
    prior: str | None = None
    grouped: bool = False
    """Rollouts of one study: the candidates were given as a list."""
    several: bool = False
    """The references were given as a list."""
    carried: dict[str, Any] | None = None
    """Columns without a role, for the output."""

    @property
    def pairs(self) -> int:
        return len(self.candidates) * len(self.references)


class Census(NamedTuple):
    """What the check of whole files has counted."""

    entries: int
    pairs: int
    digest: str
    """Of all ids, texts and carried columns in order."""


@dataclass(slots=True)
class Input:
    """Files to score, and how to read them. `check` first; `entries` then streams them."""

    sources: Sequence[Source]
    columns: Columns
    allow_empty: bool = False
    """An empty cell is an empty report, which is scored, instead of a fault of the file."""
    system: str | None = None
    """Column that says which system a row is of: ids are unique within one."""

    def entries(self) -> Iterator[Entry]:
        """Entries in order; memory does not grow with them. Raises `InvalidRequest` naming line and column."""
        for source in self.sources:
            for row in rows(source):
                yield self.entry(row, delimited=source.format in DELIMITED)

    def check(self) -> Census:
        """Read everything once. Raises `InvalidRequest` with the first problems, and for ids that repeat.

        8 bytes a row are kept, for the ids.
        """
        problems: dict[str, list[str]] = {}
        pairs = 0
        ids = array("Q")
        digest = hashlib.blake2b(digest_size=16)
        for source in self.sources:
            for row in rows(source):
                try:
                    entry = self.entry(row, delimited=source.format in DELIMITED)
                    key = self._key(entry)
                except InvalidRequest as error:
                    wrong = error.__cause__
                    if isinstance(wrong, WrongColumns) and source.format not in ("json", "jsonl"):
                        raise InvalidRequest(f"{source.called}: {wrong.message}", param="IN") from None
                    # Lines of JSON have names of their own; what many of them lack is said once.
                    said = wrong.message if isinstance(wrong, WrongColumns) else error.message
                    problems.setdefault(said, []).append(row.place if said != error.message else "")
                    continue
                ids.append(int.from_bytes(hashlib.blake2b(_utf8(key), digest_size=8).digest(), "little"))
                pairs += entry.pairs
                digest.update(_digested(entry))
        if problems:
            more = f" And {len(problems) - _SHOWN} more." if len(problems) > _SHOWN else ""
            shown = [_said(what, places) for what, places in list(problems.items())[:_SHOWN]]
            raise InvalidRequest(" ".join(shown) + more, param="IN")
        self._refuse_duplicates(ids)
        return Census(len(ids), pairs, digest.hexdigest())

    def _refuse_duplicates(self, ids: array[int]) -> None:
        hashes = np.frombuffer(ids, np.uint64) if len(ids) else np.zeros(0, np.uint64)
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        if not len(same):
            return
        second = int(order[same + 1].min())
        first = int(np.flatnonzero(hashes == hashes[second])[0])
        found = {i: entry for i, entry in enumerate(self.entries()) if i in (first, second)}
        more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
        raise InvalidRequest(
            f"{found[second].place} repeats an earlier id, that of {found[first].place[:1].lower()}"
            f"{found[first].place[1:]}{more}; ids must be unique. With --id-field none the lines are numbered instead, "
            "and the column is carried to the output. Where one file has several systems: --system COLUMN.",
            code="duplicate_id",
            param="IN",
        )

    def _key(self, entry: Entry) -> str:
        """What must be unique. Raises `InvalidRequest` for a row without the column of systems."""
        if self.system is None:
            return entry.id
        carried = entry.carried or {}
        if self.system not in carried:
            wrong = WrongColumns(f"there is no column '{self.system}'.{did_you_mean(self.system, carried)}")
            raise InvalidRequest(f"{entry.place}: {wrong.message}", param="--system") from wrong
        return f"{carried[self.system]}\0{entry.id}"

    def entry(self, row: Row, *, delimited: bool = False) -> Entry:
        """One row. `delimited`: an empty text is a missing one. Raises `InvalidRequest` naming place and column."""
        place = row.place
        fields = row.fields
        try:
            roles = self.columns.of(fields)
            lacking = [role for role in ("candidate", "reference") if role not in roles]
            if lacking:
                raise WrongColumns(_lacking(lacking, fields, roles.values(), delimited=delimited))
            candidate, reference = (_of_columns(fields, roles[role]) for role in ("candidate", "reference"))
            reference = _listed(reference, roles["reference"], required=True)
            if delimited:
                plural = roles["candidate"].lower().endswith("s")
                candidate = _listed(candidate, roles["candidate"], required=plural)
            used = {part for name in roles.values() for part in parts(name, fields)}
            grouped, several = isinstance(candidate, list), isinstance(reference, list)
            return Entry(
                place,
                _id(fields[roles["id"]] if "id" in roles else None, place),
                self._texts(candidate, roles["candidate"], delimited),
                self._texts(reference, roles["reference"], delimited),
                _optional(_of_columns(fields, roles["prior"]), roles["prior"]) if "prior" in roles else None,
                grouped,
                several,
                {name: value for name, value in fields.items() if name not in used},
            )
        except InvalidRequest as error:
            raise InvalidRequest(f"{place}: {error.message}", param="IN") from error

    def _texts(self, value: Any, name: str, delimited: bool) -> tuple[str, ...]:
        if not isinstance(value, list):
            return (self._text(value, name, delimited),)
        if not value:
            raise InvalidRequest(f"{name}: the list is empty.")
        return tuple(self._text(text, f"{name}[{i}]", delimited) for i, text in enumerate(value))

    def _text(self, value: Any, name: str, delimited: bool) -> str:
        absent = _absent(value) or (delimited and _blank(value))
        if absent and self.allow_empty:
            return ""
        if absent:
            what = "empty" if value is None or _blank(value) else "NaN"
            raise InvalidRequest(f"{name}: is {what}. If the report is meant to be empty: --allow-empty.")
        if isinstance(value, dict):  # a report as an object, a FHIR resource for one, is read as its JSON is
            return orjson.dumps(value).decode()
        if not isinstance(value, str):
            raise InvalidRequest(f"{name}: must be text, not {type(value).__name__}.")
        return value


def _of_columns(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or the texts of several one below the other; what is empty of them is left out."""
    named = parts(name, fields)
    if len(named) == 1:
        return fields[named[0]]
    values = [fields[part] for part in named]
    strange = next(
        (part for part, value in zip(named, values, strict=True) if not (isinstance(value, str) or _absent(value))), ""
    )
    if strange:
        raise InvalidRequest(f"{strange}: must be text to be joined with others, not {type(fields[strange]).__name__}.")
    said = [value.strip() for value in values if not (_absent(value) or _blank(value))]
    return "\n".join(said) if said else None


def _said(what: str, places: Sequence[str]) -> str:
    """A problem with the first place that has it, where it does not name one itself."""
    more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
    return f"{places[0]}{more}: {what}" if places[0] else what


def _lacking(roles: Sequence[str], fields: dict[str, Any], taken: Collection[str], *, delimited: bool) -> str:
    named = " and ".join(f"'{role}' ({role}s: a list)" for role in roles)
    shown = ", ".join(quoted(name) for name in list(fields)[:12])  # a file without a header has reports there
    options = " ".join(f"--{role}-field NAME" for role in roles)
    if delimited and len(fields) == 1:
        return f"needs {named}. It has one column: is something else than a comma or tab between the cells?"
    fits = {role: likely(role, [name for name in fields if name not in taken]) for role in roles}
    found = ", ".join(f"--{role}-field {quoted(name)}" for role, names in fits.items() for name in names[:4])
    if "reference" in roles and {"findings", "impression"} <= {name.lower() for name in fields}:
        halves = sorted((name for name in fields if name.lower() in ("findings", "impression")), key=str.lower)
        found = f"--reference-field {AND.join(halves)}" + (f", {found}" if found else "")
    perhaps = f" Likely: {found.replace(chr(39), '')}." if found and "(not shown)" not in found else ""
    return f"needs {named}. It has: {shown}. Say which it is: {options}.{perhaps}"


def _absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or (
        isinstance(value, str) and value.strip() in _NOTHING
    )  # fmt: skip


def _blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _listed(value: Any, name: str, *, required: bool) -> Any:
    """The list that a text writes as JSON; other texts as they are, so ``[Preliminary] Clear.`` is a report.

    What begins like a list and is none is refused where it is `required`; elsewhere it is a text, for a model may have
    written it.
    """
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        if not required or not _LIKE_A_LIST.match(value):
            return value
        raise InvalidRequest(
            f"{name}: looks like a list and is no JSON: {error.msg}. Write it as "
            '["first report", "second report"], or a report that begins so as a list of one.'
        ) from None


def _id(value: Any, place: str) -> str:
    if _absent(value) or _blank(value):
        return place.lower().replace(" ", "-")
    if isinstance(value, float) and value.is_integer():  # an integer column with gaps, as pandas stores it
        value = int(value)
    return str(value)


def _optional(value: Any, name: str) -> str | None:
    if _absent(value) or _blank(value):
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"{name}: must be text, not {type(value).__name__}.")
    return value


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def _digested(entry: Entry) -> bytes:
    texts = (entry.id, *entry.candidates, "", *entry.references, entry.prior or "", str(entry.grouped))
    carried = json.dumps(entry.carried, default=str, sort_keys=True).encode() if entry.carried else b""
    return b"\x00".join([*map(_utf8, texts), carried]) + b"\x01"
