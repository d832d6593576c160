"""The ways in which servers are told to keep to a schema: all say the same schema in other fields of a request."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import yaml

from judges.vllm import grammar

_FILE: Final = Path(__file__).parent / "ways.yaml"


class Way(NamedTuple):
    """One row of `ways.yaml`."""

    name: str
    adds: dict[str, Any]

    def word(self, body: bytes) -> bytes:
        """A request with the schema said in this way; one that carries no schema stays as it is."""
        if self.name == known()[0].name:
            return body
        request = orjson.loads(body)
        if "response_format" not in request:
            return body
        schema = request.pop("response_format")["json_schema"]["schema"]
        return orjson.dumps({**request, **_filled(self.adds, schema)})


@functools.cache
def known() -> tuple[Way, ...]:
    """All ways, in the order in which they are tried; the first is how requests are made."""
    return tuple(Way(**row) for row in yaml.safe_load(_FILE.read_text("utf-8")))


def _filled(value: Any, schema: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, schema) for name, inner in value.items()}
    if value == "$grammar":
        return grammar.of(schema)
    return schema if value == "$schema" else value
