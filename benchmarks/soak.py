"""Memory over many distinct texts: the whole `embedded` service, with caches that are full early on.

`python -m benchmarks.soak [--texts 100000] [--seconds 900]`: groups of 16 candidates whose texts are all new, over
HTTP, until so many texts have been scored or the time is up. Memory is flat when the second half of the run adds no
more than 5 % to the service's resident set.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson

from benchmarks.common import JSON, machine, table
from testbed.service import Service, running

SMALL = {"cache_memory_bytes": 16 << 20, "artefact_bytes": 16 << 20, "embedding_bytes": 64 << 20}
GROUPS, ROLLOUTS = 15, 16
_SIDES, _GRADES = ("left", "right", "bilateral"), ("small", "moderate", "large", "new", "stable")
_FINDINGS = ("pleural effusion", "pneumothorax", "basilar opacity", "apical nodule", "rib fracture", "lower lobe mass")


def texts() -> Iterator[str]:
    """Short reports, no two alike."""
    for number, (grade, side, finding) in enumerate(itertools.cycle(itertools.product(_GRADES, _SIDES, _FINDINGS))):
        yield f"{grade} {side} {finding} of {number % 97} mm, image {number}.".capitalize()


def bodies() -> Iterator[bytes]:
    """Requests of new texts."""
    fresh = texts()
    while True:
        groups = [
            {"reference": next(fresh), "candidates": list(itertools.islice(fresh, ROLLOUTS))} for _ in range(GROUPS)
        ]
        yield orjson.dumps({"groups": groups, "detail": "reward", "timeout_s": 600})


async def soak(service: Service, wanted: int, seconds: float) -> list[tuple[int, float, float]]:
    """(texts scored, seconds, resident MB) at twenty points and more."""
    step, began = GROUPS * (ROLLOUTS + 1), time.monotonic()
    samples = []
    async with aiohttp.ClientSession() as session:
        for count, body in enumerate(bodies(), 1):
            async with session.post(f"{service.url}/score", data=body, headers=JSON) as response:
                answer = orjson.loads(await response.read())
                assert response.status == 200, answer
                assert all(r["status"] == "ok" for group in answer["groups"] for r in group["results"])
            spent, done = time.monotonic() - began, count * step
            if done // (wanted // 20) > (done - step) // (wanted // 20):
                samples.append((done, spent, service.memory_mb()))
            if done >= wanted or spent >= seconds:
                return samples
    raise AssertionError("unreachable")


def main() -> int:
    """Exit status 1 when memory is not flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=900.0)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "log", profiles="embedded", **SMALL) as service,
    ):
        idle = service.memory_mb()
        samples = asyncio.run(soak(service, arguments.texts, arguments.seconds))
    rows = [("texts", "seconds", "resident MB"), ("0", "0", f"{idle:.0f}")]
    print(machine(), table([*rows, *((f"{n:,}", f"{s:.0f}", f"{mb:.0f}") for n, s, mb in samples)]), sep="\n")
    half = [mb for n, _, mb in samples if n <= samples[-1][0] / 2]
    growth = samples[-1][2] / half[-1] - 1
    print(f"growth over the second half: {growth:+.1%} (wanted: at most 5 %)")
    return int(growth > 0.05)


if __name__ == "__main__":
    raise SystemExit(main())
