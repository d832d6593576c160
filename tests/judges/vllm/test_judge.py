"""The judge as a whole: groups, votes, the self-test, canaries, and an oracle whose verdict must come through."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from judges.vllm.errors import JudgeMisconfigured
from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from testbed import scripted_judge
from tests.judges.vllm.conftest import Door
from tests.waiting import SOON, soon

MATCH = {"matched": [{"ref": "R1", "cand": "P1"}]}


def statements(request: dict[str, Any], letter: str) -> list[str]:
    """What the model is shown of the graded pair, as the model would read it."""
    text = request["messages"][-1]["content"]
    return [json.loads(line)["text"] for line in re.findall(rf'^{{"id":"{letter}\d+".*$', text, re.M)]


# --- the oracle: a truth goes in, the same truth comes out --------------------------------------------------------

# name: reference, candidate, prior, answer, expected significant, insignificant, matched, signed
TRUTH: dict[str, tuple[str, str, str | None, dict[str, Any], dict[str, int], dict[str, int], float, float]] = {
    "perfect": (
        "Large right effusion. No edema.", "No edema. Big effusion on the right.", None,
        {"matched": [{"ref": "R1", "cand": "P2"}, {"ref": "R2", "cand": "P1"}]}, {}, {}, 1.25, 1.0,
    ),
    "negation flip": (
        "Right pneumothorax.", "No pneumothorax.", None,
        {"missing": [{"ref": "R1", "significant": True}], "false": [{"cand": "P1", "significant": True}]},
        {"missing_finding": 1, "false_finding": 1}, {}, 0.0, -0.5,
    ),
    "every category": (
        "Left effusion. Mild edema. Rib fracture. Mass has grown. Normal heart.",
        "Right effusion. Severe edema. Mass, new since last year. Nodule. Normal heart.", "Mass.",
        {
            "matched": [{"ref": "R4", "cand": "P3"}, {"ref": "R5", "cand": "P5"}],
            "location": [{"ref": "R1", "cand": "P1", "significant": True}],
            "severity": [{"ref": "R2", "cand": "P2", "significant": False}],
            "missing": [{"ref": "R3", "significant": False}],
            "false": [{"cand": "P4", "significant": True}],
            "comparison_added": [{"cand": "P3", "significant": True}],
            "comparison_omitted": [{"ref": "R4", "significant": False}],
        },
        {"wrong_location": 1, "false_finding": 1, "false_comparison": 1},
        {"wrong_severity": 1, "missing_finding": 1, "missing_comparison": 1},
        2.25,
        # credit 3 of 4; penalty 1 + 1/4 + 1 + 1/2 + 1/4 = 3
        0.0,
    ),
    "an invention beside a normal study": (
        "No effusion. Heart is normal.", "No effusion. Heart is normal. Lung mass.", None,
        {"matched": [{"ref": "R1", "cand": "P1"}, {"ref": "R2", "cand": "P2"}],
         "false": [{"cand": "P3", "significant": True}]},
        {"false_finding": 1}, {}, 0.5, -0.3,  # (0.7 - 1)/0.7 = -3/7, squashed
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUTH)
async def test_an_oracles_verdict_comes_through_unchanged(serve: Any, judging: Any, answer: Any, name: str) -> None:
    reference, candidate, prior, truth, significant, insignificant, matched, signed = TRUTH[name]

    def oracle(request: dict[str, Any]) -> str:
        # It answers for the pair that it is shown: a mangled or misnumbered text would go unrecognised.
        assert " ".join(statements(request, "R")) == reference
        assert " ".join(statements(request, "P")) == candidate
        assert statements(request, "H") == ([prior] if prior else [])
        return str(answer(**truth))

    judge = await judging(await serve(oracle))
    verdict = await judge.judge(candidate, reference, prior, deadline=soon())
    assert {k: v for k, v in verdict.significant.items() if v} == significant
    assert {k: v for k, v in verdict.insignificant.items() if v} == insignificant
    assert verdict.matched_findings == matched
    assert verdict.values["signed"] == pytest.approx(signed)
    assert verdict.values["green"] == pytest.approx(matched / (matched + sum(significant.values())) if matched else 0.0)
    errors = sum(significant.values()) + sum(insignificant.values())
    assert verdict.values["inverse_errors"] == pytest.approx(1 / (1 + errors))
    assert "corrections" not in verdict.details
    assert verdict.details["tokens"] == {"prompt": 100, "cached": 80, "completion": 20}


async def test_an_empty_candidate_is_the_floor_and_costs_no_call(serve: Any, judging: Any) -> None:
    server = await serve()
    judge = await judging(server)
    for empty in ("", " \n", "..."):
        verdict = await judge.judge(empty, "Left effusion. Edema. No fracture.", None, deadline=soon())
        assert verdict.values == {
            "signed": -1.0,
            "green": 0.0,
            "inverse_errors": pytest.approx(1 / 3),
            "quality": -1.0,
        }
        assert verdict.significant["missing_finding"] == 2.0
    normal = await judge.judge("", "No effusion.", None, deadline=soon())
    assert normal.values == {"signed": -1.0, "green": 0.0, "inverse_errors": 0.5, "quality": -1.0}
    assert server.bodies == []


async def test_votes(serve: Any, judging: Any, answer: Any) -> None:
    def reply(request: dict[str, Any]) -> str:
        wrong = [{"cand": "P1", "significant": True}] if request["seed"] == 2 else []
        return str(answer(**MATCH, false=wrong))

    server = await serve(reply)
    judge = await judging(server, votes=3)
    verdict = await judge.judge("Effusion.", "Effusion.", None, deadline=soon())
    assert verdict.significant["false_finding"] == pytest.approx(1 / 3)
    assert verdict.details["spread"] == {"errors": [0, 1]}
    assert [json.loads(body)["temperature"] for body in server.bodies] == [0.7] * 3
    single = await judging(server)
    await single.judge("Effusion.", "Effusion.", None, deadline=soon())
    assert json.loads(server.bodies[-1])["temperature"] == 0.0


# --- groups ---------------------------------------------------------------------------------------------------------


async def test_a_cold_group_sends_one_and_then_the_rest(serve: Any, judging: Any, door: Door) -> None:
    judge = await judging(await serve(door.reply))
    sent: list[str] = []

    async def ask(pairs: list[tuple[str, str]]) -> None:
        """All of them at once; returns when the server has them all and lets them go."""
        tasks = [
            asyncio.create_task(judge.judge(*pair, None, deadline=soon(), started=lambda: sent.append("request")))
            for pair in pairs
        ]
        if not sent:  # the group is cold
            await door.holds(1)
            assert len(sent) == 1  # each of the others has had its turn by now, and waits for the first
            door.let_go(1)
            await door.holds(len(pairs) - 1)
        else:
            await door.holds(len(pairs))
        door.let_go(len(pairs))
        await asyncio.gather(*tasks)
        door.close()

    group = [(f"Effusion {i}.", "Effusion.") for i in range(8)]
    await ask(group)
    await ask(group)  # now it is warm
    await ask([("x.", f"Edema {i}.") for i in range(8)])  # different references do not wait for each other
    assert len(sent) == 24


async def test_a_leader_that_is_cancelled_lets_the_others_go(serve: Any, judging: Any, door: Door) -> None:
    judge = await judging(await serve(door.reply))
    tasks = [asyncio.create_task(judge.judge(f"Effusion {i}.", "Effusion.", None, deadline=soon())) for i in range(4)]
    await door.holds(1)
    tasks[0].cancel()
    door.let_go(4)
    verdicts = await asyncio.gather(*tasks[1:])
    assert [v.details["requests"] for v in verdicts] == [1, 1, 1]
    assert tasks[0].cancelled()


async def test_a_group_sticks_to_one_replica(serve: Any, judging: Any) -> None:
    servers = [await serve(), await serve()]
    judge = await judging(*servers)
    for group in range(12):
        before = [len(s.bodies) for s in servers]
        pairs = ((f"Effusion {i}.", f"Edema {group}.") for i in range(4))
        await asyncio.gather(*(judge.judge(c, r, None, deadline=soon()) for c, r in pairs))
        assert sorted(len(s.bodies) - n for s, n in zip(servers, before, strict=True)) == [0, 4]
    assert all(s.bodies for s in servers)


# --- can the server be trusted? ----------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["Blue.", '{"colour":"blue"}', "", '{"colour":"vantablack-7f3a"'])
async def test_a_server_that_does_not_constrain_its_output_is_refused(serve: Any, judging: Any, said: str) -> None:
    server = await serve()
    server.self_test = lambda request: said
    with pytest.raises(JudgeMisconfigured, match="constrain"):
        await judging(server)


async def test_a_server_that_is_down_at_start_is_used_when_it_comes_up(serve: Any, judging: Any, answer: Any) -> None:
    server = await serve(lambda request: answer(**MATCH))
    await server.stop()
    judge = await judging(server)
    assert not judge.health()["ready"]
    assert "ConnectError" in judge.health()["detail"]
    await server.start()
    async with asyncio.timeout(SOON):
        while not judge.health()["ready"]:
            await asyncio.sleep(0.02)
    assert (await judge.judge("a.", "b.", None, deadline=soon())).values["signed"] == 1.0


async def test_a_server_that_hangs_at_start_holds_up_nobody_and_is_used_when_it_answers(
    serve: Any, judging: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judges.vllm.judge.START_S", 0.05)
    answers = asyncio.Event()
    server = await serve(lambda request: answer(**MATCH))

    async def late(request: dict[str, Any]) -> Any:
        await answers.wait()
        return scripted_judge.SELF_TEST_ANSWER

    server.self_test = late
    judge = await judging(server)
    assert judge.health()["detail"] == "server 0: not tested yet"
    answers.set()
    async with asyncio.timeout(SOON):
        while not judge.health()["ready"]:
            await asyncio.sleep(0.02)
    assert (await judge.judge("a.", "b.", None, deadline=soon())).values["signed"] == 1.0


async def test_canaries_show_quality_and_drift(serve: Any, judging: Any, answer: Any) -> None:
    honest = True
    events: list[tuple[str, float]] = []

    def reply(request: dict[str, Any]) -> str:
        same = statements(request, "R") == statements(request, "P")
        pairs = [{"ref": f"R{i}", "cand": f"P{i}"} for i in (1, 2, 3)]
        return str(answer(matched=pairs if same == honest else []))

    judge = await judging(
        await serve(reply),
        canary_interval_s=0.1,
        require_canaries=True,
        observe=lambda n, v, labels: events.append((n, v)),
    )
    assert judge.health()["canaries"] == {"wrong": [], "drifted": [], "drift": 0.0}
    assert judge.health()["ready"]
    honest = False
    async with asyncio.timeout(SOON):
        while judge.health()["canaries"]["drift"] < 0.6:
            await asyncio.sleep(0.02)
    health = judge.health()
    assert health["canaries"] == {"wrong": ["flipped", "gold"], "drifted": ["flipped", "gold"], "drift": 2 / 3}
    assert not health["ready"]
    assert ("judge_canary_drift", 2 / 3) in events


# --- identity -----------------------------------------------------------------------------------------------------


def test_the_manifest_holds_what_determines_a_verdict_and_nothing_else() -> None:
    def manifest(**settings: Any) -> str:
        base = {"model": "m", "revision": "r"}
        return json.dumps(VllmJudge(VllmJudgeSettings(**{**base, **settings})).manifest(), sort_keys=True)

    same = manifest()
    for transport in (
        {"base_urls": ("http://elsewhere",)}, {"api_key": "k"}, {"concurrency": 1}, {"attempt_timeout_s": 1.0},
        {"attempts": 1}, {"breaker_failures": 1}, {"canary_interval_s": 0.0},
    ):  # fmt: skip
        assert manifest(**transport) == same
    for verdict in (
        {"model": "n"}, {"revision": "s"}, {"variant": "chexprompt"}, {"votes": 3}, {"significant_only": True},
        {"votes": 3, "vote_temperature": 0.5}, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
    ):  # fmt: skip
        assert manifest(**verdict) != same


@pytest.mark.parametrize(
    "settings",
    [
        {"model": " "},
        {"revision": ""},
        {"votes": 0},
        {"base_urls": ()},
        {"base_urls": ("host:8000",)},
        {"extra_body": {"response_format": {}}},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        VllmJudgeSettings(**{"model": "m", "revision": "r", **settings})


def test_the_api_key_is_not_shown() -> None:
    assert "hidden" not in repr(VllmJudgeSettings(model="m", revision="r", api_key="hidden"))
