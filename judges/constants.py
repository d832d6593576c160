"""A hash over the constants of modules, for manifests: a changed price, threshold or word list changes the fingerprint
without anyone having to think of it. Code that changes is told by a version.
"""

from __future__ import annotations

import hashlib
import re
from types import ModuleType


class _Other(Exception):
    """Something that is no plain data."""


def digest(*modules: ModuleType) -> str:
    """The first 16 hex digits of the sha256 over the constants of `modules` that are plain data.

    Constants are named in upper case: what a module remembers is none. Plain data are numbers, texts, patterns, and
    tuples, lists, sets and dicts of these.
    """
    lines = []
    for module in modules:
        for name, value in sorted(vars(module).items()):
            if not name.isupper():
                continue
            try:
                lines.append(f"{module.__name__}.{name} = {_plain(value)}")
            except _Other:
                continue
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def prices(*modules: ModuleType) -> dict[str, float | list[float]]:
    """The public numbers of `modules` by name, tuples of numbers as lists."""
    found: dict[str, float | list[float]] = {}
    for module in modules:
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith("_"):
                if isinstance(value, float):
                    found[name] = value
                elif isinstance(value, tuple) and value and all(isinstance(each, float) for each in value):
                    found[name] = list(value)
    return dict(sorted(found.items()))


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, re.Pattern):
        return f"re({value.pattern!r}, {value.flags})"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(_plain, value)))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{_plain(k)}: {_plain(v)}' for k, v in value.items()))}}}"
    raise _Other
