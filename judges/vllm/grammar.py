"""A JSON schema as a grammar in GBNF, for servers that know no schema.

The notation is llama.cpp's (grammars/README.md there). It knows what the judge's schemas hold: closed objects whose
properties are all required, lists with a length, enumerations and booleans. Blanks are left out, since none are needed.
"""

from __future__ import annotations

from typing import Any

import orjson


def of(schema: dict[str, Any]) -> str:
    """The grammar. Raises `ValueError` for a schema that holds anything else."""
    return f"root ::= {_rule(schema)}"


def _rule(schema: dict[str, Any]) -> str:
    match schema:
        case {"enum": [*values]}:
            return "(" + " | ".join(_text(orjson.dumps(value).decode()) for value in values) + ")"
        case {"type": "boolean"}:
            return '("true" | "false")'
        case {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}:
            if list(properties) == required:
                members = (_text(f'"{name}":') + " " + _rule(inner) for name, inner in properties.items())
                return '"{" ' + ' "," '.join(members) + ' "}"'
        case {"type": "array", "items": dict(items), "maxItems": int(most)}:
            one = _rule(items)
            more = f' ("," {one}){{0,{most - 1}}}' if most > 1 else ""
            return f'"[" ({one}{more})? "]"'
    raise ValueError("a schema that no grammar is known for")


def _text(text: str) -> str:
    """A terminal: quoted as JSON quotes it, which is also how GBNF does."""
    return orjson.dumps(text).decode()
