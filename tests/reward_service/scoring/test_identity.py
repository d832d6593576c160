"""Pins of other code: what is said of them, and how an operator lets an older one stand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from reward_service.caching.base import pair_digest, text_digest
from reward_service.contracts import ComponentScore
from reward_service.errors import ConfigurationError, PinMismatch
from reward_service.profiles import fingerprint
from reward_service.scoring.assembly import check
from reward_service.scoring.engine import Engine
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.scoring.served_profile import ServedProfile
from reward_service.settings import Settings
from testbed import scripted_judge
from tests.reward_service.scoring.conftest import WriteProfile
from tests.waiting import SOON

pytestmark = pytest.mark.usefixtures("fakes")
PAIR = Item("a", "candidate", "reference")  # nine letters over nine: 1
AT = pair_digest(text_digest(PAIR.candidate), text_digest(PAIR.reference), None)


def settings(path: str, **others: Any) -> Settings:
    return Settings(profiles=(path,), log_level="error", **others)


def served_by(path: str, **others: Any) -> ServedProfile:
    return Engine(settings(path, **others)).served(None).at(None)


def of_older_code(document: Any) -> dict[str, Any]:
    """The document as it was with other code of the component and of the guards."""
    older: dict[str, Any] = copy.deepcopy(dict(document))
    older["code"]["components"]["length"] = {"tests.reward_service.fake_components": "0" * 16}
    older["code"]["reward"]["reward_service.text.guards"] = "0" * 16
    return older


def of_first_form(document: Any) -> dict[str, Any]:
    """The document as it was before code and canaries were part of it."""
    return {**{part: value for part, value in document.items() if part not in ("code", "canaries")}, "schema": 1}


def refusal(served: ServedProfile, pin: Any) -> PinMismatch:
    with pytest.raises(PinMismatch) as caught:
        served.check_pin(pin)
    return caught.value


def test_a_pin_that_was_never_seen_says_that_only_code_moved(write: WriteProfile) -> None:
    served = served_by(write())
    older = of_older_code(served.document)
    for pin in (fingerprint.of_profile(older), older):
        said = refusal(served, pin)
        assert {field.split(".")[0] for field in said.details["fields"]} == {"code"}  # type: ignore[attr-defined]
        assert "Only code moved; all canary rewards are equal." in said.message
    older["canaries"] = {"rewards": "0"}
    said = refusal(served, fingerprint.of_profile(older))
    assert said.details["fields"] == ["code", "canaries"]
    assert "canary rewards are equal" not in said.message


def test_a_pin_of_the_first_form_gets_a_clear_answer(write: WriteProfile) -> None:
    served = served_by(write())
    older = of_first_form(served.document)
    pin = fingerprint.of_profile(older)
    assert len(pin.partition(".")[2]) == 32  # eight parts
    for each in (pin, older):
        said = refusal(served, each)
        assert "older form, without the parts code and canaries" in said.message
        assert "REWARD_ACCEPTED_FINGERPRINTS" in said.message
    assert refusal(served, pin).details["fields"] == ["code", "canaries"]


@pytest.mark.parametrize("form", [of_older_code, of_first_form])
async def test_an_accepted_fingerprint_stands_and_its_stored_values_are_read(
    write: WriteProfile, tmp_path: Path, form: Any
) -> None:
    path = write(name="mine")
    older = form(served_by(path).document)
    pin = fingerprint.of_profile(older)
    for content in (older, {"profile": "mine", "fingerprint": pin, "signature": "s", "document": older}):
        (tmp_path / "run.json").write_text(json.dumps(content))
        async with Engine(settings(path, accepted_fingerprints=f"mine={tmp_path / 'run.json'}")) as engine:
            stored = f"{fingerprint.component_fingerprints(older)['length']}:{AT}"
            await engine.cache.put_many([(stored, ComponentScore({"ratio": 0.25}))])
            answers = []
            for each in (pin, pin.split(".")[0], older, None, engine.served(None).fingerprint):
                async with engine.admit(ScoringRequest([PAIR], pin=each, timeout_s=SOON)) as admitted:
                    (scored,) = await admitted.score()
                    answers.append((admitted.fingerprint == pin, scored.composite.reward, scored.cache))
            described = engine.state.info()["profiles"]["mine"]["accepted"]
    assert answers[:3] == [(True, 0.25, "hit")] * 3
    assert [(old, reward) for old, reward, _ in answers[3:]] == [(False, 1.0)] * 2
    assert described == [
        {
            "fingerprint": pin,
            "differs": ["code"] if form is of_older_code else ["code", "canaries"],
            "reads_its_cache": True,
        }
    ]


async def test_a_fingerprint_alone_is_accepted_and_reads_nothing_older(write: WriteProfile) -> None:
    path = write(name="mine")
    pin = fingerprint.of_profile(of_older_code(served_by(path).document))
    async with Engine(settings(path, accepted_fingerprints=f"mine={pin},other={pin}")) as engine:
        async with engine.admit(ScoringRequest([PAIR], pin=pin, timeout_s=SOON)) as admitted:
            (scored,) = await admitted.score()
        assert (admitted.fingerprint, scored.composite.reward, scored.cache) == (pin, 1.0, "miss")
        with pytest.raises(PinMismatch):
            engine.served(None).check_pin("sha256:" + "0" * 64)


@pytest.mark.parametrize("entry", ["mine", "mine=", "=sha256:" + "0" * 64, "mine=sha256:00", "mine=/nowhere.json"])
def test_a_wrong_entry_is_refused_at_start(write: WriteProfile, entry: str) -> None:
    with pytest.raises(ConfigurationError, match="lists PROFILE=FINGERPRINT or PROFILE=FILE"):
        served_by(write(name="mine"), accepted_fingerprints=entry)


def test_a_document_that_is_not_what_it_says_is_refused(write: WriteProfile, tmp_path: Path) -> None:
    path = write(name="mine")
    served = served_by(path)
    file = tmp_path / "run.json"
    for wrong in ({"fingerprint": "sha256:" + "0" * 64}, {"profile": "another"}):
        file.write_text(json.dumps({"profile": "mine", "document": dict(served.document), **wrong}))
        with pytest.raises(ConfigurationError, match="is not what it says"):
            served_by(path, accepted_fingerprints=f"mine={file}")


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, '{"components":' + "[" * 900 + "]" * 900 + "}"])
def test_a_document_that_is_nested_too_deeply_is_refused(write: WriteProfile, tmp_path: Path, content: str) -> None:
    file = tmp_path / "run.json"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="cannot be read as one"):
        served_by(write(name="mine"), accepted_fingerprints=f"mine={file}")


JUDGED = {"components": {"judge": {"component": "vllm", "weight": 1}}}
JUDGE = {"judge_urls": ("http://127.0.0.1:9/v1",), "judge_model": "m", "judge_revision": "r"}


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"workers": 2}, "each of 2 processes or more would have its own"),
        ({"cache_memory_bytes": 0}, "REWARD_CACHE_MEMORY_BYTES=0 keeps none"),
    ],
)
def test_a_first_verdict_wants_a_cache_that_keeps_it(write: WriteProfile, others: dict[str, Any], reason: str) -> None:
    path = write(**JUDGED)
    for attempt in (lambda: served_by(path, **JUDGE, **others), lambda: check(settings(path, **JUDGE, **others))):
        with pytest.raises(ConfigurationError, match=reason):
            attempt()
    served_by(path, **JUDGE, **others, cache_url="redis://127.0.0.1:9")
    served_by(path, **JUDGE)
    served_by(write("plain"), **others)  # a component that is computed again to the same bits


async def test_a_first_verdict_is_the_value_whatever_is_scored_after_it(write: WriteProfile) -> None:
    server = scripted_judge.ScriptedServer()
    await server.start()
    said = iter((True, False))
    server.reply = lambda request: scripted_judge.answer(missing=[{"ref": "R1", "significant": next(said)}])
    chosen = {**JUDGE, "judge_urls": (server.url,), "judge_canary_s": 0, "cache_memory_bytes": 2500}
    try:
        async with Engine(settings(write(**JUDGED), **chosen)) as engine:

            async def judged(candidate: str) -> Any:
                request = ScoringRequest([Item(None, candidate, "A nodule.")], timeout_s=SOON)
                return (await engine.score(request))[0].composite

            first = await judged("No effusion.")
            await engine.cache.put_many([(f"k{n}", ComponentScore({"x": 1.0})) for n in range(50)])
            assert await judged("No effusion.") == first
            assert first.reward is not None
            server.reply = lambda request: scripted_judge.answer(missing=[{"ref": "R1", "significant": True}])
            later = [await judged(f"No effusion {n}.") for n in range(8)]
            assert await judged("No effusion.") == first
    finally:
        await server.stop()
    assert later[0].reward is not None
    assert {error.code for made in later for error in made.missing.values()} == {"no_room_for_verdict"}
