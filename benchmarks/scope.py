"""Evidence for scope: which references are recognised as English chest radiographs, and which as anything else.

`python -m benchmarks.scope [--kept]`. The cases are written for this purpose. Those in `kept` are looked at and run
only when the work on the reader is finished. No function decides scope yet, so a stand-in is measured: a text is in
scope when the rules judge reads anything in it.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks.common import table
from judges.rules.judge import RulesJudge

FOLDER = Path(__file__).parents[1] / "tests" / "judges" / "rules" / "cases" / "scope"
CHEST = "chest_radiographs"
EXAMINATIONS = "other_examinations"
LANGUAGES = "other_languages"


class Case(NamedTuple):
    """A reference with what is right for it."""

    id: str
    kind: str
    """Kind of chest radiograph, the other examination, or the language."""
    text: str
    file: str
    """`CHEST`, which alone is in scope, `EXAMINATIONS` or `LANGUAGES`."""


def half(case_id: str) -> str:
    """``kept`` for about a third of all ids, else ``open``: SHA-256 of the id modulo 3."""
    return "kept" if int(hashlib.sha256(case_id.encode()).hexdigest(), 16) % 3 == 0 else "open"


def load(which: str, folder: Path = FOLDER) -> list[Case]:
    """The cases of one half, ``open`` or ``kept``. Raises `ValueError` for a case of the other half or without text."""
    cases = []
    for name in (CHEST, EXAMINATIONS, LANGUAGES):
        path = folder / which / f"{name}.yaml"
        for row in yaml.safe_load(path.read_text(encoding="utf-8")):
            case = Case(**row, file=name)
            if not all(isinstance(value, str) and value.strip() for value in case):
                raise ValueError(f"{path}: {case.id!r} needs text as id, kind and text")
            if half(case.id) != which:
                raise ValueError(f"{path}: {case.id!r} belongs into the folder {half(case.id)}")
            cases.append(case)
    return cases


def shares(cases: Sequence[Case], in_scope: Callable[[str], bool]) -> dict[tuple[str, str], tuple[int, int]]:
    """(file, kind) -> how many cases are recognised for what they are, and how many there are."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for case in cases:
        right, total = found.get((case.file, case.kind), (0, 0))
        recognised = in_scope(case.text) == (case.file == CHEST)
        found[case.file, case.kind] = (right + recognised, total + 1)
    return found


def reads_anything(judge: RulesJudge) -> Callable[[str], bool]:
    """The stand-in: the rules judge finds a statement in the text."""

    def in_scope(text: str) -> bool:
        (found,) = judge.encode([text])
        return bool(found.positive or found.negative or found.changes or found.overall)

    return in_scope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", action="store_true", help="the kept third instead of the open cases")
    options = parser.parse_args()
    found = shares(load("kept" if options.kept else "open"), reads_anything(RulesJudge()))
    print("No function decides scope yet. Stand-in: in scope is what the rules judge reads anything in.")
    for name in (CHEST, EXAMINATIONS, LANGUAGES):
        rows = {kind: counts for (file, kind), counts in found.items() if file == name}
        rows["all"] = (sum(right for right, _ in rows.values()), sum(total for _, total in rows.values()))
        print()
        lines = [(kind, f"{right}/{total}", f"{100 * right / total:.1f} %") for kind, (right, total) in rows.items()]
        print(table([(name.replace("_", " "), "right", "share"), *lines]))


if __name__ == "__main__":
    main()
