"""What every test of the service finds, whatever ran before it in this process."""

from __future__ import annotations

import pytest
import structlog


@pytest.fixture(autouse=True)
def default_logging() -> None:
    """An app that another test built in-process may have raised the level below which nothing is logged."""
    structlog.reset_defaults()
