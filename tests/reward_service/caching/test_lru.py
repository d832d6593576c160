"""The store of both caches in memory against a plain model of it, and its few promises one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_service.caching.lru import LeastRecentlyUsed

STEPS = st.lists(st.tuples(st.sampled_from(["put", "get", "peek"]), st.integers(0, 6), st.integers(0, 12)), max_size=60)


@given(STEPS, st.integers(0, 30))
def test_it_keeps_what_a_list_in_order_of_use_would_keep(steps: list[tuple[str, int, int]], bound: int) -> None:
    kept: LeastRecentlyUsed[int, str] = LeastRecentlyUsed(bound)
    model: list[tuple[int, str, int]] = []  # the least recently used first
    hits = misses = evictions = 0
    for number, (step, key, size) in enumerate(steps):
        there = [entry for entry in model if entry[0] == key]
        value = there[0][1] if there else None
        if step == "peek":
            assert kept.peek(key) == value
            assert (key in kept) == bool(there)
            continue
        model = [entry for entry in model if entry[0] != key]
        if step == "get":
            assert kept.get_many([key]) == [value]
            model += there
            hits += bool(there)
            misses += not there
        else:
            kept.put(key, str(number), size)
            model += [(key, str(number), size)] if size <= bound else []
            while sum(entry[2] for entry in model) > bound:
                del model[0]
                evictions += 1
        expected = {"hits": hits, "misses": misses, "evictions": evictions}
        assert kept.stats() == {**expected, "entries": len(model), "bytes": sum(entry[2] for entry in model)}


def test_values_come_in_the_order_of_the_keys_and_each_look_up_counts() -> None:
    kept: LeastRecentlyUsed[str, int] = LeastRecentlyUsed(10)
    kept.put("a", 1, 5)
    kept.put("b", 2, 5)
    assert kept.get_many(["b", "x", "a", "b"]) == [2, None, 1, 2]
    assert kept.stats() == {"hits": 3, "misses": 1, "evictions": 0, "entries": 2, "bytes": 10}
    kept.put("c", 3, 5)
    assert kept.get_many(["a", "b", "c"]) == [None, 2, 3]


def test_what_cannot_fit_evicts_nothing_but_what_it_was_to_replace() -> None:
    kept: LeastRecentlyUsed[str, int] = LeastRecentlyUsed(10)
    kept.put("a", 1, 5)
    kept.put("b", 2, 5)
    kept.put("b", 3, 11)
    assert kept.get_many(["a", "b"]) == [1, None]
    assert kept.stats()["bytes"] == 5


def test_nothing_is_kept_in_no_bytes_and_fewer_are_refused() -> None:
    kept: LeastRecentlyUsed[str, int] = LeastRecentlyUsed(0)
    kept.put("a", 1, 1)
    assert "a" not in kept
    with pytest.raises(ValueError, match="max_bytes"):
        LeastRecentlyUsed(-1)


def test_clearing_frees_the_bytes() -> None:
    kept: LeastRecentlyUsed[str, int] = LeastRecentlyUsed(10)
    kept.put("a", 1, 5)
    kept.clear()
    assert kept.peek("a") is None
    assert kept.stats() == {"hits": 0, "misses": 0, "evictions": 0, "entries": 0, "bytes": 0}
