"""What readers call a value: `names.yaml`, and the kinds of cells that tables show in a way of their own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml


class Key(str):
    """The name of a value as results have it. Data keep it; tables for readers show its title."""

    __slots__ = ()

    @property
    def title(self) -> str:  # type: ignore[override]  # a key is no text to be put into capitals
        """What readers call it."""
        if (known := _names()["values"].get(str(self))) is not None:
            return str(known.get("title", self))
        component, dot, part = self.partition(".")
        if not dot:
            return str(self).replace("_", " ")
        named = _names()["parts"].get(part, {}).get("title", part.replace("_", " "))
        return f"{Key(component).title} {named}"

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better."""
        return bool(_row(self).get("lower", False))

    @property
    def in_tables(self) -> bool:
        """Whether a table of systems has it unless it is told which values to have."""
        return bool(_row(self).get("table", "." not in self and " " not in self))


def _row(key: str) -> Mapping[str, Any]:
    """What `names.yaml` says of the value, or of a component's raw value of that name."""
    names = _names()
    found: Mapping[str, Any] = names["values"].get(str(key)) or names["parts"].get(key.partition(".")[2], {})
    return found


@cache
def _names() -> dict[str, dict[str, dict[str, Any]]]:
    file = resources.files("reward_service.evaluation").joinpath("names.yaml")
    found: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found
