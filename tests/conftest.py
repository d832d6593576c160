"""What holds for every test: a known state of the process, a time limit, and a word on what was not tested."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import pytest_timeout

from tests import process_state, stacks
from tests.browser import browser as browser  # a fixture for all
from tests.needs import PREFIX
from tests.radgraph_models import v1 as v1
from tests.radgraph_models import xl as xl

_LONG_S = 900  # for what installs, trains or loads a large model

for name in list(os.environ):  # settings of whoever runs the tests are not the tests'
    if name.startswith(("REWARD_", "PROMETHEUS_", "OTEL_")) and not name.startswith(
        ("REWARD_VLLM_", "REWARD_REQUIRE_")
    ):
        del os.environ[name]

# The same examples each time, however slow the machine is, and none kept from an earlier run.
hypothesis.settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")
# `pytest -m hypothesis --hypothesis-profile=explore tests` looks for others.
hypothesis.settings.register_profile("explore", hypothesis.settings.get_profile("suite"), derandomize=False)


@pytest.fixture(autouse=True, scope="module")
def _module_leaves_no_state() -> Iterator[None]:
    before = process_state.read()
    yield
    process_state.restore(before)


@pytest.fixture(autouse=True)
def _test_leaves_no_state(_module_leaves_no_state: None) -> Iterator[None]:
    process_state.forget()
    before = process_state.read()
    yield
    process_state.restore(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        long = any(item.get_closest_marker(name) for name in ("slow", "vllm", "trainers", "parity", "ray"))
        if long and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LONG_S))


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: Any, settings: pytest_timeout.Settings) -> bool:
    """As pytest-timeout's own, but the failure shows where every thread and every task stands."""

    def expired(*_: object) -> None:
        if not pytest_timeout.is_debugging():
            pytest.fail(f"not finished after {settings.timeout:g} s\n{stacks.everything()}")

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """A timer of its own for what is cleaned up: that can hang as well, above all after a test that did."""
    settings = pytest_timeout._get_item_settings(item)
    if settings.timeout:
        item.config.hook.pytest_timeout_set_timer(item=item, settings=settings)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Last of all: what was skipped for want of something, and how to install it."""
    yield
    missing: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(PREFIX):
            missing[reason.removeprefix(PREFIX)] += 1
    for program, count in sorted(missing.items()):
        name, _, install = program.partition(": ")
        tests = f"{count} test{'s' * (count != 1)}"
        terminalreporter.write_line(f"NOT TESTED for want of {name}: {tests}. To install it: {install}")
