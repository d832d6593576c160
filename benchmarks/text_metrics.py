"""Speed of the five text metrics against nltk and rouge_score, on the same pairs in the same run.

`python -m benchmarks.text_metrics [--pairs 256] [--synthetic]`. Targets: rougeL 15 times `rouge_score`; all five
together 5 times on distinct pairs and 8 times on groups of 16. Everything here runs in one thread, so
processor time is compared, which neighbours on the machine disturb less.
"""

from __future__ import annotations

import argparse
import time

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from benchmarks.common import machine, median_seconds, table
from benchmarks.data import PairList, distinct_pairs, grpo_pairs
from metrics.base import Metric
from metrics.bleu import Bleu2, Bleu4
from metrics.rouge import Rouge

ROUGES = ("rouge1", "rouge2", "rougeL")


def ours(metrics: list[Metric], pairs: PairList) -> None:  # type: ignore[type-arg]
    """Encode each distinct text once per encoding, compare each pair once: what a caller with a cache does."""
    artefacts: dict[str, dict[str, object]] = {}
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    for metric in metrics:
        if metric.encoding not in artefacts:
            artefacts[metric.encoding] = dict(zip(texts, metric.encode(texts), strict=True))
        encoded = artefacts[metric.encoding]
        metric.compare([encoded[c] for c, _ in pairs], [encoded[r] for _, r in pairs])


def theirs(bleu: bool, rouges: tuple[str, ...], pairs: PairList) -> None:
    scorer = RougeScorer(list(rouges))
    smooth = SmoothingFunction().method1
    for candidate, reference in pairs:
        if bleu:
            c, r = (text.lower().replace(".", " .").split() for text in (candidate, reference))
            sentence_bleu([r], c, weights=(0.5, 0.5), smoothing_function=smooth)
            sentence_bleu([r], c, smoothing_function=smooth)
        scorer.score(reference, candidate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--synthetic", action="store_true")
    arguments = parser.parse_args()
    five: list[Metric] = [Bleu2(), Bleu4(), *(Rouge(v) for v in ROUGES)]  # type: ignore[type-arg, arg-type]
    rows: list[tuple[str, ...]] = [("pairs", "metrics", "theirs ms/pair", "ours ms/pair", "ratio")]
    for shape, (pairs, source) in (
        ("distinct", distinct_pairs(arguments.pairs, synthetic=arguments.synthetic)),
        ("groups of 16", grpo_pairs(arguments.pairs // 16, synthetic=arguments.synthetic)),
    ):
        for name, metrics, bleu, rouges in (
            ("rougeL", [Rouge("rougeL")], False, ("rougeL",)),
            ("all five", five, True, ROUGES),
        ):
            seconds = median_seconds(
                {
                    "theirs": lambda b=bleu, r=rouges, p=pairs: theirs(b, r, p),  # type: ignore[misc]
                    "ours": lambda m=metrics, p=pairs: ours(m, p),  # type: ignore[misc]
                },
                clock=time.process_time,
            )
            t, o = (1000 * seconds[who] / len(pairs) for who in ("theirs", "ours"))
            rows.append((f"{shape} ({source})", name, f"{t:.3f}", f"{o:.4f}", f"{t / o:.1f}"))
    print(machine(), table(rows), sep="\n")


if __name__ == "__main__":
    main()
