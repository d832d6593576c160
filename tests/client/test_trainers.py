"""Every adapter called as its trainer calls it (signatures and types from the trainers' sources).

The trainers' own code runs in `tests/trainers`; this needs none of them installed.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from reward_client import ApiError, BudgetSpent, MissingScore
from reward_client.trainers import _shared, areal, easyr1, ms_swift, openrlhf, slime, trl, verl
from tests.client.scripted import Scripted, refuse, reward_of

NAMES = ("trl", "verl", "openrlhf", "slime", "ms_swift", "easyr1", "areal", "skyrl")
REFERENCE = "Heart size is normal."


@pytest.fixture(autouse=True)
def environment(service: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapters' settings for functions that take none; fresh clients, because the port is kept between tests."""
    monkeypatch.setenv("REWARD_CLIENT_URL", service.url)
    for cached in (_shared._client, _shared._async_client):
        cached.cache_clear()
    trl._last.clear()


def of(candidate: str) -> float:
    value = reward_of(candidate, REFERENCE)
    assert value is not None
    return value


def test_no_trainer_is_imported() -> None:
    """In a fresh interpreter, because other tests may have imported anything."""
    code = (
        "import sys; before = set(sys.modules);"
        + "".join(f"import reward_client.trainers.{name};" for name in NAMES)
        + "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch','numpy','trl','verl','openrlhf','slime','swift','areal','skyrl_gym','ray','transformers'}))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "function",
    [
        verl.compute_score,
        verl.compute_score_sync,
        openrlhf.reward_func,
        slime.custom_rm,
        easyr1.compute_score,
        areal.reward_fn,
        ms_swift.RadiologyReward,
    ],
)
def test_functions_are_picklable(function: Any) -> None:
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", ["verl", "openrlhf", "easyr1"])
def test_modules_load_by_file_path(name: str) -> None:
    """verl, OpenRLHF and EasyR1 load a reward file by its path, outside of its package."""
    assert load_by_path(name)


def load_by_path(name: str) -> ModuleType:
    path = importlib.import_module(f"reward_client.trainers.{name}").__file__
    assert path
    spec = importlib.util.spec_from_file_location("custom_reward_fn", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestTrl:
    def call(self, function: Any, step: int = 1, **more: Any) -> Any:
        completions = [[{"role": "assistant", "content": "aa"}], [{"role": "assistant", "content": "bbb"}]]
        return function(
            prompts=["p", "p"],
            completions=completions,
            completion_ids=[[1], [2]],
            trainer_state=SimpleNamespace(global_step=step),
            **{"reference": [REFERENCE] * 2, "study": [1, 2], **more},
        )

    def test_rewards_and_names(self) -> None:
        function = trl.make_reward_fn()
        assert self.call(function) == [of("aa"), of("bbb")]
        assert function.__name__ == "reward"
        assert trl.make_reward_fn(component="bleu2").__name__ == "bleu2"

    def test_component_functions_share_one_request_a_step(self, service: Scripted) -> None:
        functions = [trl.make_reward_fn(), *(trl.make_reward_fn(component=key) for key in ("bleu2", "clinical"))]
        functions = pickle.loads(pickle.dumps(functions))  # as when sent to worker processes
        for step in (1, 2):
            values = [self.call(function, step) for function in functions]
            assert values[1] == [of("aa"), of("bbb")]
            assert len(service.requests) == step

    def test_logs_once_a_step_and_skips_what_is_missing(self) -> None:
        metrics: list[tuple[str, float]] = []
        columns: dict[str, list[Any]] = {}
        logging = {"log_metric": lambda *pair: metrics.append(pair), "log_extra": columns.__setitem__}
        rewards = self.call(trl.make_reward_fn(), reference=[REFERENCE, ""], **logging)
        self.call(trl.make_reward_fn(component="bleu2"), reference=[REFERENCE, ""], **logging)
        assert rewards == [of("aa"), None]
        assert dict(metrics) == {"rr_valid": 0.5, "rr_bleu2": of("aa"), "rr_clinical": of("aa")}
        assert len(metrics) == 3
        assert columns["rr_bleu2"] == [of("aa"), None]

    def test_a_null_and_a_failure_are_asked_for_again_and_logged_once(self, service: Scripted) -> None:
        def lose(body: dict[str, Any], honest: dict[str, Any]) -> dict[str, Any]:
            return {**honest, "results": [service.result(i["id"], i["candidate"], "") for i in body["items"]]}

        metrics: list[tuple[str, float]] = []
        service.faults = [lambda *_: refuse(422), lose]
        function, logging = trl.make_reward_fn(), {"log_metric": lambda *pair: metrics.append(pair)}
        with pytest.raises(ApiError):
            self.call(function, **logging)
        assert self.call(function, **logging) == [None, None]
        assert metrics == [("rr_valid", 0.0)]
        assert self.call(function, **logging) == [of("aa"), of("bbb")]
        assert self.call(function, **logging) == [of("aa"), of("bbb")]
        assert metrics == [("rr_valid", 0.0)]
        assert len(service.requests) == 3

    def test_functions_of_other_batches_do_not_wait_for_one_another(self, service: Scripted) -> None:
        """The service answers nobody before three requests are there, one for each distinct batch."""
        service.together = 3
        functions = [trl.make_reward_fn(), trl.make_reward_fn(component="bleu2"), trl.make_reward_fn(run_id="other")]
        with ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(self.call, function, 7) for function in functions]
            answers.append(pool.submit(self.call, trl.make_reward_fn(run_id="third"), 7))
            assert [answer.result() for answer in answers] == [[of("aa"), of("bbb")]] * 4
        assert len(service.requests) == 3

    def test_an_absent_column_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no column 'findings'"):
            self.call(trl.make_reward_fn(reference_column="findings"))


class TestVerl:
    KEYS = ("score", "rr_valid", "rr_bleu2", "rr_bleu2_valid", "rr_clinical", "rr_clinical_valid")

    def call(self, function: Any, label: Any = REFERENCE, **more: Any) -> Any:
        extra = {"index": np.int64(3), "num_turns": None, "rollout_reward_scores": {}}
        answer = function(data_source="cxr", solution_str="abc", ground_truth=label, extra_info=extra, **more)
        return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer

    @pytest.mark.parametrize("function", [verl.compute_score, verl.compute_score_sync])
    def test_flat_floats_under_constant_keys(self, service: Scripted, function: Any) -> None:
        whole = self.call(function, url=service.url, reward_router_address="ignored")
        assert tuple(whole) == self.KEYS
        assert whole["score"] == of("abc")
        lost = self.call(function, label="", missing=0.0)
        assert tuple(lost) == self.KEYS
        assert (lost["score"], lost["rr_valid"], lost["rr_clinical_valid"]) == (0.0, 0.0, 0.0)
        assert all(type(value) is float for value in (*whole.values(), *lost.values()))
        assert "reward" not in whole

    @pytest.mark.parametrize("function", [verl.compute_score, verl.compute_score_sync])
    def test_strict_by_default(self, function: Any) -> None:
        with pytest.raises(MissingScore, match="empty_reference"):
            self.call(function, label="")

    def test_numpy_and_json_labels(self, service: Scripted) -> None:
        for label in (np.str_(REFERENCE), np.array(REFERENCE), np.array({"reference": REFERENCE, "prior": "P."})):
            assert self.call(verl.compute_score, label=label)["score"] == of("abc")
        assert service.requests[-1]["items"][0]["prior"] == "P."
        self.call(verl.compute_score, label=f'{{"reference": "{REFERENCE}"}}')
        assert service.requests[-1]["items"][0]["reference"] == REFERENCE

    def test_the_declared_substitute_may_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REWARD_CLIENT_MISSING", "-1")
        assert self.call(verl.compute_score, label="")["score"] == -1.0


def test_openrlhf() -> None:
    answer = openrlhf.reward_func(["<p>abc<|im_end|>", "<p><think>x</think>ab"], ["<p>", "<p>"], [REFERENCE] * 2)
    assert answer["rewards"] == [of("abc"), of("ab")]
    assert answer["scores"] == [(of("abc") + 1) / 2, (of("ab") + 1) / 2]  # the scripted bounds are -1 and 1
    assert answer["extra_logs"]["rr_valid"] == [1.0, 1.0]
    with pytest.raises(ValueError, match="prompt"):
        openrlhf.reward_func(["other abc"], ["<p>"], [REFERENCE])
    assert openrlhf.reward_func([], [], [])["rewards"] == []


def test_slime() -> None:
    samples = [SimpleNamespace(response=text + "<|im_end|>", label=REFERENCE) for text in ("a", "bb")]
    bare, keyed = SimpleNamespace(reward_key=None), SimpleNamespace(reward_key="score")
    assert asyncio.run(slime.custom_rm(bare, samples[0])) == of("a")
    assert asyncio.run(slime.custom_rm(bare, samples)) == [of("a"), of("bb")]
    assert asyncio.run(slime.custom_rm(keyed, samples[1]))["score"] == of("bb")


def test_ms_swift() -> None:
    function = ms_swift.RadiologyReward(args=None)
    assert not asyncio.iscoroutinefunction(function.__call__)
    assert function(["a", "bb"], reference=[REFERENCE, ""], trainer_state=None) == [of("a"), None]
    assert function(["a"], solution=[REFERENCE]) == [of("a")]
    with pytest.raises(ValueError, match="column"):
        function(["a"])


def test_easyr1() -> None:
    inputs = [{"response": text, "response_length": 1, "ground_truth": REFERENCE} for text in ("a", "bb", "")]
    assert [row["overall"] for row in easyr1.compute_score(inputs)] == [of("a"), of("bb"), of("")]
    assert {type(value) for row in easyr1.compute_score(inputs) for value in row.values()} == {float}


def test_areal_in_its_process_pool() -> None:
    """AReaL sends the function and its arguments to worker processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        work = pool.submit(areal.reward_fn, "p", "abc</s>", [1], [2], reference=REFERENCE, messages=[])
        assert work.result(60) == of("abc")
        failing = pool.submit(areal.reward_fn, "p", "abc", [1], [2], reference="")
        with pytest.raises(MissingScore):
            failing.result(60)


def test_areal_gives_up_before_areal_would_train_on_zero(service: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    assert areal._BUDGET_S < 15.0
    monkeypatch.setattr(areal, "_BUDGET_S", 0.5)
    service.faults = [lambda *_: refuse(503)] * 50
    with pytest.raises(BudgetSpent):
        areal.reward_fn("p", "abc", [1], [2], reference=REFERENCE)


def test_skyrl_without_its_base_class(monkeypatch: pytest.MonkeyPatch) -> None:
    base = type("BaseTextEnv", (), {"__init__": lambda self: setattr(self, "turns", 0)})
    module = ModuleType("skyrl_gym.envs.base_text_env")
    module.BaseTextEnv = base  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "skyrl_gym.envs.base_text_env", module)
    skyrl = importlib.import_module("reward_client.trainers.skyrl")
    environment = skyrl.RadiologyReportEnv(env_config=None, extras={"reward_spec": {"ground_truth": REFERENCE}})
    assert isinstance(environment, base)
    assert environment.turns == 0
    step = environment.step("abc")
    assert (step["reward"], step["done"], step["observations"]) == (of("abc"), True, [])
    assert environment.get_metrics()["rr_valid"] == 1.0
    monkeypatch.delitem(vars(skyrl), "RadiologyReportEnv")


def test_a_refusal_names_the_item_and_not_its_text(service: Scripted) -> None:
    service.faults = [lambda *_: refuse(422, "bad", "items[0].candidate")]
    with pytest.raises(ApiError) as caught:
        openrlhf.reward_func(["<p>secret report"], ["<p>"], [REFERENCE])
    assert "item 0" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("report</s>", "report"),
        ("report <|im_end|>\n<|endoftext|>", "report"),
        ("<think>a</think>\n\nreport", "report"),
        ("left to decide</think>report", "report"),
        ("size < 3 mm, > 2 mm", "size < 3 mm, > 2 mm"),
        ("", ""),
    ],
)
def test_report_of_a_completion(completion: str, expected: str) -> None:
    assert _shared.report(completion) == expected


def test_text_of_chats_and_numpy_but_nothing_else() -> None:
    assert _shared.text([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"text": "b"}]}]) == "ab"
    assert type(_shared.text(np.str_("a"))) is str
    for value in (None, 3, [], [1], {"content": "a"}):
        with pytest.raises(TypeError):
            _shared.text(value)
