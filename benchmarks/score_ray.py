"""`reward-service score --ray` over many rows: how fast, and whether memory stays flat.

`python -m benchmarks.score_ray [--rows 100000] [--plain]`, in an environment with the extra `ray`. Rows are distinct
60-word reports; the profile is `text`. Memory is that of the driver, Ray's own processes and the actors together
(proportional set size), at twenty points. `--plain` scores the rows with `score` first, and compares the outputs.
Memory is flat when the second half of the run adds no more than 5 %.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.common import machine, table
from benchmarks.data import synthetic_report

COMMAND = [sys.executable, "-m", "reward_service.cli", "score", "--profile", "text", "--detail", "reward"]
_POINTS = 20


def write_rows(path: Path, count: int) -> None:
    """Lines of JSON; no two alike."""
    rng = random.Random(0)
    with path.open("wb") as out:
        for number in range(count):
            reference = f"{synthetic_report(rng)} Image {number}."
            candidate = f"{synthetic_report(rng)} Image {number}."
            out.write(orjson.dumps({"id": str(number), "candidate": candidate, "reference": reference}) + b"\n")


def memory_mb(session: int) -> float:
    """Proportional set size of all processes of that session; Ray's daemons, which leave it, are known by name."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session or "ray" in (folder / "cmdline").read_text().partition("\0")[0]:
                found = next(x for x in (folder / "smaps_rollup").read_text().splitlines() if x.startswith("Pss:"))
                total += int(found.split()[1])
    return total / 1024


def run_on_ray(source: Path, out: Path, rows: int) -> list[tuple[int, float, float]]:
    """(shards done, seconds, MB) at about `_POINTS` points."""
    began, samples = time.monotonic(), [(0, 0.0, 0.0)]
    process = subprocess.Popen([*COMMAND, "--ray", str(source), "-o", str(out)], start_new_session=True)
    folder = Path(f"{out}.ray")
    while process.poll() is None:
        time.sleep(2)
        shards = len(list(folder.glob("entries-*.jsonl")))
        done = len(list(folder.glob("records-*.jsonl")))
        if shards and done - samples[-1][0] >= shards / _POINTS:
            samples.append((done, time.monotonic() - began, memory_mb(process.pid)))
    assert process.returncode == 0, process.returncode
    samples.append((samples[-1][0], time.monotonic() - began, 0.0))
    return samples[1:]


def main() -> int:
    """Exit status 1 when memory is not flat, or when the outputs differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, plain, out = folder / "in.jsonl", folder / "plain.jsonl", folder / "ray.jsonl"
        write_rows(source, arguments.rows)
        print(machine())
        if arguments.plain:
            began = time.monotonic()
            subprocess.run([*COMMAND, str(source), "-o", str(plain)], check=True)
            print(f"score, one process and its pool: {arguments.rows / (time.monotonic() - began):.0f} rows/s")
        *samples, (_, seconds, _) = run_on_ray(source, out, arguments.rows)
        rows = [("shards", "seconds", "MB"), *((str(n), f"{s:.0f}", f"{mb:.0f}") for n, s, mb in samples)]
        print(table(rows), f"score --ray: {arguments.rows / seconds:.0f} rows/s with start and end", sep="\n")
        same = not arguments.plain or filecmp.cmp(plain, out, shallow=False)
        print(f"{'equal to' if same else 'NOT equal to'} the output of score" if arguments.plain else "not compared")
    half = samples[len(samples) // 2][2]
    growth = samples[-1][2] / half - 1
    print(f"growth of memory over the second half: {growth:+.1%} (wanted: at most 5 %); load {os.getloadavg()[0]:.1f}")
    return int(growth > 0.05 or not same)


if __name__ == "__main__":
    raise SystemExit(main())
