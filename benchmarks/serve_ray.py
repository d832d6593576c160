"""The service on Ray Serve against `serve`, one replica against one process: rates with one item and with 64 a post.

`python -m benchmarks.serve_ray [--runs 3]`, in an environment with the extra `ray`. Profile `text`; every pair is new;
both run at the same time and are asked in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray import serve

from benchmarks.common import machine, posts, service, table
from benchmarks.data import PairList, grpo_pairs
from reward_service.cluster.serve import build
from testbed.service import free_port

SHAPES = {"one item a post, 16 at once": (1, 16, 256), "64 items a post, 8 at once": (64, 8, 1024)}
"""Pairs a post, posts at once, pairs in one run."""


@contextmanager
def on_ray(profile: str) -> Iterator[str]:
    """The address of one ingress replica on a local cluster."""
    ray.init(num_cpus=4, object_store_memory=200 << 20, include_dashboard=False, log_to_driver=False)
    port = free_port()
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        arguments = {"service": {"profiles": profile, "insecure": True, "log_level": "error"}, "ingress": {"most": 1}}
        serve.run(build(arguments))
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def part(pairs: PairList, number: int, count: int) -> PairList:
    """Texts of their own for each run, so that nothing comes from a cache."""
    return [(f"{c} Run {number}.", f"{r} Run {number}.") for c, r in pairs[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    pairs, source = grpo_pairs(64, synthetic=True)
    rates: dict[tuple[str, str], list[float]] = {}
    with service("text", pool_workers=0) as plain, on_ray("text") as replica:
        urls = {"serve": plain, "Ray Serve": replica}
        for number in range(-1, arguments.runs):
            for shape, (per_post, at_once, count) in SHAPES.items():
                for name, url in urls.items():
                    seconds = asyncio.run(posts(url, part(pairs, number, count), per_post, at_once))
                    if number >= 0:  # the first is warm-up
                        rates.setdefault((shape, name), []).append(count / seconds)
    rows = [("shape", "serve, pairs/s", "Ray Serve, pairs/s", "Ray Serve / serve")]
    for shape in SHAPES:
        ours, theirs = (statistics.median(rates[shape, name]) for name in urls)
        rows.append((shape, f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.2f}"))
    print(machine(), f"{source}; medians of {arguments.runs}; load {os.getloadavg()[0]:.1f}", table(rows), sep="\n")


if __name__ == "__main__":
    main()
