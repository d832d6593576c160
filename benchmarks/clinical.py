"""Evidence for the rules judge: agreement with human coding, scripted errors, harmless rewrites, published systems.

`python -m benchmarks.clinical [coding] [errors] [systems] [patients] [speed] [--bertscore]`, all sections by default;
`--bertscore` adds that metric beside BLEU-2 and ROUGE-L, which takes minutes: `errors` then uses 150 reports. Without
the Indiana development data (`REWARD_BENCH_DATA`) the sections that need human coding are left out.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from rouge_score import rouge_scorer

from benchmarks import data
from benchmarks.clinical_edits import CORRUPTIONS, Edit, harmless
from benchmarks.clinical_mesh import accepted
from benchmarks.common import section_parser
from benchmarks.data import PairList, Report
from judges.base import Judgement
from judges.rules.judge import RulesJudge
from metrics.bleu import Bleu2
from metrics.rouge import Rouge
from testbed.abuse.studies import NORMAL_REPORT

ProfileScorer = Callable[[Sequence[tuple[str, str]]], list[float]]
Edited = list[tuple[Report, Edit]]
MIXES = ((0.5, 0.1, 0.2, 0.2), (0.6, 0.1, 0.15, 0.15), (0.7, 0.05, 0.1, 0.15), (0.8, 0.05, 0.05, 0.1))
"""Weights of clinical, BLEU-2, ROUGE-L and BERTScore that are compared for the profile `embedded`; no guards here."""


def encoded(metric: object, key: str) -> ProfileScorer:
    """(candidate, reference) pairs -> the metric's values under `key`, each text encoded once."""

    @cache
    def values(pairs: tuple[tuple[str, str], ...]) -> list[float]:
        texts = list(dict.fromkeys(t for pair in pairs for t in pair))
        made = dict(zip(texts, metric.encode(texts), strict=True))  # type: ignore[attr-defined]
        out = metric.compare([made[c] for c, _ in pairs], [made[r] for _, r in pairs])  # type: ignore[attr-defined]
        return [o.values[key] for o in out]

    return lambda pairs: values(tuple(pairs))


def scorers(judge: RulesJudge, bertscore: bool) -> dict[str, ProfileScorer]:
    """The scores that are compared; with `bertscore` (slow on a CPU) also that one and mixes of all."""
    found = {
        "clinical": encoded(judge, "signed"),
        "BLEU-2": encoded(Bleu2(), "bleu2"),
        "ROUGE-L": encoded(Rouge("rougeL"), "rougeL"),
    }
    if bertscore:
        from metrics.bertscore import BertScore

        found["BERTScore"] = encoded(BertScore(), "f1")
        parts = tuple(found.values())
        found |= {"/".join(f"{w:g}" for w in weights): mixed(weights, parts) for weights in MIXES}
    return found


def mixed(weights: Sequence[float], parts: Sequence[ProfileScorer]) -> ProfileScorer:
    def run(pairs: Sequence[tuple[str, str]]) -> list[float]:
        columns = [(weight, part(pairs)) for weight, part in zip(weights, parts, strict=True)]
        return [sum(weight * column[i] for weight, column in columns) for i in range(len(pairs))]

    return run


def share(part: float, whole: float) -> str:
    return f"{part / whole:6.1%} ({part:g}/{whole:g})" if whole else "   n/a"


def coding(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Recall of every coded heading, precision of every positive finding."""
    print("\n== Findings against the human MeSH coding ==")
    names = [c.name for c in judge.lexicon.concepts]
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    said: Counter[str] = Counter()
    backed: Counter[str] = Counter()
    all_reports = data.reports()
    readings = judge.encode([r.text for r in all_reports])
    clean = 0
    for verdict in judge.compare(readings, readings):
        clean += (
            not any((*verdict.significant.values(), *verdict.insignificant.values())) and verdict.values["signed"] == 1
        )
    for report, reading in zip(all_reports, readings, strict=True):
        positive = {names[c] for c in reading.positive}
        gold = [(code.split("/")[0], a) for code in report.mesh if (a := accepted(code)) is not None]
        for heading, concepts in gold:
            total[heading] += 1
            found[heading] += bool(concepts & positive)
        if report.mesh == ("No Indexing",):
            continue
        for name in positive - {"borderline_heart"}:  # what is "top normal" is normal to the coders
            said[name] += 1
            backed[name] += any(name in concepts for _, concepts in gold)
    print(f"judge(r, r) without any error and exactly 1: {share(clean, len(all_reports))}")
    print(f"micro recall    {share(found.total(), total.total())}")
    print(f"micro precision {share(backed.total(), said.total())}   (MeSH codes main findings only)")
    print("recall per heading:   ", "  ".join(f"{h} {found[h]}/{n}" for h, n in total.most_common(60)))
    print("precision per concept:", "  ".join(f"{h} {backed[h]}/{n}" for h, n in said.most_common(60)))


def errors(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Scripted errors get their category; harmless rewrites cost nothing; each score ranks the two."""
    print("\n== Scripted errors and harmless rewrites of the reports ==")
    reports = [r for r in data.reports() if r.mesh != ("No Indexing",) and r.text]
    if options.bertscore:
        reports = random.Random(0).sample(reports, min(150, len(reports)))
    bad: Edited = []
    good: Edited = []
    for report in reports:
        rng = random.Random(report.id)
        bad += [(report, edit) for make in CORRUPTIONS if (edit := make(report, rng, reports)) is not None]
        good += [(report, edit) for edit in harmless(report, rng)]
    pairs = [(e.text, r.text) for r, e in bad + good]
    texts = list(dict.fromkeys(t for p in pairs for t in p))
    made = dict(zip(texts, judge.encode(texts), strict=True))
    verdicts = judge.compare([made[c] for c, _ in pairs], [made[r] for _, r in pairs])

    def in_category(edit: Edit, verdict: Judgement) -> bool:
        return verdict.significant[edit.category] + verdict.insignificant[edit.category] > 0  # type: ignore[index]

    failures = _count("right category", bad, verdicts[: len(bad)], in_category)
    failures |= _count("costs < 0.05  ", good, verdicts[len(bad) :], lambda _, verdict: verdict.values["signed"] > 0.95)
    _rank(bad, good, pairs, scorers(judge, options.bertscore))
    for name, lines in failures.items():
        for line in random.Random(0).sample(lines, min(options.show, len(lines))):
            print(f"\n[{name}] {line}")


def _count(
    title: str, edited: Edited, verdicts: Sequence[Judgement], is_right: Callable[[Edit, Judgement], bool]
) -> dict[str, list[str]]:
    """Print for how many of each kind of edit the verdict is right; the others, to be shown."""
    count: Counter[str] = Counter()
    right: Counter[str] = Counter()
    failures: dict[str, list[str]] = defaultdict(list)
    for (report, edit), verdict in zip(edited, verdicts, strict=True):
        count[edit.name] += 1
        if is_right(edit, verdict):
            right[edit.name] += 1
        else:
            what = [(e.kind, e.finding, e.detail) for e in verdict.evidence if e.is_error]
            failures[edit.name].append(f"{report.text}\n   -> {edit.text}\n   {what}")
    for name, n in count.items():
        print(f"  {name:28} {title} {share(right[name], n)}")
    print(f"  {'all':28} {title} {share(right.total(), count.total())}")
    return failures


def _rank(bad: Edited, good: Edited, pairs: PairList, tables: Mapping[str, ProfileScorer]) -> None:
    """Print how often each score puts a harmless rewrite above an error in the same report."""
    by_report: dict[str, list[int]] = defaultdict(list)
    for i, (report, _) in enumerate(good, len(bad)):
        by_report[report.id].append(i)
    for name, scorer in tables.items():
        values = scorer(pairs)
        both = [(values[i], values[j]) for i, (report, _) in enumerate(bad) for j in by_report[report.id]]
        wins, ties = sum(right > wrong for wrong, right in both), sum(right == wrong for wrong, right in both)
        print(f"  harmless above corrupted: {name:10} {share(wins, len(both))}, ties {ties}")


def systems(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Mean score of each published system; constants and templates must not lead.

    Beside them a constant that asserts nothing, on the same references. Once more on the references that have a
    finding: on the others it is right.
    """
    print("\n== Published systems (mean over their pairs) ==")
    rows: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for answer in data.answers():
        rows[answer.system, answer.kind].append((answer.candidate, answer.reference))
        if (answer.source, answer.study) not in seen:
            seen.add((answer.source, answer.study))
            rows[f"no finding ({answer.source})", "constant"].append((NORMAL_REPORT, answer.reference))
    compared = scorers(judge, options.bertscore)
    found = {ref: bool(judge.encode([ref])[0].positive) for pairs in rows.values() for _, ref in pairs}
    for title, abnormal in (("all", False), ("references with a finding", True)):
        table = {}
        for group, pairs in rows.items():
            some = [pair for pair in pairs if found[pair[1]] or not abnormal]
            table[group] = len(some), {n: statistics.fmean(score(some)) for n, score in compared.items()}
        names = list(next(iter(table.values()))[1])
        print(f"  {title + ':':34} {'kind':16} {'n':>5} " + " ".join(f"{n:>10}" for n in names))
        for (system, kind), (count, means) in sorted(table.items(), key=lambda item: -item[1][1]["clinical"]):
            print(f"  {system:34} {kind:16} {count:5} " + " ".join(f"{means[n]:10.3f}" for n in names))


def patients(judge: RulesJudge, options: argparse.Namespace) -> None:
    """Another patient's report with the same coding should score above one with a different coding."""
    print("\n== Same coding above different coding (another patient's report as candidate) ==")
    coded = [r for r in data.reports() if r.text and r.mesh not in (("No Indexing",), ("normal",))]
    rng = random.Random(0)
    same: dict[frozenset[str], list[Report]] = defaultdict(list)
    for report in coded:
        same[report.headings].append(report)
    triples = []
    for report in coded:
        twins = [r for r in same[report.headings] if r.text != report.text]
        if twins:
            strangers = [r for r in rng.sample(coded, 50) if not r.headings & report.headings]
            if strangers:
                triples.append((rng.choice(twins).text, strangers[0].text, report.text))
    for name, scorer in scorers(judge, options.bertscore).items():
        values = scorer([(c, ref) for twin, other, ref in triples for c in (twin, other)])
        wins = sum(values[i] > values[i + 1] for i in range(0, len(values), 2))
        ties = sum(values[i] == values[i + 1] for i in range(0, len(values), 2))
        print(f"  {name:10} {share(wins + ties / 2, len(triples))} (ties, counted half: {ties})")


def speed(judge: RulesJudge, options: argparse.Namespace) -> None:
    """A fresh pair against `rouge_score`, in one run; growth from 2,000 to 20,000 characters. Processor time throughout."""
    print("\n== Speed (ratios in one run) ==")
    pairs = [(answer.candidate, answer.reference) for answer in data.answers()]
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])

    def ours(judge: RulesJudge, some: PairList) -> None:
        for candidate, reference in some:
            judge.compare(judge.encode([candidate]), judge.encode([reference]))

    def theirs(some: PairList) -> None:
        for candidate, reference in some:
            scorer.score(reference, candidate)

    ratios, own = defaultdict(list), defaultdict(list)
    for seed in range(5):
        random.Random(seed).shuffle(pairs)
        fresh, others = pairs[:400], pairs[400:]
        for name, before in (("first 400 pairs of a process", []), (f"after {len(others):,} other pairs", others)):
            judge = RulesJudge()  # it remembers no sentence yet
            ours(judge, [*before, ("", "")])
            start = time.process_time()
            ours(judge, fresh)
            middle = time.process_time()
            theirs(fresh)
            own[name].append((middle - start) / len(fresh))
            ratios[name].append((middle - start) / (time.process_time() - middle))
    for name in own:
        print(
            f"  fresh pair, {name}: {statistics.median(own[name]) * 1e3:.2f} ms, "
            f"{statistics.median(ratios[name]):.2f} x rouge_score (1, 2, L)"
        )
    words = [
        "no",
        "without",
        "may represent",
        "effusion",
        "or",
        "left",
        "mild",
        "increased",
        "evaluate for",
        "but",
        "heart",
    ]
    shapes = {
        "findings, comma list": "effusion, pneumothorax, nodule, ",
        "findings, 'or' chain": "effusion or nodule or ",
        "one token": "effusion ",
        "one letter": "a",
        "no spaces": "effusionnodule",
        "every cue": " ".join(words) + " ",
        "anatomies": "heart lung aorta hilum ",
        "descriptors": "enlarged tortuous ",
        "newlines": "\n",
        "digits": "1234567890",
        "non-ASCII": "é\u200b ",
        "hyphens": "-",
    }
    for name, unit in shapes.items():
        growth = []
        for _ in range(3):
            spent = []
            for size in (2_000, 20_000):
                text = (unit * (size // len(unit) + 1))[:size]
                start = time.process_time()
                one = judge.encode([text])
                judge.compare(one, one)
                spent.append(time.process_time() - start)
            growth.append((spent[1] / spent[0], spent[1]))
        ratio, seconds = sorted(growth)[1]
        print(f"  {name:24} time(20,000)/time(2,000) = {ratio:5.1f}   {seconds * 1e3:7.1f} ms")


SECTIONS = {"coding": coding, "errors": errors, "systems": systems, "patients": patients, "speed": speed}
NEED_CODING = ("coding", "patients")


def parser() -> argparse.ArgumentParser:
    made = section_parser(__doc__, SECTIONS)
    made.add_argument("--bertscore", action="store_true")
    made.add_argument("--show", type=int, default=0, help="examples of each kind of edit that `errors` finds wrong")
    return made


def main() -> None:
    options = parser().parse_args()
    judge = RulesJudge()
    for name in options.sections:
        if name not in NEED_CODING or data.coded(name):
            SECTIONS[name](judge, options)


if __name__ == "__main__":
    main()
