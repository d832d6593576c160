"""Run in a copy of the packages: changes an operator in each file and says which fingerprints move. See its test."""

from __future__ import annotations

import ast
import functools
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, ".")

from reward_service.components.registry import COMPONENTS, _load
from reward_service.observability.telemetry import Telemetry
from reward_service.profiles import source_code
from reward_service.scoring import assembly
from reward_service.settings import Settings
from reward_service.workers.placement import Placement

_PROFILES = {
    "llm": "components: {judge: {component: vllm, weight: 1}}",
    "crimson": "components: {rules: {value: crimson, weight: 1}}",
}
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Lt: ast.GtE, ast.Gt: ast.LtE,
    ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And, ast.BitOr: ast.BitAnd,
}  # fmt: skip


def changed(source: str) -> str | None:
    """`source` with its last operator replaced, or else its last text; None if it has neither."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    for node in reversed(nodes):
        if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in _SWAPPED:
            node.op = _SWAPPED[type(node.op)]()  # type: ignore[assignment]
            return ast.unparse(tree)
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPPED:
            node.ops[0] = _SWAPPED[type(node.ops[0])]()  # type: ignore[call-overload]
            return ast.unparse(tree)
    for node in reversed(nodes):
        if isinstance(node, ast.Assign | ast.Return) and isinstance(node.value, ast.Constant | ast.Tuple):
            node.value = ast.Constant("changed")
            return ast.unparse(tree)
    return None


class Fingerprints:
    """Those of the components, and of three profiles, by what lies on the disk now."""

    def __init__(self) -> None:
        for name, components in _PROFILES.items():
            Path(f"{name}.yaml").write_text(f"name: {name}\ndescription: d\nbounds: [-1, 1]\n{components}\n")
        self._settings = Settings(
            profiles=("text", "llm.yaml", "crimson.yaml"), judge_urls=("http://127.0.0.1:9/v1",), judge_model="m",
            judge_revision="r",
        )  # fmt: skip
        self._assembly = assembly.assemble(self._settings, Telemetry())
        self._placement = Placement(self._settings, Telemetry())
        self._unbuilt = {name: _load(COMPONENTS[name].target, name, COMPONENTS[name]) for name in
                         ("bertscore", "semb_score", "radgraph_f1", "meteor")}  # fmt: skip

    def now(self) -> tuple[dict[str, Any], dict[str, str]]:
        source_code._module.cache_clear()
        keys: dict[str, Any] = {
            name: source_code.of_component(cls.__new__(cls)) for name, cls in self._unbuilt.items()
        }  # their documents need weights
        profiles = {}
        for name, served in self._assembly.profiles.items():
            again = assembly._serve(self._assembly, served.profile, self._settings, self._placement)
            keys |= {one.name: one.fingerprint for one in again.components.values()}
            profiles[name] = again.fingerprint
        return keys, profiles


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


def main() -> None:
    source_code._canonical = functools.cache(source_code._canonical)  # by source: most files are as they were
    fingerprints = Fingerprints()
    before = fingerprints.now()
    moved = {}
    files = [
        file for package in ("metrics", "judges", "reward_service") for file in sorted(Path(package).rglob("*.py"))
    ]
    for file in files:
        source = file.read_text("utf-8")
        if (other := changed(source)) is not None:
            file.write_text(other, "utf-8")
            moved[file.as_posix()] = [differing(*both) for both in zip(before, fingerprints.now(), strict=True)]
        file.write_text(f'"""Other words."""\n# A comment.\n\n{source}', "utf-8")
    commented = [differing(*both) for both in zip(before, fingerprints.now(), strict=True)]
    print(json.dumps({"changed": moved, "commented": commented}))


main()
