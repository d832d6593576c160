"""Batches in, scores out: same work once, same answer in any company, faults kept apart, memory bounded."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.base import CATEGORIES, Judgement, Refusal
from metrics.base import MetricScore
from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.workers.pair_computer import ArtefactCache, PairComputer, ScoreOrError
from tests.reward_service.fake_metrics import WithPrior, WordOverlap, expected, numbered


def computer(metric: Any = None, max_bytes: int = 10**7) -> PairComputer:
    return PairComputer(metric or WordOverlap(), ArtefactCache(max_bytes))


def codes(results: Sequence[ScoreOrError]) -> list[str]:
    return [r.code if isinstance(r, ComponentError) else "ok" for r in results]


# -- values ---------------------------------------------------------------------------------------


def test_values_and_notes_are_the_metrics_in_order() -> None:
    results = computer().run([Pair("no acute finding", "no finding"), Pair("", "no finding"), Pair("a", "a")])
    assert results == [
        ComponentScore({"overlap": 2.0, "length": 16.0}),
        ComponentScore({"overlap": 0.0, "length": 0.0}, ("empty",)),
        ComponentScore({"overlap": 1.0, "length": 1.0}),
    ]


def test_nothing_in_nothing_out() -> None:
    metric = WordOverlap()
    assert computer(metric).run([]) == []
    assert metric.batches == []


def test_the_prior_is_the_third_sequence_where_it_is_used() -> None:
    results = computer(WithPrior()).run([Pair("a b", "b", "one two"), Pair("a b", "b"), Pair("a b", "b", "")])
    assert [r.values["overlap"] for r in results if isinstance(r, ComponentScore)] == [201.0, 1.0, 1.0]


def test_a_metric_without_prior_neither_encodes_nor_sees_it() -> None:
    metric = WordOverlap()
    assert codes(computer(metric).run([Pair("a", "b", "poison")])) == ["ok"]
    assert sorted(metric.encoded) == ["a", "b"]


def test_a_judgement_travels_whole() -> None:
    judgement = Judgement(
        dict.fromkeys(CATEGORIES, 1.0), dict.fromkeys(CATEGORIES, 0.0), 2.0, (), {"overlap": 0.25, "length": 3}, ("n",)
    )

    class Judge(WordOverlap):
        def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
            return [judgement] * len(candidates)

    assert computer(Judge()).run([Pair("a", "b")]) == [
        ComponentScore({"overlap": 0.25, "length": 3.0}, ("n",), judgement)
    ]


words = st.text(alphabet="abc ", max_size=12)
odd = st.sampled_from(["poison", "a nan", "missing_key b", "clash", "lost", "c clash"])
pairs = st.builds(Pair, words | odd, words | odd, st.none() | words | odd)


@given(batch=st.lists(pairs, max_size=12), with_prior=st.booleans(), max_bytes=st.sampled_from([0, 1500, 10**6]))
def test_a_pair_has_the_same_outcome_in_any_batch_as_alone(batch: list[Pair], with_prior: bool, max_bytes: int) -> None:
    build = WithPrior if with_prior else WordOverlap
    together = computer(build(), max_bytes)
    results = together.run(batch)
    again = together.run(list(reversed(batch)))[::-1]  # now partly from the artefact cache
    for pair, result, repeated in zip(batch, results, again, strict=True):
        [alone] = computer(build()).run([pair])
        if isinstance(alone, ComponentError):
            assert codes([result, repeated]) == [alone.code] * 2
        else:
            assert result == alone == repeated


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 1, 31, 62, 63])
def test_a_poison_text_fails_the_pairs_that_use_it_and_no_other(position: int) -> None:
    batch = [Pair(f"candidate {i}", f"reference {i}") for i in range(64)]
    batch[position] = Pair("poison", batch[position].reference)
    batch[5] = Pair("candidate 5", "poison")
    results = computer().run(batch)
    assert {i for i, code in enumerate(codes(results)) if code != "ok"} == {position, 5}
    assert codes(results)[5] == "component_error"
    assert results[6] == ComponentScore(expected("candidate 6", "reference 6"))


def test_an_exception_in_compare_fails_only_its_pair() -> None:
    batch = [Pair("clash", "x"), Pair("clash", "clash"), Pair("x", "clash")]
    assert codes(computer().run(batch)) == ["ok", "component_error", "ok"]


def test_the_message_names_the_exception_but_quotes_no_report(caplog: pytest.LogCaptureFixture) -> None:
    secret = "poison effusion of Mrs Example"
    [error] = computer().run([Pair(secret, "b")])
    assert isinstance(error, ComponentError)
    assert "ValueError" in error.message
    assert "effusion" not in error.message
    assert not error.retryable
    assert "ValueError in encode" in caplog.text  # the operator learns of it, and where it was raised
    assert "testbed/components.py" in caplog.text
    assert "effusion" not in caplog.text


@pytest.mark.parametrize(
    ("candidate", "code"), [("a nan", "not_finite"), ("missing_key", "wrong_keys"), ("lost", "wrong_length")]
)
def test_a_result_that_is_no_number_is_an_error(candidate: str, code: str) -> None:
    batch = numbered(5)
    batch.insert(2, Pair(candidate, "b"))
    assert codes(computer().run(batch)) == ["ok", "ok", code, "ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.inf, "not_finite"),
        (-math.inf, "not_finite"),
        ("0.5", "wrong_keys"),
        (None, "component_error"),
        (1, "ok"),
        (0.5, "ok"),
    ],
)
def test_only_finite_numbers_pass(value: object, code: str) -> None:
    class Odd(WordOverlap):
        keys = ("overlap",)

        def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
            return [MetricScore({"overlap": value})] * len(candidates)  # type: ignore[dict-item]

    assert codes(computer(Odd()).run([Pair("a", "b")])) == [code]


@pytest.mark.parametrize("result", [None, 3.0, {"overlap": 1.0}])
def test_a_result_of_a_foreign_shape_is_an_error(result: object) -> None:
    class Foreign(WordOverlap):
        def compare(self, candidates: Sequence[Any], references: Sequence[Any], *priors: Any) -> list[Any]:
            return [result] * len(candidates)

    assert codes(computer(Foreign()).run([Pair("a", "b")])) == ["component_error"]


def test_encoding_too_few_texts_is_an_error_not_a_shift() -> None:
    class Short(WordOverlap):
        def encode(self, texts: Sequence[str]) -> list[Any]:
            return super().encode(texts)[1:]

    assert codes(computer(Short()).run([Pair("a", "b"), Pair("c", "d")])) == ["wrong_length"] * 2


# -- same work once -------------------------------------------------------------------------------


def test_a_cold_group_of_16_costs_17_encodings_and_one_comparison_each() -> None:
    metric = WordOverlap()
    computer(metric).run(numbered(16))
    assert len(metric.encoded) == 17
    assert metric.batches == [16]


def test_a_known_text_is_not_encoded_again() -> None:
    metric = WordOverlap()
    cold = computer(metric)
    cold.run(numbered(16))
    cold.run(numbered(16, start=8))
    assert len(metric.encoded) == 17 + 8
    # First batch: 17 misses. Second: its reference and 8 candidates are there.
    assert cold.cache.stats() | {"bytes": 0} == {
        "hits": 9,
        "misses": 25,
        "evictions": 0,
        "bytes": 0,
        "entries": 25,
    }


@pytest.mark.parametrize(("encoding", "encodings"), [("words@1", 0), ("other@1", 17)])
def test_metrics_share_artefacts_only_under_the_same_identity(encoding: str, encodings: int) -> None:
    cache = ArtefactCache(10**7)
    PairComputer(WordOverlap(), cache).run(numbered(16))
    second = WordOverlap(encoding=encoding)
    PairComputer(second, cache).run(numbered(16))
    assert len(second.encoded) == encodings


# -- the cache ------------------------------------------------------------------------------------


def test_memory_is_bounded_and_counted_over_many_texts() -> None:
    limit = 200_000
    subject = computer(max_bytes=limit)
    for start in range(0, 20_000, 100):
        subject.run(numbered(100, start))
        assert subject.cache.stats()["bytes"] <= limit
    stats = subject.cache.stats()
    assert stats["bytes"] > 0.9 * limit  # it does use what it may
    # By hand: 64 + 50 * 3 words, a str of 49 + 22 characters or so, 300 for the entry.
    assert stats["bytes"] / stats["entries"] == pytest.approx(64 + 150 + 49 + 22 + 300, abs=5)


def test_the_least_recently_used_goes_first() -> None:
    cache = ArtefactCache(3 * (1000 + 50 + 300))
    cache.put_many("e", [(text, text, 1000) for text in "abc"])
    cache.get_many("e", ["a"])
    cache.put_many("e", [("d", "d", 1000)])
    assert list(cache.get_many("e", "abcd")) == ["a", "c", "d"]


def test_replacing_counts_once_and_what_cannot_fit_evicts_nothing() -> None:
    cache = ArtefactCache(10_000)
    cache.put_many("e", [("a", 1, 1000)])
    before = cache.stats()["bytes"]
    cache.put_many("e", [("a", 2, 1000), ("huge", 3, 20_000)])
    assert cache.stats()["bytes"] == before
    assert cache.get_many("e", ["a", "huge"]) == {"a": 2}


def test_a_cache_of_nothing_keeps_nothing_and_a_negative_one_is_refused() -> None:
    metric = WordOverlap()
    none = computer(metric, max_bytes=0)
    assert none.run(numbered(2)) == none.run(numbered(2))
    assert len(metric.encoded) == 6
    with pytest.raises(ValueError, match="max_bytes"):
        ArtefactCache(-1)


def test_threads_can_share_a_cache() -> None:
    cache = ArtefactCache(30_000)
    wrong: list[object] = []

    def work(offset: int) -> None:
        mine = PairComputer(WordOverlap(), cache)
        for i in range(200):
            batch = numbered(10, start=(i * 7 + offset) % 60)
            if mine.run(batch) != [ComponentScore(expected(p.candidate, p.reference)) for p in batch]:
                wrong.append(batch)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert not wrong
    assert 0 < stats["bytes"] <= 30_000
    assert stats["hits"] + stats["misses"] == 4 * 200 * 11


def test_a_reference_that_is_refused_is_the_pair_s_error_and_is_asked_about_once() -> None:
    class Choosy(WordOverlap):
        def __init__(self) -> None:
            super().__init__()
            self.asked: list[Any] = []

        def refuses(self, reference: Any) -> Refusal | None:
            self.asked.append(reference)
            return Refusal("out_of_scope", "It is no report.") if reference == ["b"] else None

    metric = Choosy()
    results = computer(metric).run([Pair("a", "b"), Pair("b", "a"), Pair("c", "b"), Pair("poison", "b")])
    assert codes(results) == ["out_of_scope", "ok", "out_of_scope", "component_error"]
    assert sorted(metric.asked) == [["a"], ["b"]]
