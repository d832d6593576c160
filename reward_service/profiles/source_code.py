"""Hashes of the sources that decide a number: a changed operator changes a fingerprint without anyone thinking of it.

What is hashed is the syntax tree in a form of our own, which does not change with the version of Python. Comments,
docstrings, positions and what only a type checker reads are no part of it. Annotations are: those of dataclasses,
pydantic models and constructors decide what a setting is turned into.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.abc import InspectLoader
from typing import Any, NamedTuple

from reward_service.errors import ConfigurationError

LIBRARIES = ("metrics", "judges")
_SILENT = {"ctx", "kind", "type_comment", "type_ignores"}
"""Fields of nodes that follow from others, or say nothing to the interpreter."""


class _Module(NamedTuple):
    """What is known of one module."""

    hash: str
    imports: tuple[tuple[str, str], ...]
    """For each name that it imports: the module it is imported from, and the module it would itself be."""


def of(roots: Iterable[str], within: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """The hash of each module in `roots` and of all that they import inside `within`, by the module's name.

    `within`: packages and modules; imports that lead out of them are not followed. Raises `ConfigurationError` for a
    module without source.
    """
    borders = tuple(within)
    todo, found = list(roots), {}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        module = _module(name)
        found[name] = module.hash
        for base, inner in module.imports:
            if _inside(inner, borders) and _exists(inner):
                todo.append(inner)
            elif _inside(base, borders):
                todo.append(base)
    # The `__init__` of a package runs before its modules; what it imports only for others to find is not followed.
    packages = {name.rpartition(".")[0] for name in found}
    found |= {name: _module(name).hash for name in packages - found.keys() if _inside(name, borders)}
    return dict(sorted(found.items()))


def of_component(component: object) -> dict[str, str]:
    """`of` the module of a component's class, with what that imports from the libraries and its own package.

    A judge whose first verdict stays names the module that reads verdicts, in `reads_with`. That one is hashed
    instead: what forms a verdict is told by the manifest, so that a change of code discards none.
    """
    return of_class(type(component))


def of_class(cls: type) -> dict[str, str]:
    """`of_component` for every instance of a class."""
    module = cls.__module__
    return of([getattr(cls, "reads_with", module)], {*LIBRARIES, module.split(".")[0]})


def canonical(source: str) -> bytes:
    """The program in `source` as bytes that are equal for equal syntax trees. Raises `SyntaxError`."""
    return _canonical(source)[0]


@cache
def _module(name: str) -> _Module:
    program, imports = _canonical(_source(name))
    package = name if _spec(name).submodule_search_locations is not None else name.rpartition(".")[0]
    pairs: dict[tuple[str, str], None] = {}
    for node in imports:
        if isinstance(node, ast.Import):
            pairs |= {(alias.name, alias.name): None for alias in node.names}
        else:
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            pairs |= {(base, f"{base}.{alias.name}"): None for alias in node.names}
    return _Module(hashlib.sha256(program).hexdigest()[:16], tuple(pairs))


def _source(name: str) -> str:
    loader = _spec(name).loader
    source = loader.get_source(name) if isinstance(loader, InspectLoader) else None
    if source is None:
        raise ConfigurationError(
            f"There is no source of module '{name}', and its hash is part of the fingerprint. "
            "Install the package with its .py files."
        )
    return source


def _spec(name: str) -> Any:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None) or (None if module else importlib.util.find_spec(name))
    if spec is None:
        raise ConfigurationError(f"Module '{name}' cannot be found, and its hash is part of the fingerprint.")
    return spec


def _inside(name: str, borders: Iterable[str]) -> bool:
    return any(name == border or name.startswith(f"{border}.") for border in borders)


@cache
def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module and no package
        return False


def _canonical(source: str) -> tuple[bytes, list[ast.Import | ast.ImportFrom]]:
    """The bytes of `canonical`, and the imports among them."""
    parts: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    _write(ast.parse(source), parts, imports)
    return "".join(parts).encode("utf-8", "surrogatepass"), imports


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields that say something; an optional field that is not used is none."""
    for name in node._fields:
        value: Any = getattr(node, name, None)
        if isinstance(value, list):
            value = [child for child in value if not _says_nothing(child)]
        if name == "values" and isinstance(node, ast.JoinedStr):
            value = _joined(value)
        if value is not None and value != [] and name not in _SILENT:
            yield name, value


def _says_nothing(node: Any) -> bool:
    """A docstring or another bare text, `pass`, and what stands under `if TYPE_CHECKING`."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.Pass)


def _joined(values: list[Any]) -> list[Any]:
    """The parts of an f-string with neighbouring texts as one: versions of Python cut them differently."""
    out: list[Any] = []
    for value in values:
        if isinstance(value, ast.Constant):
            text = value.value
            if out and isinstance(out[-1], ast.Constant):
                text = out.pop().value + text
            value = ast.Constant(text)
            if not text:
                continue
        out.append(value)
    return out


def _write(value: Any, parts: list[str], imports: list[ast.Import | ast.ImportFrom]) -> None:
    """A node as ``(Name field=...)``; texts with their length, so that no text can look like something else."""
    if isinstance(value, ast.AST):
        if isinstance(value, ast.Import | ast.ImportFrom):
            imports.append(value)
        parts.append(f"({type(value).__name__}")
        for name, child in _fields(value):
            parts.append(f" {name}=")
            _write(child, parts, imports)
        parts.append(")")
    elif isinstance(value, list):
        parts.append("[")
        for child in value:
            _write(child, parts, imports)
        parts.append("]")
    elif isinstance(value, str):
        parts.append(f"{len(value)}:{value}")
    else:  # numbers, bytes, True, None, Ellipsis: how these are spelt has not changed since Python 3.2
        parts.append(f"<{type(value).__name__} {value!r}>")
