"""Tables of results, for a terminal, markdown, LaTeX, JSON and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from reward_service.evaluation.statistics import Interval

FORMATS = ("table", "markdown", "latex", "json", "csv")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    c: f"\\{c}" for c in "&%$#_{}"
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Cells are text, numbers, `Interval`s or None; the first column names the row."""

    name: str
    """Its key in JSON and CSV."""
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def without(self, column: str) -> Table:
        """The table without that column, if it has it."""
        kept = [i for i, name in enumerate(self.columns) if name != column]
        rows = [[row[i] for i in kept] for row in self.rows]
        return Table(self.name, self.title, [self.columns[i] for i in kept], rows, self.note)

    def as_json(self) -> list[dict[str, Any]]:
        """A dictionary for each row; an interval is {value, low, high}."""
        return [{name: _plain(cell) for name, cell in zip(self.columns, row, strict=True)} for row in self.rows]


def render(tables: Sequence[Table], format: str, head: Mapping[str, Any]) -> str:
    """All tables in one of `FORMATS`. `head`: what they are about, e.g. the signature."""
    if format == "json":
        content = {**head, **{table.name: table.as_json() for table in tables}}
        return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n"
    if format == "csv":
        return _csv(tables, head)
    comment, draw = {"markdown": ("", _markdown), "latex": ("% ", _latex)}.get(format, ("", _text))
    about = [f"{comment}{name}: {value}" for name, value in head.items()]
    if format == "latex":
        tables = [table.without("distribution") for table in tables]  # its characters are in no font of LaTeX
    return "\n\n".join(["\n".join(about), *(draw(table) for table in tables if table.rows)]) + "\n"


def _plain(cell: Any) -> Any:
    if isinstance(cell, Interval):
        return {name: _plain(number) for name, number in cell._asdict().items()}
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _csv(tables: Sequence[Table], head: Mapping[str, Any]) -> str:
    """One tidy table: table, row, column, value, low, high."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "row", "column", "value", "low", "high"])
    writer.writerows(["about", "", name, value, "", ""] for name, value in head.items())
    for table in tables:
        for row in table.rows:
            for name, cell in zip(table.columns[1:], row[1:], strict=True):
                numbers = [_plain(n) for n in (cell if isinstance(cell, Interval) else (cell, None, None))]
                writer.writerow([table.name, row[0], name, *numbers])
    return out.getvalue()


def shown(cell: Any) -> str:
    """A cell for people: three decimals, intervals in brackets."""
    if isinstance(cell, Interval):
        if math.isnan(cell.low):
            return shown(cell.value)
        return f"{shown(cell.value)} [{cell.low:.3f}, {cell.high:.3f}]"
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}" if abs(cell) >= 0.0005 or cell == 0 else f"{cell:.1e}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)


def _text(table: Table) -> str:
    cells = [list(table.columns), *([shown(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [all(isinstance(row[i], str) for row in table.rows) for i in range(len(widths))]
    lines = [
        "  ".join(
            c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(row, widths, left, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([table.title, *lines, *([table.note] if table.note else [])])


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "---|" + "---:|" * (len(table.columns) - 1)
    rows = [line([shown(cell) for cell in row]) for row in table.rows]
    return "\n".join(
        [f"**{table.title}**", "", line(table.columns), rule, *rows, *(["", table.note] if table.note else [])]
    )


def _latex(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return " & ".join(map(_escaped, cells)) + r" \\"

    rows = [line([shown(cell) for cell in row]) for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(table.title)}{'. ' + _escaped(table.note) if table.note else ''}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\hline",
            line(table.columns),
            r"\hline",
            *rows,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text).replace("–", "--")
