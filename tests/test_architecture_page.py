"""The pair that docs/architecture.md follows through the service goes the way that is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reward_service.scoring.engine import Engine
from reward_service.settings import Settings
from reward_service.wire import parsing, rendering

PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


def block(marker: str) -> Any:
    found = re.search(rf"<!-- way: {marker} -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert found, marker
    return json.loads(found.group(1))


async def test_the_request_becomes_the_answer_that_is_shown() -> None:
    parsed = parsing.parse(json.dumps(block("request")).encode(), 10)
    async with Engine(Settings(profiles=("text",), pool_workers=0)) as engine:
        async with engine.admit(parsed.scoring) as admitted:
            scored = await admitted.score()
        answer = rendering.render(parsed, admitted, scored)
    assert answer["results"] == [block("answer")]
    texts = scored[0].texts
    assert texts is not None
    assert f"`{texts.candidate.text}`" in PAGE  # the candidate without its chat token
