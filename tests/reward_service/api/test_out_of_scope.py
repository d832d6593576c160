"""A reference that the rules judge does not read is null with a code on every way out; no candidate is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from starlette.testclient import TestClient

from reward_service.api.app import create_app
from reward_service.settings import Settings

REFERENCE = "Small left pleural effusion. No pneumothorax."
OUTSIDE = {
    "german": ("Kein Pneumothorax.", "language: German"),
    "head": ("EXAM: CT HEAD\nNo hemorrhage.", "examination: head and brain"),
    "appendix": ("Acute appendicitis. No abscess.", "examination: abdomen"),
}
NORMAL = "Heart size is normal. Lungs are clear. No effusion."
CANDIDATES = {
    "Kein Pneumothorax. Herz normal.": "candidate_in_another_language",
    "CT abdomen: acute appendicitis. No abscess.": "candidate_of_another_examination",
    "Florp grumbles. Blick snark.": "candidate_not_read",
}


RULES = {"component": "rules", "transform": "signed"}
LIMITED = {"cap": {"component": "clinical", "margin": 2}}
PROFILES = {
    "strict": {"rougeL": {"weight": 0.3}, "clinical": {**RULES, "weight": 0.7, "when_missing": "fail"}},
    "patient": {"rougeL": {"weight": 0.3}, "clinical": {**RULES, "weight": 0.7, "when_missing": "substitute:rougeL"}},
    "sentinel": {"rougeL": {"weight": 1}, "clinical": {**RULES, "weight": 0}},
    "limited": {"rougeL": {"weight": 1, **LIMITED}, "clinical": {**RULES, "weight": 0}},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    paths = []
    for name, components in PROFILES.items():
        paths.append(tmp_path_factory.mktemp("profiles") / f"{name}.yaml")
        profile = {"name": name, "description": "A test.", "bounds": [-1, 1], "components": components}
        paths[-1].write_text(yaml.safe_dump(profile))
    served = Settings(profiles=("text", *map(str, paths)), log_level="error", pool_workers=0)
    with TestClient(create_app(served)) as client:
        yield client


def test_such_a_reference_is_null_with_what_was_recognised(client: TestClient) -> None:
    items = [{"id": key, "candidate": NORMAL, "reference": text} for key, (text, _) in OUTSIDE.items()]
    items.append({"id": "chest", "candidate": REFERENCE, "reference": REFERENCE})
    answer = client.post("/v1/score", json={"profile": "text", "items": items}).json()
    results = {result["id"]: result for result in answer["results"]}
    assert results.pop("chest")["reward"] == 1.0
    for key, result in results.items():
        assert (result["reward"], result["status"], result["components"]["clinical"]) == (None, "null", None)
        missing = result["missing"]["clinical"]
        assert missing["code"] == "out_of_scope"
        assert missing["message"].endswith(f": {OUTSIDE[key][1]}.")
        assert result["components"]["rougeL"] is not None
    assert 'reward_missing_total{code="out_of_scope",component="clinical"} 3.0' in client.get("/metrics").text


def test_the_profile_says_what_happens_then(client: TestClient) -> None:
    items = [{"id": "a", "candidate": NORMAL, "reference": OUTSIDE["german"][0]}]
    refused = client.post("/v1/score", json={"profile": "strict", "items": items})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "reward_missing")
    for name, status in {"patient": "degraded", "sentinel": "ok", "limited": "null"}.items():
        (result,) = client.post("/v1/score", json={"profile": name, "items": items}).json()["results"]
        assert (result["status"], result["missing"]["clinical"]["code"]) == (status, "out_of_scope")


def test_a_candidate_gets_the_floor_and_a_flag_and_never_null(client: TestClient) -> None:
    items = [{"id": text, "candidate": text, "reference": REFERENCE} for text in CANDIDATES]
    results = client.post("/v1/score", json={"profile": "text", "items": items}).json()["results"]
    assert [result["reward"] for result in results] == [-1.0] * len(items)
    assert {result["id"]: result["flags"] for result in results} == {
        text: ["out_of_scope", note] for text, note in CANDIDATES.items()
    }
    (sentinel,) = client.post("/v1/score", json={"profile": "sentinel", "items": items[:1]}).json()["results"]
    assert sentinel["flags"] == []
