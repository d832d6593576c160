"""What the application on Ray Serve is made of, without Ray."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reward_service.cluster import metrics
from reward_service.cluster.autoscaling import ByPairs
from reward_service.cluster.handle_worker import HandleWorker, Scored, parts
from reward_service.cluster.settings import ClusterSettings
from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.errors import ConfigurationError
from reward_service.observability.telemetry import Telemetry
from reward_service.settings import Settings
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.remote_process import WorkerConfig

ROOT = Path(__file__).parents[3]
_pairs = st.lists(st.builds(Pair, st.sampled_from("abc"), st.sampled_from("xyz")), max_size=40)


@given(_pairs, st.integers(1, 9))
def test_calls_have_every_pair_once_and_keep_references_together(pairs: list[Pair], most: int) -> None:
    made = parts(pairs, most)
    assert sorted(i for part in made for i in part) == list(range(len(pairs)))
    assert all(0 < len(part) <= most for part in made)
    for reference in "xyz":
        count = sum(pair.reference == reference for pair in pairs)
        calls = sum(any(pairs[i].reference == reference for i in part) for part in made)
        assert calls <= max(1, math.ceil(count / most)), "no more calls than it has to be in"


class Method:
    def __init__(self, call: Any) -> None:
        self.remote = call


class Handle:
    """A deployment whose one replica scores the length of the candidate, when it is let."""

    def __init__(self, digest: str = "d") -> None:
        self.let, self.calls, self.fails = asyncio.Event(), [], {}
        self.score, self.digest = Method(self._score), Method(self._digest)
        self._own = digest

    async def _digest(self) -> str:
        return self._own

    async def _score(self, digest: str, pairs: list[Pair], timeout_s: float) -> Scored:
        self.calls.append((digest, pairs, timeout_s))
        await self.let.wait()
        if error := self.fails.get(pairs[0].reference):
            raise error
        late = ComponentError("deadline", "not started before its deadline", retryable=True)
        scores = [ComponentScore({"f1": len(pair.candidate)}) if pair.candidate else late for pair in pairs]
        return Scored(list(scores), [("batch_size", float(len(pairs)))])


def worker(handle: Handle, observed: list[tuple[str, float]], queue: int = 100) -> HandleWorker:
    config = WorkerConfig(lambda: None, "m-0.sock", limits=BatchLimits(pairs=2, queue=queue))  # type: ignore[arg-type,return-value]
    explain = lambda error: ComponentError("worker_died", type(error).__name__, retryable=True)  # noqa: E731
    observe = lambda name, value: observed.append((name, value))  # noqa: E731
    return HandleWorker(handle, config, component_digest="d", observe=observe, explain=explain)


async def test_a_handle_worker_sends_and_settles_each_pair() -> None:
    handle, observed = Handle(), []
    runner = worker(handle, observed, queue=6)
    assert not runner.health()["ready"]
    await runner.start()
    handle.fails["died"] = RuntimeError("text of a report")
    pairs = [Pair("a", "x"), Pair("bb", "died"), Pair("ccc", "x"), Pair("b", "died"), Pair("", "y")]
    futures = runner.submit(pairs, time.monotonic() + 30)
    await asyncio.sleep(0)
    assert runner.health() == {"ready": True, "detail": "ready", "queue": 5}
    assert not futures[0].cancel(), "what has left is scored and cached although nobody waits"
    refused = runner.submit(pairs[:2], math.inf)
    assert {future.exception().code for future in refused} == {"queue_full"}  # type: ignore[union-attr]
    handle.let.set()
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [getattr(one, "values", None) or one.code for one in results] == [
        {"f1": 1}, "worker_died", {"f1": 3}, "worker_died", "deadline",
    ]  # fmt: skip
    assert "text of a report" not in str(results)
    assert sorted(observed) == [("batch_size", 1.0), ("batch_size", 2.0)]
    assert {digest for digest, _, _ in handle.calls} == {"d"}
    assert all(0 < left <= 30 for _, _, left in handle.calls)
    await runner.stop(0)
    assert runner.submit(pairs[:1], math.inf)[0].exception().code == "shutting_down"  # type: ignore[union-attr]


async def test_what_does_not_answer_ends_with_the_deadline_or_with_the_service() -> None:
    handle = Handle()
    runner = worker(handle, [])
    (late,) = runner.submit([Pair("a", "x")], time.monotonic() - 5)  # a replica that is late by more than it may be
    with pytest.raises(ComponentError, match="in time"):
        await late
    (left,) = runner.submit([Pair("b", "x")], math.inf)
    await asyncio.sleep(0)
    await runner.stop(0)
    with pytest.raises(ComponentError, match="shutting down"):
        await left
    with pytest.raises(ComponentError, match="keep their memory"):
        await runner.set_asleep(True)
    with pytest.raises(ComponentError, match="another component"):
        await worker(Handle("other"), []).start()


def test_replicas_follow_from_pairs() -> None:
    """Not from requests: one of 4,096 pairs is work for eight replicas of 512."""
    policy = ByPairs(512)
    for told, queued, wanted in (({}, 0, 0), ({"r1": 1.0}, 0, 1), ({"r1": 4096.0}, 0, 8), ({"r1": 512.0, "r2": 1.0}, 0, 2),
                                 ({}, 3.0, 1), (None, None, 0)):  # fmt: skip
        metrics_told = None if told is None else {"pairs": told}
        context = SimpleNamespace(aggregated_metrics=metrics_told, total_queued_requests=queued)
        assert policy(context) == (wanted, {}), (told, queued)


def test_each_series_is_on_the_page_once_for_each_replica() -> None:
    pages = {}
    for number, replica in enumerate(("one", "two"), 1):
        telemetry = Telemetry()
        telemetry.requests.labels("/score", "200").inc(number)
        telemetry.batch_size.labels("bertscore").observe(64)
        pages[replica] = telemetry.render().decode()
    lines = metrics.of_all(pages).decode().splitlines()
    series = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert len(series) == sum(not line.startswith("#") for page in pages.values() for line in page.splitlines())
    assert 'reward_requests_total{replica="one",route="/score",status="200"} 1.0' in lines
    assert 'reward_requests_total{replica="two",route="/score",status="200"} 2.0' in lines
    assert 'reward_batch_size_bucket{component="bertscore",le="64.0",replica="two"} 1.0' in lines
    assert sum(line == "# TYPE reward_requests_total counter" for line in lines) == 1


def test_settings_of_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARD_PROFILES", "text")
    monkeypatch.setenv("REWARD_DEVICE", "cuda:1")
    found = ClusterSettings.model_validate({"service": {"insecure": True}, "ingress": {"cpus": 2}}).of_service()
    assert (found.profiles, found.device, found.pool_workers, found.torch_threads) == (("text",), ("cpu",), 1, 1)
    halves = ClusterSettings.model_validate({"service": {"insecure": True}, "models": {"gpus": 0.5}})
    assert halves.of_service().device == ("cuda",), "the one that Ray shows the replica"
    with pytest.raises(ConfigurationError, match="without API keys"):
        ClusterSettings().of_service()
    with pytest.raises(ValidationError, match="replica"):
        ClusterSettings.model_validate({"replicas": 2})
    judge = {
        "profiles": "standard",
        "judge_urls": "http://j",
        "judge_model": "m",
        "judge_revision": "r",
        "insecure": True,
    }
    with pytest.raises(ConfigurationError, match="each of 4 processes or more"):
        ClusterSettings(service=judge).of_service()
    ClusterSettings(service={**judge, "cache_url": "redis://localhost"}).of_service()


def test_the_manifest_has_settings_of_a_cluster_and_names_what_exists() -> None:
    manifest = yaml.safe_load((ROOT / "docker/ray/rayservice.yaml").read_text())
    (application,) = yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"]
    path, _, name = application["import_path"].partition(":")
    assert f"\ndef {name}(" in (ROOT / f"{path.replace('.', '/')}.py").read_text()
    cluster = ClusterSettings.model_validate(application["args"])
    Settings(**cluster.service)
    groups = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    offered = [
        int(g["template"]["spec"]["containers"][0]["resources"]["limits"].get("nvidia.com/gpu", 0)) for g in groups
    ]
    assert cluster.models.gpus <= max(offered)
    assert (
        f"ray[serve,data]>={manifest['spec']['rayClusterConfig']['rayVersion'].removesuffix('.0')}"
        in (ROOT / "pyproject.toml").read_text()
    )
    head = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]
    pods = [group["template"]["spec"] for group in (head, *groups)]
    assert all(pod["terminationGracePeriodSeconds"] > cluster.service["shutdown_grace_s"] for pod in pods)
