"""Shared by the benchmarks: the pairs they score, a timer that takes medians, and the name of the machine.

Real report pairs are read when a data folder is present and are never stored here; otherwise the
pairs are synthetic reports of about sixty words. Ratios within one run are what counts.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PairList = list[tuple[str, str]]
"""(candidate, reference) pairs."""

_DATA = Path(os.environ.get("REWARD_BENCH_DATA", Path(__file__).resolve().parents[1] / "../shared/data"))
_PARTS = (
    ("The heart is", "Heart size is", "The cardiac silhouette is", "The cardiomediastinal contour is"),
    ("normal in size", "mildly enlarged", "within normal limits", "at the upper limit of normal", "stable"),
    ("There is no", "No evidence of", "There is a small", "There is a large", "Persistent", "New"),
    ("pleural effusion", "pneumothorax", "focal consolidation", "pulmonary edema", "basilar atelectasis", "opacity"),
    ("on the right", "on the left", "bilaterally", "at the lung bases", "in the left lower lobe", "in the upper lung"),
    ("unchanged from the prior study", "since the previous examination", "compatible with infection", "as before"),
)


def synthetic_report(rng: random.Random, words: int = 60) -> str:
    """A report-like text of about `words` words."""
    sentences: list[str] = []
    while sum(len(s.split()) for s in sentences) < words - 4:
        start = rng.choice((0, 2))
        parts = [rng.choice(options) for options in _PARTS[start : start + rng.choice((2, 3, 4))]]
        sentences.append(" ".join(parts) + ".")
    return " ".join(sentences)


def distinct_pairs(count: int = 512, *, synthetic: bool = False) -> tuple[PairList, str]:
    """Pairs that share no text on purpose, and a word that says where they come from."""
    path = _DATA / "iu_pairs_dev.jsonl"
    if path.is_file() and not synthetic:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        pairs = [(row["candidate"], row["reference"]) for row in rows if row["kind"] in ("generated", "retrieved")]
        random.Random(0).shuffle(pairs)
        return pairs[:count], "Indiana dev pairs"
    rng = random.Random(0)
    return [(synthetic_report(rng), synthetic_report(rng)) for _ in range(count)], "synthetic 60-word reports"


def grpo_pairs(references: int = 32, rollouts: int = 16, *, synthetic: bool = False) -> tuple[PairList, str]:
    """`references` groups of `rollouts` distinct candidates that share a reference: the shape of a GRPO step."""
    pairs, source = distinct_pairs(100_000 if not synthetic else references * (rollouts + 1), synthetic=synthetic)
    known = list(dict.fromkeys(reference for _, reference in pairs))
    targets = known[:references]
    # Other studies' reports make up for generated ones that are missing; every candidate is a text of its own.
    candidates = list(dict.fromkeys([*(candidate for candidate, _ in pairs), *known[references:]]))
    if len(candidates) < references * rollouts:
        return grpo_pairs(references, rollouts, synthetic=True)
    return [(candidates[i * rollouts + j], target) for i, target in enumerate(targets) for j in range(rollouts)], source


def median_seconds(
    functions: dict[str, Callable[[], object]], runs: int = 5, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median time of each function by `clock`; they take turns, so that a busy neighbour hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            start = clock()
            function()
            times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def ceiling(device: str, precision: Any, size: int) -> float:
    """Operations a second of a large matrix product: the best of several, as a ceiling should be."""
    import torch

    a, b = (torch.randn(size, size, device=device).to(precision) for _ in range(2))

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(8):
            torch.matmul(a, b)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - began

    seconds()
    return 8 * 2 * size**3 / min(seconds() for _ in range(5))


def machine() -> str:
    """One line naming the machine: processor, cores, accelerator, Python."""
    cpu = platform.processor() or platform.machine()
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        cpu = next(line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    gpu = ""
    try:
        import torch

        if torch.cuda.is_available():
            gpu = f", {torch.cuda.get_device_name()}"
    except ImportError:
        pass
    return f"{cpu}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}"


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as an aligned text table; the first row is the header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
