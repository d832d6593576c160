"""The plug-in contract over every row of the registry: a new metric or judge is tested at once."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from judges.vllm.errors import JudgeError
from reward_service.components import registry
from reward_service.contracts import ComponentScore, Pair
from reward_service.errors import ConfigurationError
from reward_service.profiles.fingerprint import canonical
from reward_service.scoring.canaries import pairs
from reward_service.workers.pair_computer import ArtefactCache, PairComputer
from tests.metrics import random_chexbert, tiny_wordnet

CANARIES = list(pairs()[:12])
ODD = [
    Pair("", "A reference."), Pair(".", "A reference."), Pair("XXXX", "XXXX XXXX."), Pair("🫁 clear", "lungs clear"),
    Pair("effusion " * 900, "No effusion."), Pair("a", "b", "c"), Pair("x", "\n\n"),
    Pair("NO EFFUSION", "no effusion", ""),
]  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {"vllm": {"model": "m", "revision": "r"}}
"""Settings without which a component cannot be built; `_its_files` adds folders of weights."""
METRICS = [name for name, row in registry.COMPONENTS.items() if not row.asynchronous]


@pytest.fixture(autouse=True)
def _its_files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Files for a component that needs a folder of them: random weights, a few words. Made for the first test of it."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name in NEEDED:
        return
    if name == "semb_score":
        NEEDED[name] = {"model": str(random_chexbert.make(tmp_path_factory.mktemp("chexbert")))}
    elif name == "meteor":
        NEEDED[name] = {"wordnet": str(tiny_wordnet.make(tmp_path_factory.mktemp("wordnet")))}
    elif name == "radgraph_f1":
        NEEDED[name] = {"model": str(request.getfixturevalue("v1").converted)}


embedded = pytest.mark.xdist_group("embedded")
group = {"bertscore": embedded, "semb_score": embedded, "radgraph_f1": pytest.mark.xdist_group("radgraph")}
each_metric = pytest.mark.parametrize("name", [pytest.param(n, marks=group.get(n, ())) for n in METRICS])
each = pytest.mark.parametrize("name", [pytest.param(n, marks=group.get(n, ())) for n in registry.COMPONENTS])


def build(name: str) -> Any:
    return registry.build(name, NEEDED.get(name, {}))


def run(component: Any, items: list[Pair]) -> list[ComponentScore]:
    wanted = items if component.uses_prior else [pair._replace(prior=None) for pair in items]
    results = PairComputer(component, ArtefactCache(2**28)).run(wanted)
    assert all(isinstance(result, ComponentScore) for result in results), results
    return [result for result in results if isinstance(result, ComponentScore)]


@each
def test_what_it_declares(name: str) -> None:
    component = build(name)
    assert isinstance(component.version, int)
    assert component.version >= 1
    assert component.keys
    assert component.determinism in ("exact", "first_verdict") or component.determinism.startswith("tolerance(")
    assert isinstance(component.uses_prior, bool)


@each_metric
def test_its_manifest_does_not_depend_on_what_it_has_read(name: str) -> None:
    component = build(name)
    before = canonical(component.manifest())
    run(component, [*CANARIES, Pair("A xylophone quickly zigzags.", "No effusion.")])
    assert canonical(component.manifest()) == before


@each
def test_its_manifest_is_stable_json_without_paths(name: str) -> None:
    manifest = build(name).manifest()
    assert canonical(manifest) == canonical(build(name).manifest())
    text = json.dumps(manifest, default=list)
    assert str(Path.home()) not in text
    assert "site-packages" not in text


@each_metric
def test_values_are_finite_and_complete(name: str) -> None:
    component = build(name)
    for score in run(component, CANARIES + ODD):
        assert tuple(score.values) == tuple(component.keys)
        assert all(math.isfinite(value) for value in score.values.values())


@each_metric
def test_a_pair_does_not_depend_on_its_batch(name: str) -> None:
    component = build(name)
    items = CANARIES + ODD
    together = run(component, items)
    backwards = run(component, items[::-1])[::-1]
    for i, (pair, score) in enumerate(zip(items, together, strict=True)):
        for other in (run(component, [pair])[0], backwards[i]):
            assert other.values == score.values, i  # on a CPU every one of them declares `exact`


@each_metric
def test_inputs_are_left_alone_and_artefacts_travel(name: str) -> None:
    component = build(name)
    artefacts = component.encode([pair.reference for pair in CANARIES])
    assert len(artefacts) == len(CANARIES)
    assert all(component.nbytes(artefact) > 0 for artefact in artefacts)
    if component.cost != "model":
        pickle.loads(pickle.dumps(artefacts))
    assert component.encode([]) == []


@each
def test_unknown_settings_are_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="has no setting"):
        registry.build(name, {**NEEDED.get(name, {}), "colour": 1})


def test_an_unknown_component_gets_a_suggestion() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'rougeL'"):
        registry.build("rougel", {})


def test_a_judge_without_its_server_is_a_typed_failure() -> None:
    judge = registry.build("vllm", {**NEEDED["vllm"], "base_urls": ("http://127.0.0.1:9/v1",)})

    async def go() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(JudgeError) as caught:
            await judge.judge("a finding.", "another finding.", None, deadline=loop.time() + 2)  # type: ignore[union-attr]
        assert caught.value.code in ("judge_unavailable", "judge_timeout")

    asyncio.run(go())
