"""Evidence for scope: which references are recognised as English chest radiographs, and which as anything else.

`python -m benchmarks.scope [--kept] [--set headed|later] [--show]`. The cases are written for this purpose. Those in `kept` are looked at and
run only when the work on the reader is finished. False alarms are counted on notes of intensive care, on the development
reports where they are present, and on the texts of a folder (`--texts`).
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from benchmarks import data
from benchmarks.common import table
from judges.rules.judge import RulesJudge

FOLDER = Path(__file__).parents[1] / "tests" / "judges" / "rules" / "cases" / "scope"
SETS = {"first": FOLDER, "headed": FOLDER / "headed", "later": FOLDER / "later"}
"""Cases by when and for what they were written. In `headed` headings name an examination in the ways of hospitals, and
those of a chest name another one as well; `later` was written when both others had been worked with."""
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
    for path in sorted((folder / which).glob("*.yaml")):
        for row in yaml.safe_load(path.read_text(encoding="utf-8")):
            case = Case(**row, file=path.stem)
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


def notes(folder: Path = FOLDER) -> list[str]:
    """Notes of intensive care, all of them in scope."""
    found: list[str] = yaml.safe_load((folder / "icu_notes.yaml").read_text(encoding="utf-8"))
    return found


def false_alarms(judge: RulesJudge, texts: Sequence[str]) -> list[str]:
    """The texts that are not recognised as reports of a chest radiograph."""
    return [text for text, read in zip(texts, judge.encode(texts), strict=True) if read.outside is not None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", action="store_true", help="the kept third instead of the open cases")
    parser.add_argument("--set", choices=SETS, default="first", help="which cases; see SETS")
    parser.add_argument("--show", action="store_true", help="every case that is not right")
    parser.add_argument("--texts", type=Path, metavar="FOLDER", help="reports of chest radiographs, one a .txt file")
    options = parser.parse_args()
    judge = RulesJudge()

    def in_scope(text: str) -> bool:
        (read,) = judge.encode([text])
        return read.outside is None

    cases = load("kept" if options.kept else "open", SETS[options.set])
    found = shares(cases, in_scope)
    for name in dict.fromkeys(case.file for case in cases):
        rows = {kind: counts for (file, kind), counts in found.items() if file == name}
        rows["all"] = (sum(right for right, _ in rows.values()), sum(total for _, total in rows.values()))
        lines = [(kind, f"{right}/{total}", f"{100 * right / total:.1f} %") for kind, (right, total) in rows.items()]
        print(table([(name.replace("_", " "), "right", "share"), *lines]), end="\n\n")
    sources = {"notes of intensive care": notes(), "development reports": [report.text for report in data.reports()]}
    if options.texts:
        sources[options.texts.name] = [path.read_text("utf-8") for path in sorted(options.texts.glob("*.txt"))]
    wrong = {name: false_alarms(judge, texts) for name, texts in sources.items()}
    alarms = [(name, f"{len(wrong[name])}/{len(texts)}") for name, texts in sources.items()]
    print(table([("chest radiographs", "false alarms"), *alarms]))
    if options.show:
        print(*(case.id for case in cases if in_scope(case.text) != (case.file == CHEST)), sep="\n")


if __name__ == "__main__":
    main()
