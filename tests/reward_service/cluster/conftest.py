from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reward_service.cluster import environment


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """Of one cluster for all tests."""
    with environment.cluster() as address:
        yield address
