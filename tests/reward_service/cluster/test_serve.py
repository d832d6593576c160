"""The service on Ray Serve, on a local cluster: the rewards of `serve` to the last bit, also while replicas are killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.data import synthetic_report
from testbed.redis_server import Redis
from testbed.service import free_port, running
from tests.needs import needs
from tests.reward_service.cluster import environment
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]
SCRIPT = Path(__file__).parent / "scripts" / "serve.py"
SERVICE = {"profiles": "embedded", "insecure": True, "log_level": "error", "shutdown_grace_s": 10, "drain_delay_s": 0.5}
TWO = {"least": 2, "most": 2, "cpus": 0.25}


@contextlib.contextmanager
def application(address: str, port: int, **arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """The script with these arguments of the application; it ends with the block."""
    command = [environment.python(), str(SCRIPT), str(port), json.dumps(arguments)]
    env = environment.environment(RAY_ADDRESS=address)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        yield process
    finally:
        process.communicate("", timeout=60)


def pairs(count: int, seed: int) -> list[dict[str, str]]:
    rng = random.Random(seed)
    return [{"candidate": synthetic_report(rng, 12), "reference": synthetic_report(rng, 12)} for _ in range(count)]


def scored(url: str, items: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Results with what depends on the pair alone. Raises `httpx.HTTPError` where the service does not answer so."""
    answer = httpx.post(f"{url}/score", json={"items": items, "timeout_s": 60}, timeout=90)
    answer.raise_for_status()
    return [{k: v for k, v in result.items() if k != "cache"} for result in answer.json()["results"]]


def replicas(name: str) -> list[int]:
    """Process ids of a deployment's replicas whose name begins so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_text().startswith(f"ray::ServeReplica:default:{name}"):
                found.append(int(folder.name))
    return sorted(found)


@needs("redis-server")
def test_rewards_metrics_and_kills(ray_address: str, tmp_path: Path) -> None:
    port = free_port()
    url, redis = f"http://127.0.0.1:{port}", Redis().start()
    items = pairs(96, 1)
    with running(tmp_path / "log", profiles="embedded") as plain:
        expected = scored(plain.url, items)
        fingerprint = plain.score(("a", "b")).json()["fingerprint"]
    service = {**SERVICE, "cache_url": redis.url}
    try:
        with application(ray_address, port, service=service, ingress=TWO, models=TWO) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            posted = [items[i : i + 8] for i in range(0, len(items), 8)]
            assert [one for part in posted for one in scored(url, part)] == expected, "bit for bit"
            assert httpx.post(f"{url}/score", json={"items": items[:1], "fingerprint": fingerprint}).status_code == 200
            page = httpx.get(f"{url}/metrics").text.splitlines()
            series = [line.rpartition(" ") for line in page if line.startswith("reward_items_total{")]
            assert len(series) == len({name for name, _, _ in series}), "each series once for each replica"
            assert sum(float(value) for _, _, value in series) == len(items) + 1
            _kill_under_load(url, items, expected)
            assert scored(url, items) == expected
    finally:
        redis.kill()


def _kill_under_load(url: str, items: list[dict[str, str]], expected: list[dict[str, Any]]) -> None:
    """An answer may be missing or say that a component is; one with a reward has the right one."""
    stop, wrong, right, fresh = threading.Event(), [], [], pairs(3000, 2)

    def load(seed: int) -> None:
        rng = random.Random(seed)
        while not stop.is_set():
            at = rng.randrange(len(items) - 4)
            try:  # new pairs beside known ones, so that models have work
                results = scored(url, [*items[at : at + 4], rng.choice(fresh)])
            except httpx.HTTPError:
                time.sleep(0.05)
                continue
            told = list(zip(results[:4], expected[at : at + 4], strict=True))
            wrong.extend((one, want) for one, want in told if one["status"] == "ok" and one != want)
            right.append(sum(one["status"] == "ok" for one, _ in told))

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    try:
        for name in ("reward", "bertscore", "reward"):
            before = replicas(name)
            assert len(before) == 2, name
            os.kill(before[0], signal.SIGKILL)
            answered = len(right)
            wait_until(lambda at=answered: len(right) > at + 20)
            wait_until(lambda name=name, old=before: len(replicas(name)) == 2 and replicas(name) != old)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_replica_with_another_fingerprint_does_not_start(ray_address: str) -> None:
    service = {**SERVICE, "profiles": "text"}
    with application(ray_address, free_port(), service=service, fingerprints={"text": "sha256:0"}) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
    assert told.startswith("failed")
    assert "all machines need the same image and weights" in told
