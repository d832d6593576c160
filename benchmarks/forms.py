"""Evidence that form is not content: each report in each form of `testbed.forms` against its plain text.

`python -m benchmarks.forms [--kept] [--form NAME] [--show N]`. Reads the Indiana development reports
(`REWARD_BENCH_DATA`) or, where there are none, the synthetic studies. Texts go through the normaliser, as served. A
form passes when the clinical score is at least .99 on average and no report's is below .9, whichever text is the
candidate, and when no guard penalises.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks import data
from judges.rules.judge import RulesJudge
from reward_service.text.guards import GuardSettings, inspect
from reward_service.text.normaliser import Normalised, normalise
from testbed.forms import aside, dressed, exported, filed, shown
from testbed.forms.report import Written

DEFAULTS = GuardSettings()
MEAN, LEAST = 0.99, 0.9


class Read(NamedTuple):
    """Two texts, candidate and reference, with what they get."""

    candidate: str
    reference: str
    signed: float
    flags: tuple[str, ...]
    penalised: bool


def written() -> list[Written]:
    """The development reports that say something."""
    found = [Written(r.text.removesuffix(r.impression).strip(), r.impression.strip()) for r in data.reports()]
    return [report for report in found if report.plain]


def scored(judge: RulesJudge, pairs: Sequence[tuple[str, str]]) -> list[Read]:
    """Each (candidate, reference) as served: normalised, judged, looked at by the guards."""
    texts = {text: normalise(text) for pair in pairs for text in pair}
    plain = list(dict.fromkeys(one.text for one in texts.values()))
    made = dict(zip(plain, judge.encode(plain), strict=True))
    ours, theirs = ([made[texts[text].text] for text in column] for column in zip(*pairs, strict=True))
    verdicts = judge.compare(ours, theirs)
    return [
        Read(c, r, verdict.values["signed"], *_guarded(texts[c], texts[r]))
        for (c, r), verdict in zip(pairs, verdicts, strict=True)
    ]


def _guarded(candidate: Normalised, reference: Normalised) -> tuple[tuple[str, ...], bool]:
    found = inspect(candidate, reference, DEFAULTS)
    return found.flags, found.floor or found.multiplier < 1


def part(which: str) -> dict[str, shown.Form]:
    """The forms that are worked with, ``open``, or those that were ``kept`` until the end of the last work on them."""
    return filed.FORMS if which == "kept" else {**shown.FORMS, **aside.FORMS, **exported.FORMS, **dressed.FORMS}


def both_ways(form: shown.Form, reports: Sequence[Written]) -> list[tuple[str, str]]:
    """Form against plain text, plain text against form, and form against itself."""
    formed = [(form(report), report.plain) for report in reports]
    return [pair for text, plain in formed for pair in ((text, plain), (plain, text), (text, text))]


def row(name: str, found: Sequence[Read]) -> tuple[str, bool]:
    """A line of the table, and whether the form passes."""
    values = [one.signed for one in found]
    mean, least, low = statistics.fmean(values), min(values), sum(value < LEAST for value in values)
    exact = sum(value == 1 for value in values) / len(values)
    by = Counter(flag for one in found if one.penalised for flag in one.flags)
    penalised = sum(one.penalised for one in found)
    passed = mean >= MEAN and not low and not penalised
    figures = f"{mean:8.4f} {least:7.2f} {low:6d} {exact:8.1%} {penalised:6d}"
    return f"  {name:<50}{figures}  {'' if passed else 'FAILS '}{', '.join(f'{f} {n}' for f, n in by.items())}", passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", action="store_true", help="the forms put aside instead of those worked with")
    parser.add_argument("--form", action="append", help="only the forms whose name holds this")
    parser.add_argument("--show", type=int, default=0, help="so many pairs of each form that lose most")
    parser.add_argument("--every", type=int, default=1, help="only every so many reports")
    options = parser.parse_args()
    forms = part("kept") if options.kept else {**part("open"), **shown.LOSSY}
    judge, reports = RulesJudge(), written()[:: options.every]
    print(f"  {'form':<50}{'mean':>8} {'least':>7} {'<.9':>6} {'exact':>8} {'guards':>6}")
    failed = []
    for name, form in forms.items():
        if options.form and not any(part in name for part in options.form):
            continue
        found = scored(judge, both_ways(form, reports))
        line, passed = row(name, found)
        print(line)
        if not passed and name not in shown.LOSSY:
            failed.append(name)
        worst = sorted((one for one in found if one.signed < 1 or one.penalised), key=lambda one: one.signed)
        for one in worst[: options.show]:
            print(f"      {one.signed:.3f} {one.flags}\n      C {one.candidate!r}\n      R {one.reference!r}")
    print(f"{len(failed)} forms fail{': ' if failed else ''}{', '.join(failed)}")


if __name__ == "__main__":
    main()
