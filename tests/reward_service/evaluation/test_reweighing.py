"""Rewards from stored values are those of scoring anew, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reward_service.errors import InvalidRequest
from reward_service.evaluation import score_file, scores
from reward_service.evaluation.reading.columns import Columns
from reward_service.evaluation.reading.entries import Input
from reward_service.evaluation.reading.formats import opened
from reward_service.evaluation.reweighing import reweighed
from reward_service.evaluation.score_file import Wanted
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings

OTHER = """
name: mine
description: Other weights, bounds, guards and transforms over the same components.
bounds: [-2, 3]
bias: 0.1
guards: {repetition: {multiplier: 0.5}, length_short: {multiplier: 0.9}}
components:
  bleu2: {weight: 0.3, transform: {affine: {scale: 2, shift: -0.5}}}
  bleu4: {weight: 0}
  rouge1: {weight: 0.2, when_missing: fail}
  rouge2: {weight: -0.1}
  rougeL: {weight: 0.4, transform: {clip: {low: 0.2, high: 0.8}}}
  clinical: {component: rules, transform: signed, weight: 0.6, cap: {component: rougeL, margin: 0.1}}
"""
ERRORS = OTHER.replace(
    "transform: signed, weight: 0.6", "value: errors, transform: {exp_errors: {k: 0.5}}, weight: 0.6"
)
FINDINGS = OTHER.replace("guards:", "sections: {scope: findings}\nguards:")
PAIRS = [
    ("Small left pleural effusion. No pneumothorax.", "There is a small left pleural effusion."),
    (
        "Clear lungs.",
        "Large right pneumothorax. Mild cardiomegaly. Bibasilar atelectasis and a small left effusion. " * 2,
    ),
    ("No effusion. " * 30, "No effusion."),
    ("Large effusion<|im_end|>", "Small right effusion."),
    ("", "Clear."),
    ("Clear.", ""),
]


@pytest.fixture
def profile(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return str(path)

    return write


async def scored(folder: Path, profile: str, name: str, **wanted: Any) -> list[dict[str, Any]]:
    source = folder / "in.jsonl"
    entries: list[dict[str, Any]] = [{"id": str(i), "candidate": c, "reference": r} for i, (c, r) in enumerate(PAIRS)]
    entries.append({"id": "g", "candidates": [c for c, _ in PAIRS[:4]], "reference": PAIRS[0][1]})
    source.write_text("\n".join(map(json.dumps, entries)))
    with opened([str(source)]) as sources:
        given = {"with_texts": True, **wanted}
        await score_file.score(Input(sources, Columns()), str(folder / name), Wanted(profile=profile, **given))
    return list(scores.stored([str(folder / name)]))


async def again(name: Path, profile: str, **options: Any) -> list[dict[str, Any]]:
    engine = Engine(Settings(profiles=(profile,), pool_workers=0))
    scorer = engine.scorer(engine.served(None).at(None))
    return list(reweighed(scores.stored([str(name)]), scorer, **options))


@pytest.mark.parametrize("text", [OTHER, ERRORS])
async def test_rewards_are_those_of_scoring_anew(tmp_path: Path, profile: Any, text: str) -> None:
    await scored(tmp_path, "text", "old.jsonl")
    anew = await scored(tmp_path, profile(text), "new.jsonl")
    found = await again(tmp_path / "old.jsonl", profile(text), anyway=text == ERRORS)
    assert [json.dumps(record, sort_keys=True) for record in found] == [json.dumps(r, sort_keys=True) for r in anew]


async def test_what_raw_values_depend_on_may_not_differ(tmp_path: Path, profile: Any) -> None:
    await scored(tmp_path, "text", "old.jsonl")
    with pytest.raises(InvalidRequest, match="differs from the one that scored in sections"):
        await again(tmp_path / "old.jsonl", profile(FINDINGS))
    with pytest.raises(InvalidRequest, match="no values of component 'more'"):
        await again(tmp_path / "old.jsonl", profile(OTHER + "  more: {component: rougeL, weight: 1}\n"), anyway=True)


@pytest.mark.parametrize("wanted", [{"with_texts": False}, {"detail": "components"}])
async def test_files_without_raw_values_or_texts_are_refused(tmp_path: Path, profile: Any, wanted: Any) -> None:
    await scored(tmp_path, "text", "old.jsonl", **wanted)
    with pytest.raises(InvalidRequest, match="--detail full --with-texts"):
        await again(tmp_path / "old.jsonl", profile(OTHER))


EQUAL = """
name: mine
description: The profile text, with other words for what it has built.
bounds: [-1, 1]
components:
  bleu2: {weight: 0.1, value: bleu2}
  bleu4: {component: bleu4, weight: 0}
  rouge1: {weight: 0}
  rouge2: {weight: 0}
  rougeL: {weight: 0, settings: {}}
  clinical: {component: rules, weight: 0.9}
"""


async def test_profiles_that_build_the_same_are_equal_however_they_are_written(tmp_path: Path, profile: Any) -> None:
    """`clinical` without transform reports its first value, which the profile text names."""
    await scored(tmp_path, "text", "old.jsonl")
    anew = await scored(tmp_path, profile(EQUAL), "new.jsonl")
    found = await again(tmp_path / "old.jsonl", profile(EQUAL))
    assert [one["id"] for one in found] == [one["id"] for one in anew]
    assert [one.get("reward") for one in found] == [one.get("reward") for one in anew]


def shipped(name: str = "text") -> Any:
    return Engine(Settings(profiles=(name,), pool_workers=0)).served(None).at(None).document


async def test_with_the_document_it_is_known_what_differs(tmp_path: Path, profile: Any) -> None:
    await scored(tmp_path, "text", "old.jsonl")
    text = shipped()
    fewer = EQUAL.replace("  bleu4: {component: bleu4, weight: 0}\n", "").replace(
        "weight: 0.9", "weight: 0.9, value: green"
    )
    anew = await scored(tmp_path, profile(fewer), "new.jsonl")
    with pytest.raises(InvalidRequest, match=r"components, code,.* It leaves out bleu4\. With --document FILE"):
        await again(tmp_path / "old.jsonl", profile(fewer))
    found = await again(tmp_path / "old.jsonl", profile(fewer), documents=lambda: [shipped("text")])
    assert [one.get("reward") for one in found] == [one.get("reward") for one in anew]
    other = EQUAL.replace("settings: {}", "settings: {stemmer: true}") + "sections: {scope: findings}\n"
    with pytest.raises(InvalidRequest) as caught:
        await again(tmp_path / "old.jsonl", profile(other), documents=lambda: [text])
    assert "rougeL.manifest.stemmer, sections.scope, on which" in caught.value.message
    with pytest.raises(InvalidRequest, match=r"in more \(no component of the one that scored\)"):
        await again(
            tmp_path / "old.jsonl",
            profile(EQUAL + "  more: {component: rougeL, weight: 1}\n"),
            documents=lambda: [text],
        )
