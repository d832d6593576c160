"""Two GRPO steps of TRL, and the reward clients of OpenRLHF, verl, AReaL and SkyRL from their wheels.

Versions are those of `make_environment.sh`. For each: the rewards are those of the native route in the same order, one
item without a score is handled as its trainer expects, and a restart of the service goes unnoticed.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import reward_client.trainers.openrlhf
from reward_client import Item, RewardClient
from tests.client.live import REPORTS, LiveService
from tests.trainers.environments import Start, answer_of

pytestmark = [pytest.mark.trainers, pytest.mark.slow]

PROMPT = "<|im_start|>user\nDescribe the image.<|im_end|>\n<|im_start|>assistant\n"


def samples(count: int) -> list[dict[str, Any]]:
    draw = random.Random(count)
    return [
        {"prompt": PROMPT, "completion": f"{draw.choice(REPORTS)} {number}<|im_end|>", "label": draw.choice(REPORTS)}
        for number in range(count)
    ]


def native(service: LiveService, asked: list[dict[str, Any]]) -> list[float]:
    items = [Item(one["completion"].removesuffix("<|im_end|>"), one["label"]) for one in asked]
    with RewardClient(service.url) as client:
        return [score.reward for score in client.score(items) if score.reward is not None]


class TestTrl:
    def run(self, start: Start, live: LiveService, tmp_path: Path, steps: int, unscorable: int = 0) -> Any:
        return start("trl", "trl_grpo.py", live.url, tmp_path / "out", steps, unscorable)

    def test_two_grpo_steps_move_the_weights(self, start: Start, live: LiveService, tmp_path: Path) -> None:
        answer = answer_of(self.run(start, live, tmp_path, 2))
        assert answer["steps"] == 2
        assert answer["moved"] == answer["parameters"]
        assert max(entry["reward_std"] for entry in answer["logs"]) > 0
        assert {entry["rr_valid"] for entry in answer["logs"]} == {1.0}
        assert {"rr_clinical", "rewards/reward/mean", "rewards/bleu2/mean"} <= set(answer["logs"][0])
        assert answer["logs"][0]["rr_bleu2"] == pytest.approx(answer["logs"][0]["rewards/bleu2/mean"])

    def test_the_service_restarts_in_mid_run(self, start: Start, live: LiveService, tmp_path: Path) -> None:
        process = self.run(start, live, tmp_path, 3)
        assert process.stdout
        while (line := process.stdout.readline()) and not line.startswith("step 1"):
            pass
        live.restart(pause_s=1.0)
        assert answer_of(process)["steps"] == 3

    def test_a_prompt_without_a_score_is_skipped(self, start: Start, live: LiveService, tmp_path: Path) -> None:
        answer = answer_of(self.run(start, live, tmp_path, 4, unscorable=1))
        assert answer["steps"] == 4
        assert sorted(entry["rr_valid"] for entry in answer["logs"]) == [0.0, 1.0, 1.0, 1.0]


class TestOpenRlhf:
    def test_its_remote_client_gets_the_native_rewards(self, start: Start, live: LiveService) -> None:
        asked = samples(64)
        rows = answer_of(start("openrlhf", "openrlhf_remote.py", f"{live.url}/get_reward"), asked)
        assert [row["reward"] for row in rows] == [[reward] for reward in native(live, asked)]
        assert [row["scores"] for row in rows] == [[(reward[0] + 1) / 2] for reward in (row["reward"] for row in rows)]
        assert {tuple(row["extra_logs"]) for row in rows} == {tuple(rows[0]["extra_logs"])}
        assert rows[0]["tensors"]["rr_clinical"] == [1, 1]

    def test_the_reward_file_gives_the_same(self, start: Start, live: LiveService) -> None:
        asked = samples(20)
        file = reward_client.trainers.openrlhf.__file__
        rows = answer_of(start("openrlhf", "openrlhf_remote.py", file), asked)
        assert [row["reward"] for row in rows] == [[reward] for reward in native(live, asked)]
        assert rows == [{**row, "scores": [(row["reward"][0] + 1) / 2]} for row in rows]

    def test_one_sample_without_a_score(self, start: Start, live: LiveService) -> None:
        """Strict: OpenRLHF's client gives up on that sample alone. Declared: a substitute, marked as such."""
        asked = samples(3)
        asked[1]["label"] = {"reference": "a" * 20_001}
        strict = answer_of(start("openrlhf", "openrlhf_remote.py", f"{live.url}/get_reward"), asked)
        assert [row["reward"] is None for row in strict] == [False, True, False]
        declared = answer_of(start("openrlhf", "openrlhf_remote.py", f"{live.url}/get_reward?missing=-1"), asked)
        assert declared[1]["reward"] == [-1.0]
        assert [row["extra_logs"]["rr_valid"] for row in declared] == [[1.0], [0.0], [1.0]]

    def test_the_service_restarts_in_mid_step(self, start: Start, live: LiveService) -> None:
        process = start("openrlhf", "openrlhf_remote.py", f"{live.url}/get_reward")
        rows = during_restart(process, live, samples(600))
        assert [row["reward"] for row in rows] == [[reward] for reward in native(live, samples(600))]


class TestVerl:
    def test_its_reward_managers(self, start: Start, live: LiveService) -> None:
        asked, managers = samples(32), "naive,dapo,gdpo,rate_limited"
        process = start("verl", "verl_manager.py", managers, "compute_score,compute_score_sync", live.url)
        combinations = answer_of(process, asked)
        assert len(combinations) == 8
        for rows in combinations:
            assert [row["reward_score"] for row in rows] == native(live, asked)
            assert {tuple(row["reward_extra_info"]) for row in rows} == {tuple(rows[0]["reward_extra_info"])}
            assert {type(value) for row in rows for value in row["reward_extra_info"].values()} == {float}

    def test_one_sample_without_a_score_is_an_error_that_names_the_cause(self, start: Start, live: LiveService) -> None:
        asked = samples(3)
        asked[2]["label"] = ""
        process = start("verl", "verl_manager.py", "naive", "compute_score", live.url)
        with pytest.raises(AssertionError, match="MissingScore"):
            answer_of(process, asked)

    def test_the_service_restarts_in_mid_step(self, start: Start, live: LiveService) -> None:
        asked = samples(600)
        process = start("verl", "verl_manager.py", "naive", "compute_score", live.url)
        (rows,) = during_restart(process, live, asked)
        assert [row["reward_score"] for row in rows] == native(live, asked)


class TestAreal:
    def test_its_reward_wrapper(self, start: Start, live: LiveService) -> None:
        """A lost score is an exception in the workflow, never AReaL's silent 0."""
        asked = samples(12)
        expected: list[Any] = native(live, asked)
        asked[5]["label"], expected[5] = "", "MissingScore"
        assert answer_of(start("areal", "areal_wrapper.py"), asked) == expected


class TestSkyrl:
    def test_its_gym(self, start: Start, live: LiveService) -> None:
        asked = samples(40)
        answer = answer_of(start("skyrl", "skyrl_env.py"), asked)
        assert answer["rewards"] == native(live, asked)
        assert answer["metrics"]["rr_valid"] == 1.0


def during_restart(process: subprocess.Popen[str], live: LiveService, asked: list[dict[str, Any]]) -> Any:
    """The script's answer, with the service killed as soon as its first request has arrived."""
    seen = live.log.count("/get_reward") + live.log.count("/score")

    def kill() -> None:
        deadline = time.monotonic() + 60
        while live.log.count("/get_reward") + live.log.count("/score") <= seen and time.monotonic() < deadline:
            time.sleep(0.01)
        live.restart(pause_s=0.5)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        return answer_of(process, asked)
    finally:
        thread.join()
