"""Evidence for the rules judge: agreement with human coding, scripted errors, harmless rewrites, published systems.

Reads the Indiana development reports and pairs when they are present (`REWARD_BENCH_DATA`); they are never stored here.
`python benchmarks/clinical.py [coding] [errors] [systems] [patients] [speed] [bertscore]`, all sections by default;
`bertscore` adds that metric beside BLEU-2 and ROUGE-L, which takes minutes: `errors` then uses 150 reports.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rouge_score import rouge_scorer

from benchmarks.clinical_edits import CORRUPTIONS, Edit, Report, harmless
from benchmarks.clinical_mesh import accepted
from judges.rules.judge import RulesJudge
from metrics.bleu import Bleu2
from metrics.rouge import Rouge
from tests.abuse.studies import NORMAL_REPORT

DATA = Path(os.environ.get("REWARD_BENCH_DATA", Path(__file__).resolve().parents[1] / "../shared/data"))
Scorer = Callable[[Sequence[tuple[str, str]]], list[float]]


def load(name: str) -> list[dict[str, object]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def reports() -> list[Report]:
    return [
        Report(str(r["id"]), f"{r['findings']} {r['impression']}".strip(), tuple(r["mesh"]))  # type: ignore[arg-type]
        for r in load("iu_reports_dev.jsonl")
    ]


def scorers(judge: RulesJudge) -> dict[str, Scorer]:
    """(candidate, reference) pairs -> scores, each text encoded once. BERTScore only with ``bertscore`` (slow on a CPU)."""

    def encoded(metric: object, key: str) -> Scorer:
        @cache
        def values(pairs: tuple[tuple[str, str], ...]) -> list[float]:
            texts = list(dict.fromkeys(t for pair in pairs for t in pair))
            made = dict(zip(texts, metric.encode(texts), strict=True))  # type: ignore[attr-defined]
            out = metric.compare([made[c] for c, _ in pairs], [made[r] for _, r in pairs])  # type: ignore[attr-defined]
            return [o.values[key] for o in out]

        return lambda pairs: values(tuple(pairs))

    def mixed(weights: Mapping[str, float]) -> Scorer:
        def run(pairs: Sequence[tuple[str, str]]) -> list[float]:
            columns = [(weight, found[name](pairs)) for name, weight in weights.items()]
            return [sum(weight * column[i] for weight, column in columns) for i in range(len(pairs))]

        return run

    found = {
        "clinical": encoded(judge, "signed"),
        "BLEU-2": encoded(Bleu2(), "bleu2"),
        "ROUGE-L": encoded(Rouge("rougeL"), "rougeL"),
    }
    if "bertscore" in sys.argv:
        try:
            from metrics.bertscore import BertScore  # type: ignore[import-not-found,unused-ignore]

            metric = BertScore()
            found["BERTScore"] = encoded(metric, metric.keys[0])
        except Exception as error:  # the extra is optional
            print(f"(BERTScore left out: {type(error).__name__}: {error})")
        else:
            names = ("clinical", "BLEU-2", "ROUGE-L", "BERTScore")
            for weights in MIXES:
                found["/".join(f"{w:g}" for w in weights)] = mixed(dict(zip(names, weights, strict=True)))
    return found


MIXES = ((0.5, 0.1, 0.2, 0.2), (0.6, 0.1, 0.15, 0.15), (0.7, 0.05, 0.1, 0.15), (0.8, 0.05, 0.05, 0.1))
"""Weights of clinical, BLEU-2, ROUGE-L and BERTScore that are compared for the profile `embedded`; no guards here."""


def share(part: float, whole: float) -> str:
    return f"{part / whole:6.1%} ({part:g}/{whole:g})" if whole else "   n/a"


def coding(judge: RulesJudge) -> None:
    """Recall of every coded heading, precision of every positive finding."""
    print("\n== Findings against the human MeSH coding ==")
    names = [c.name for c in judge.lexicon.concepts]
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    said: Counter[str] = Counter()
    backed: Counter[str] = Counter()
    all_reports = reports()
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


def errors(judge: RulesJudge, *, show: int = 0) -> None:
    """Scripted errors get their category; harmless rewrites cost nothing; each score ranks the two."""
    print("\n== Scripted errors and harmless rewrites of the coded reports ==")
    coded = [r for r in reports() if r.mesh != ("No Indexing",) and r.text]
    if "bertscore" in sys.argv:
        coded = random.Random(0).sample(coded, 150)
    tables = scorers(judge)
    bad: list[tuple[Report, Edit]] = []
    good: list[tuple[Report, Edit]] = []
    for report in coded:
        rng = random.Random(report.id)
        bad += [(report, edit) for make in CORRUPTIONS if (edit := make(report, rng, coded)) is not None]
        good += [(report, edit) for edit in harmless(report, rng)]
    pairs = [(e.text, r.text) for r, e in bad + good]
    texts = list(dict.fromkeys(t for p in pairs for t in p))
    made = dict(zip(texts, judge.encode(texts), strict=True))
    verdicts = judge.compare([made[c] for c, _ in pairs], [made[r] for _, r in pairs])
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    failures: dict[str, list[str]] = defaultdict(list)
    for (report, edit), verdict in zip(bad, verdicts, strict=False):
        assert edit.category is not None
        hit = verdict.significant[edit.category] + verdict.insignificant[edit.category] > 0  # type: ignore[index]
        count[edit.name] += 1
        right[edit.name] += hit
        if not hit:
            failures[edit.name].append(f"{report.text}\n   -> {edit.text}")
    for name, n in count.items():
        print(f"  {name:28} right category {share(right[name], n)}")
    print(f"  {'all':28} right category {share(right.total(), count.total())}")
    cheap: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for (report, edit), verdict in zip(good, verdicts[len(bad) :], strict=True):
        kinds[edit.name] += 1
        ok = verdict.values["signed"] > 0.95
        cheap[edit.name] += ok
        if not ok:
            what = [(e.kind, e.finding, e.detail) for e in verdict.evidence if e.kind != "matched"]
            failures[edit.name].append(f"{report.text}\n   -> {edit.text}\n   {what}")
    for name, n in kinds.items():
        print(f"  {name:28} costs < 0.05   {share(cheap[name], n)}")
    print(f"  {'all':28} costs < 0.05   {share(cheap.total(), kinds.total())}")
    by_report: dict[str, list[int]] = defaultdict(list)
    for i, (report, _) in enumerate(good):
        by_report[report.id].append(len(bad) + i)
    for name, scorer in tables.items():
        values = scorer(pairs)
        wins = ties = total = 0
        for i, (report, _) in enumerate(bad):
            for j in by_report[report.id]:
                total += 1
                wins += values[j] > values[i]
                ties += values[j] == values[i]
        print(f"  harmless above corrupted: {name:10} {share(wins, total)}, ties {ties}")
    for name, lines in failures.items():
        for line in random.Random(0).sample(lines, min(show, len(lines))):
            print(f"\n[{name}] {line}")


def systems(judge: RulesJudge) -> None:
    """Mean score of each published system; constants and templates must not lead.

    Beside them a constant that asserts nothing, on the same references. Once more on the references that have a
    finding: on the others it is right.
    """
    print("\n== Published systems (mean over their pairs) ==")
    rows: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    seen: set[tuple[str, object]] = set()
    for row in load("iu_pairs_dev.jsonl"):
        reference = str(row["reference"])
        rows[str(row["system"]), str(row["kind"])].append((str(row["candidate"]), reference))
        origin = str(row["source"]).partition("@")[0].rpartition("/")[2]
        if (origin, row["study"]) not in seen:
            seen.add((origin, row["study"]))
            rows[f"no finding ({origin})", "constant"].append((NORMAL_REPORT, reference))
    found = {ref: bool(judge.encode([ref])[0].positive) for pairs in rows.values() for _, ref in pairs}
    for title, abnormal in (("all", False), ("references with a finding", True)):
        table = {}
        for group, pairs in rows.items():
            some = [pair for pair in pairs if found[pair[1]] or not abnormal]
            table[group] = len(some), {n: statistics.fmean(score(some)) for n, score in scorers(judge).items()}
        names = list(next(iter(table.values()))[1])
        print(f"  {title + ':':34} {'kind':16} {'n':>5} " + " ".join(f"{n:>10}" for n in names))
        for (system, kind), (count, means) in sorted(table.items(), key=lambda item: -item[1][1]["clinical"]):
            print(f"  {system:34} {kind:16} {count:5} " + " ".join(f"{means[n]:10.3f}" for n in names))


def patients(judge: RulesJudge) -> None:
    """Another patient's report with the same coding should score above one with a different coding."""
    print("\n== Same coding above different coding (another patient's report as candidate) ==")
    coded = [r for r in reports() if r.text and r.mesh not in (("No Indexing",), ("normal",))]
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
    for name, scorer in scorers(judge).items():
        values = scorer([(c, ref) for twin, other, ref in triples for c in (twin, other)])
        wins = sum(values[i] > values[i + 1] for i in range(0, len(values), 2))
        ties = sum(values[i] == values[i + 1] for i in range(0, len(values), 2))
        print(f"  {name:10} {share(wins + ties / 2, len(triples))} (ties, counted half: {ties})")


def speed(judge: RulesJudge) -> None:
    """A fresh pair against `rouge_score`, in one run; growth from 2,000 to 20,000 characters. Processor time throughout."""
    print("\n== Speed (ratios in one run) ==")
    pairs = [(str(r["candidate"]), str(r["reference"])) for r in load("iu_pairs_dev.jsonl")][:400]
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])

    def ours() -> None:
        for candidate, reference in pairs:
            judge.compare(judge.encode([candidate]), judge.encode([reference]))

    def theirs() -> None:
        for candidate, reference in pairs:
            scorer.score(reference, candidate)

    ratios, own = [], []
    for _ in range(5):
        times = []
        for run in (ours, theirs):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        own.append(times[0] / len(pairs))
        ratios.append(times[0] / times[1])
    print(
        f"  fresh pair {statistics.median(own) * 1e3:.2f} ms, {statistics.median(ratios):.2f} x rouge_score (1, 2, L)"
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


def main() -> None:
    judge = RulesJudge()
    sections = {"coding": coding, "errors": errors, "systems": systems, "patients": patients, "speed": speed}
    chosen = [name for name in sys.argv[1:] if name in sections] or list(sections)
    if not (DATA / "iu_reports_dev.jsonl").is_file():
        sys.exit(f"no reports under {DATA}; set REWARD_BENCH_DATA to the folder that holds iu_reports_dev.jsonl")
    for name in chosen:
        if name == "errors":
            errors(judge, show=int(os.environ.get("SHOW", "0")))
        else:
            sections[name](judge)


if __name__ == "__main__":
    main()
