"""What commands print: reports and data, in colour on a terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson
import typer

from reward_service.errors import ConfigurationError

STYLES: dict[str, dict[str, Any]] = {
    "heading": {"bold": True}, "sentence": {"underline": True}, "source": {"dim": True}, "present": {"fg": "green"},
    "absent": {"fg": "red"}, "possible": {"fg": "yellow"}, "hypothetical": {"fg": "blue"},
    "significant": {"fg": "red", "bold": True}, "insignificant": {"fg": "yellow"}, "deduction": {"fg": "magenta"},
    "matched": {"fg": "green"},
}  # fmt: skip
"""How `read` and `explain` show what on a terminal."""


def paint(shown: str, style: str) -> str:
    """In one of `STYLES`."""
    return typer.style(shown, **STYLES[style])


def show(shown: str) -> None:
    """With styles on a terminal, unless NO_COLOR (no-color.org) is set; without elsewhere."""
    typer.echo(shown, color=False if os.environ.get("NO_COLOR") else None)


def text_of(path: str) -> str:
    """The text of a file; ``-`` is standard input. Raises `ConfigurationError`."""
    try:
        with open(0 if path == "-" else path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as UTF-8 text: {error}") from None


def as_data(document: Any) -> None:
    """As JSON."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
