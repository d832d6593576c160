"""RadGraph against a bare forward of its encoder and against the package `radgraph`, on the same pairs in the same run.

`python -m benchmarks.radgraph [--references 16] [--rollouts 16] [--runs 3] [--threads N] [--device cuda] [--cpu-time]
[--model-type radgraph|radgraph-xl] [--size base] [--package-pairs 16] [--no-http] [--synthetic] [--json FILE]`. Random weights of
BERT-base's shape, scaled to 18 entities a report, as RadGraph-XL finds in real ones. The floor is a bare forward of each
distinct text, length-sorted, 32 at a time, tokenisation included. *heads* is everything but the encoder: words, spans,
relations and the comparison. The package reads one text at a time, and every text of every pair; it runs in
`.venvs/radgraph` (`tests/parity/radgraph/make_environment.sh`), on as many pairs as told, and is left out without it.
Over HTTP a fresh service scores the same pairs, 64 a post and one a post (64 at once); a second epoch follows each.
Targets on a CPU: .9 of the floor, heads at most 10 %, 1.8 times the package over HTTP, one a post .85 of 64 a post; on a
GPU 20 times the package.
`--cpu-time` compares processor time, for machines that others use as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from benchmarks.common import ceiling, machine, posts, service, table
from benchmarks.data import PairList, grpo_pairs
from metrics.radgraph import RadGraphF1, convert
from metrics.radgraph.words import split
from testbed.radgraph.random_model import write_archive, write_encoder
from testbed.service import write_profile

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venvs" / "radgraph" / "bin" / "python"
ENTITIES = 18


def texts_of(pairs: PairList) -> list[str]:
    return list(dict.fromkeys(text for pair in pairs for text in pair))


def ours(metric: RadGraphF1, pairs: PairList) -> None:
    texts = texts_of(pairs)
    artefacts = dict(zip(texts, metric.encode(texts), strict=True))
    metric.compare([artefacts[c] for c, _ in pairs], [artefacts[r] for _, r in pairs])


def floor(metric: RadGraphF1, pairs: PairList, rows: int = 32) -> None:
    encoder = metric.radgraph.encoder
    tokenizer, model = encoder.load()
    texts = [" ".join(split(text, metric.radgraph.settings["model_type"])) for text in texts_of(pairs)]
    ids = sorted(tokenizer(texts, truncation=True, max_length=encoder.limit)["input_ids"], key=len)
    with torch.inference_mode():
        for start in range(0, len(ids), rows):
            batch = tokenizer.pad({"input_ids": ids[start : start + rows]}, return_tensors="pt")
            model(**batch.to(encoder.device))
    if encoder.device.startswith("cuda"):
        torch.cuda.synchronize()


def without_encoder(metric: RadGraphF1, pairs: PairList) -> Callable[[], None]:
    """`ours` with the encoder's vectors given."""
    encoder = metric.radgraph.encoder
    real = encoder.read
    known: dict[tuple[int, ...], Any] = {}

    def recording(ids: Any, reader: Any) -> Any:
        known.update(zip(map(tuple, ids), states := real(ids, reader), strict=True))
        return states

    encoder.read = recording  # type: ignore[method-assign]
    ours(metric, pairs)
    encoder.read = real  # type: ignore[method-assign]

    def run() -> None:
        encoder.read = lambda ids, reader: [known[tuple(row)] for row in ids]  # type: ignore[method-assign]
        try:
            ours(metric, pairs)
        finally:
            encoder.read = real  # type: ignore[method-assign]

    return run


class Package:
    """The package in its own process; a call tells the seconds of one batch of pairs."""

    def __init__(self, cache: Path, model_type: str, device: str, threads: int) -> None:
        number = int(device.partition(":")[2] or 0) if device.startswith("cuda") else -1
        script = ROOT / "tests" / "parity" / "radgraph" / "scripts" / "time_pairs.py"
        command = [str(PYTHON), str(script), str(cache), model_type, str(number), str(threads)]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self._process.stdout
        assert self._process.stdin
        while "ready" not in (line := self._process.stdout.readline()):
            if not line:
                raise RuntimeError("the package did not start")

    def seconds(self, pairs: PairList, clock: str) -> float:
        assert self._process.stdout
        assert self._process.stdin
        print(json.dumps(pairs), file=self._process.stdin, flush=True)
        return float(json.loads(self._process.stdout.readline())[clock])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def operations(metric: RadGraphF1, pairs: PairList) -> float:
    """Of one forward pass of each distinct text: two a weight and token, and attention's two products a layer."""
    tokenizer, model = metric.radgraph.encoder.load()
    weights = sum(p.numel() for p in model.encoder.parameters() if p.dim() == 2)
    attention = 4 * model.config.num_hidden_layers * model.config.hidden_size
    lengths = [len(ids) for ids in tokenizer(texts_of(pairs))["input_ids"]]
    return float(sum(n * (2 * weights + attention * n) for n in lengths))


def build(folder: Path, pairs: PairList, args: argparse.Namespace) -> RadGraphF1:
    texts = texts_of(pairs)
    words = [split(text, args.model_type) for text in texts]
    encoder = write_encoder(folder / "encoder", args.size, sorted({word for of_text in words for word in of_text}))
    rate = ENTITIES * len(words) / sum(map(len, words))
    archive = write_archive(
        folder / "cache" / args.model_type,
        encoder,
        args.model_type,
        texts=texts[:: max(1, len(texts) // 12)],
        entities_a_word=rate,
        relations_a_word=rate / 2,
    )
    converted = convert(archive, folder / "converted", encoder)
    metric = RadGraphF1(str(converted), device=args.device, threads=args.threads)
    metric.warm_up()
    return metric


def measure(metric: RadGraphF1, pairs: PairList, package: Package | None, args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each; they take turns, so that a busy neighbour hits all alike."""
    threads = args.threads or len(os.sched_getaffinity(0))
    clock = time.process_time if args.cpu_time else time.perf_counter
    jobs = {
        "floor": (threads, lambda: floor(metric, pairs)),
        "ours": (1, lambda: ours(metric, pairs)),
        "heads": (1, without_encoder(metric, pairs)),
    }
    floor(metric, pairs)
    times: dict[str, list[float]] = {}
    some = pairs[: args.package_pairs]
    for _ in range(args.runs):
        for name, (own_threads, job) in jobs.items():
            torch.set_num_threads(own_threads)  # ours runs a sub-batch on each core, and the floor all cores on each
            began = clock()
            job()  # type: ignore[no-untyped-call]
            times.setdefault(name, []).append(clock() - began)
        if package:
            seconds = package.seconds(some, "cpu" if args.cpu_time else "seconds")
            times.setdefault("package", []).append(seconds * len(pairs) / len(some))
    return {name: statistics.median(values) for name, values in times.items()}


def served(folder: Path, metric: RadGraphF1, pairs: PairList, device: str) -> dict[str, float]:
    """Seconds over HTTP of a fresh service, for each way of posting, and of a second epoch over the same pairs."""
    profile = write_profile(folder, "radgraph", {"radgraph_f1": {"weight": 1}}, normaliser="none")

    async def twice(url: str, a_post: int, at_once: int) -> tuple[float, float]:
        return await posts(url, pairs, a_post, at_once), await posts(url, pairs, a_post, at_once)

    found: dict[str, float] = {}
    for a_post, at_once in ((64, 4), (1, 64)):
        with service(profile, radgraph_model=metric.radgraph.folder, device=device) as url:
            first, again = asyncio.run(twice(url, a_post, at_once))
        found |= {f"http, {a_post} a post": first, f"http, {a_post} a post, second epoch": again}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=16)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model-type", default="radgraph", choices=["radgraph", "radgraph-xl"])
    parser.add_argument("--size", default="base", choices=["tiny", "base"])
    parser.add_argument("--package-pairs", type=int, default=16)
    parser.add_argument("--cpu-time", action="store_true")
    parser.add_argument("--no-http", action="store_true")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]

    threads = args.threads or len(os.sched_getaffinity(0))
    pairs, source = grpo_pairs(args.references, args.rollouts, synthetic=args.synthetic)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        metric = build(folder, pairs, args)
        found = metric.encode(texts_of(pairs))
        peer = args.package_pairs > 0 and PYTHON.exists()
        package = Package(folder / "cache", args.model_type, args.device, threads) if peer else None
        seconds = measure(metric, pairs, package, args)
        if package:
            package.close()
        if not args.no_http and not args.cpu_time:
            rounds = [served(folder, metric, pairs, args.device) for _ in range(args.runs)]
            seconds |= {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        work = operations(metric, pairs)
        torch.set_num_threads(threads)
        most = ceiling(args.device, torch.float32, 8192 if args.device.startswith("cuda") else 1024)
    entities = sum(len(annotation.entities) for annotation in found) / len(found)
    words = sum(len(annotation.text.split()) for annotation in found) / len(found)
    report: dict[str, Any] = {
        "machine": machine(),
        "torch": torch.__version__,
        "threads": threads,
        "clock": "process_time" if args.cpu_time else "perf_counter",
        "model": f"{args.model_type}, {args.size}, random weights",
        "pairs": len(pairs),
        "texts": len(found),
        "source": source,
        "words_a_text": round(words, 1),
        "entities_a_text": round(entities, 1),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "of_the_floor": round(seconds["floor"] / seconds["ours"], 3),
        "heads_share": round(seconds["heads"] / seconds["ours"], 3),
        "of_the_ceiling": None if args.cpu_time else round(work / seconds["ours"] / most, 3),
        "ceiling_tflops": round(most / 1e12, 2),
        "times_the_package": round(seconds["package"] / seconds["ours"], 2) if "package" in seconds else None,
    }
    if (requests := seconds.get("http, 64 a post")) is not None:
        report["http_one_a_post_of_64"] = round(requests / seconds["http, 1 a post"], 3)
        report["http_times_the_package"] = round(seconds["package"] / requests, 2) if "package" in seconds else None
    rows: list[tuple[str, ...]] = [("", "seconds", "pairs/s", "texts/s")]
    rows += [(n, f"{v:.2f}", f"{len(pairs) / v:.1f}", f"{len(found) / v:.1f}") for n, v in seconds.items()]
    print("\n".join(f"{key}: {value}" for key, value in report.items() if key != "seconds"))
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
