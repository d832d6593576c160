"""Tables of results, for a terminal, markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from reward_service.evaluation.naming import Key
from reward_service.evaluation.statistics import Interval

FORMATS = ("table", "markdown", "latex", "json", "csv")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "−": "$-$"} | {
    c: f"\\{c}" for c in "&%$#_{}"
} | {c: f"${c}$" for c in "<>"}  # fmt: skip
_LEAST_P = 0.001
"""Smaller ones are shown as "< .001": with 10,000 resamples the next digits would be those of the resampling."""
_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


class P(float):
    """A p-value."""

    __slots__ = ()


class Estimate(NamedTuple):
    """One system's value in a table of systems."""

    interval: Interval
    best: bool
    """Whether no other system of the table has a better one."""
    p: float
    """Of its difference to the base; NaN for the base."""

    @property
    def stars(self) -> str:
        """One for p < .05, two for p < .01, three for p < .001."""
        return next((stars for most, stars in _STARS if self.p < most), "")


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Cells are text, numbers, `Key`s, `P`s, `Interval`s, `Estimate`s or None.

    The first column names the row.
    """

    name: str
    """Its key in JSON and CSV."""
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    titled: bool = False
    """Whether a terminal shows titles for keys too; markdown and LaTeX, which are for readers, always do."""

    def without(self, column: str) -> Table:
        """The table without that column, if it has it."""
        kept = [i for i, name in enumerate(self.columns) if name != column]
        rows = [[row[i] for i in kept] for row in self.rows]
        return replace(self, columns=[self.columns[i] for i in kept], rows=rows)

    def to_dataframe(self) -> Any:
        """A pandas DataFrame; an interval has three columns. Raises `ImportError` without pandas."""
        import pandas

        return pandas.json_normalize(self.as_json())

    def as_json(self) -> list[dict[str, Any]]:
        """A dictionary for each row; an interval is {value, low, high}."""
        return [{str(name): _plain(cell) for name, cell in zip(self.columns, row, strict=True)} for row in self.rows]


class Tables(list[Table]):
    """Tables in Python: as text when printed, as markdown in a notebook."""

    def __str__(self) -> str:
        return render(self, "table", {}).strip()

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return render(self, "markdown", {}).strip()


Block = tuple[Mapping[str, Any], Sequence[Table]]
"""Tables, and what they are about, e.g. the system and the fingerprint."""


def render(tables: Sequence[Table], format: str, head: Mapping[str, Any]) -> str:
    """All tables in one of `FORMATS`. `head`: what they are about, e.g. the signature."""
    return render_all([(head, tables)], format)


def render_all(blocks: Sequence[Block], format: str) -> str:
    """Tables of several systems one below the other; as JSON a list of what each of them alone would be."""
    if format == "json":
        made = [{**head, **{table.name: table.as_json() for table in tables}} for head, tables in blocks]
        return orjson.dumps(made[0] if len(made) == 1 else made, option=orjson.OPT_INDENT_2).decode() + "\n"
    if format == "csv":
        return _csv(blocks)
    if format != "latex":
        return "\n\n".join(_drawn(_markdown if format == "markdown" else _text, *block) for block in blocks)
    labels = [f"{i}-" if len(blocks) > 1 else "" for i in range(1, len(blocks) + 1)]
    drawn = (_drawn(_latex_as(label), *block, comment="% ") for label, block in zip(labels, blocks, strict=True))
    return "% needs \\usepackage{booktabs}\n" + "\n\n".join(drawn)


def _drawn(draw: Callable[[Table], str], head: Mapping[str, Any], tables: Sequence[Table], comment: str = "") -> str:
    about = [f"{comment}{name}: {value}" for name, value in head.items()]
    return "\n\n".join(["\n".join(about), *(draw(table) for table in tables if table.rows)]) + "\n"


def _plain(cell: Any) -> Any:
    if isinstance(cell, Estimate):
        return {**_plain(cell.interval), "best": cell.best, "p": _plain(cell.p)}
    if isinstance(cell, Interval):
        return {name: _plain(number) for name, number in cell._asdict().items()}
    return (None if math.isnan(cell) else float(cell)) if isinstance(cell, float) else cell


def _csv(blocks: Sequence[Block]) -> str:
    """One tidy table: table, row, column, value, low, high; before them the system where there are several blocks.

    A table of systems has its best and p as further columns.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    several = len(blocks) > 1
    compared = any(isinstance(c, Estimate) for _, tables in blocks for t in tables for row in t.rows for c in row)
    writer.writerow(
        [*["scores"] * several, "table", "row", "column", "value", "low", "high", *["best", "p"] * compared]
    )
    for i, (head, tables) in enumerate(blocks):
        first = [head.get("scores", i)] if several else []
        empty = [""] * (2 * compared)
        writer.writerows([*first, "about", "", name, value, "", "", *empty] for name, value in head.items())
        for table in tables:
            for row in table.rows:
                for name, cell in zip(table.columns[1:], row[1:], strict=True):
                    writer.writerow([*first, table.name, row[0], name, *_numbers(cell), *(_further(cell) or empty)])
    return out.getvalue()


def _numbers(cell: Any) -> list[Any]:
    cell = cell.interval if isinstance(cell, Estimate) else cell
    return [_plain(n) for n in (cell if isinstance(cell, Interval) else (cell, None, None))]


def _further(cell: Any) -> list[Any]:
    return [cell.best, _plain(cell.p)] if isinstance(cell, Estimate) else []


def shown(cell: Any) -> str:
    """A cell for people: three decimals, intervals in brackets."""
    if isinstance(cell, Estimate):
        return f"{'▸' if cell.best else ''}{shown(cell.interval)}{cell.stars}"
    if isinstance(cell, Interval):
        if math.isnan(cell.low):
            return shown(cell.value)
        return f"{shown(cell.value)} [{cell.low:.3f}, {cell.high:.3f}]"
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, P):
        return "< .001" if cell < _LEAST_P else f"{cell:.3f}"
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) >= 0.0005 or cell == 0 else f"{cell:.1e}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _titled(cell: Any) -> str:
    return cell.title if isinstance(cell, Key) else shown(cell)


def _text(table: Table) -> str:
    word = _titled if table.titled else shown
    cells = [[word(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [all(isinstance(row[i], str) for row in table.rows) for i in range(len(widths))]
    lines = [
        "  ".join(
            c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in cells
    ]
    note = table.note.replace("Bold: ", "▸: ")
    return "\n".join([table.title, *lines, *([note] if note else [])])


def _markdown(table: Table) -> str:
    def word(cell: Any) -> str:
        if isinstance(cell, Estimate):
            value = f"**{shown(cell.interval.value)}**" if cell.best else shown(cell.interval.value)
            stars = cell.stars.replace("*", "\\*")
            return f"{value}{_behind(cell.interval)}{stars}"
        return _titled(cell).replace("|", "\\|")

    def line(cells: Sequence[Any]) -> str:
        return "| " + " | ".join(map(word, cells)) + " |"

    rule = "|" + "---|" + "---:|" * (len(table.columns) - 1)
    note = table.note.replace("*", "\\*")
    return "\n".join(
        [f"**{table.title}**", "", line(table.columns), rule, *map(line, table.rows), *(["", note] if note else [])]
    )


def _behind(interval: Interval) -> str:
    """The interval's ends, behind a value that is set apart."""
    return shown(interval).removeprefix(shown(interval.value))


def _latex_as(label: str) -> Callable[[Table], str]:
    return lambda table: _latex(table, label)


def _latex(table: Table, label: str) -> str:
    """With the rules of booktabs, and `label` before the table's own."""
    table = table.without("distribution")  # its characters are in no font of LaTeX

    def word(cell: Any) -> str:
        if isinstance(cell, Estimate):
            value = _escaped(shown(cell.interval.value))
            value = rf"\textbf{{{value}}}" if cell.best else value
            return f"{value}{_escaped(_behind(cell.interval))}" + (f"$^{{{cell.stars}}}$" if cell.stars else "")
        return _escaped(_titled(cell))

    def line(cells: Sequence[Any]) -> str:
        return " & ".join(map(word, cells)) + r" \\"

    about = f"{_escaped(table.title)}. {_escaped(table.note)}" if table.note else _escaped(table.title)
    named = re.sub(r"[^a-zA-Z0-9]+", "-", f"{label}{table.name}").strip("-")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{about}}}",
            rf"\label{{tab:{named}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            line(table.columns),
            r"\midrule",
            *map(line, table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)
