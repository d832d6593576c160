"""Shared by the benchmarks: a service to measure, a timer that takes medians, the name of the machine, and tables.

Ratios within one run are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from benchmarks.data import PairList
from testbed.service import running

JSON = {"Content-Type": "application/json"}


@contextmanager
def service(profile: str, **settings: object) -> Iterator[str]:
    """The address of a real service in a process of its own, once it is ready."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log", profiles=profile, log_level="error", **settings) as started,
    ):
        yield started.url


async def posts(url: str, pairs: PairList, per_request: int, concurrency: int) -> float:
    """Seconds until every pair has its reward, in requests of `per_request`, at most `concurrency` at once."""
    bodies = [
        orjson.dumps(
            {"timeout_s": 600, "items": [{"candidate": c, "reference": r} for c, r in pairs[i : i + per_request]]}
        )
        for i in range(0, len(pairs), per_request)
    ]
    gate = asyncio.Semaphore(concurrency)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def post(body: bytes) -> None:
            async with gate, session.post(f"{url}/score", data=body, headers=JSON) as response:
                answer = orjson.loads(await response.read())
                assert all(r["status"] == "ok" for r in answer["results"]), answer

        began = time.perf_counter()
        await asyncio.gather(*(post(body) for body in bodies))
        return time.perf_counter() - began


def section_parser(description: str | None, sections: Collection[str]) -> argparse.ArgumentParser:
    """A parser whose positional arguments are names of `sections`; none means all."""

    def section(name: str) -> str:
        if name not in sections:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(sections)}")
        return name

    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", type=section, default=list(sections), metavar="SECTION")
    return parser


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
