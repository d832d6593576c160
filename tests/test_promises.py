"""The five promises of docs/architecture.md on the real `embedded` profile, each with a test that can fail.

Float32 encoders give values that depend on batch-mates by about 2e-7; rewards are therefore compared within
1e-5, and exactly for the components that declare `exact` integer arithmetic.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reward_service.api.app import create_app
from reward_service.evaluation.canaries import moved, scores
from reward_service.scoring import canaries
from reward_service.scoring.canaries import pairs
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from reward_service.trainers.references import ReferenceStore

PROFILE = "embedded"
SETTINGS = Settings(profiles=(PROFILE,), log_level="error", pool_workers=0)

pytestmark = pytest.mark.xdist_group("embedded")  # one worker loads the encoder, not both


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One event loop for the module, so that the encoder is loaded once and hypothesis stays synchronous."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def engine(loop: asyncio.AbstractEventLoop) -> Iterator[Engine]:
    async def make() -> Engine:
        engine = Engine(SETTINGS)
        await engine.start()
        return engine

    engine = loop.run_until_complete(make())
    yield engine
    loop.run_until_complete(engine.stop())


ITEMS = [Item(str(i), *pair) for i, pair in enumerate(pairs())]


async def fresh_scores(engine: Engine, items: list[Item]) -> list[ScoredItem]:
    """ScoredItem without what is cached: neither values nor artefacts of earlier calls."""
    clear(engine)
    return await engine.score(ScoringRequest(items, timeout_s=120))


def clear(engine: Engine) -> None:
    engine.cache._kept.clear()  # type: ignore[attr-defined]
    for _, runner in engine.assembly.runners.values():
        runner._cache._kept.clear()  # type: ignore[attr-defined]


def same(a: ScoredItem, b: ScoredItem) -> None:
    """Bit by bit: every component of the profile declares `exact`."""
    assert a.composite == b.composite


def test_alone_shuffled_grouped_and_cached_are_the_same(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    run = loop.run_until_complete
    together = {s.id: s for s in run(fresh_scores(engine, ITEMS))}
    cached = run(engine.score(ScoringRequest(ITEMS, timeout_s=60)))
    shuffled = random.Random(7).sample(ITEMS, len(ITEMS))
    in_another_order = run(fresh_scores(engine, shuffled))
    alone = [run(fresh_scores(engine, [item]))[0] for item in ITEMS[::7]]
    duplicated = run(fresh_scores(engine, [ITEMS[0]] * 15 + ITEMS))
    for scored in [*cached, *in_another_order, *alone, *duplicated]:
        assert scored.id is not None
        same(scored, together[scored.id])
    assert {s.cache for s in cached} == {"hit"}


def test_the_reward_does_not_depend_on_fifteen_siblings(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    reference = ITEMS[0].reference
    group = [Item(str(i), other.candidate, reference) for i, other in enumerate(ITEMS[:16])]
    beside = loop.run_until_complete(fresh_scores(engine, group))
    for item, scored in zip(group, beside, strict=True):
        same(loop.run_until_complete(fresh_scores(engine, [item]))[0], scored)


def test_http_equals_in_process(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    """Also a restart: the application below builds everything anew."""

    async def over_http() -> dict[str, Any]:
        app = create_app(SETTINGS)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                items = [
                    {"id": i.id, "candidate": i.candidate, "reference": i.reference, "prior": i.prior} for i in ITEMS
                ]
                response = await client.post("/score", json={"items": items, "detail": "full"}, timeout=120)
        answer: dict[str, Any] = response.json()
        return answer

    answer = loop.run_until_complete(over_http())
    assert answer["fingerprint"] == engine.served(None).fingerprint
    local = loop.run_until_complete(fresh_scores(engine, ITEMS))
    for result, scored in zip(answer["results"], local, strict=True):
        assert result["id"] == scored.id
        assert (result["reward"], result["components"]) == (scored.composite.reward, scored.composite.components)
        assert sum(result["contributions"].values()) == result["reward"]


@pytest.fixture(scope="module")
def client(engine: Engine, loop: asyncio.AbstractEventLoop) -> Iterator[httpx.AsyncClient]:
    """Every route, over an engine of its own."""
    app = create_app(SETTINGS)
    lifespan = app.router.lifespan_context(app)
    loop.run_until_complete(lifespan.__aenter__())
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://t", timeout=120)
    client.app = app  # type: ignore[attr-defined]
    yield client
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(lifespan.__aexit__(None, None, None))


REPORTS = st.sampled_from(
    [text for item in ITEMS for text in (item.candidate, item.reference) if text.isascii() and text[:1].isalpha()]
)
SENTENCES = st.sampled_from([part for item in ITEMS for part in item.reference.split(". ") if part.strip()])
WRITTEN = REPORTS | st.lists(SENTENCES, min_size=1, max_size=8).map(". ".join)


@hypothesis_settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.generate],  # a smaller example would say no more
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(reference=WRITTEN, candidates=st.lists(WRITTEN, min_size=2, max_size=9, unique=True))
def test_every_route_gives_the_same_bits(
    engine: Engine,
    loop: asyncio.AbstractEventLoop,
    client: httpx.AsyncClient,
    tmp_path_factory: pytest.TempPathFactory,
    reference: str,
    candidates: list[str],
) -> None:
    """Alone, batched, grouped, and as trainers send it, each with nothing remembered: one number."""
    run = loop.run_until_complete
    group = [Item(str(i), candidate, reference) for i, candidate in enumerate(candidates)]
    alone = [run(fresh_scores(engine, [item]))[0].composite for item in group]
    batched = [scored.composite for scored in run(fresh_scores(engine, [*ITEMS[:20], *group]))[20:]]
    assert batched == alone

    def post(path: str, body: Any) -> Any:
        clear(client.app.state.engine)  # type: ignore[attr-defined]
        answer = run(client.post(path, json=body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    pairs_ = [{"candidate": candidate, "reference": reference} for candidate in candidates]
    rewards = [composite.reward for composite in alone]
    bodies = {
        "items": {"items": pairs_},
        "groups": {"groups": [{"reference": reference, "candidates": candidates}]},
    }
    for name, body in bodies.items():
        answer = post("/score", body)
        results = answer["results"] if name == "items" else answer["groups"][0]["results"]
        assert [(r["reward"], r["components"]) for r in results] == [(c.reward, c.components) for c in alone], name
    sent = {
        "query": [f"Report: {candidate}" for candidate in candidates],
        "prompts": ["Report: "] * len(candidates),
        "labels": [reference] * len(candidates),
    }
    assert post("/get_reward", sent)["rewards"] == rewards
    for candidate, reward in zip(candidates, rewards, strict=True):
        sample = {"prompt": "Report: ", "response": candidate, "label": {"reference": reference}}
        assert post("/compat/slime", sample) == reward
        assert post("/compat/slime/object", sample)["reward"] == reward
        output = [{"type": "message", "role": "assistant", "content": candidate}]
        assert post("/verify", {"response": {"output": output}, "reference": reference})["reward"] == reward
    store = tmp_path_factory.mktemp("references") / "references.jsonl"
    store.write_text(json.dumps({"study_id": "s1", "reference": reference}))
    client.app.state.references = ReferenceStore.load(str(store))  # type: ignore[attr-defined]
    messages = [f"USER: Write the report of study_id: s1 ASSISTANT: {candidate}" for candidate in candidates]
    assert post("/v1/score/evaluation", {"messages": messages})["scores"] == rewards


texts = (
    st.text(max_size=300) | st.sampled_from([i.candidate for i in ITEMS]) | st.text(" .,noNO-leftffusi\n", max_size=80)
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(candidate=texts, reference=texts, prior=st.none() | texts)
def test_bounded_finite_and_explained_for_any_text(
    engine: Engine, loop: asyncio.AbstractEventLoop, candidate: str, reference: str, prior: str | None
) -> None:
    (scored,) = loop.run_until_complete(fresh_scores(engine, [Item("x", candidate, reference, prior)]))
    made = scored.composite
    low, high = engine.served(None).profile.bounds
    if made.reward is None:
        assert made.status == "null"
        assert made.missing
        return
    assert low <= made.reward <= high
    assert math.fsum(made.contributions.values()) == made.reward
    assert all(value is not None and math.isfinite(value) for value in made.components.values())
    if scored.judgement is not None:
        for e in scored.judgement.evidence:
            for span, text in ((e.candidate, candidate), (e.reference, reference)):
                assert span is None or 0 <= span[0] <= span[1] <= len(text)


def test_an_empty_candidate_is_valid_and_at_the_floor(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    for nothing in ("", "   \n", "\u200b", "."):
        (scored,) = loop.run_until_complete(fresh_scores(engine, [Item("x", nothing, ITEMS[0].reference)]))
        assert scored.composite.status == "ok"
        assert scored.composite.reward == engine.served(None).profile.bounds[0]
        assert "empty" in scored.composite.flags


def test_the_same_pair_in_flight_is_computed_once(engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
    async def twice() -> None:
        clear(engine)
        before = engine.flights.stats()["started"]
        requests = [engine.score(ScoringRequest(ITEMS[:8], timeout_s=60)) for _ in range(4)]
        await asyncio.gather(*requests)
        components = len(engine.served(None).components)
        assert engine.flights.stats()["started"] - before == 8 * components

    loop.run_until_complete(twice())


@pytest.mark.parametrize("profile", ["text", PROFILE])
def test_canaries(engine: Engine, loop: asyncio.AbstractEventLoop, profile: str) -> None:
    """Committed raw values per component version: numbers that move need a new version."""

    async def go() -> None:
        other = engine if profile == PROFILE else Engine(SETTINGS.model_copy(update={"profiles": (profile,)}))
        if other is not engine:
            await other.start()
        assert await moved_canaries(other) == {key: [] for key in other.served(None).at(None).components}
        if other is not engine:
            await other.stop()

    loop.run_until_complete(go())


async def moved_canaries(engine: Engine) -> dict[str, list[str]]:
    """By component key, the pairs whose values are not the committed ones."""
    served = engine.served(None).at(None)
    found = canaries.of(served.profile, served.components)
    out = {}
    for key, component in served.components.items():
        committed = canaries.committed("values.json")[component.canary_key]["values"]
        got = await scores(component, found.pairs_of(component))
        out[key] = [at for at, score in got.items() if moved(component.name, committed[at], score)]
    return out


def test_canaries_notice_a_changed_algorithm(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    from metrics.rouge import Rouge

    plain = Rouge.compare

    def slightly_off(self: Rouge, *arguments: Any) -> Any:
        return [c._replace(values={k: v * 0.999 for k, v in c.values.items()}) for c in plain(self, *arguments)]

    monkeypatch.setattr(Rouge, "compare", slightly_off)

    async def changed() -> dict[str, list[str]]:
        async with Engine(SETTINGS.model_copy(update={"profiles": ("text",)})) as engine:
            return await moved_canaries(engine)

    moved = loop.run_until_complete(changed())
    assert {key for key, pairs in moved.items() if pairs} == {"rouge1", "rouge2", "rougeL"}
