"""Debian's Chromium for the tests of pages; `conftest.py` makes the fixture known to all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.needs import is_missing


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one module alone: while it is open, no test may run an event loop of its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        is_missing("playwright", "pip install playwright axe-playwright-python")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def tab(browser: Any, own: str, expected: tuple[str, ...] = (), **options: Any) -> Iterator[Any]:
    """A tab that fails the test on a message of the console (so on every breach of the policy) and on a request to
    anybody but `own`, the service's address. `expected`: parts of messages that the test provokes.
    """
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    told: list[str] = []

    def tell(text: str) -> None:
        if not any(part in text for part in expected):
            told.append(text)

    page.on("console", lambda message: tell(message.text))
    page.on("pageerror", lambda error: tell(str(error)))
    page.on("dialog", lambda dialog: tell(f"dialog {dialog.message}"))
    page.on("request", lambda request: None if request.url.startswith(own) else tell(request.url))
    yield page
    context.close()
    assert told == []
