"""What some tests need beside Python: without it they are skipped, and the run says at its end how to install it."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_INSTALL = {
    "redis-server": "apt-get install redis-server",
    "promtool": "apt-get install prometheus",
    "openssl": "apt-get install openssl",
    "chromium": "apt-get install chromium",
    "wordnet": "apt-get install wordnet-base",
}
PREFIX = "needs "


def needs(program: str) -> pytest.MarkDecorator:
    """A mark for tests that start `program`. With CI=true nothing is skipped: they fail."""
    absent = shutil.which(program) is None and os.environ.get("CI") != "true"
    return pytest.mark.skipif(absent, reason=f"{PREFIX}{program}: {_INSTALL[program]}")


def is_missing(what: str, install: str) -> NoReturn:
    """Skip the running test because there is no `what` here; `install` is a command. With CI=true it fails."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{PREFIX}{what}: {install}")
    raise AssertionError("unreachable")
