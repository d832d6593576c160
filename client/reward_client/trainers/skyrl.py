"""SkyRL: ``register(id="radiology", entry_point="reward_client.trainers.skyrl:RadiologyReportEnv")``.

The environment's class needs SkyRL's base class, so it is made when first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from reward_client.trainers._shared import client, item, missing_value, numbers, options


class ReportScoring:
    """One turn: the action is the report, the reward is the service's."""

    def __init__(self, env_config: Any = None, extras: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        spec = (extras or {}).get("reward_spec") or {}
        self._label, self._prior = spec.get("ground_truth"), spec.get("prior")
        self._logs: dict[str, float] = {}

    def step(self, action: str) -> dict[str, Any]:
        (score,) = client(options()).score([item(action, self._label, self._prior)])
        reward, self._logs = numbers(score, missing_value(None))
        return {"observations": [], "reward": reward, "done": True, "metadata": dict(self._logs)}

    def get_metrics(self) -> dict[str, float]:
        """The flat component values of the last step."""
        return self._logs


def __getattr__(name: str) -> Any:
    if name != "RadiologyReportEnv":
        raise AttributeError(name)
    base = importlib.import_module("skyrl_gym.envs.base_text_env").BaseTextEnv
    return globals().setdefault(name, type(name, (ReportScoring, base), {"__module__": __name__}))
