"""One scripted server for the session, with fresh state for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode does not make neighbours importable

from fastapi import FastAPI
from scripted import Scripted, app_of, serving


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
