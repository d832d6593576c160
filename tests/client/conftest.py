"""One scripted server for the session, with fresh state for each test."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from tests.client.live import REPORTS, LiveService, running
from tests.client.scripted import Scripted, app_of, serving


@pytest.fixture(scope="session")
def scripted_app() -> Iterator[tuple[FastAPI, str]]:
    app = app_of(Scripted())
    with serving(app) as url:
        yield app, url


@pytest.fixture
def service(scripted_app: tuple[FastAPI, str]) -> Scripted:
    app, url = scripted_app
    app.state.scripted = scripted = Scripted()
    scripted.url = url
    return scripted


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """The real service with profile `text` and a reference store."""
    folder = tmp_path_factory.mktemp("service")
    references = folder / "references.jsonl"
    lines = [{"study_id": f"s{i}", "reference": text} for i, text in enumerate(REPORTS)]
    references.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with running(folder / "service.log", "--profiles", "text", "--references", str(references)) as service:
        yield service
