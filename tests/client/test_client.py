"""The client's promises, each against a server that breaks it once.

Both clients run every case: the asynchronous one is driven to completion through `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_client import (
    AnswerMismatch,
    ApiError,
    AsyncRewardClient,
    BudgetSpent,
    FingerprintChanged,
    Group,
    GroupScore,
    Item,
    Options,
    RewardClient,
    RewardClientError,
    Score,
    core,
)
from testbed.service import free_port
from tests.client.scripted import COMPONENTS, Scripted, app_of, refuse, reward_of, serving
from tests.waiting import SOON, until

PAIRS = [Item(candidate="x" * n, reference="reference") for n in range(10)]


class Sync:
    """One interface over both clients, for parametrised tests."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.client = RewardClient(url, **settings)

    def score(self, items: Sequence[Item]) -> list[Score]:
        return self.client.score(items)

    def score_groups(self, groups: Sequence[Group]) -> list[GroupScore]:
        return self.client.score_groups(groups)


class Async:
    """A new event loop for every call, as some trainers have it."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.client = AsyncRewardClient(url, **settings)

    def score(self, items: Sequence[Item]) -> list[Score]:
        return asyncio.run(self._closing(self.client.score(items)))

    def score_groups(self, groups: Sequence[Group]) -> list[GroupScore]:
        return asyncio.run(self._closing(self.client.score_groups(groups)))

    async def _closing(self, work: Any) -> Any:
        try:
            return await work
        finally:
            await self.client.aclose()


Make = Callable[..., Sync | Async]


@pytest.fixture(params=[Sync, Async])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


def test_scores_in_order_with_all_fields(service: Scripted, make: Make) -> None:
    scores = make(service.url).score(PAIRS)
    assert [score.reward for score in scores] == [reward_of(one.candidate, one.reference) for one in PAIRS]
    assert [score.id for score in scores] == [str(index) for index in range(10)]
    assert set(scores[0].components) == set(COMPONENTS)
    assert scores[0].status == "ok"


def test_a_missing_reward_is_none_with_its_code(service: Scripted, make: Make) -> None:
    good, bad = make(service.url).score([Item("a", "b"), Item("a", "", id="no-reference")])
    assert good.reward is not None
    assert (bad.reward, bad.status, bad.id) == (None, "null", "no-reference")
    assert bad.missing["clinical"].code == "empty_reference"


def test_empty_in_empty_out_without_a_request(make: Make) -> None:
    nobody = make("http://127.0.0.1:9", budget_s=0.1)
    assert nobody.score([]) == []
    assert nobody.score_groups([]) == []


def test_long_lists_are_split_with_bounded_concurrency(service: Scripted, make: Make) -> None:
    service.together = 3
    items = [Item("y" * n, "reference") for n in range(95)]
    scores = make(service.url, request_items=10, concurrency=3).score(items)
    assert [score.reward for score in scores] == [reward_of(one.candidate, one.reference) for one in items]
    assert sorted(len(body["items"]) for body in service.requests) == [5] + [10] * 9
    assert service.most_in_flight == 3


def test_groups_are_never_divided(service: Scripted, make: Make) -> None:
    groups = [Group(tuple("z" * n for n in range(4)), "reference", id=f"g{i}") for i in range(5)]
    answers = make(service.url, request_items=10).score_groups(groups)
    assert [len(body["groups"]) for body in service.requests] in ([2, 2, 1], [2, 1, 2], [1, 2, 2])
    assert [answer.id for answer in answers] == [f"g{i}" for i in range(5)]
    assert [score.id for score in answers[3].scores] == ["g3/0", "g3/1", "g3/2", "g3/3"]
    assert answers[0].scores[2].reward == reward_of("zz", "reference")


def _swap_ids(_: Any, answer: dict[str, Any]) -> Any:
    results = answer["results"]
    results[3]["id"], results[7]["id"] = results[7]["id"], results[3]["id"]
    return answer


def _swap_results(_: Any, answer: dict[str, Any]) -> Any:
    results = answer["results"]
    results[3], results[7] = results[7], results[3]
    return answer


def _lose_one(_: Any, answer: dict[str, Any]) -> Any:
    return {**answer, "results": answer["results"][:-1]}


def _repeat_one(_: Any, answer: dict[str, Any]) -> Any:
    return {**answer, "results": [*answer["results"][:-1], answer["results"][0]]}


@pytest.mark.parametrize("fault", [_swap_ids, _swap_results, _lose_one, _repeat_one])
def test_swapped_lost_or_repeated_answers_raise(service: Scripted, make: Make, fault: Any) -> None:
    service.faults = [fault]
    with pytest.raises(AnswerMismatch, match="10 items"):
        make(service.url).score(PAIRS)


def test_two_whole_answers_swapped_in_transit_raise(service: Scripted, make: Make) -> None:
    """The second call gets the first call's answer: as many results, with the same positions."""
    kept: list[Any] = []
    service.faults = [lambda _, answer: kept.append(answer) or answer, lambda *_: kept[0]]
    client = make(service.url)
    client.score(PAIRS)
    with pytest.raises(AnswerMismatch):
        client.score(list(reversed(PAIRS)))


def test_swapped_candidates_within_a_group_raise(service: Scripted, make: Make) -> None:
    def swap(_: Any, answer: dict[str, Any]) -> Any:
        answer["groups"][0]["results"].reverse()
        return answer

    service.faults = [swap]
    with pytest.raises(AnswerMismatch, match="group 0"):
        make(service.url).score_groups([Group(("a", "bb"), "reference")])


@pytest.mark.parametrize("value", [float("nan"), "0.5", True])
def test_what_is_no_number_is_no_reward(service: Scripted, make: Make, value: Any) -> None:
    def spoil(_: Any, answer: dict[str, Any]) -> Any:
        import json

        from fastapi import Response

        answer["results"][0]["reward"] = value
        return Response(json.dumps(answer), media_type="application/json")

    service.faults = [spoil]
    with pytest.raises(AnswerMismatch, match="finite number"):
        make(service.url).score(PAIRS)


def test_status_and_reward_must_agree(service: Scripted, make: Make) -> None:
    def contradict(_: Any, answer: dict[str, Any]) -> Any:
        answer["results"][2]["status"] = "null"
        return answer

    service.faults = [contradict]
    with pytest.raises(AnswerMismatch, match="item 2"):
        make(service.url).score(PAIRS)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_transient_failures_are_retried(service: Scripted, make: Make, status: int) -> None:
    service.faults = [lambda *_: refuse(status)]
    assert len(make(service.url).score(PAIRS)) == 10
    assert len(service.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_other_refusals_are_final_and_carry_the_envelope(service: Scripted, make: Make, status: int) -> None:
    service.faults = [lambda *_: refuse(status, "bad_item", "items[1].candidate")]
    with pytest.raises(ApiError) as caught:
        make(service.url).score([Item("a", "b"), Item("a", "b", id="study-7")])
    error = caught.value
    assert (error.status, error.code, error.request_id, error.item) == (status, "bad_item", "r-1", "study-7")
    assert "study-7" in str(error)
    assert len(service.requests) == 1


def test_an_item_is_named_across_split_requests(service: Scripted) -> None:
    def refuse_second(body: dict[str, Any], answer: Any) -> Any:
        return refuse(422, "bad", "items[4].reference") if body["items"][0]["id"].startswith("5#") else answer

    service.faults = [refuse_second, refuse_second]
    with pytest.raises(ApiError) as caught:
        RewardClient(service.url, request_items=5, concurrency=1).score(PAIRS)
    assert caught.value.item == "9"


def test_retry_after_is_honoured(service: Scripted, make: Make) -> None:
    service.faults = [lambda *_: refuse(429, "overloaded", **{"retry-after": "1"})]
    began = time.monotonic()
    make(service.url).score(PAIRS)
    assert time.monotonic() - began >= 1.0


def test_a_dropped_connection_is_retried(service: Scripted, make: Make) -> None:
    def drop(*_: Any) -> Any:
        raise RuntimeError("scripted crash")  # uvicorn answers 500 and closes

    service.faults = [drop]
    assert len(make(service.url).score(PAIRS)) == 10


def test_a_hang_ends_with_the_budget(service: Scripted, make: Make) -> None:
    service.delay_s = 3600.0
    with pytest.raises(BudgetSpent, match="scoring 10 items"):
        make(service.url, budget_s=0.6, timeout_s=0.2).score(PAIRS)


def test_nobody_there_ends_with_the_budget_and_says_so(make: Make) -> None:
    with pytest.raises(BudgetSpent, match="ConnectError"):
        make("http://127.0.0.1:9", budget_s=0.5).score(PAIRS)


def test_waits_until_the_service_is_ready(service: Scripted, make: Make) -> None:
    service.not_ready = 2
    assert len(make(service.url).score(PAIRS)) == 10
    assert service.not_ready < 0


def test_the_wait_for_readiness_is_bounded(service: Scripted, make: Make) -> None:
    service.not_ready = 10**6
    with pytest.raises(BudgetSpent, match="/ready"):
        make(service.url, ready_s=0.4).score(PAIRS)


def test_stores_the_fingerprint_document_and_pins_it(service: Scripted, make: Make) -> None:
    user = make(service.url)
    user.score(PAIRS)
    assert user.client.fingerprint == "sha256:one"
    assert user.client.fingerprint_document == {"fingerprint": "sha256:one", "document": {"bounds": [-1.0, 1.0]}}
    assert user.client.bounds == (-1.0, 1.0)
    assert service.requests[0]["fingerprint"] == "sha256:one"


def test_a_changed_fingerprint_raises(service: Scripted, make: Make) -> None:
    user = make(service.url)
    user.score(PAIRS)
    service.fingerprint = "sha256:two"
    with pytest.raises(FingerprintChanged, match="sha256:two"):
        user.score(PAIRS)
    with pytest.raises(FingerprintChanged):
        make(service.url, fingerprint="sha256:one").score(PAIRS)


def test_an_accepted_fingerprint_lets_a_run_go_on(service: Scripted, make: Make) -> None:
    user = make(service.url)
    user.score(PAIRS)
    service.fingerprint, service.accepted = "sha256:two", ["sha256:one"]
    user.score(PAIRS)  # as it was started
    resumed = make(service.url, fingerprint="sha256:one")
    resumed.score(PAIRS)
    assert resumed.client.fingerprint == "sha256:one"
    assert {request["fingerprint"] for request in service.requests} == {"sha256:one"}
    fresh = make(service.url)
    fresh.score(PAIRS)
    assert fresh.client.fingerprint == "sha256:two"
    with pytest.raises(FingerprintChanged):
        make(service.url, fingerprint="sha256:zero").score(PAIRS)


def test_the_part_after_the_dot_only_says_what_changed(service: Scripted, make: Make) -> None:
    service.fingerprint = "sha256:one.a1b2"
    for pin in ("sha256:one", "sha256:one.a1b2", "sha256:one.ffff"):
        assert len(make(service.url, fingerprint=pin).score(PAIRS)) == 10


def test_a_refusal_stops_the_retries_of_the_others(service: Scripted) -> None:
    def fault(body: dict[str, Any], answer: dict[str, Any]) -> Any:
        return refuse(422, "bad") if body["items"][0]["id"].startswith("0#") else refuse(503)

    service.faults = [fault] * 1000
    with pytest.raises(ApiError, match="bad"):  # at all: what is retried would be retried for an hour
        RewardClient(service.url, request_items=5, concurrency=2, budget_s=3600).score(PAIRS)


def test_threads_that_share_a_client_keep_to_their_budgets(service: Scripted) -> None:
    """A thread that waits for a free connection spends its time like any other."""
    client = RewardClient(service.url, concurrency=1, budget_s=0.3)
    client.start()
    with client._slots, ThreadPoolExecutor(5) as pool:  # the only connection is taken
        errors = [call.exception() for call in [pool.submit(client.score, PAIRS[:1]) for _ in range(5)]]
    assert [type(error) for error in errors] == [BudgetSpent] * 5
    assert all("no connection was free in time" in str(error) for error in errors)
    assert service.requests == []


def test_a_refused_pin_is_a_changed_fingerprint(service: Scripted, make: Make) -> None:
    service.faults = [lambda *_: refuse(409, "fingerprint_mismatch")]
    with pytest.raises(FingerprintChanged, match="scripted"):
        make(service.url).score(PAIRS)


def test_api_key_travels_as_bearer_and_is_not_shown(service: Scripted, make: Make) -> None:
    make(service.url, api_key="s3cret").score(PAIRS)
    assert service.authorization == ["Bearer s3cret"]
    assert "s3cret" not in repr(Options(service.url, api_key="s3cret"))


def test_a_restart_between_calls_goes_unnoticed(make: Make) -> None:
    scripted = Scripted()
    with serving(app_of(scripted), free_port()) as url:  # nobody else takes it meanwhile
        user = make(url)
        first = user.score(PAIRS)
    port = int(url.rsplit(":", 1)[1])
    again = Scripted()

    answered = threading.Event()

    def come_back() -> None:
        with serving(app_of(again), port):
            answered.wait(SOON)

    thread = threading.Thread(target=come_back)
    thread.start()
    assert user.score(PAIRS) == first
    answered.set()
    thread.join()
    assert len(again.requests) == 1


async def test_many_one_item_calls_at_once_keep_to_the_connections(service: Scripted) -> None:
    service.together = 5
    client = AsyncRewardClient(service.url, concurrency=5)
    items = [Item("w" * n, "reference") for n in range(60)]
    answers = await asyncio.gather(*(client.score([one]) for one in items))
    assert [answer[0].reward for answer in answers] == [reward_of(one.candidate, "reference") for one in items]
    assert service.most_in_flight == 5
    await client.aclose()


def test_an_abandoned_event_loop_leaves_nothing_behind(service: Scripted) -> None:
    """ms-swift opens a loop for every step and closes it without a word to the client."""
    client = AsyncRewardClient(service.url)
    for _ in range(3):
        assert len(asyncio.run(client.score(PAIRS))) == 10
    assert len(client._sessions) == 1


async def test_cancelling_a_call_cancels_its_requests(service: Scripted) -> None:
    service.delay_s = 3600.0
    client = AsyncRewardClient(service.url, request_items=1)
    call = asyncio.create_task(client.score(PAIRS))
    await until(lambda: service.requests)
    call.cancel()
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert call.cancelled()
    await client.aclose()


@pytest.mark.parametrize(
    "error",
    [
        ApiError(422, "code", "message", "items[0]", "r", False, "a"),
        BudgetSpent(1.0, "scoring item a", "HTTP 503"),
        FingerprintChanged("a", "b", "fields"),
        AnswerMismatch("swapped"),
    ],
)
def test_errors_cross_process_borders(error: RewardClientError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_texts_must_be_texts() -> None:
    with pytest.raises(TypeError, match="item second"):
        RewardClient("http://127.0.0.1:9").score([Item("a", "b"), Item(None, "b", id="second")])  # type: ignore[arg-type]


def test_options_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_CLIENT_URL", "http://from-env")
    monkeypatch.setenv("REWARD_CLIENT_BUDGET_S", "7.5")
    assert Options.from_env(profile=None) == Options("http://from-env", budget_s=7.5)
    assert Options.from_env(url="http://given").url == "http://given"
    monkeypatch.delenv("REWARD_CLIENT_URL")
    with pytest.raises(ValueError, match="REWARD_CLIENT_URL"):
        Options.from_env()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://reward", "http://key:s3cret@reward:8000"])
def test_a_url_without_scheme_or_with_a_key_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"http://|api_key") as caught:
        Options(url)
    assert "s3cret" not in str(caught.value)


@given(st.lists(st.sampled_from([408, 429, 500, 503, None]), max_size=12), st.floats(0.05, 5.0))
@settings(max_examples=60)
def test_no_pause_reaches_beyond_the_budget(faults: list[int | None], budget: float) -> None:
    """Whatever fails, and whatever Retry-After says (time is simulated)."""
    now = 0.0
    with mock.patch.object(core, "time", SimpleNamespace(monotonic=lambda: now)):
        steps = core.Core(Options("http://x", budget_s=budget)).start(budget)
        step = next(steps)
        with contextlib.suppress(BudgetSpent):
            for status in itertools.chain(faults, itertools.repeat(503)):
                assert isinstance(step, core.Send)
                now += 0.01
                reply = core.Reply(status, {"retry-after": "0.2"}, b"") if status else core.Failure("broken")
                step = steps.send(reply)
                assert isinstance(step, core.Wait)
                now += step.seconds
                assert now < budget
                step = steps.send(None)
        assert now <= budget + 0.02
