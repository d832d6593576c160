"""Documents that are generated from the code and committed: `openapi.json`, settings, fields and the README's example.

`python -m tools.generate_documents --check` fails when one is out of date, `--write` renews them. The example needs the
encoder and the weights of profile `embedded`; that it is up to date is checked by the test that runs the README.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson

from reward_service.api.app import create_app
from reward_service.settings import Settings, rows

ROOT = Path(__file__).parent.parent
_REQUEST = re.compile(r"<!-- run: request -->\n```bash\n.*? -d '(.*?)'\n```", re.DOTALL)
_ANSWER = re.compile(r"(<!-- answer -->\n```json\n)(.*?)(\n```)", re.DOTALL)
_WIDTH = 220


def openapi() -> str:
    """The OpenAPI document of the application, stable over runs."""
    schema = create_app(Settings()).openapi()
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def settings_table() -> str:
    """Markdown rows of every setting."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    lines += [f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in rows()]
    return "\n".join(lines)


def field_tables(schemas: dict[str, Any]) -> str:
    """Markdown tables of the fields of every model, in the order of their names."""
    parts = []
    for name, schema in sorted(schemas.items()):
        if fields := schema.get("properties"):
            rows = [f"| `{key}` | {_type(field)} | {field['description']} |" for key, field in fields.items()]
            parts.append("\n".join([f"### {name}", "", "| field | type | what it is |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(map(_type, field["anyOf"]))
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    inner = field.get("items") or field.get("additionalProperties")
    outer = {"array": "list", "object": "map"}.get(field.get("type", ""), str(field.get("type", "any")))
    return f"{outer} of {_type(inner)}" if isinstance(inner, dict) else outer


def renewed(page: str, part: str, content: str) -> str:
    """`page` with that generated part of it renewed."""
    begin, end = f"<!-- {part}: generated -->", f"<!-- end of {part} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{content}\n{end}{after}"


def with_answer(page: str) -> str:
    """`page` with the answer to its request renewed, unless nothing but the timing would change."""
    request, shown = _REQUEST.search(page), _ANSWER.search(page)
    if request is None or shown is None:
        raise ValueError("the README shows no request with its answer")
    answer = asyncio.run(_ask(request[1]))
    if {**orjson.loads(shown[2]), "timing_ms": answer["timing_ms"]} == answer:
        return page
    return page[: shown.start(2)] + _pretty(answer) + page[shown.end(2) :]


async def _ask(body: str) -> dict[str, Any]:
    app = create_app(Settings(profiles=("embedded",), log_level="error"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60) as client,
    ):
        while (await client.get("/ready")).is_error:  # noqa: ASYNC110 - as a user would: loading is not shown as waiting
            await asyncio.sleep(0.1)
        headers = {"content-type": "application/json"}
        answer: dict[str, Any] = (await client.post("/score", content=body, headers=headers)).json()
        return answer


def _pretty(value: Any, indent: str = "") -> str:
    """JSON that opens what does not fit in a line."""
    flat = json.dumps(value)
    if not value or not isinstance(value, dict | list) or (indent and len(indent + flat) <= _WIDTH):
        return flat
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f'{inner}"{key}": {_pretty(entry, inner)}' for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _pretty(entry, inner) for entry in value) + f"\n{indent}]"


def main(mode: str) -> int:
    """Exit status: 1 when `--check` finds a stale document."""
    page = ROOT / "README.md"
    readme = renewed(page.read_text(encoding="utf-8"), "settings", settings_table())
    schema = openapi()
    fields = field_tables(orjson.loads(schema)["components"]["schemas"])
    reference = ROOT / "docs" / "api.md"
    wanted = {
        ROOT / "openapi.json": schema,
        page: with_answer(readme) if mode == "--write" else readme,
        reference: renewed(reference.read_text(encoding="utf-8"), "fields", fields),
    }
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if mode == "--write":
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
        return 0
    for path in stale:
        sys.stderr.write(f"{path.name} is out of date; run `make documents`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else "--check"))
