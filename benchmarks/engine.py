"""What the engine adds to its components, what HTTP adds to the engine, and what the cache saves.

`python -m benchmarks.engine [--profile embedded]`. Targets: with profile `text`, the engine's overhead is no
more than its components' own time; HTTP in requests of 256 reaches 0.5 of in-process; cached is 20 times
uncached (`embedded`). Ratios within one run, medians of several.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from benchmarks.common import machine, posts, service, table
from benchmarks.data import PairList, grpo_pairs
from reward_service.components.registry import build
from reward_service.contracts import Pair
from reward_service.profiles.loading import load_profile
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from reward_service.workers import placement as runners
from reward_service.workers.pair_computer import ArtefactCache, PairComputer


def components_alone(profile: str, pairs: PairList) -> float:
    """Seconds that encode and compare of each component take, called directly."""
    components = [build(spec.component, spec.settings) for spec in load_profile(profile).components.values()]
    items = [Pair(c, r) for c, r in pairs]
    total = 0.0
    cache = ArtefactCache(2**30)
    for component in components:
        computer = PairComputer(component, cache)  # type: ignore[arg-type]
        began = time.perf_counter()
        computer.run(items)
        total += time.perf_counter() - began
    return total


async def in_process(profile: str, pairs: PairList, per_request: int) -> tuple[float, float]:
    """Seconds for all pairs through a fresh engine, and again from its cache."""
    settings = Settings(profiles=(profile,), log_level="error", pool_workers=0)
    runners._shared_artefacts.cache_clear()  # a process keeps them for all its engines
    async with Engine(settings) as engine:
        items = [Item(None, c, r) for c, r in pairs]
        times = []
        for _ in range(2):
            began = time.perf_counter()
            for i in range(0, len(items), per_request):
                await engine.score(ScoringRequest(items[i : i + per_request], timeout_s=600))
            times.append(time.perf_counter() - began)
    return times[0], times[1]


async def over_http(profile: str, pairs: PairList, per_request: int) -> tuple[float, float]:
    """Seconds for all pairs over HTTP, and again from the cache; the service has scored other pairs before."""
    with service(profile) as url:
        await posts(url, [(f"{c} Clips.", f"{r} Clips.") for c, r in pairs[:64]], 64, 1)
        return await posts(url, pairs, per_request, 1), await posts(url, pairs, per_request, 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="text")
    parser.add_argument("--references", type=int, default=32)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    pairs, source = grpo_pairs(arguments.references)
    components_alone(arguments.profile, pairs[:64])  # imports, lexicon, weights
    rows: dict[str, list[float]] = {}
    for _ in range(arguments.runs):
        rows.setdefault("components alone", []).append(components_alone(arguments.profile, pairs))
        fresh, cached = await in_process(arguments.profile, pairs, 256)
        rows.setdefault("engine, requests of 256", []).append(fresh)
        rows.setdefault("engine, cached", []).append(cached)
        fresh, cached = await over_http(arguments.profile, pairs, 256)
        rows.setdefault("HTTP, requests of 256", []).append(fresh)
        rows.setdefault("HTTP, cached", []).append(cached)
    median = {name: statistics.median(times) for name, times in rows.items()}
    base = median["components alone"]
    shown = [("what", "ms/pair", "pairs/s", "of components alone")]
    for name, seconds in median.items():
        per = 1e3 * seconds / len(pairs)
        shown.append((name, f"{per:.3f}", f"{len(pairs) / seconds:.0f}", f"{seconds / base:.2f}"))
    print(
        machine(), f"profile {arguments.profile}, {len(pairs)} pairs in groups of 16, {source}", table(shown), sep="\n"
    )
    print(f"engine overhead / components' own time: {median['engine, requests of 256'] / base - 1:.2f} (target <= 1)")
    http = median["engine, requests of 256"] / median["HTTP, requests of 256"]
    print(f"HTTP / in-process rate: {http:.2f} (target >= 0.5)")
    saved = median["engine, requests of 256"] / median["engine, cached"]
    print(f"cached / uncached rate: {saved:.0f} (target >= 20 with embedded)")


if __name__ == "__main__":
    asyncio.run(main())
