"""The engine with small components: faults stay with their item, work is done once, pins hold."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from reward_service.contracts import ComponentError, Composite
from reward_service.errors import (
    ComponentsUnavailable,
    ConfigurationError,
    InvalidRequest,
    Overloaded,
    PinMismatch,
    ServiceError,
    UnknownProfile,
)
from reward_service.profiles.fingerprint import canonical
from reward_service.scoring import engine as engine_module
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from tests.reward_service import fake_components
from tests.reward_service.scoring.conftest import WriteProfile
from tests.waiting import SOON, turns

pytestmark = pytest.mark.usefixtures("fakes")


def settings(*profiles: str, **others: Any) -> Settings:
    return Settings(profiles=profiles, log_level="error", **others)


async def score(engine: Engine, *items: Item, seconds: float = SOON, **options: Any) -> list[ScoredItem]:
    return await engine.score(ScoringRequest(items, timeout_s=seconds, **options))


def item(candidate: str, reference: str = "reference", prior: str | None = None, id: str | None = None) -> Item:
    return Item(id, candidate, reference, prior)


async def test_one_poison_item_in_64_leaves_63_identical(write: WriteProfile) -> None:
    async with Engine(settings(write())) as engine:
        texts = [f"candidate {i}" for i in range(64)]
        clean = await score(engine, *(item(t, "another reference") for t in texts))
        texts[17] = "poison"
        async with Engine(settings(write())) as fresh:
            mixed = await score(fresh, *(item(t, "another reference") for t in texts))
    assert [s.composite for i, s in enumerate(mixed) if i != 17] == [
        s.composite for i, s in enumerate(clean) if i != 17
    ]
    poisoned = mixed[17].composite
    assert (poisoned.reward, poisoned.status) == (None, "null")
    assert poisoned.missing["length"].code == "component_error"
    assert "poison" not in poisoned.missing["length"].message  # an exception may quote the report


async def test_nan_is_missing_not_a_number(write: WriteProfile) -> None:
    async with Engine(settings(write())) as engine:
        (scored,) = await score(engine, item("not a number"))
    assert scored.composite.reward is None
    assert scored.composite.missing["length"].code == "not_finite"


async def test_identical_pairs_are_compared_once_over_items_and_concurrent_requests(write: WriteProfile) -> None:
    async with Engine(settings(write())) as engine:
        batch = [item("same", "text")] * 10 + [item("other", "text")]
        first, second = await asyncio.gather(score(engine, *batch), score(engine, *batch))
        third = await score(engine, item("same", "text"))
    assert sorted(fake_components.Length.compared) == [("other", "text"), ("same", "text")]
    assert {s.composite.reward for s in [*first[:10], *second[:10], *third]} == {1.0}
    assert (first[0].cache, third[0].cache) == ("miss", "hit")


async def test_failures_are_not_cached(write: WriteProfile) -> None:
    async with Engine(settings(write())) as engine:
        await score(engine, item("poison"))
        again = await score(engine, item("poison"))
    assert again[0].cache == "miss"


async def test_the_prior_is_part_of_the_key_only_where_it_is_used(write: WriteProfile) -> None:
    components = {"length": {"weight": 1}, "with_prior": {"weight": 1}}
    async with Engine(settings(write(components=components))) as engine:
        without = await score(engine, item("a", "b"))
        with_prior = await score(engine, item("a", "b", "xyz"))
        again = await score(engine, item("a", "b"))
    assert [s[0].composite.components["with_prior"] for s in (without, with_prior, again)] == [1.0, 4.0, 1.0]
    assert [s[0].cache for s in (without, with_prior, again)] == ["miss", "partial", "hit"]


async def test_leaving_the_prior_out_of_the_key_would_be_noticed(
    write: WriteProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reward_service.caching.base import pair_digest
    from reward_service.scoring import profile_scorer as scoring

    monkeypatch.setattr(scoring, "pair_digest", lambda c, r, p: pair_digest(c, r, None))
    with pytest.raises(AssertionError):
        await test_the_prior_is_part_of_the_key_only_where_it_is_used(write)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (item("a", ""), "empty_reference"),
        (item("a", " \n\t"), "empty_reference"),
        (item("a" * 101, "b"), "text_too_long"),
        (item("a", "b" * 101), "text_too_long"),
        (item("a", "b", "c" * 101), "text_too_long"),
        (Item(None, "", "b", None, ComponentError("invalid_unicode", "items[1].candidate")), "invalid_unicode"),
    ],
)
async def test_content_problems_are_the_items_own(write: WriteProfile, wrong: Item, code: str) -> None:
    async with Engine(settings(write(), max_text_chars=100)) as engine:
        before, bad, after = await score(engine, item("a", "b"), wrong, item("c", "d"))
    assert (bad.composite.reward, bad.composite.missing["item"].code, bad.cache) == (None, code, "none")
    assert bad.composite.components == {"length": None}
    assert (before.composite.reward, after.composite.reward) == (1.0, 1.0)


async def test_sections(write: WriteProfile) -> None:
    path = write(sections={"scope": "impression"})
    report = "FINDINGS: long text here. IMPRESSION: short"
    async with Engine(settings(path)) as engine:
        both, lacks, plain = await score(
            engine, item(report, report), item("x", "FINDINGS: only findings."), item("short", report)
        )
    assert both.composite.reward == 1.0
    assert lacks.composite.missing["item"].code == "section_missing"
    assert plain.composite.reward == 1.0  # a text without headings is taken whole


async def test_policy_fail_is_a_request_error_that_names_the_items(write: WriteProfile) -> None:
    path = write(components={"length": {"weight": 1, "when_missing": "fail"}})
    async with Engine(settings(path)) as engine:
        with pytest.raises(InvalidRequest) as caught:  # a text that cannot be read will not be read next time
            await score(engine, item("fine", id="a"), item("poison", id="b"), hold=True)
    assert (caught.value.code, caught.value.param, caught.value.details["items"]) == (
        "reward_missing",
        "items[1]",
        ["b"],
    )


def lacking(**codes: bool) -> ScoredItem:
    """A result that fails for want of components; whether each may be there the next time."""
    missing = {key: ComponentError(key, "message", retryable=retryable) for key, retryable in codes.items()}
    failed = tuple(missing)
    return ScoredItem(None, Composite(None, "null", {}, {}, missing, failed, failed, ()), "miss")


@pytest.mark.parametrize(
    ("results", "error", "named"),
    [
        ([lacking(judge=True), lacking(judge=True)], ComponentsUnavailable, ["a", "b"]),
        ([lacking(judge=True), lacking(judge=False)], InvalidRequest, ["b"]),
        ([lacking(judge=True, metric=False), lacking(judge=True)], InvalidRequest, ["a"]),
    ],
)
def test_only_what_may_heal_is_worth_another_try(
    results: list[ScoredItem], error: type[ServiceError], named: list[str]
) -> None:
    with pytest.raises(error) as caught:
        engine_module._require(results, [item("x", id="a"), item("y", id="b")])
    assert caught.value.details["items"] == named
    assert caught.value.retryable is (error is ComponentsUnavailable)


async def test_pins(write: WriteProfile) -> None:
    one = Engine(settings(write(components={"length": {"weight": 1}})))
    two = Engine(settings(write(components={"length": {"weight": 2}})))
    pinned, served = one.served(None), two.served(None)
    served.check_pin(served.fingerprint)
    served.check_pin(served.fingerprint.split(".")[0])
    served.check_pin(served.fingerprint.upper())
    served.check_pin(dict(served.document))
    stored = {"profile": "p", "signature": "s", "accepted": [], "fingerprint": served.fingerprint}
    served.check_pin({**stored, "document": dict(served.document)})  # as a run stores it
    for cut in (served.fingerprint[:19], served.fingerprint[7:]):
        with pytest.raises(PinMismatch, match="no whole fingerprint") as caught:
            served.check_pin(cut)
        assert caught.value.details["fields"] == []
    with pytest.raises(PinMismatch) as caught:
        served.check_pin(pinned.fingerprint)
    assert caught.value.details["fields"] == ["weights"]
    with pytest.raises(PinMismatch) as caught:
        served.check_pin(dict(pinned.document))
    assert caught.value.details["fields"] == ["weights.length"]


def changed(one: str, two: str) -> tuple[set[str], bool]:
    """Which parts of the profile document differ, and whether the cache key does."""
    a, b = (Engine(settings(path)).served(None) for path in (one, two))
    assert (a.fingerprint == b.fingerprint) == (canonical(a.document) == canonical(b.document))
    parts = {key for key in a.document if canonical(a.document[key]) != canonical(b.document[key])}
    return parts, a.components["length"].fingerprint != b.components["length"].fingerprint


def test_each_change_shows_in_the_right_fingerprint_and_only_there(write: WriteProfile) -> None:
    base = write("a", name="p")
    length = {"weight": 1}
    cases: list[tuple[dict[str, Any], set[str], bool]] = [
        ({}, set(), False),
        ({"components": {"length": {**length, "weight": 2}}}, {"weights"}, False),
        ({"bias": 0.5}, {"weights"}, False),
        ({"components": {"length": {**length, "transform": {"clip": {"low": 0}}}}}, {"transforms"}, False),
        ({"components": {"length": {**length, "when_missing": "fail"}}}, {"policy"}, False),
        ({"bounds": [-1, 2]}, {"bounds"}, False),
        ({"sections": {"scope": "findings"}}, {"sections"}, False),
        ({"guards": {}}, {"guards"}, False),
        ({"normaliser": "none"}, {"normaliser", "components"}, True),
        ({"components": {"length": {**length, "settings": {"scale": 2.0}}}}, {"components"}, True),
        ({"description": "other words"}, set(), False),
    ]
    for fields, parts, keyed in cases:
        assert changed(base, write("b", **{"name": "p", **fields})) == (parts, keyed), fields


def test_a_new_component_version_changes_the_fingerprint(write: WriteProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    before = Engine(settings(path)).served(None)
    monkeypatch.setattr(fake_components.Length, "version", 2)
    after = Engine(settings(path)).served(None)
    assert before.components["length"].fingerprint != after.components["length"].fingerprint


async def test_admission_sheds_or_holds(write: WriteProfile) -> None:
    async with Engine(settings(write(), queue_items=2)) as engine:
        await engine.admission.enter(2)
        with pytest.raises(Overloaded, match="REWARD_QUEUE_ITEMS"):
            await score(engine, item("a"))
        with pytest.raises(Overloaded):
            await score(engine, item("a"), hold=True, seconds=0.05)
        held = asyncio.create_task(score(engine, item("a"), hold=True))
        await turns()
        assert not held.done()
        engine.admission.leave(2)
        assert (await held)[0].composite.status == "ok"
        assert engine.admission.admitted == 0


def test_unknown_and_disabled_profiles(write: WriteProfile) -> None:
    engine = Engine(settings(write("mine")))
    with pytest.raises(UnknownProfile, match="Did you mean 'mine'"):
        engine.served("mien")
    with pytest.raises(UnknownProfile) as caught:
        engine.served("text")
    assert caught.value.code == "profile_not_enabled"


@pytest.mark.parametrize(
    ("components", "words"),
    [
        ({"lenght": {"weight": 1}}, "Did you mean 'length'"),
        ({"length": {"weight": 1, "settings": {"scael": 1}}}, "Did you mean 'scale'"),
        ({"length": {"weight": 1, "settings": {"scale": "wide"}}}, "valid number"),
        ({"length": {"weight": 1, "value": "ration"}}, "Did you mean 'ratio'"),
        ({"broken": {"weight": 1}}, "weights.safetensors"),
    ],
)
def test_a_profile_that_cannot_be_served_says_why(write: WriteProfile, components: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Engine(settings(write(components=components)))


async def test_info_tells_limits_fingerprints_determinism_and_why_profiles_are_unavailable(write: WriteProfile) -> None:
    async with Engine(settings(write("mine"))) as engine:
        info = engine.state.info()
    assert info["profiles"]["mine"]["components"]["length"]["determinism"] == "exact"
    assert info["limits"]["max_items"] == 4096
    assert "semb_score" in info["shipped_profiles"]["unirg-step1"]
    assert info["readiness"] == {"ready": True, "degraded": {}}


async def test_a_candidate_without_the_scored_section_is_empty_and_evidence_points_into_the_whole(
    write: WriteProfile,
) -> None:
    path = write(
        components={"rules": {"weight": 1, "transform": "signed"}},
        sections={"scope": "findings"},
        guards={},
    )
    reference = "INDICATION: cough.\u200b FINDINGS: Small left pleural effusion. IMPRESSION: none."
    async with Engine(settings(path, pool_workers=0)) as engine:
        lacks, has = await score(
            engine,
            item("IMPRESSION: effusion.", reference),
            item("FINDINGS: Large\u200b right pleural effusion.", reference),
        )
    assert (lacks.composite.reward, lacks.composite.status) == (-1.0, "ok")
    assert "empty" in lacks.composite.flags
    assert has.judgement is not None
    spans = [reference[slice(*e.reference)] for e in has.judgement.evidence if e.reference]
    assert any("effusion" in span for span in spans)
    assert all("IMPRESSION" not in span for span in spans)


async def test_a_text_in_two_roles_is_cut_for_each(write: WriteProfile) -> None:
    """A section that a reference lacks makes no difference to an item whose candidate has that same text."""
    path = write(sections={"scope": "findings", "when_reference_lacks": "null"})
    both, impression = "FINDINGS: Clear. IMPRESSION: Normal.", "IMPRESSION: Normal."
    items = [item(both, both, prior=impression), item(impression, both), item(both, impression)]
    async with Engine(settings(path)) as engine:
        alone = [(await score(engine, one))[0].composite.reward for one in items]
    async with Engine(settings(path)) as engine:
        together = [scored.composite.reward for scored in await score(engine, *items)]
        backwards = [scored.composite.reward for scored in await score(engine, *items[::-1])]
    assert together == alone == backwards[::-1]
    assert alone == [1.0, 0.0, None]


async def test_a_profile_name_stands_for_one_profile(write: WriteProfile) -> None:
    with pytest.raises(ConfigurationError, match="Two enabled profiles are called 'one'"):
        Engine(settings(write("one"), write("two", name="one")))


async def test_error_counts_are_asked_of_judges_only(write: WriteProfile) -> None:
    with pytest.raises(ConfigurationError, match="no value 'errors'"):
        Engine(settings(write(components={"length": {"weight": 1, "value": "errors"}})))


async def test_what_a_component_notes_is_flagged_and_healed_items_count_once(write: WriteProfile) -> None:
    path = write(components={"length": {"weight": 1}, "noting": {"weight": 1}}, bounds=[-9, 9])
    async with Engine(settings(path)) as engine:
        (scored,) = await score(engine, item("a", "b"), hold=True)
        counted = engine.telemetry.registry.get_sample_value("reward_items_total", {"profile": "p", "status": "ok"})
    assert "noting_truncated" in scored.composite.flags
    assert counted == 1


async def test_a_reference_without_a_letter_is_none(write: WriteProfile) -> None:
    """ "___" is what de-identification leaves of a report that was nothing else."""
    async with Engine(settings(write())) as engine:
        for scored in await score(engine, item("a", "___"), item("a", "."), item("a", "-\n*")):
            assert scored.composite.missing["item"].code == "empty_reference"


def test_a_default_of_the_deployment_does_not_replace_what_a_profile_says() -> None:
    own = {"votes": 3, "concurrency": 2}
    assert Settings().for_component("vllm", own)["votes"] == 3
    assert Settings(judge_votes=1).for_component("vllm", own)["votes"] == 1
    assert Settings().for_component("bertscore", {"precision": "bfloat16"})["precision"] == "bfloat16"


async def test_a_foreign_pin_or_name_is_not_repeated(write: WriteProfile) -> None:
    engine = Engine(settings(write()))
    planted = "The lungs are clear."
    with pytest.raises(PinMismatch) as mismatch:
        engine.served(None).check_pin(planted)
    with pytest.raises(UnknownProfile) as unknown:
        engine.served(planted)
    assert planted not in f"{mismatch.value.message}{mismatch.value.details}{unknown.value.message}"


async def test_what_a_sentinel_notes_changes_no_reward(write: WriteProfile) -> None:
    """It may be down, and the reward must be the same without it."""
    long = item("a word and another " * 30, "reference")
    rewards = []
    for noting in ({}, {"noting": {"weight": 0}}, {"noting": {"weight": 1}}):
        components = {"length": {"weight": 1}, **noting}
        path = write(components=components, guards={"too_long_for_encoder": {"multiplier": 0.5}}, bounds=[-1, 200])
        async with Engine(settings(path)) as engine:
            rewards.append((await score(engine, long))[0].composite)
    without, sentinel, weighted = rewards
    assert (sentinel.reward, sentinel.flags) == (without.reward, without.flags)
    assert weighted.flags != without.flags


class Fails:
    """A runner that cannot start."""

    async def start(self) -> None:
        raise ComponentError("load_failed", "no weights here")

    async def stop(self, grace_s: float) -> None:
        return None


class Hangs:
    """A runner that neither starts nor stops."""

    async def start(self) -> None:
        await asyncio.Event().wait()

    async def stop(self, grace_s: float) -> None:
        await asyncio.Event().wait()


def with_runners(engine: Engine, **runners: Any) -> Engine:
    (component, _), *_ = engine.assembly.runners.values()
    engine.assembly.runners = {name: (component, runner) for name, runner in runners.items()}
    return engine


async def test_a_component_that_does_not_load_is_given_up(write: WriteProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_START_S", 0.05)
    engine = with_runners(Engine(settings(write())), stuck=Hangs())
    with pytest.raises(ConfigurationError, match=r"not finished after 0\.05 s: start of stuck$") as refused:
        await engine.start()
    assert refused.value.code == "load_failed"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_first_component_to_fail_ends_the_start(write: WriteProfile) -> None:
    engine = with_runners(Engine(settings(write())), stuck=Hangs(), broken=Fails())
    with pytest.raises(ConfigurationError, match=r"^no weights here$"):
        await engine.start()
    assert engine.problem == "no weights here"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stopping_gives_up_what_does_not_end(write: WriteProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_RELEASE_S", 0.05)
    engine = with_runners(Engine(settings(write())), stuck=Hangs(), broken=Fails())
    monkeypatch.setattr(engine.flights, "aclose", Hangs().start)
    monkeypatch.setattr(engine.cache, "aclose", Hangs().start)
    with capture_logs() as logs:
        await asyncio.wait_for(engine.stop(0), 10)
    given_up = [line["task"] for line in logs if line["event"] == "not_finished_in_time"]
    assert given_up == ["stop of stuck", "closing the flights", "closing the score cache"]


class Stops:
    """Knows whether each coroutine that `stop` has made was begun."""

    def __init__(self) -> None:
        self.made = self.begun = 0

    def stop(self, _: float) -> Coroutine[Any, Any, None]:
        self.made += 1
        return self._stop()

    async def _stop(self) -> None:
        self.begun += 1


@pytest.mark.parametrize("after", range(5))
async def test_a_stop_that_is_cancelled_leaves_no_coroutine_unawaited(write: WriteProfile, after: int) -> None:
    runner = Stops()
    engine = with_runners(Engine(settings(write())), one=runner)
    stop = asyncio.create_task(engine.stop(0))
    await turns(after)
    stop.cancel()
    await asyncio.wait({stop})
    assert runner.made == runner.begun
