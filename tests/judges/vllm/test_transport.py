"""Servers that misbehave: every answer becomes a verdict or a typed failure, and one bad server hurts no other."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from tenacity import wait_none

from judges.vllm import transport
from judges.vllm.errors import JudgeError, JudgeSpent
from judges.vllm.server import AdaptiveLimit, JudgeServer, by_preference
from tests.judges.vllm.conftest import Door
from tests.waiting import SOON, soon

REFERENCE, CANDIDATE = "Small effusion.", "Effusion."
MATCH = {"matched": [{"ref": "R1", "cand": "P1"}]}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the pauses between them."""
    monkeypatch.setattr(transport, "_PAUSE", wait_none())


async def code_of(verdict: Any, reply: Any, **settings: Any) -> str:
    with pytest.raises(JudgeError) as caught:
        await verdict(reply, CANDIDATE, REFERENCE, **settings)
    assert CANDIDATE not in caught.value.message
    assert REFERENCE not in caught.value.message
    return caught.value.code


# --- answers that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        '{"matched":[{"ref":"R1",',
        '{"matched":[],"reason":"a\x07b"}',
        "There are no errors in this report.",
        "",
        "   ",
        None,
        "null",
        '{"matched":[],"score":1.0}',
        '{"matched":[{"ref":"R7","cand":"P1"}]}',
    ],
)
async def test_an_invalid_answer_is_asked_for_once_more_and_then_a_failure(
    verdict: Any, completion: Any, content: str | None
) -> None:
    asked: list[str] = []

    def reply(request: dict[str, Any]) -> Any:
        asked.append(request["messages"][-1]["content"])
        return completion(content)

    assert await code_of(verdict, reply) == "judge_invalid_output"
    assert len(asked) == 2
    assert asked[1].startswith(asked[0])  # the complaint comes last: the prefix stays shared
    assert "not valid" in asked[1]
    assert asked[0] not in (content or "-")


async def test_a_repaired_answer_counts(verdict: Any, answer: Callable[..., str]) -> None:
    said = iter(["Sure! Here it is:", answer(**MATCH)])
    result = await verdict(lambda request: next(said), CANDIDATE, REFERENCE)
    assert result.values["signed"] == 1.0
    assert result.details["requests"] == 2
    assert result.details["tokens"]["prompt"] == 200


async def test_half_an_answer_with_status_200_is_not_scored(verdict: Any, answer: Any, completion: Any) -> None:
    assert await code_of(verdict, completion(answer(**MATCH), finish="length")) == "judge_invalid_output"


async def test_refusal(verdict: Any, completion: Any) -> None:
    assert await code_of(verdict, completion(None, refusal="I cannot grade medical texts.")) == "judge_refused"
    assert await code_of(verdict, completion("", finish="content_filter")) == "judge_refused"


# --- servers that fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (lambda: web.json_response({"error": {"message": "engine died"}}), "judge_unavailable"),
        (lambda: web.json_response({"choices": []}), "judge_unavailable"),
        (lambda: web.Response(text="<html>502 Bad Gateway</html>"), "judge_unavailable"),
        (lambda: web.json_response({}, status=500), "judge_unavailable"),
        (lambda: web.json_response({}, status=503), "judge_unavailable"),
        (lambda: web.json_response({}, status=429), "judge_unavailable"),
        (lambda: web.json_response({"error": "no"}, status=401), "judge_misconfigured"),
        (lambda: web.json_response({"error": {"code": 404}}, status=404), "judge_misconfigured"),
        (lambda: web.json_response({"error": {"message": "bad field"}}, status=400), "judge_misconfigured"),
        (
            lambda: web.json_response(
                {"error": {"message": "context length is 4096", "param": "input_tokens"}}, status=400
            ),
            "judge_too_long",
        ),
        (lambda: web.Response(status=413), "judge_too_long"),
    ],
)
async def test_statuses_become_codes(verdict: Any, response: Callable[[], web.Response], code: str) -> None:
    assert await code_of(verdict, lambda request: response()) == code


async def test_what_will_not_get_better_is_not_tried_again(verdict: Any) -> None:
    calls: list[int] = []

    def reply(request: dict[str, Any]) -> web.Response:
        calls.append(1)
        return web.json_response({"error": {"message": "x"}}, status=400)

    await code_of(verdict, reply)
    assert len(calls) == 1


async def test_disconnects_are_retried_until_an_answer_comes(verdict: Any, answer: Callable[..., str]) -> None:
    calls: list[int] = []

    async def reply(request: dict[str, Any]) -> Any:
        calls.append(1)
        if len(calls) < 3:
            request["_request"].transport.abort()
        return answer(**MATCH)

    result = await verdict(reply, CANDIDATE, REFERENCE)
    assert result.values["signed"] == 1.0
    assert len(calls) == 3


async def test_a_server_that_drips_is_cut_off_by_the_clock(verdict: Any) -> None:
    """Each attempt by its own, long before the deadline: there is time for both."""
    calls: list[int] = []

    async def reply(request: dict[str, Any]) -> web.StreamResponse:
        calls.append(1)
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request["_request"])
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    assert await code_of(verdict, reply, attempt_timeout_s=0.2, attempts=2) == "judge_timeout"
    assert len(calls) == 2


async def test_the_deadline_holds_in_the_queue_too(serve: Any, judging: Any, door: Door) -> None:
    judge = await judging(await serve(door.reply), concurrency=1)
    served = asyncio.create_task(judge.judge(CANDIDATE, REFERENCE, None, deadline=soon()))
    await door.holds(1)
    queued = await asyncio.gather(
        *(judge.judge(CANDIDATE, f"Effusion {i}.", None, deadline=time.monotonic() + 0.1) for i in range(5)),
        return_exceptions=True,
    )
    assert [getattr(r, "code", "ok") for r in queued] == ["judge_timeout"] * 5
    assert not served.done()
    door.let_go(1)
    await served
    assert judge.health()["servers"][0]["in_flight"] == 0  # nothing leaked


async def test_a_storm_of_503_lowers_the_limit_and_calm_raises_it(
    serve: Any, judging: Any, answer: Any, door: Door
) -> None:
    server = await serve(lambda request: web.json_response({}, status=503))
    judge = await judging(server, concurrency=16, breaker_failures=1000)

    async def batch(n: int, tag: str) -> list[Any]:
        return await asyncio.gather(
            *(judge.judge(CANDIDATE, f"Effusion {tag} {i}.", None, deadline=soon()) for i in range(n)),
            return_exceptions=True,
        )

    assert {r.code for r in await batch(40, "storm")} == {"judge_unavailable"}
    assert judge.health()["servers"][0]["limit"] <= 8
    assert judge.health()["ready"]  # busy is not broken
    server.reply = lambda request: answer(**MATCH)
    server.most_in_flight = 0
    assert all(r.values["signed"] == 1.0 for r in await batch(200, "calm"))
    assert judge.health()["servers"][0]["limit"] > 8
    server.reply = door.reply
    many = asyncio.create_task(batch(40, "many"))
    await door.holds(9)  # at once
    door.let_go(40)
    await many
    assert server.most_in_flight <= 16


# --- breaker and failover -----------------------------------------------------------------------------------------


async def test_the_breaker_opens_and_a_passed_self_test_closes_it(serve: Any, judging: Any, answer: Any) -> None:
    broken = True
    server = await serve(lambda request: web.json_response({}, status=500) if broken else answer(**MATCH))
    server_says = server.self_test
    judge = await judging(server, breaker_failures=3)
    server.self_test = lambda request: web.json_response({}, status=500)
    for i in range(2):
        with pytest.raises(JudgeError):
            await judge.judge(CANDIDATE, f"Effusion {i}.", None, deadline=soon())
    assert not judge.health()["ready"]
    calls = len(server.bodies)
    with pytest.raises(JudgeError, match="no judge server is usable"):
        await judge.judge(CANDIDATE, REFERENCE, None, deadline=soon())
    assert len(server.bodies) == calls  # an open breaker sends nothing
    broken, server.self_test = False, server_says
    async with asyncio.timeout(SOON):
        while not judge.health()["ready"]:
            await asyncio.sleep(0.02)
    result = await judge.judge(CANDIDATE, REFERENCE, None, deadline=soon())
    assert result.values["signed"] == 1.0


async def test_another_replica_takes_over(serve: Any, judging: Any, answer: Any) -> None:
    good = await serve(lambda request: answer(**MATCH))
    bad = await serve(lambda request: web.json_response({}, status=500))
    judge = await judging(good, bad, breaker_failures=1000)
    results = await asyncio.gather(
        *(judge.judge(CANDIDATE, f"Effusion {i}.", None, deadline=soon()) for i in range(20))
    )
    assert all(r.values["signed"] == 1.0 for r in results)
    assert len(bad.bodies) > 0  # the fault has struck
    assert len(good.bodies) == 20


async def test_a_replica_with_another_model_does_not_fail_the_pair(serve: Any, judging: Any, answer: Any) -> None:
    good = await serve(lambda request: answer(**MATCH))
    bad = await serve(lambda request: web.json_response({}, status=404))
    judge = await judging(good, bad)
    bad.self_test = bad.reply
    for i in range(24):
        await judge.judge(CANDIDATE, f"Effusion {i}.", None, deadline=soon())
    assert "does not know the model" in judge.health()["detail"]


async def test_a_server_that_comes_back_has_a_cold_cache() -> None:
    server = JudgeServer("http://s", concurrency=4, failures=1)
    inside: list[str] = []

    async def enter(name: str) -> None:
        async with server.turn("group"):
            inside.append(name)
            await asyncio.sleep(0)
            inside.append(name)

    await asyncio.gather(enter("a"), enter("b"))
    await asyncio.gather(enter("c"), enter("d"))
    server.close()
    await asyncio.gather(enter("e"), enter("f"))
    assert "".join(inside) == "aabb" + "cdcd" + "eeff"


def test_rendezvous_hashing_moves_only_the_groups_of_the_server_that_leaves() -> None:
    servers = [JudgeServer(f"http://s{i}", concurrency=1, failures=1) for i in range(4)]
    groups = [f"g{i}" for i in range(400)]
    before = {g: by_preference(servers, g)[0] for g in groups}
    assert all(60 <= n <= 140 for n in Counter(s.url for s in before.values()).values())
    for group in groups:
        if before[group] is not servers[0]:
            assert by_preference(servers[1:], group)[0] is before[group]


# --- the limit ------------------------------------------------------------------------------------------------------


async def test_a_group_that_has_begun_comes_before_those_that_have_not(serve: Any, judging: Any, answer: Any) -> None:
    """Between two requests of a reference stand those of no more other references than there are slots.

    Else a cache of prefixes that holds as many would have forgotten it: in the order of arrival there are 11 others.
    """
    slots, references, members = 3, 12, 5
    server = await serve(lambda request: answer(**MATCH))
    judge = await judging(server, concurrency=slots)
    pairs = [(f"Edema {i}.", f"Effusion {n}.") for n in range(references) for i in range(members)]
    await asyncio.gather(*(judge.judge(*pair, None, deadline=soon()) for pair in pairs))
    shown = [json.loads(body)["messages"][-1]["content"] for body in server.bodies]
    order = [int(re.findall(r"Effusion (\d+)", text)[0]) for text in shown]
    assert len(order) == references * members
    for reference in range(references):
        places = [at for at, one in enumerate(order) if one == reference]
        for before, after in itertools.pairwise(places):
            assert len({*order[before:after]} - {reference}) <= slots


async def test_a_group_that_goes_on_and_on_lets_others_in() -> None:
    """Its rank is that of its first request only for as long as some of it are left."""
    server = JudgeServer("http://s", concurrency=1, failures=1)
    ranks = []
    for group in ("a", "b", "a"):
        async with server.turn(group) as rank:
            ranks.append(rank)
    assert ranks == sorted(ranks)
    async with server.turn("a") as first, server.turn("b"), server.turn("a") as second:
        assert first == second


async def test_a_lowered_limit_lets_nobody_in_until_enough_have_left_and_a_raised_one_does_at_once() -> None:
    limit = AdaptiveLimit(4)
    inside: list[int] = []
    leave = [asyncio.Event() for _ in range(8)]

    async def request(number: int) -> None:
        async with limit.slots.hold(0):
            inside.append(number)
            await leave[number].wait()
            inside.remove(number)

    async def settle() -> list[int]:
        for _ in range(10):
            await asyncio.sleep(0)
        return sorted(inside)

    tasks = [asyncio.create_task(request(number)) for number in range(8)]
    assert await settle() == [0, 1, 2, 3]
    limit.lower()
    limit.lower()  # answers to one overload count once
    assert limit.value == 2.0
    limit.raise_()
    assert (await settle(), limit.slots.total) == ([0, 1, 2, 3], 2)
    leave[0].set()
    leave[1].set()
    assert await settle() == [2, 3]
    leave[2].set()
    assert await settle() == [3, 4]  # first come, first served
    tasks[5].cancel()
    limit.raise_()
    limit.raise_()  # 2 + 1/2 + 1/2.5 + 1/2.9: one more per round of successes
    assert limit.value == pytest.approx(3.2448, abs=1e-4)
    assert await settle() == [3, 4, 6]  # who gave up took no turn with it
    for event in leave:
        event.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert limit.slots.taken == 0


async def test_no_telemetry_or_error_carries_report_text(serve: Any, judging: Any, answer: Any) -> None:
    seen: list[Any] = []
    said = iter(["planted-word", answer(**MATCH)])
    judge = await judging(await serve(lambda r: next(said)), observe=lambda *event: seen.append(event))
    result = await judge.judge("Planted-word effusion.", "Planted-word.", None, deadline=soon())
    assert {name for name, _, _ in seen} >= {
        "judge_request_seconds",
        "judge_tokens",
    }
    assert "planted" not in json.dumps([seen, dict(result.details), judge.health(), judge.manifest()]).lower()


# --- patience and money ------------------------------------------------------------------------------------------


async def test_a_server_that_says_when_to_come_back_is_asked_then(
    verdict: Any, answer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    pause = transport._pause
    monkeypatch.setattr(transport, "_pause", lambda state: waits.append(pause(state)) or 0.0)
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 5))
    said = iter(["2", later, "soon", None])

    def reply(request: dict[str, Any]) -> Any:
        if (after := next(said)) is None:
            return answer(**MATCH)
        return web.json_response({}, status=429, headers={"retry-after": after})

    assert (await verdict(reply, CANDIDATE, REFERENCE)).values["signed"] == 1.0
    assert waits[0] == 2.0
    assert 0.0 < waits[1] <= 5.0
    assert waits[2] == 0.0


async def test_patience_beyond_the_deadline_is_a_failure_at_once(verdict: Any) -> None:
    busy = web.json_response
    reply = lambda request: busy({}, status=429, headers={"retry-after": "86400"})  # noqa: E731
    assert await code_of(verdict, reply) == "judge_unavailable"


async def test_a_days_tokens_end_and_the_next_day_has_its_own(serve: Any, judging: Any, answer: Any) -> None:
    server = await serve(lambda request: answer(**MATCH))
    judge = await judging(server, tokens_a_day=350)  # 120 for the self-test, and 120 for each pair
    for _ in range(2):
        await judge.judge(CANDIDATE, REFERENCE, None, deadline=soon())
    with pytest.raises(JudgeSpent, match="tokens_a_day"):
        await judge.judge(CANDIDATE, REFERENCE, None, deadline=soon())
    assert len(server.bodies) == 2
    day = 0.0
    budget = transport.Budget(10, lambda: day)
    budget.spend(10)
    with pytest.raises(JudgeSpent):
        budget.check()
    day = 86_400.0
    budget.check()
