"""What one engine stores in Redis another finds, and what nobody's component gave is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import redis as redis_package
from pydantic import SecretStr

from reward_service.caching.codec import SCHEMA, _checksum
from reward_service.scoring.engine import Engine
from reward_service.scoring.profile_scorer import ScoredItem
from reward_service.scoring.request import Item, ScoringRequest
from reward_service.settings import Settings
from testbed.redis_server import Redis
from tests.needs import needs

pytestmark = needs("redis-server")
ITEM = Item("a", "Small right pleural effusion. No pneumothorax.", "Small left pleural effusion.")


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis().start()
    yield server
    server.kill()


async def scored_by_a_new_engine(redis: Redis) -> ScoredItem:
    settings = Settings(profiles=("text",), cache_url=SecretStr(redis.url), log_level="error")
    async with Engine(settings) as engine:
        (scored,) = await engine.score(ScoringRequest([ITEM]))
    return scored


async def test_every_component_finds_its_own_scores_again(redis: Redis) -> None:
    first, second = await scored_by_a_new_engine(redis), await scored_by_a_new_engine(redis)
    assert (first.cache, second.cache) == ("miss", "hit")
    assert second.composite == first.composite


@pytest.mark.parametrize("body", [[{}, [], None], [{"reward": 1.0}, [], None]])
async def test_a_forged_score_with_a_right_checksum_is_computed_anew(redis: Redis, body: Any) -> None:
    first = await scored_by_a_new_engine(redis)
    client = redis_package.Redis(port=redis.port)
    raw = orjson.dumps(body)
    for name in client.keys("*"):
        key = name.decode().split(":", 2)[2]  # after namespace and schema
        client.set(name, bytes([SCHEMA, 0]) + _checksum(key, 0, raw) + raw)
    again = await scored_by_a_new_engine(redis)
    assert (again.cache, again.composite) == ("miss", first.composite)
    assert (await scored_by_a_new_engine(redis)).cache == "hit"
