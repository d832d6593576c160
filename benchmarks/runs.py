"""What entering a request into a run costs, as a share of the service's processor time.

`python -m benchmarks.runs [--profile text] [--rounds 5]`. Target: below 2 %. Three services get the same groups of 16
new candidates in turns: without a `run_id`, with one, and with one where samples are kept. What each spends is read from
the operating system, so a busy neighbour hardly matters. Medians of several rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import machine, table
from benchmarks.data import grpo_pairs
from testbed.service import Service, running

GROUP = 16
SETTLED_S = 1.5  # the recorder writes once a second


def cpu_seconds(service: Service) -> float:
    """Processor time of the process that answers, so far."""
    fields = Path(f"/proc/{service.front}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def spend(service: Service, groups: list[dict[str, Any]], run: bool, at: int, per_step: int) -> float:
    """Processor seconds of the service for these groups, one request each. `at`: the number of the first one."""
    before = cpu_seconds(service)
    for number, group in enumerate(groups, at):
        named = {"run_id": "bench", "step": number // per_step} if run else {}
        httpx.post(f"{service.url}/score", json={"groups": [group], **named}, timeout=300).raise_for_status()
    time.sleep(SETTLED_S)
    return cpu_seconds(service) - before


def measure(profile: str, rounds: int, per_round: int, per_step: int) -> tuple[float, dict[str, float]]:
    """(median seconds for one pair without a run, median share that each kind of run adds)."""
    pairs, _ = grpo_pairs((rounds + 1) * per_round, GROUP, synthetic=True)
    groups = [
        {"reference": pairs[i][1], "candidates": [candidate for candidate, _ in pairs[i : i + GROUP]]}
        for i in range(0, len(pairs), GROUP)
    ]
    kinds: dict[str, dict[str, object]] = {"": {}, "totals": {}, "totals and 4 samples a step": {"keep_samples": 4}}
    plain: list[float] = []
    shares: dict[str, list[float]] = {name: [] for name in kinds if name}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = {
            name: stack.enter_context(
                running(folder / f"log{i}", profiles=profile, pool_workers=0, log_level="error", **settings)
            )
            for i, (name, settings) in enumerate(kinds.items())
        }
        for number in range(rounds + 1):
            part = groups[number * per_round : (number + 1) * per_round]
            spent = {name: spend(one, part, bool(name), number * per_round, per_step) for name, one in services.items()}
            if number:  # the first one warms up
                plain.append(spent[""] / (per_round * GROUP))
                for name, values in shares.items():
                    values.append(spent[name] / spent[""] - 1)
    return statistics.median(plain), {name: statistics.median(values) for name, values in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=64, help="of a round")
    parser.add_argument("--groups-per-step", type=int, default=64, help="of the training")
    wanted = parser.parse_args()
    seconds, shares = measure(wanted.profile, wanted.rounds, wanted.groups, wanted.groups_per_step)
    print(machine())
    print(
        f"A pair of {wanted.profile} without a run: {1e3 * seconds:.2f} ms of processor time; "
        f"steps of {wanted.groups_per_step} groups of {GROUP}"
    )
    print(table([("what a run keeps", "adds"), *((name, f"{share:+.1%}") for name, share in shares.items())]))


if __name__ == "__main__":
    main()
