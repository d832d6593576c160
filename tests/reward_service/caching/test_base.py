"""Keys that cannot collide by construction, and a memory level that stays within its bytes."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judges.base import CATEGORIES, Evidence, Judgement
from reward_service.caching.base import MemoryCache, pair_digest, score_nbytes, text_digest
from reward_service.contracts import ComponentScore

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def digest(candidate: str, reference: str, prior: str | None) -> str:
    return pair_digest(text_digest(candidate), text_digest(reference), None if prior is None else text_digest(prior))


def verdict(n: int, evidence: int = 4) -> ComponentScore:
    counts = {category: float(n + i) for i, category in enumerate(CATEGORIES)}
    spans = tuple(Evidence("missing_finding", f"concept_{n}_{i}", True, None, (i, i + 9)) for i in range(evidence))
    judgement = Judgement(counts, dict(counts), 3.0, spans, {"green": 0.1 * n, "signed": -0.2}, ("injection_pattern",))
    return ComponentScore({"clinical": 0.1 * n}, ("note",), judgement)


@given(TEXT, TEXT, st.none() | TEXT, TEXT, TEXT, st.none() | TEXT)
def test_different_pairs_have_different_digests(
    c1: str, r1: str, p1: str | None, c2: str, r2: str, p2: str | None
) -> None:
    assert (digest(c1, r1, p1) == digest(c2, r2, p2)) == ((c1, r1, p1) == (c2, r2, p2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a", "b", None), ("b", "a", None)),
        (("ab", "c", None), ("a", "bc", None)),
        (("a", "b", None), ("a", "b", "")),
        (("a", "b", "c"), ("a", "c", "b")),
        (("", "a", None), ("a", "", None)),
    ],
)
def test_moved_borders_roles_and_empty_priors_change_the_digest(
    one: tuple[str, str, str | None], other: tuple[str, str, str | None]
) -> None:
    assert digest(*one) != digest(*other)


def test_the_digest_is_stable_across_releases() -> None:
    # Recorded from this implementation: a change silently empties every deployed cache.
    assert digest("no effusion", "small effusion", None) == "3d1e2f4f0cd5d77d1be7492eace1c0eb3f4e0371"


async def test_least_recently_used_leaves_first_and_bytes_are_bounded() -> None:
    one = score_nbytes(ComponentScore({"x": 0.0})) + 1
    cache = MemoryCache(3 * one)
    await cache.put_many([(key, ComponentScore({"x": float(i)})) for i, key in enumerate("abc")])
    assert (await cache.get_many(["a"]))[0] == ComponentScore({"x": 0.0})  # refreshed: b is the oldest now
    await cache.put_many([("d", ComponentScore({"x": 3.0}))])
    assert await cache.get_many(["a", "b", "c", "d"]) == [
        ComponentScore({"x": 0.0}),
        None,
        ComponentScore({"x": 2.0}),
        ComponentScore({"x": 3.0}),
    ]
    assert cache.stats()["memory"] == {
        "hits": 4,
        "misses": 1,
        "evictions": 1,
        "permanent": 0,
        "permanent_bytes": 0,
        "entries": 3,
        "bytes": 3 * one,
    }


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30)), max_size=60), st.integers(0, 20_000))
@settings(max_examples=100)
def test_bytes_are_exact_and_never_over_the_limit(puts: list[tuple[int, int]], limit: int) -> None:
    cache = MemoryCache(limit)
    for key, evidence in puts:
        cache.store(str(key), verdict(key, evidence), replace=evidence % 2 == 0)
        assert cache.stats()["memory"]["bytes"] <= limit
    kept = {str(key): score for key, _ in puts if (score := cache.peek(str(key)))}
    assert cache.stats()["memory"]["bytes"] == sum(score_nbytes(o) + len(k) for k, o in kept.items())


async def test_the_first_value_stays() -> None:
    cache = MemoryCache(10_000)
    await cache.put_many([("k", ComponentScore({"x": 1.0}))], permanent=True)
    await cache.put_many([("k", ComponentScore({"x": 2.0}))], permanent=True)
    assert (await cache.get_many(["k"])) == [ComponentScore({"x": 1.0})]
    assert await cache.claim(["k", "l"]) == {"l"}
    assert await cache.wait("k", 0.0) == ComponentScore({"x": 1.0})


@pytest.mark.parametrize(
    "make", [lambda i: ComponentScore({"bleu2": i / 7, "rougeL": i / 9}), lambda i: verdict(i, i % 12)]
)
def test_estimated_bytes_are_within_a_factor_of_two(make) -> None:  # type: ignore[no-untyped-def]
    count = 2000
    gc.collect()
    tracemalloc.start()
    try:
        cache = MemoryCache(1 << 30)
        for i in range(count):
            cache.store(f"{i:040x}:{i:040x}", make(i))
        measured = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.5 < cache.stats()["memory"]["bytes"] / measured < 2.0


def test_a_hit_is_handed_out_without_entering_the_event_loop() -> None:
    cache = MemoryCache(10_000)
    cache.store("k", ComponentScore({"x": 1.0}))
    coroutine = cache.get_many(["k"])
    with pytest.raises(StopIteration) as done:  # finishes at the first step: nothing was awaited
        coroutine.send(None)  # type: ignore[attr-defined]
    assert done.value.value == [ComponentScore({"x": 1.0})]


async def test_closing_empties_it() -> None:
    cache = MemoryCache(10_000)
    await cache.start()
    cache.store("k", ComponentScore({"x": 1.0}))
    await cache.release(["k"])
    await cache.aclose()
    assert cache.stats()["memory"]["bytes"] == 0


async def test_a_permanent_score_outlives_any_number_of_others_and_is_never_replaced() -> None:
    cache = MemoryCache(3000)
    assert await cache.put_many([("v", verdict(1))], permanent=True) == set()
    assert await cache.claim(["v", "w"]) == {"w"}
    await cache.put_many([(str(n), ComponentScore({"x": float(n)})) for n in range(50)])
    assert await cache.put_many([("v", verdict(2))], permanent=True) == set()
    assert await cache.get_many(["v", "49", "0"]) == [verdict(1), ComponentScore({"x": 49.0}), None]
    assert await cache.wait("v", 0.0) == cache.peek("v") == verdict(1)


async def test_permanent_scores_for_which_there_is_no_room_are_named() -> None:
    cache = MemoryCache(3000)
    keys = [f"v{n}" for n in range(10)]
    refused = await cache.put_many([(key, verdict(n)) for n, key in enumerate(keys)], permanent=True)
    kept = [key for key in keys if key not in refused]
    assert 2 <= len(kept) < 10
    assert refused == set(keys[len(kept) :])  # the first ones stay
    assert await cache.get_many(keys) == [verdict(n) if n < len(kept) else None for n in range(10)]
    stats = cache.stats()["memory"]
    assert stats["permanent"] == len(kept)
    assert stats["permanent_bytes"] <= 3000
