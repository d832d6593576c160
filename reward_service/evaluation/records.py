"""One record of an output: an entry with its results, and the same as flat rows of a table and back."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson

from metrics.bleu import Bleu2
from reward_service.evaluation.reading.entries import Entry
from reward_service.scoring.references import best
from reward_service.wire.rendering import spread

OURS = (
    *("id", "group", "reward", "status", "flags", "missing", "components", "contributions", "values", "judgement"),
    "reason",
    *("bleu_counts", "reference_index", "reference_digest", "results", "mean", "std", "zero_advantage", "fingerprint"),
    *("candidate", "candidates", "reference", "references", "prior"),
)
"""Fields of a record that are not carried over from the input."""
_NESTED = ("components", "contributions")  # in a table: a column for each of their keys
_ENCODED = ("flags", "missing", "values", "judgement", "bleu_counts", "references")  # in a table: JSON in a cell
_NUMBERS = ("reward", "mean", "std")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKENS = Bleu2()
_ORDER = 4


def of(
    entry: Entry, results: Sequence[Mapping[str, Any]], fingerprint: str, *, full: bool, texts: bool
) -> dict[str, Any]:
    """The record of an entry from the results of its pairs, which lie candidate by candidate.

    What depends on the run rather than on the pair (`cache`) is left out: equal input gives equal bytes.
    `full` adds what corpus BLEU is counted from, `texts` the reports themselves.
    """
    width = len(entry.references)
    paid = [_paid(entry, i, results[i * width : (i + 1) * width], full) for i in range(len(entry.candidates))]
    record: dict[str, Any]
    if entry.grouped:
        members = [{**one, "id": f"{entry.id}/{i}"} for i, one in enumerate(paid)]
        record = {"id": entry.id, "results": members, **spread([one["reward"] for one in paid])}
    else:
        record = {**paid[0], "id": entry.id}
    record["fingerprint"] = fingerprint
    record["reference_digest"] = reference_digest(entry.references)
    if texts:
        record |= {"candidates": entry.candidates} if entry.grouped else {"candidate": entry.candidates[0]}
        record |= {"references": entry.references} if entry.several else {"reference": entry.references[0]}
        record |= {} if entry.prior is None else {"prior": entry.prior}
    carried = entry.carried or {}
    record |= {carried_as(name, carried): value for name, value in carried.items()}
    return record


def carried_as(name: str, carried: Collection[str]) -> str:
    """The name in the output of a column of the input: another one where its own says something of the score.

    `carried`: the names of all columns that are carried.
    """
    free = name
    while free in OURS or free.partition(".")[0] in _NESTED or (free != name and free in carried):
        free = f"input_{free}"
    return free


def _paid(entry: Entry, candidate: int, results: Sequence[Mapping[str, Any]], full: bool) -> dict[str, Any]:
    changing = [any(missing["retryable"] for missing in one["missing"].values()) for one in results]
    chosen = best([one["reward"] for one in results], changing)
    out = {name: value for name, value in results[chosen].items() if name != "cache"}
    if entry.several:
        out["reference_index"] = chosen
    if full:
        out["bleu_counts"] = bleu_counts(entry.candidates[candidate], entry.references)
    return out


def reference_digest(references: Sequence[str]) -> str:
    """Of the texts in any order, 16 hexadecimal digits: equal for studies that were scored with the same references."""
    ends = b"\x00".join(text.encode("utf-8", errors="surrogatepass") for text in sorted(references))
    return hashlib.blake2b(ends, digest_size=8).hexdigest()


def bleu_counts(candidate: str, references: Sequence[str]) -> list[int]:
    """Clipped n-gram matches and n-grams of the candidate for n = 1 to 4, then both lengths in tokens.

    An n-gram matches as often as the reference has it that has it most, and the length is that of the reference
    closest in length, the shorter of two (Papineni et al., ACL 2002, sections 2.1 and 2.2), as in pycocoevalcap.
    Tokens are those of `metrics.bleu`, of the texts as they are in the file.
    """
    ours, *theirs = (tokens(text) for text in (candidate, *references))
    hits = []
    for n in range(1, _ORDER + 1):
        most: Counter[tuple[str, ...]] = Counter()
        for reference in theirs:
            most |= _counted(reference, n)
        hits.append((_counted(ours, n) & most).total())
    length = len(ours)
    closest = min((abs(len(reference) - length), len(reference)) for reference in theirs)[1]
    return [*hits, *(max(0, length - n) for n in range(_ORDER)), length, closest]


def _counted(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def tokens(text: str) -> list[str]:
    """The tokens of `metrics.bleu`."""
    return _TOKENS.encode([text])[0].tokens


def nulls(record: Mapping[str, Any]) -> int:
    """How many of its results have no reward."""
    return sum(one["reward"] is None for one in record.get("results", [record]))


def line(record: Mapping[str, Any]) -> bytes:
    """A record as a line of JSONL."""
    try:
        return orjson.dumps(record, default=str) + b"\n"
    except (orjson.JSONEncodeError, TypeError):  # a lone surrogate in a carried column or a text
        return json.dumps(record, default=str).encode() + b"\n"


def of_line(line: bytes) -> dict[str, Any]:
    """The record that `line` has made a line of."""
    try:
        return dict(orjson.loads(line))
    except orjson.JSONDecodeError:  # a lone surrogate
        return dict(json.loads(line))


def flat(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of a table: one, or one for each member of a group, which then names its `group`."""
    if "results" not in record:
        yield dict(_flattened(record))
        return
    shared = {
        k: v for k, v in record.items() if k not in ("id", "results", "mean", "std", "zero_advantage", "candidates")
    }
    for i, member in enumerate(record["results"]):
        text = {"candidate": record["candidates"][i]} if "candidates" in record else {}
        yield dict(_flattened({"id": member["id"], "group": record["id"], **member, **shared, **text}))


def _flattened(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if name in _NESTED:
            yield from ((f"{name}.{key}", number) for key, number in value.items())
        elif name in _ENCODED or isinstance(value, (dict, list, tuple)):
            yield name, _json(value)
        else:  # half of a pair of code units is no text, and no file but JSON can hold it
            yield name, _SURROGATE.sub("\ufffd", value) if isinstance(value, str) else value


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except (orjson.JSONEncodeError, TypeError):
        return json.dumps(value, default=str)


def unflattened(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record that a row of a table was made of; cells may be text, as in CSV. Raises `ValueError`."""
    record: dict[str, Any] = {}
    for name, value in row.items():
        nest, dot, key = name.partition(".")
        if dot and nest in _NESTED:
            known = _number(value)
            if known is not None or nest == "components":
                record.setdefault(nest, {})[key] = known
        elif name in _ENCODED:
            record |= {name: json.loads(value)} if value else {}
        elif name in _NUMBERS:
            record[name] = _number(value)
        elif name in OURS:
            record |= {} if value in ("", None) else {name: value}
        else:
            record[name] = value
    return record


def _number(value: Any) -> float | None:
    return None if value in ("", None) else float(value)
