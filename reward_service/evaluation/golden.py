"""`reward-service check --golden FILE`: do the models read texts as the published packages do?

FILE is JSONL. A line holds a ``text`` and what was made of it elsewhere, one or both of:

- ``radgraph``: the annotation as the package `radgraph` 0.1.18 writes it for one report;
- ``chexbert``: an object from each of CheXbert's fourteen labels to 1 (positive), 0 (negative), -1 (uncertain) or
  blank, as in the file that CheXbert's own labeller writes; a blank is null, NaN or an empty text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from metrics.chexbert import BLANK, LABELS, NEGATIVE, POSITIVE, UNCERTAIN, Reading
from metrics.radgraph.annotation import Annotation
from reward_service.errors import InvalidRequest

_CLASSES = {BLANK: None, POSITIVE: 1, NEGATIVE: 0, UNCERTAIN: -1}
_NAMES = {None: "blank", 1: "positive", 0: "negative", -1: "uncertain"}
_SHOWN = 5  # differences that are printed of one component


class _Entity(BaseModel):
    """One entity as the package writes it."""

    model_config = ConfigDict(strict=True)

    tokens: str
    label: str
    start_ix: int
    end_ix: int
    relations: list[tuple[str, str]]


class _Annotation(BaseModel):
    model_config = ConfigDict(strict=True)

    text: str
    entities: dict[str, _Entity]


class Golden(NamedTuple):
    """One line of the file."""

    line: int
    text: str
    radgraph: Mapping[str, Any] | None
    chexbert: Mapping[str, Any] | None


def read_golden(path: str) -> list[Golden]:
    """The lines of `path`. Raises `InvalidRequest` that names the line at fault."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.", param="--golden") from None
    found = [_line(raw, number) for number, raw in enumerate(lines, 1) if raw.strip()]
    if not found:
        raise InvalidRequest(f"{path}: there is no line in it.", param="--golden")
    return found


def _line(raw: bytes, number: int) -> Golden:
    def wrong(what: str) -> InvalidRequest:
        return InvalidRequest(f"Line {number}: {what}.", param="--golden")

    try:
        entry = json.loads(raw.decode("utf-8-sig"))  # with the NaN that pandas writes, which orjson refuses
    except (ValueError, RecursionError) as error:
        raise wrong(f"is not JSON: {getattr(error, 'msg', 'not UTF-8, or nested too deeply')}") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise wrong("needs a 'text'")
    radgraph, labels = entry.get("radgraph"), entry.get("chexbert")
    if radgraph is None and labels is None:
        raise wrong("needs 'radgraph', 'chexbert' or both")
    if radgraph is not None:
        try:
            _Annotation.model_validate_json(json.dumps(radgraph))
            Annotation.from_json(radgraph)
        except (KeyError, ValueError):
            raise wrong("'radgraph' is not an annotation as the package radgraph writes it for one report") from None
    if labels is not None and (not isinstance(labels, dict) or set(labels) != set(LABELS)):
        raise wrong(f"'chexbert' needs these labels: {', '.join(LABELS)}")
    if labels is not None:
        labels = {label: None if value == "" or value != value else value for label, value in labels.items()}
        if not all(value is None or value in (1, 0, -1) for value in labels.values()):
            raise wrong("a label of 'chexbert' is 1, 0, -1 or blank")
    return Golden(number, entry["text"], radgraph, labels)


def compare_golden(component: str, metric: Any, golden: Sequence[Golden]) -> list[str]:
    """What to print of one component: "ok", or the first lines of the file that differ; empty when none is about it.

    `component`: the registry name of `metric`, which is loaded by this. Texts are read as they are in the file.
    """
    field, difference = _DIFFERENCES.get(component, ("", None))
    asked = [line for line in golden if difference and getattr(line, field) is not None]
    if not asked or difference is None:
        return []
    readings = metric.encode([line.text for line in asked])
    differing = [
        f"WRONG: line {line.line}: {what}"
        for line, reading in zip(asked, readings, strict=True)
        if (what := difference(getattr(line, field), reading))
    ]
    if not differing:
        return [f"ok: {len(asked)} texts as in the file"]
    more = len(differing) - _SHOWN
    return differing[:_SHOWN] + ([f"WRONG: {more} more of {len(asked)} lines"] if more > 0 else [])


def _annotation_difference(wanted: Mapping[str, Any], got: Annotation) -> str | None:
    ours, theirs = _graph(got), _graph(Annotation.from_json(wanted))
    lacking, extra = sorted(theirs - ours), sorted(ours - theirs)
    if not lacking and not extra:
        return None
    spans = "; ".join(
        f"{name} {list(entries[0][:3])}" for name, entries in (("lacks", lacking), ("adds", extra)) if entries
    )
    return f"{len(lacking)} entities are lacking, {len(extra)} are too much: {spans}"


def _graph(annotation: Annotation) -> set[tuple[int, int, str, tuple[tuple[str, int, int], ...]]]:
    """Entities by their words' numbers, with the relations that begin there; texts themselves are not compared."""
    entities = annotation.entities
    return {
        (e.start, e.end, e.label, tuple(sorted((kind, entities[t].start, entities[t].end) for kind, t in e.relations)))
        for e in entities
    }


def _label_difference(wanted: Mapping[str, Any], got: Reading) -> str | None:
    ours = {label: _CLASSES[each] for label, each in zip(LABELS, got.classes, strict=True)}
    differing = [
        f"{label} is {_NAMES[ours[label]]}, not {_NAMES[wanted[label]]}"
        for label in LABELS
        if ours[label] != wanted[label]
    ]
    return "; ".join(differing) or None


_DIFFERENCES: dict[str, tuple[str, Callable[[Mapping[str, Any], Any], str | None]]] = {
    "radgraph_f1": ("radgraph", _annotation_difference),
    "semb_score": ("chexbert", _label_difference),
}
