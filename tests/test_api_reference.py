"""Every field of the API is described, and the examples are answered as they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from reward_service.api.app import create_app
from reward_service.settings import Settings

ROOT = Path(__file__).parent.parent
SPEC = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in SPEC["components"]["schemas"].items():
        yield from ((f"{name}.{key}", field) for key, field in schema.get("properties", {}).items())
    for path, methods in SPEC["paths"].items():
        for operation in methods.values():
            yield from ((f"{path}?{one['name']}", {**one["schema"], **one}) for one in operation.get("parameters", []))
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            own = content.get("schema", {}).get("properties", {})
            yield from ((f"{path} {key}", field) for key, field in own.items())


def test_every_field_is_described() -> None:
    assert [name for name, field in fields() if not field.get("description")] == []


def test_the_page_names_every_field_of_a_request() -> None:
    for key in SPEC["components"]["schemas"]["ScoreRequest"]["properties"]:
        assert f"| `{key}` |" in PAGE


@pytest.mark.parametrize("source", ["schema", "page"])
def test_the_example_is_answered(source: str) -> None:
    found = re.search(r"<!-- example: request -->\n```json\n(.*?)\n```", PAGE, re.DOTALL)
    assert found
    page = json.loads(found[1])
    request = page if source == "page" else SPEC["components"]["schemas"]["ScoreRequest"]["examples"][0]
    with TestClient(create_app(Settings(profiles=("text",), log_level="error", pool_workers=0))) as client:
        answer = client.post("/v1/score", json=request)
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert [one["status"] for one in content["results"]] == ["ok"]
    assert [len(group["results"]) for group in content["groups"]] == [2]
