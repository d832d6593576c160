"""Several references over HTTP: each pair is scored as such, the best one is paid and named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from reward_service.api.app import create_app
from reward_service.settings import Settings

CANDIDATE = "Small left effusion."
REFERENCES = ["Large right pneumothorax.", CANDIDATE, "No pleural effusion is seen."]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    settings = Settings(profiles=("text",), pool_workers=0, log_level="error", max_items=6)
    with TestClient(create_app(settings)) as client:
        yield client


def score(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/score", content=json.dumps({"detail": "full", **body}))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def rewards(client: TestClient) -> list[float]:
    items = [{"candidate": CANDIDATE, "reference": reference} for reference in REFERENCES]
    return [result["reward"] for result in score(client, items=items)["results"]]


def test_the_best_pair_is_the_answer_and_pairs_are_cached_as_pairs(client: TestClient) -> None:
    alone = rewards(client)
    items = [{"id": "s", "candidate": CANDIDATE, "references": REFERENCES}, {"candidate": "x", "reference": "y"}]
    several, single = score(client, items=items)["results"]
    assert (several["id"], several["reward"], several["reference_index"]) == ("s", max(alone), alone.index(max(alone)))
    assert several["cache"] == "hit"
    assert "reference_index" not in single


def test_groups_have_a_best_reference_for_each_candidate(client: TestClient) -> None:
    group = {"id": "g", "candidates": [CANDIDATE, REFERENCES[2]], "references": REFERENCES}
    found = score(client, groups=[group])["groups"][0]
    assert [(r["id"], r["reward"], r["reference_index"]) for r in found["results"]] == [
        ("g/0", 1.0, 1),
        ("g/1", 1.0, 2),
    ]
    assert (found["mean"], found["zero_advantage"]) == (1.0, True)


def test_a_broken_or_empty_reference_loses_to_a_good_one(client: TestClient) -> None:
    items = [{"candidate": CANDIDATE, "references": ["\ud800", "", CANDIDATE]}, {"candidate": "a", "references": [""]}]
    best, none = score(client, items=items)["results"]
    assert (best["reward"], best["reference_index"]) == (1.0, 2)
    assert (none["reward"], none["missing"]["item"]["code"]) == (None, "empty_reference")


@pytest.mark.parametrize(
    ("item", "param", "words"),
    [
        ({"reference": "a", "references": ["b"]}, "items[0]", "not both"),
        ({"references": []}, "items[0].references", "at least 1"),
        ({"references": None}, "items[0].references", "list"),
        ({"references": ["a", 3]}, "items[0].references[1]", "string"),
        ({}, "items[0].reference", "missing"),
        ({"references": ["a"] * 7}, "items", "7 pairs; the limit is 6"),
    ],
)
def test_what_is_wrong_is_named(client: TestClient, item: dict[str, Any], param: str, words: str) -> None:
    answer = client.post("/score", json={"items": [{"candidate": "c", **item}]})
    assert answer.status_code in (400, 413, 422)
    assert (answer.json()["error"]["param"], words in answer.json()["error"]["message"]) == (param, True), answer.text
