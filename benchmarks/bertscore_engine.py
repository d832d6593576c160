"""BERTScore as a library against `bert_score` and against the floor, on the same pairs in the same run.

`python -m benchmarks.bertscore_engine [--references 32] [--runs 3] [--threads N] [--cpu-time] [--compile] [--synthetic]
[--model PATH --layer N] [--device cuda]`. The floor is a bare forward of each distinct text, length-sorted, 32 at a
time, tokenisation included. `--cpu-time` compares processor time, for machines that others use as well. *Of the
ceiling*: arithmetic of the forward passes per second, as a share of what one large matrix product reaches on this
device in this precision; padding and matching are not counted as work. Target on a GPU: 6 times `bert_score` with 16
a call.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, get_args

import torch
from bert_score import BERTScorer
from transformers.utils import logging

from benchmarks.common import ceiling, machine, median_seconds, table
from benchmarks.data import PairList, distinct_pairs, grpo_pairs
from metrics.bertscore import BertScore
from metrics.encoder import Precision, computes_in


def ours(metric: BertScore, pairs: PairList) -> list[dict[str, float]]:
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    artefacts = dict(zip(texts, metric.encode(texts), strict=True))
    compared = metric.compare([artefacts[c] for c, _ in pairs], [artefacts[r] for _, r in pairs])
    return [comparison.values for comparison in compared]


def floor(metric: BertScore, pairs: PairList, forward: Callable[..., Any] | None = None, rows: int = 32) -> None:
    tokenizer, model = metric.encoder.load()
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    ids = sorted(tokenizer(texts, truncation=True, max_length=metric.encoder.limit)["input_ids"], key=len)
    with torch.inference_mode():
        for start in range(0, len(ids), rows):
            batch = tokenizer.pad({"input_ids": ids[start : start + rows]}, return_tensors="pt")
            (forward or model)(**batch.to(metric.encoder.device))
    if metric.encoder.device.startswith("cuda"):
        torch.cuda.synchronize()


def theirs(scorer: BERTScorer, pairs: PairList, per_call: int) -> None:
    for start in range(0, len(pairs), per_call):
        candidates, references = zip(*pairs[start : start + per_call], strict=True)
        scorer.score(list(candidates), list(references))


def operations(metric: BertScore, pairs: PairList) -> float:
    """Of one forward pass of each distinct text: two a weight and token, and attention's two products a layer."""
    _, model = metric.encoder.load()
    weights = sum(p.numel() for p in model.encoder.parameters() if p.dim() == 2)
    config = model.config
    lengths = [
        len(t.ids) for t in metric.encoder.tokenize(list(dict.fromkeys(text for pair in pairs for text in pair)))
    ]
    attention = 4 * config.num_hidden_layers * config.hidden_size
    return float(sum(n * (2 * weights + attention * n) for n in lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--layer", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--synthetic", action="store_true")
    args = parser.parse_args()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    settings = {"model": args.model, "layer": args.layer, "device": args.device, "threads": args.threads}
    exact = BertScore(**settings)
    reduced = BertScore(**settings, precision="bfloat16")
    pairs, source = grpo_pairs(args.references, synthetic=args.synthetic)
    pairs = [pair for pair in pairs if all(text.strip() for text in pair)]  # bert_score fails on empty text
    exact.encoder.load()
    scorer = BERTScorer(
        model_type=str(exact.encoder.directory), num_layers=exact.encoder.layer, device=args.device, batch_size=64
    )
    jobs: dict[str, Callable[[], object]] = {
        "floor, float32": lambda: floor(exact, pairs),
        "encode + compare, float32": lambda: ours(exact, pairs),
        "bert_score, one call": lambda: theirs(scorer, pairs, len(pairs)),
        "bert_score, 16 a call": lambda: theirs(scorer, pairs, 16),
        "bert_score, one a call": lambda: theirs(scorer, pairs, 1),
    }
    if computes_in("bfloat16", args.device):
        jobs["floor, bfloat16"] = lambda: floor(reduced, pairs)
        jobs["encode + compare, bfloat16"] = lambda: ours(reduced, pairs)
    if args.compile:
        compiled = torch.compile(exact.encoder.load()[1], dynamic=True)
        jobs["floor compiled, batch 8"] = lambda: floor(exact, pairs, compiled, 8)
        jobs["floor, batch 8"] = lambda: floor(exact, pairs, rows=8)
    threads = args.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    for job in jobs.values():  # warm up
        job()
    clock = time.process_time if args.cpu_time else time.perf_counter
    seconds = median_seconds(jobs, args.runs, clock)
    rows: list[tuple[str, ...]] = [("engine", "pairs/s", "of the float32 floor", "of the ceiling")]
    work, size = operations(exact, pairs), 8192 if args.device.startswith("cuda") else 1024
    precisions = [name for name in get_args(Precision) if name != "float16" and computes_in(name, args.device)]
    ceilings = {name: ceiling(args.device, getattr(torch, name), size) for name in precisions}
    for name, value in seconds.items():
        most = ceilings.get(name.rpartition(", ")[2], ceilings["float32"])
        share = "" if args.cpu_time else f"{work / value / most:.0%}"
        rows.append((name, f"{len(pairs) / value:.1f}", f"{seconds['floor, float32'] / value:.2f}", share))
    print(machine(), f"{threads} threads, {len(pairs)} pairs, {source}, {clock.__name__}", sep="\n")
    print(table(rows))
    print("ceiling: " + ", ".join(f"{name} {rate / 1e12:.2f} T/s" for name, rate in ceilings.items()))
    gain = seconds["bert_score, 16 a call"] / seconds["encode + compare, float32"]
    print(f"encode + compare / bert_score with 16 a call: {gain:.1f}")

    if not computes_in("bfloat16", args.device):
        print("bfloat16 left out: this device emulates it")
        return
    pairs, _ = distinct_pairs(max(64, 4 * len(pairs) // 3), synthetic=args.synthetic)
    values = [torch.tensor([list(row.values()) for row in ours(metric, pairs)]) for metric in (exact, reduced)]
    difference = (values[0] - values[1]).abs()
    print(f"bfloat16 against float32, {len(pairs)} pairs: mean {difference.mean():.1e}, largest {difference.max():.1e}")


if __name__ == "__main__":
    main()
