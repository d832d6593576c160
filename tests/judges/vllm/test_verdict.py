"""A verdict is kept as the model's answers; what follows from them is computed on reading, and keys nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from judges.vllm import accounting, answer, json_protocol, prompt
from judges.vllm.errors import JudgeInvalidOutput
from judges.vllm.judge import VllmJudge
from judges.vllm.settings import VllmJudgeSettings
from reward_service.caching import codec
from reward_service.contracts import ComponentScore
from reward_service.profiles import source_code
from testbed import scripted_judge

CANDIDATE, REFERENCE = "Small effusion. A nodule.", "Large effusion. No nodule."
ANSWER = scripted_judge.answer(
    severity=[{"ref": "R1", "cand": "P1", "significant": True}], false=[{"cand": "P2", "significant": False}]
)


def judge(**settings: Any) -> VllmJudge:
    return VllmJudge(VllmJudgeSettings(**{"model": "m", "revision": "r", **settings}))


@pytest.mark.parametrize("votes", [1, 3])
async def test_reading_gives_the_judgement_again_also_from_bytes(verdict: Any, votes: int) -> None:
    judged = await verdict(ANSWER, CANDIDATE, REFERENCE, votes=votes)
    assert [json.loads(text) for text in judged.details["answers"]] == [json.loads(ANSWER)] * votes
    blob = codec.encode("k", ComponentScore(judged.values, judged.notes, judged))
    stored = codec.decode("k", blob)
    assert stored is not None
    assert stored.judgement is not None
    assert judge(votes=votes).read(CANDIDATE, REFERENCE, None, stored.judgement) == judged


async def test_an_empty_candidate_is_a_verdict_without_answers(verdict: Any) -> None:
    judged = await verdict(ANSWER, "", REFERENCE)
    assert judged.details["answers"] == []
    assert judge().read("", REFERENCE, None, judged) == judged
    assert judged.values["signed"] == -1.0


async def test_what_is_computed_from_a_verdict_is_computed_by_the_code_of_now(
    verdict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = await verdict(ANSWER, CANDIDATE, REFERENCE)
    before = judge().manifest()
    monkeypatch.setattr(accounting, "MINOR", 0.5)  # the invented nodule costs twice as much
    again = judge().read(CANDIDATE, REFERENCE, None, judged)
    # Of one finding, distorted: credit 1 (severity) - penalty 1 - .25 or .5 over weight 1, squashed by s / (1 - s).
    assert judged.values["signed"] == pytest.approx(-0.25 / 1.25)
    assert again.values["signed"] == pytest.approx(-0.5 / 1.5)
    assert again.details == judged.details
    assert judge().manifest() == before


async def test_a_judgement_of_an_older_form_is_left_as_it_was(verdict: Any) -> None:
    judged = await verdict(ANSWER, CANDIDATE, REFERENCE)
    older = dataclasses.replace(judged, details={"model": "m"}, values={"signed": 0.125})
    assert judge().read(CANDIDATE, REFERENCE, None, older) is older


async def test_an_answer_that_no_longer_fits_is_no_number(verdict: Any) -> None:
    judged = await verdict(ANSWER, CANDIDATE, REFERENCE)
    with pytest.raises(JudgeInvalidOutput):
        judge().read(CANDIDATE, "One statement", None, dataclasses.replace(judged, details={"answers": ["{}"]}))


def test_what_forms_a_verdict_is_in_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = judge().manifest()
    for module, name, other in (
        (json_protocol, "PARSER_VERSION", 2), (json_protocol, "SCHEMA_VERSION", 2), (prompt, "REPAIR", "Again: {reason}"),
        (prompt, "WITHHELD", "[gone]"), (prompt, "MOST_CHARACTERS", 5000), (prompt, "longest_answer", lambda r, c: 99),
        (prompt, "split", lambda report: SPLIT(report.replace(";", ","))), (prompt, "clean", lambda text: text),
        (prompt.NumberedPair, "is_asked", property(lambda pair: len(pair.candidate) > 1)),
        (prompt, "request", lambda settings, pair, vote, said="": pair.text[:99].encode()),
        (prompt, "addresses_grader", lambda text, reference: False), (prompt, "show", lambda name, text: text),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(module, name, other)
            prompt.read_reference.cache_clear()
            assert judge().manifest() != before, name
    prompt.read_reference.cache_clear()
    assert judge().manifest() == before


SPLIT = prompt.split


def test_whoever_changes_the_parser_decides_about_its_version() -> None:
    """If other answers are valid now, or a complaint has other words, raise PARSER_VERSION. Then renew this line."""
    source = Path(answer.__file__).read_text("utf-8")
    hashed = hashlib.sha256(source_code.canonical(source)).hexdigest()[:16]
    assert (answer.PARSER_VERSION, hashed) == (1, "2d460774fb5ba747")
