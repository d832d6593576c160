"""Servers that differ in what they can do: each is found out at start and used, or refused with what to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from judges.vllm import calibration, grammar, questions, ways
from judges.vllm.errors import JudgeMisconfigured
from judges.vllm.judge import VllmJudge
from judges.vllm.prompt import schema
from judges.vllm.settings import VllmJudgeSettings
from testbed.judge_kinds import CHATTER, Kind, derived, running
from tests.waiting import soon

LISTS = ("matched", "location", "severity", "missing", "false", "comparison_added", "comparison_omitted", "normal")
ALL = [way.name for way in ways.known()]


def settings(url: str, **others: Any) -> VllmJudgeSettings:
    return VllmJudgeSettings(
        **{"model": "judge", "revision": "r1", "base_urls": (url,), "canary_interval_s": 0, **others}
    )


def statements(tmp_path: Path, canaries: Sequence[calibration.Canary] = ()) -> dict[str, Any]:
    """The protocol, with a calibration that takes letters as they are."""
    made = calibration.Calibration("judge", "r1", questions.digest(), 0.5, 1.0, None, None, 0.9, tuple(canaries))
    file = tmp_path / "calibration.json"
    file.write_bytes(calibration.dump(made))
    return {"protocol": "statements", "calibration": str(file)}


@pytest.mark.parametrize("unknown", [200, 400, 422, 500])
@pytest.mark.parametrize("way", ALL)
async def test_the_way_that_a_server_knows_is_found_and_used(way: str, unknown: int) -> None:
    """What it does not know it ignores (vLLM, transformers), refuses (OpenAI, llama-cpp-python), or fails at."""
    kind = Kind(obeys=frozenset({way}), unknown=unknown)
    async with running(kind) as url:
        judge = VllmJudge(settings(url))
        await judge.start()
        assert judge.health()["servers"][0]["way"] == way
        verdict = await judge.judge("Left effusion.", "Right effusion.", None, deadline=soon())
        await judge.aclose()
    # The model said nothing of the pair, so the conservation law counts both statements.
    assert verdict.significant["missing_finding"] == verdict.significant["false_finding"] == 1
    asked = kind.requests[-1]
    assert {name for name in ALL if name in asked} <= {way, "response_format"}
    assert asked["messages"][-1]["content"].count("effusion") == 2


@pytest.mark.parametrize("unknown", [200, 400, 422])
async def test_a_server_that_constrains_nothing_is_refused_with_what_to_do(unknown: int) -> None:
    async with running(Kind(unknown=unknown)) as url:
        with pytest.raises(JudgeMisconfigured) as refused:
            await VllmJudge(settings(url)).start()
    assert "does not constrain its output" in refused.value.message
    assert "serve the model with vLLM or llama.cpp, or use protocol 'statements'" in refused.value.message
    assert CHATTER not in refused.value.message


async def test_a_server_that_fails_at_every_request_may_be_right_later() -> None:
    async with running(Kind(unknown=500)) as url:
        judge = VllmJudge(settings(url))
        await judge.start()
        assert not judge.health()["ready"]
        assert judge.health()["detail"] == "server 0: the judge server answered 500"
        await judge.aclose()


async def test_letters_are_enough_for_the_protocol_that_reads_them(tmp_path: Path) -> None:
    """A server that constrains nothing and gives log-probabilities, as some do; canary 0 is said by its report."""
    async with running(Kind()) as url:
        judge = VllmJudge(settings(url, **statements(tmp_path, [{"number": 0, "wrong": 0.1}])))
        await judge.start()
        assert judge.health()["servers"][0]["way"] is None
        verdict = await judge.judge("Fluid on the left.", "Left effusion.", None, deadline=soon())
        await judge.aclose()
    assert verdict.values["expected_errors"] == pytest.approx(0.1, abs=0.2)


@pytest.mark.parametrize("unknown", [200, 400, 422])
async def test_a_server_without_letters_is_refused_with_what_to_do(tmp_path: Path, unknown: int) -> None:
    async with running(Kind(letters=False, unknown=unknown)) as url:
        with pytest.raises(JudgeMisconfigured, match=r"no top_logprobs.* serve the model with .*use protocol 'json'"):
            await VllmJudge(settings(url, **statements(tmp_path, [{"number": 0, "wrong": 0.1}]))).start()


@pytest.mark.parametrize(
    ("holds", "lists", "refused"),
    [
        ("another", ("another",), True),  # llama.cpp's server takes any name
        ("judge-2026-01-01", ("another",), False),  # OpenAI's answers carry the date
        ("another", ("judge",), False),  # a proxy's names
        ("another", (), False),  # it does not say
    ],
)
async def test_a_server_that_takes_any_name_is_asked_which_it_holds(
    holds: str, lists: tuple[str, ...], refused: bool
) -> None:
    async with running(Kind(frozenset({"response_format"}), holds=holds, lists=lists)) as url:
        judge = VllmJudge(settings(url))
        if refused:
            with pytest.raises(JudgeMisconfigured, match="another model than it was asked for"):
                await judge.start()
        else:
            await judge.start()
        await judge.aclose()


# --- how the schema is said -----------------------------------------------------------------------------------------


def test_the_first_way_leaves_a_request_as_it_is_and_the_others_only_that_field() -> None:
    request = {"model": "m", "messages": [], "response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}
    body = json.dumps(request).encode()
    assert ways.known()[0].word(body) == body
    wanted = {
        "structured_outputs": {"structured_outputs": {"json": {}}},
        "json_object": {"response_format": {"type": "json_object", "schema": {}}},
        "guided_json": {"guided_json": {}},
    }
    for way in ways.known()[1:4]:
        assert json.loads(way.word(body)) == {"model": "m", "messages": [], **wanted[way.name]}
        assert way.word(b'{"model":"m"}') == b'{"model":"m"}'


def test_the_grammar_of_an_answer() -> None:
    """The notation is that of llama.cpp's grammars/README.md: `|`, `( )?` and `{0,n}`."""
    small = {
        "type": "object",
        "properties": {
            "a": {"type": "array", "maxItems": 3, "items": {"enum": ["R1", "R2"]}},
            "b": {"type": "boolean"},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    one = r'("\"R1\"" | "\"R2\"")'
    assert grammar.of(small) == (
        rf'root ::= "{{" "\"a\":" "[" ({one} ("," {one}){{0,2}})? "]" "," "\"b\":" ("true" | "false") "}}"'
    )
    assert json.loads(derived(grammar.of(schema(5, 4)))) == {name: [] for name in LISTS}
    for unknown in ({"type": "string"}, {**small, "required": ["a"]}, {"type": "array", "items": {"enum": [1]}}):
        with pytest.raises(ValueError, match="no grammar"):
            grammar.of(unknown)
