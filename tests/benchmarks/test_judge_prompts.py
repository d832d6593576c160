"""The variants of the judge's prompts: what they change, that a run is gone on with, and that no text is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.judge_prompts import Asker, Results, pairs_of, report, run
from benchmarks.prompt_variants import SHIPPED, VARIANTS, Variant, applied, digest, find, hint, system_message
from judges.vllm import prompt, questions
from judges.vllm.calibration import statements
from judges.vllm.letters import Question
from testbed.scripted_judge import ScriptedServer, answer, letters


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    await server.start()
    yield server
    await server.stop()


def test_the_shipped_variants_are_what_is_shipped() -> None:
    assert system_message(find("json", SHIPPED)) == prompt.instructions("findings")
    before = questions.digest()
    with applied(find("statements", SHIPPED)):
        assert questions.digest() == before


def test_each_variant_is_another_prompt_and_none_stays() -> None:
    assert len({digest(variant) for variant in VARIANTS}) == len(VARIANTS)
    assert prompt.instructions("findings").count("\nExample ") == 7
    assert len(questions.instructions(Question.SAID)) == 1 + 2 * 9


@pytest.mark.parametrize(
    ("name", "examples"), [("no-examples", 0), ("half-examples", 3), ("short-rubric", 7), ("hint", 7)]
)
def test_a_variant_of_json_has_these_examples(name: str, examples: int) -> None:
    assert system_message(find("json", name)).count("\nExample ") == examples


def test_two_letters_leave_no_third_one() -> None:
    with applied(find("statements", "two-letters")):
        system, *turns = questions.instructions(Question.SAID)
    assert "C:" not in system["content"]
    assert {turn["content"] for turn in turns if turn["role"] == "assistant"} == {"A", "B"}


def test_the_hint_says_in_words_what_the_rules_judge_reads() -> None:
    said = hint("Small left effusion, worse. No pneumothorax. Possible pneumonia. Nodule of 1.5 cm.")
    assert (
        said
        == "Program: no pneumothorax; possible pneumonia; nodule (15 mm); pleural effusion (left, small); pleural effusion (worse)\n"
    )


def test_the_open_pairs_are_whole_studies_and_share_none_with_the_kept_ones() -> None:
    sides = [{case.id.partition("/")[0] for case in pairs_of(part, 40)} for part in ("open", "kept")]
    assert [len(pairs_of(part, 40)) for part in ("open", "kept")] == [39, 40]
    assert not sides[0] & sides[1]


def _right(request: dict[str, Any]) -> Any:
    """Knows the calibration's statements, and takes any other for said."""
    if "response_format" in request:
        return answer()
    asked = request["messages"][-1]["content"]
    known = next((one.said for one in statements() if orjson.dumps(one.text).decode() in asked), "A")
    return letters(**{letter: 0.9 if letter == known else 0.05 for letter in "ABC"})


@pytest.mark.parametrize("variant", [find("json", "hint"), find("statements", "hint")], ids=lambda one: one.protocol)
async def test_a_run_is_gone_on_with_and_keeps_no_text(
    variant: Variant, server: ScriptedServer, tmp_path: Path
) -> None:
    server.reply = _right
    file, pairs = tmp_path / "results.jsonl", pairs_of("open", 10)
    asker = Asker(server.url, "judge", "r", 4)
    await run(asker, [variant], pairs[:4], Results(file))
    half = len(server.bodies)
    await run(asker, [variant], pairs, Results(file))
    everything = len(server.bodies)
    assert 0 < half < everything
    await run(asker, [variant], pairs, Results(file))
    assert len(server.bodies) == everything
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert sorted(row["pair"] for row in rows if "pair" in row) == sorted(case.id for case in pairs)
    assert sum("calibration" in row for row in rows) == (variant.protocol == "statements")
    assert not any(
        word in file.read_text("utf-8").lower() for word in ("effusion", "carina", "scoliosis of", "program")
    )
    assert "Program: " in server.bodies[-1].decode()
    shown = report(variant.protocol, "open", 10, [], "r", Results(file))
    assert "9 (2)" in shown
    assert "Kendall tau-b, significant errors" in shown
