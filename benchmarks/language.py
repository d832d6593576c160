"""How the rules judge reads radiologists' language: denial and doubt, edits that matter or not, rare findings, layouts.

    python -m benchmarks.language [forms grammar edits rare wordings layouts] [--kept | --all] [--show]

The cases and their answers are in `tests/judges/rules/cases`. Without `--kept` the open two thirds are read; the kept
third is for the end of a change, and `--all` for the tables that docs/judges.md shows.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.common import section_parser, table
from judges.rules import lexicon as lx
from judges.rules.findings import Findings
from judges.rules.judge import RulesJudge
from reward_service.text.normaliser import normalise
from testbed import language_cases as cases

LITTLE, SMALL = 0.02, 0.05
"""Costs, in the judge's signed score, under which an important difference counts as not noticed."""
NOTHING = 1e-9
WORST = 12
CONTEXT = "Heart size is normal."
"""What stands beside a rare finding."""
OPPOSITES = {("absent", "present"), ("present", "absent"), ("not_asserted", "present")}
"""(expected, read): what pays for the opposite of what is said."""
SIDES = {"left": lx.LEFT, "right": lx.RIGHT}


def state(judge: RulesJudge, found: Findings, concept: str) -> tuple[str, int]:
    """What is read of a concept or of a narrower one, one of `cases.STATES` or "partly absent", and on which sides."""
    index = judge.lexicon.ids[concept]
    said = [
        finding
        for other, by_side in found.positive.items()
        if other == index or index in judge.lexicon.concepts[other].ancestors
        for finding in by_side.values()
    ]
    if said:
        sides = 0
        for finding in said:
            sides |= finding.side
        return "present" if any(finding.certain for finding in said) else "uncertain", sides
    denial = found.negative.get(index)
    if denial is None:
        return "not_asserted", 0
    return "partly absent" if denial.partial else "absent", 0


def costs(judge: RulesJudge, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Per (candidate, reference): by how much the signed score is less than that of the reference itself."""
    candidates, references = (judge.encode([pair[i] for pair in pairs]) for i in (0, 1))
    scored = judge.compare(candidates, references)
    best = judge.compare(references, references)
    return [own.values["signed"] - one.values["signed"] for own, one in zip(best, scored, strict=True)]


def chosen_of(options: argparse.Namespace, of: list[cases.Case]) -> list[cases.Case]:
    """The cases of the part that is asked for."""
    return of if options.all else cases.part(of, of_kept=options.kept)


def share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} % ({count}/{of})" if of else "-"


class Row(NamedTuple):
    """One finding of one text."""

    group: str
    expected: cases.Expected
    got: str
    strict: bool
    """Read as expected, on the expected side."""
    right: bool
    """Read as expected, or as is tolerated."""


def read(judge: RulesJudge, statement: cases.Statement) -> list[Row]:
    """One row per finding of the statement."""
    found = judge.encode([statement.text])[0]
    rows = []
    for concept, expected in statement.expected.items():
        got, sides = state(judge, found, concept)
        strict = got == expected.state and (expected.side is None or sides == SIDES[expected.side])
        rows.append(Row(statement.group, expected, got, strict, strict or got == expected.tolerated))
    return rows


def accuracy(first: str, rows_of: Mapping[str, Sequence[Row]]) -> str:
    lines: list[tuple[str, ...]] = [(first, "as expected", "or tolerated", "the opposite")]
    for name, rows in rows_of.items():
        opposite = sum((row.expected.state, row.got) in OPPOSITES for row in rows)
        counts = (sum(row.strict for row in rows), sum(row.right for row in rows), opposite)
        lines.append((name, *(share(count, len(rows)) for count in counts)))
    return table(lines)


def forms(judge: RulesJudge, options: argparse.Namespace) -> None:
    in_forms: dict[str, list[Row]] = {}
    in_lists: dict[str, list[Row]] = {}
    for form in chosen_of(options, cases.forms()):
        in_forms[form.id] = [row for statement in form.statements() for row in read(judge, statement)]
        show(options, f"{form.id} {form.template}", in_forms[form.id])
    for one in chosen_of(options, cases.lists()):
        in_lists[one.id] = read(judge, one)
        show(options, f"{one.id} {one.text}", in_lists[one.id])
    by_state: dict[str, list[Row]] = {name: [] for name in cases.STATES}
    by_group: dict[str, list[Row]] = defaultdict(list)
    for row in (row for rows in in_forms.values() for row in rows):
        by_state[row.expected.state].append(row)
        by_group[row.group].append(row)
    both = {f"all {name}": [row for rows in of.values() for row in rows] for name, of in
            (("forms", in_forms), ("lists", in_lists))}  # fmt: skip
    print(accuracy("expected", by_state | both), accuracy("group", by_group), sep="\n\n", end="\n\n")
    for name, of in (("forms right with all four findings", in_forms), ("lists right in every finding", in_lists)):
        print(f"{name}: {share(sum(all(row.right for row in rows) for rows in of.values()), len(of))}")
    print()


def show(options: argparse.Namespace, what: str, rows: Sequence[Row]) -> None:
    wrong = Counter(f"{row.expected.state} read {row.got}" for row in rows if not row.right)
    if options.show and wrong:
        print(f"  {what}: {', '.join(f'{count} x {how}' for how, count in wrong.items())}")


def edits(judge: RulesJudge, options: argparse.Namespace) -> None:
    chosen = chosen_of(options, cases.edits())
    cost = costs(judge, [(edit.candidate, edit.reference) for edit in chosen])
    kinds: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for edit, value in zip(chosen, cost, strict=True):
        kinds[edit.important, edit.kind].append(value)
        kinds[edit.important, "all"].append(value)
        if options.show and (value < SMALL if edit.important else value > NOTHING):
            print(f"  {edit.id} {value:+.3f} {edit.reference!r} -> {edit.candidate!r}")
    important = [("important difference", f"costs < {LITTLE}", f"costs < {SMALL}", "least cost", "mean cost")]
    harmless = [("harmless rewrite", "costs something", f"costs > {SMALL}", "most cost", "mean cost")]
    for (matters, kind), values in sorted(kinds.items()):
        few, more = (
            (sum(v < limit for v in values) for limit in (LITTLE, SMALL))
            if matters
            else (sum(v > limit for v in values) for limit in (NOTHING, SMALL))
        )
        extreme = f"{min(values) if matters else max(values):.3f}"
        row = (kind, share(few, len(values)), share(more, len(values)), extreme, f"{sum(values) / len(values):.3f}")
        (important if matters else harmless).append(row)
    print(table(important), end="\n\n")
    print(table(harmless), end="\n\n")


def rare(judge: RulesJudge, options: argparse.Namespace) -> None:
    chosen = chosen_of(options, cases.rare_findings())
    beside = [f"{CONTEXT} {finding.present[0]}" for finding in chosen]
    denied = [f"{CONTEXT} {finding.denied}" for finding in chosen]
    invented = [costs(judge, [(f"{CONTEXT} {finding.present[way]}", CONTEXT) for finding in chosen]) for way in (0, 1)]
    left_out = costs(judge, [(CONTEXT, text) for text in beside])
    contradicted = costs(judge, list(zip(denied, beside, strict=True)))
    agreed = judge.compare(
        judge.encode([finding.present[1] for finding in chosen]),
        judge.encode([finding.present[0] for finding in chosen]),
    )
    checks = {
        f"invented, costs >= {SMALL}": [min(both) >= SMALL for both in zip(*invented, strict=True)],
        f"left out, costs >= {SMALL}": [cost >= SMALL for cost in left_out],
        f"denied, costs >= {SMALL}": [cost >= SMALL for cost in contradicted],
        "said the other way, earns something": [one.values["signed"] > 0 for one in agreed],
        "denied where it is not, costs nothing": [
            cost <= NOTHING for cost in costs(judge, [(text, CONTEXT) for text in denied])
        ],
    }
    settings = sorted({finding.setting for finding in chosen})
    lines: list[tuple[str, ...]] = [("rare finding", *settings, "all")]
    for name, right in checks.items():
        cells = [[ok for ok, f in zip(right, chosen, strict=True) if f.setting == setting] for setting in settings]
        lines.append((name, *(share(sum(cell), len(cell)) for cell in (*cells, right))))
        if options.show:
            print(f"  not: {name}: {', '.join(f.id for ok, f in zip(right, chosen, strict=True) if not ok)}")
    print(table(lines))


def wordings(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Reports that say the same in other words, and some that differ in one thing."""
    chosen = [one for one in cases.wordings() if options.all or one.kept == options.kept]
    cost = costs(judge, [(one.candidate, one.reference) for one in chosen])
    lines: list[tuple[str, ...]] = [("", f"costs <= {SMALL}", "costs <= 0.2", "mean cost")]
    for same, name in ((True, "the same in other words"), (False, "one thing is other")):
        values = [value for value, one in zip(cost, chosen, strict=True) if one.same == same]
        few, more = (share(sum(value <= most + NOTHING for value in values), len(values)) for most in (SMALL, 0.2))
        lines.append((name, few, more, f"{sum(values) / len(values):.3f}"))
    print(table(lines))
    for one, value in zip(chosen, cost, strict=True):
        if options.show and (value > SMALL + NOTHING) == one.same:
            print(f"  {one.id} {value:+.3f} {one.reference!r} -> {one.candidate!r}")


def grammar(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Sentences made by two grammars, each with one of the four findings in turn."""
    findings = itertools.cycle(cases.FINDINGS)
    by_group: dict[str, list[Row]] = defaultdict(list)
    by_state: dict[str, list[Row]] = {name: [] for name in cases.STATES}
    for form, concept in zip(chosen_of(options, cases.grammar()), findings, strict=False):
        text = cases.fill(form.template, concept)
        rows = read(judge, cases.Statement(form.id, form.group, text, {concept: form.expected}))
        by_group[form.group] += rows
        by_state[form.expected.state] += rows
        show(options, f"{form.id} {text}", rows)
    every = {"all sentences": [row for rows in by_state.values() for row in rows]}
    worst = sorted(by_group, key=lambda name: sum(row.right for row in by_group[name]) / len(by_group[name]))[:WORST]
    print(accuracy("expected", by_state | every), end="\n\n")
    print(accuracy(f"the {WORST} worst productions", {name: by_group[name] for name in worst}), end="\n\n")


def layouts(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Reports in the layouts of files against the same in plain sentences, both ways, as served."""
    chosen = chosen_of(options, cases.layouts())
    least = []
    for one in chosen:
        texts = [normalise(text).text for text in (one.text, one.plain)]
        least.append(max(costs(judge, [(texts[0], texts[1]), (texts[1], texts[0])])))
        if options.show and least[-1] > SMALL + NOTHING:
            print(f"  {one.id} {least[-1]:+.3f} {one.text!r}")
    like, near = (share(sum(cost <= most + NOTHING for cost in least), len(least)) for most in (NOTHING, SMALL))
    print(table([("layout", "reads as the plain text", f"costs <= {SMALL}"), ("all", like, near)]), end="\n\n")


SECTIONS = {
    "forms": forms, "grammar": grammar, "edits": edits, "rare": rare, "wordings": wordings, "layouts": layouts
}  # fmt: skip


def parser() -> argparse.ArgumentParser:
    made = section_parser(__doc__, SECTIONS)
    made.add_argument("--all", action="store_true", help="both parts, for the tables of the documents")
    made.add_argument("--kept", action="store_true", help="the third that is looked at once a change is done")
    made.add_argument("--show", action="store_true", help="every case that is not right")
    return made


def main() -> None:
    options = parser().parse_args()
    judge = RulesJudge()
    part = "all" if options.all else "kept third" if options.kept else "open two thirds"
    print(f"{part} of the cases\n")
    for name in options.sections:
        SECTIONS[name](judge, options)


if __name__ == "__main__":
    main()
