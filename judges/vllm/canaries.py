"""What a server is asked before and while it is trusted: a self-test of constrained decoding, and canary pairs.

The self-test asks for prose under a schema that admits one string only: a server that ignores the schema, as an
old or misnamed option makes it do with status 200, cannot pass. The canaries show whether the model still judges
as it did.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from judges.base import Judgement

_EXPECTED: Final = {"colour": "vantablack-7f3a"}


def self_test(model: str) -> bytes:
    """A request whose only valid answer no model would give by itself."""
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": [_EXPECTED["colour"]]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "self_test", "strict": True, "schema": schema}}
    message = {"role": "user", "content": "Which colour has a clear sky at noon? Answer with one word."}
    body = {"model": model, "messages": [message], "temperature": 0.0, "max_tokens": 64, "response_format": form}
    return orjson.dumps(body)


def passes_self_test(text: str) -> bool:
    """Whether the answer is the one that the schema forces."""
    try:
        return bool(json.loads(text) == _EXPECTED)
    except ValueError:
        return False


class Canary(NamedTuple):
    """A pair of which any capable judge knows whether the candidate has significant errors."""

    name: str
    reference: str
    candidate: str
    significant_errors: bool


@functools.cache
def pairs() -> tuple[Canary, ...]:
    """The canaries: the reference itself, its opposite, and nothing."""
    return tuple(Canary(**entry) for entry in orjson.loads((Path(__file__).parent / "canaries.json").read_bytes()))


class Record:
    """The canaries' judgements: the first one ever, on whichever server, and the last one of every server."""

    def __init__(self) -> None:
        self._first: dict[str, dict[str, float]] = {}
        self._last: dict[tuple[str, str], dict[str, float]] = {}
        self._wrong: dict[tuple[str, str], bool] = {}

    def add(self, server: str, canary: Canary, judgement: Judgement | None) -> None:
        """Notes a judgement; None, for an answer that stayed invalid, is a judgement of its own."""
        values = dict(judgement.values) if judgement else {}
        self._first.setdefault(canary.name, values)
        self._last[server, canary.name] = values
        found = judgement is not None and sum(judgement.significant.values()) > 0
        self._wrong[server, canary.name] = judgement is None or found != canary.significant_errors

    def wrong(self) -> list[str]:
        """Names of the canaries that a server last judged wrongly."""
        return sorted({name for (_, name), wrong in self._wrong.items() if wrong})

    def drifted(self) -> list[str]:
        """Names of the canaries that a server last judged otherwise than the first verdict."""
        return sorted({name for (_, name), values in self._last.items() if values != self._first[name]})

    def drift(self) -> float:
        """Share of (server, canary) whose last judgement differs from the first, in [0, 1]."""
        changed = sum(values != self._first[name] for (_, name), values in self._last.items())
        return changed / len(self._last) if self._last else 0.0
