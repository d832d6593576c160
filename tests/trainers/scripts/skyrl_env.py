"""SkyRL's own gym: registers this project's environment, makes it for each sample and steps it in 32 threads.

Run in SkyRL's environment: ``python skyrl_env.py < samples.json``. Prints rewards and the aggregated metrics.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import skyrl_gym
from skyrl_gym.metrics import aggregate_for_environment


def main(samples: list[dict]) -> dict:
    skyrl_gym.register(id="radiology", entry_point="reward_client.trainers.skyrl:RadiologyReportEnv")

    def one(sample: dict) -> tuple[float, dict]:
        extras = {"reward_spec": {"ground_truth": sample["label"]}}
        environment = skyrl_gym.make("radiology", env_config={}, extras=extras)
        environment.init([{"role": "user", "content": "?"}])
        step = environment.step(sample["completion"])
        assert step["done"]
        return step["reward"], environment.get_metrics()

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(one, samples))
    metrics = aggregate_for_environment("radiology", [logged for _, logged in answers])
    return {"rewards": [reward for reward, _ in answers], "metrics": metrics}


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
