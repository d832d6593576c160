"""Documents that are generated from the code and committed: `openapi.json` and the README's settings table.

`python -m reward_service.documents --check` fails when one is out of date, `--write` renews them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from reward_service.app import create_app
from reward_service.settings import Settings, rows

ROOT = Path(__file__).parent.parent
_BEGIN, _END = "<!-- settings: generated -->", "<!-- end of settings -->"


def openapi() -> str:
    """The OpenAPI document of the application, stable over runs."""
    schema = create_app(Settings()).openapi()
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def settings_table() -> str:
    """Markdown rows of every setting."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in rows()]
    return "\n".join(lines)


def with_settings(page: str) -> str:
    """`page` with its generated part renewed."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{settings_table()}\n{_END}{after}"


def main(mode: str) -> int:
    """Exit status: 1 when `--check` finds a stale document."""
    page = ROOT / "README.md"
    wanted = {ROOT / "openapi.json": openapi(), page: with_settings(page.read_text(encoding="utf-8"))}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if mode == "--write":
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
        return 0
    for path in stale:
        sys.stderr.write(f"{path.name} is out of date; run `make openapi`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else "--check"))
