"""AReaL's own `AsyncRewardWrapper` (process pool, 15 s, four tries) around this project's `reward_fn`.

Run in AReaL's environment: ``python areal_wrapper.py < samples.json``. Prints one JSON list of rewards, or of the names
of the exceptions that reached the workflow.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

_root = Path(importlib.util.find_spec("areal").origin).parent
_stub = ModuleType("areal")  # areal/__init__ imports engines that need a GPU build
_stub.__path__ = [str(_root)]
sys.modules["areal"] = _stub

from areal.api.reward_api import AsyncRewardWrapper  # noqa: E402

from reward_client.trainers.areal import reward_fn  # noqa: E402


async def main(samples: list[dict]) -> list[float | str]:
    wrapper = AsyncRewardWrapper(reward_fn, max_workers=2)
    rewards = await asyncio.gather(
        *(wrapper("prompt", s["completion"], [1], [2], reference=s["label"], messages=[]) for s in samples),
        return_exceptions=True,
    )
    return [type(reward).__name__ if isinstance(reward, BaseException) else reward for reward in rewards]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
