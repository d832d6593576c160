"""`reward-service report`: what goes into the page, packed so that 5,000 studies fit into a few megabytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np
import orjson

from judges.base import CATEGORIES
from reward_service.evaluation.comparison import compare
from reward_service.evaluation.report import plots
from reward_service.evaluation.scores import Scores
from reward_service.evaluation.statistics import Interval
from reward_service.evaluation.summary import Summary
from reward_service.evaluation.tables import Table, shown
from reward_service.viewer import pair as viewer

_PER_BLOCK = 100


class Studies:
    """What the page keeps of each row, taken while the rows pass to the summary."""

    def __init__(self, name: str, other: Scores | None = None) -> None:
        """`other`: the system that is compared; what it wrote is shown where it has its rows."""
        self.listed: list[dict[str, Any]] = []
        self.lacking = 0
        """Rows without texts."""
        self._name, self._other = name, other
        self._theirs: dict[str, float | None] = {}
        if other is not None:
            self._theirs = dict(zip(other.ids, map(_plain, other.matrix(["reward"])[:, 0]), strict=True))
        self._fragments: list[str] = []
        self.blocks: list[str] = []
        """Fragments of `_PER_BLOCK` studies each, compressed, in base64."""

    def passed(self, rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        """The same rows, remembered."""
        for row in rows:
            self._add(row)
            yield row
        self._pack()

    def _add(self, row: Mapping[str, Any]) -> None:
        at, id = len(self.listed), str(row["id"])
        judgement = row.get("judgement") or {}
        counts = {
            c: sum((judgement.get(kind) or {}).get(c, 0) for kind in ("significant", "insignificant"))
            for c in CATEGORIES
        }
        evidence = judgement.get("evidence") or []
        study = {
            "at": at,
            "id": id,
            "reward": row["reward"],
            "errors": sum(counts.values()) if judgement else None,
            "significant": sum(judgement["significant"].values()) if judgement else None,
            "categories": [c for c, n in counts.items() if n],
            "reason": _why(row, evidence),
            "flags": list(row.get("flags") or ()),
            "findings": sorted({one["finding"] for one in evidence if one["kind"] in CATEGORIES}),
            "codes": sorted({why["code"] for why in (row.get("missing") or {}).values()}),
        }
        if self._other is not None:
            theirs = self._theirs.get(id)
            study["difference"] = None if theirs is None or row["reward"] is None else row["reward"] - theirs
        self.listed.append(study)
        self.lacking += not _has_texts(row)
        self._fragments.append(self._fragment(row, id, at))
        if len(self._fragments) == _PER_BLOCK:
            self._pack()

    def _fragment(self, row: Mapping[str, Any], id: str, at: int) -> str:
        ours = _fragment(row, f"s{at}")
        theirs = self._other.rows.get(id) if self._other is not None else None
        if self._other is None or theirs is None:
            return ours
        titled = ((self._name, row, ours), (self._other.name, theirs, _fragment(theirs, f"o{at}")))
        return "".join(f"<h3>{escape(name)}: {shown(one['reward'])}</h3>{made}" for name, one, made in titled)

    def _pack(self) -> None:
        if self._fragments:
            packed = gzip.compress(orjson.dumps(self._fragments), 6, mtime=0)
            self.blocks.append(base64.b64encode(packed).decode())
            self._fragments = []


def _why(row: Mapping[str, Any], evidence: Sequence[Mapping[str, Any]]) -> str:
    """What cost the study points: the reason, or where the judge has none of them the lowest component."""
    known = {key: value for key, value in (row.get("components") or {}).items() if value is not None}
    if not known or any(one.get("cost") for one in evidence) or row.get("flags") or row.get("missing"):
        return str(row.get("reason") or "")
    lowest = min(known, key=lambda key: known[key])
    return f"No finding is lost; lowest is {lowest}, {shown(known[lowest])}." if known[lowest] < 1 else ""


def _has_texts(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("candidate"), str) and isinstance(_reference(row), str)


def _reference(row: Mapping[str, Any]) -> Any:
    references = row.get("references") or [row.get("reference")]
    return references[int(row.get("reference_index") or 0)]


def _fragment(row: Mapping[str, Any], prefix: str) -> str:
    if _has_texts(row):
        return viewer.pair(row["candidate"], _reference(row), row, prefix)
    return f'<p class="note">The texts are not in the scores: score --with-texts.</p>{viewer.judged(row)}'


class Page:
    """What the file is made of. `other`: another system, compared by id. Raises what `Summary` raises.

    `pool`: an id may stand on several rows.
    """

    def __init__(self, rows: Iterable[dict[str, Any]], name: str, *, other: Scores | None = None,
                 study: str | None = None, by: Sequence[str] = (), pool: bool = False) -> None:  # fmt: skip
        self.studies = Studies(name, other)
        self._name, self._other = name, other
        self._summary = Summary(self.studies.passed(rows), name, study=study, by=by)
        if not pool:
            self._summary.scores.check_ids()

    def html(self, *, seed: int = 0, anyway: bool = False) -> str:
        """The whole file. Raises what `compare` raises."""
        name, other, scores = self._name, self._other, self._summary.scores
        fingerprint = scores.one_fingerprint(anyway)
        tables = self._summary.tables(seed)
        compared = [] if other is None else compare([other, scores], seed=seed, anyway=anyway)
        columns: list[tuple[str, str, int]] = [
            ("reward", "reward", 3),
            ("errors", "errors", 0),
            ("significant", "significant", 0),
        ]
        columns += [] if other is None else [("difference", f"{name} less {other.name}", 3)]
        """Key, title and decimals."""
        listed = self.studies.listed
        sections = [
            ("Summary", "".join(map(_table, tables))),
            *([("Comparison", "".join(map(_table, compared)))] if compared else []),
            ("Plots", f'<div class="plots">{_plots(self._summary, tables, other)}</div>'),
            ("Studies", _list(listed, columns)),
        ]
        body = [
            "<main>",
            f"<h1>{escape(name)}</h1>",
            f'<p class="about">{len(listed):,} candidates. Fingerprint {escape(fingerprint)}</p>',
            _contents([title for title, _ in sections]),
            *(_section(*each) for each in sections),
            "</main>",
        ]
        data = {"studies": listed, "columns": columns, "perBlock": _PER_BLOCK}
        blocks = [_block(f"block{i}", content) for i, content in enumerate(self.studies.blocks)]
        return _document(name, "".join(body), [_block("data", _json(data)), *blocks])


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _plots(summary: Summary, tables: Sequence[Table], other: Scores | None) -> str:
    scores = summary.scores
    names = [name for name in scores.metrics if "." not in name]
    parts = [plots.distribution(name, column) for name, column in zip(names, scores.matrix(names).T, strict=True)]
    for table in tables:
        if table.name.startswith("by_"):
            found = [(str(row[0]), row[2]) for row in table.rows if row[0] != "gap" and isinstance(row[2], Interval)]
            parts.append(plots.intervals(f"reward by {table.columns[0]}", [n for n, _ in found], [i for _, i in found]))
        if table.name == "errors":
            rows = [row for row in table.rows if row[0] != "all"]
            columns = [[row[i] for row in rows] for i in range(3)]
            parts.append(plots.stacked("errors per report: significant, then insignificant", *columns))
    if other is not None:
        theirs = dict(zip(other.ids, other.matrix(["reward"])[:, 0], strict=True))
        x = np.array([theirs.get(id, np.nan) for id in scores.ids])
        title = f"reward: {other.name} across, {scores.name} upwards"
        parts.append(plots.scatter(title, other.name, scores.name, x, scores.matrix(["reward"])[:, 0]))
    return "".join(parts)


def _section(title: str, content: str) -> str:
    id = f"h-{title.lower()}"
    return f'<section aria-labelledby="{id}"><h2 id="{id}">{title}</h2>{content}</section>'


def _contents(titles: Sequence[str]) -> str:
    links = "".join(f'<li><a href="#h-{title.lower()}">{title}</a></li>' for title in titles)
    return f'<nav aria-label="Contents"><ul class="contents">{links}</ul></nav>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    rows = ""
    for row in table.rows:
        cells = "".join(f"<td>{escape(shown(cell))}</td>" for cell in row[1:])
        rows += f'<tr><th scope="row">{_first(table, str(row[0]))}</th>{cells}</tr>'
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title, quote=True)}"><table>'
        f"<caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    )


def _first(table: Table, name: str) -> str:
    """The first cell of a row; a study is a link that opens it in the list."""
    if not table.name.startswith("differences_"):
        return escape(name)
    return f'<a href="#h-studies" data-study="{escape(name, quote=True)}">{escape(name)}</a>'


def _list(studies: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str, int]]) -> str:
    filters = "".join(
        _filter(key, label, sorted({value for study in studies for value in study[key]}))
        for key, label in (
            ("categories", "Error"), ("findings", "Finding"), ("flags", "Flag"), ("codes", "Null because"),
        )
    )  # fmt: skip
    heads = "".join(
        f'<th scope="col"><button data-key="{key}">{escape(label)}</button></th>'
        for key, label, _ in (("id", "id", 0), *columns)
    )
    return (
        '<div class="controls">'
        f'<label>Id<input id="search" type="search"></label>{filters}</div>'
        '<div class="pager"><button id="back">Back</button><button id="on">Next</button>'
        '<span id="status" role="status"></span></div>'
        f'<table id="studies"><thead><tr>{heads}<th scope="col" class="wide">notes</th></tr></thead>'
        "<tbody></tbody></table>"
    )


def _filter(key: str, label: str, values: Sequence[str]) -> str:
    if not values:
        return ""
    options = "".join(
        f'<option value="{escape(value, quote=True)}">{escape(value.replace("_", " "))}</option>' for value in values
    )
    return f'<label>{label}<select data-filter="{key}"><option value="">any</option>{options}</select></label>'


def _json(content: object) -> str:
    """JSON that can stand in a script element: no text can end it."""
    return orjson.dumps(content).decode().replace("<", "\\u003c")


def _block(id: str, content: str) -> str:
    return f'<script type="application/json" id="{id}">{content}</script>'


def _document(title: str, body: str, blocks: Sequence[str]) -> str:
    folder = resources.files("reward_service.evaluation.report")
    style = folder.joinpath("page.css").read_text(encoding="utf-8") + viewer.style()
    script = folder.joinpath("page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}{''.join(blocks)}"
        f"<script>{script}</script></body></html>\n"
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
