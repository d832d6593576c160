"""The model worker process and its clients, over a real socket: sharing, deaths, hangs, wrong components."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
import types
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.supervision import KeptProcess
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.remote_client import SocketWorker
from reward_service.workers.remote_process import WorkerConfig, digest_of_component, model_job
from reward_service.workers.replicas import Replicas
from testbed.components import Held
from tests.reward_service.fake_metrics import SlowToLoad, WordOverlap, expected, loadable_once_there_is, numbered
from tests.waiting import SOON, turns, until, wait_until


@pytest.fixture
def path(tmp_path: Path) -> str:
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    return str(directory / "model.sock")


@asynccontextmanager
async def client(
    path: str, factory: Any = WordOverlap, limits: BatchLimits | None = None, **options: Any
) -> AsyncIterator[SocketWorker]:
    """A client of the worker that somebody else keeps running."""
    worker = SocketWorker(WorkerConfig(factory, path, 10**7, limits or BatchLimits()), **options)
    await worker.start()
    yield worker
    await worker.stop(0)


@asynccontextmanager
async def process(config: WorkerConfig, hang_s: float = 10.0) -> AsyncIterator[KeptProcess]:
    """A worker process, kept running."""
    kept = KeptProcess(model_job(config, hang_s=hang_s))
    try:
        yield kept
    finally:
        await kept.stop(0)


@asynccontextmanager
async def both(
    path: str, factory: Any = WordOverlap, limits: BatchLimits | None = None, hang_s: float = 5.0, **options: Any
) -> AsyncIterator[SocketWorker]:
    """The process and a client."""
    config = WorkerConfig(factory, path, 10**7, limits or BatchLimits())
    async with process(config, hang_s), client(path, factory, limits, hang_s=hang_s, **options) as worker:
        yield worker


def deadline() -> float:
    return time.monotonic() + SOON


async def codes(futures: list[asyncio.Future[ComponentScore]]) -> Counter[str]:
    results = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), SOON)
    return Counter(getattr(r, "code", "ok") for r in results)


def pid(worker: SocketWorker) -> int:
    value = worker.health()["pid"]
    assert isinstance(value, int)
    return value


def alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


async def test_answers_cross_the_socket_exactly_and_in_order(path: str) -> None:
    pairs = [Pair(f"candidate «{i}» \u2028 🫁", f"{i} 🫁 of many", None if i % 2 else "prior") for i in range(300)]
    async with both(path) as worker:
        scores = await asyncio.gather(*worker.submit(pairs, deadline()))
        assert scores == [ComponentScore(expected(p.candidate, p.reference)) for p in pairs]
        [empty] = await asyncio.gather(*worker.submit([Pair("", "")], math.inf))
        assert empty == ComponentScore({"overlap": 0.0, "length": 0.0}, ("empty",))
        assert worker.submit([], deadline()) == []


class Thirds(WordOverlap):
    """Values that have no short decimal form."""

    def compare(self, candidates: Any, references: Any, *priors: Any) -> list[Any]:
        results = super().compare(candidates, references)
        return [r._replace(values={k: (v + 0.1) / 3 for k, v in r.values.items()}) for r in results]


async def test_floats_survive_to_the_last_bit(path: str) -> None:
    async with both(path, Thirds) as worker:
        scores = await asyncio.gather(*worker.submit(numbered(200), deadline()))
    [here] = Thirds().compare([["candidate", "number", "7"]], [["the", "reference"]])
    assert scores[7].values == here.values


async def test_faults_stay_with_their_pair(path: str) -> None:
    async with both(path) as worker:
        futures = worker.submit([*numbered(20), Pair("poison", "x"), Pair("nan", "x")], deadline())
        assert await codes(futures) == {"ok": 20, "component_error": 1, "not_finite": 1}
        assert "ValueError" in str(futures[20].exception())
        surrogate = worker.submit([Pair("\ud800", "x")], deadline())
        assert await codes(surrogate) == {"component_error": 1}
        assert await codes(worker.submit(numbered(20), deadline())) == {"ok": 20}


async def test_batches_and_encodings_are_shared_by_all_clients(path: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        gate = tmp_path / "gate"
        await stack.enter_async_context(process(WorkerConfig(partial(Held, str(gate)), path)))
        clients = [await stack.enter_async_context(client(path)) for _ in range(4)]
        assert len({pid(worker) for worker in clients}) == 1
        pairs = numbered(256)
        futures = clients[0].submit(pairs[:1], deadline())
        await until((tmp_path / "gate.held").exists)
        futures += [clients[i % 4].submit([pair], deadline())[0] for i, pair in enumerate(pairs[1:])]
        futures += clients[0].submit(pairs, deadline())  # all of them in flight
        await until(lambda: clients[3].health()["queue"] == 2 * 255)
        gate.touch()
        assert await codes(futures) == {"ok": 512}
        await until(lambda: clients[3].health()["artefacts"]["misses"] == 257)  # type: ignore[index]
        assert clients[3].health()["batches"] == 1 + 4


async def test_an_observation_reaches_exactly_one_client(path: str) -> None:
    seen: list[tuple[str, float]] = []
    observe = lambda name, value: seen.append((name, value))  # noqa: E731
    async with both(path, observe=observe), client(path, observe=observe) as worker:
        for batches in (1, 2):  # when the second has been seen, all of the first has
            assert await codes(worker.submit(numbered(10, 10 * batches), deadline())) == {"ok": 10}
            await until(lambda: sum(name == "queue_s" for name, _ in seen) >= 10 * batches)  # noqa: B023
    assert Counter(name for name, _ in seen) == {"batch_size": 2, "compute_s": 2, "queue_s": 20}


async def test_loading_is_visible_and_ready_comes_after_the_warm_up(path: str, tmp_path: Path) -> None:
    config = WorkerConfig(partial(SlowToLoad, str(tmp_path / "gate")), path)
    async with process(config):
        worker = SocketWorker(config)
        starting = asyncio.create_task(worker.start())
        await until(lambda: "warming up" in str(worker.health()["detail"]))
        assert worker.health()["ready"] is False
        assert await codes(worker.submit(numbered(1), deadline())) == {"worker_unavailable": 1}
        assert not starting.done()
        (tmp_path / "gate").touch()
        await asyncio.wait_for(starting, SOON)
        assert worker.health()["ready"] is True
        assert await codes(worker.submit(numbered(1), deadline())) == {"ok": 1}
        await worker.stop(0)


async def test_what_cannot_load_says_why_and_leaves_no_process(path: str) -> None:
    config = WorkerConfig(partial(WordOverlap, load_error="set REWARD_X to the weights"), path)
    worker = SocketWorker(config)
    async with process(config):
        with pytest.raises(ComponentError, match="set REWARD_X") as caught:
            await worker.start()
    assert caught.value.code == "load_failed"
    assert worker.health()["ready"] is False
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(path)


async def test_a_factory_the_worker_cannot_import_is_reported_as_well(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here_only = types.ModuleType("here_only")
    exec("def factory(): ...", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    config = WorkerConfig(here_only.factory, path)
    async with process(config):
        with pytest.raises(ComponentError, match=r"ModuleNotFoundError.*here_only"):
            await SocketWorker(config).start()


# -- callers --------------------------------------------------------------------------------------


async def test_cancelling_drops_what_has_not_started_and_only_that(path: str, tmp_path: Path) -> None:
    async with both(path, partial(Held, str(tmp_path / "gate")), BatchLimits(pairs=4)) as worker:
        futures = worker.submit([Pair(f"candidate {i}", f"reference {i}") for i in range(100)], deadline())
        await until((tmp_path / "gate.held").exists)
        for future in futures:
            future.cancel()
        await until(lambda: sum(future.done() for future in futures) == 96)
        (tmp_path / "gate").touch()
        assert await codes(futures) == {"ok": 4, "cancelled": 96}


async def test_a_client_that_vanishes_takes_its_queue_with_it(path: str, tmp_path: Path) -> None:
    async with both(path, partial(Held, str(tmp_path / "gate")), BatchLimits(pairs=4)) as stays:
        leaves = SocketWorker(WorkerConfig(WordOverlap, path))
        await leaves.start()
        leaves.submit([Pair(f"candidate {i}", f"reference {i}") for i in range(400)], deadline())
        await until(lambda: stays.health()["queue"] == 396)
        await leaves.stop(0)
        [future] = stays.submit(numbered(1), deadline())
        await asyncio.sleep(0)
        (tmp_path / "gate").touch()
        await future
        await until(lambda: stays.health()["queue"] == 0)
        assert stays.health()["batches"] == 2  # of 101


async def test_deadlines_and_the_queue_limit_hold_across_the_socket(path: str, tmp_path: Path) -> None:
    async with both(path, partial(Held, str(tmp_path / "gate")), BatchLimits(pairs=4, queue=20)) as worker:
        busy = worker.submit(numbered(4), deadline())
        await until((tmp_path / "gate.held").exists)  # else the others would have their share of the batch
        late = worker.submit(numbered(4, start=10), time.monotonic() + 0.05)
        full = worker.submit(numbered(20, start=20), deadline())
        assert await codes(full) == {"queue_full": 20}
        assert await codes(late) == {"deadline": 4}
        assert not any(future.done() for future in busy)
        (tmp_path / "gate").touch()
        assert await codes(busy) == {"ok": 4}


async def test_stop_waits_for_what_is_under_way(path: str) -> None:
    async with both(path, partial(WordOverlap, 0.1), BatchLimits(pairs=4)) as worker:
        futures = worker.submit(numbered(12), deadline())
        stopping = asyncio.create_task(worker.stop(SOON))
        await turns()
        assert await codes(worker.submit(numbered(1), deadline())) == {"shutting_down": 1}
        assert await codes(futures) == {"ok": 12}
        await asyncio.wait_for(stopping, SOON)


async def test_a_worker_that_is_told_to_stop_still_answers_what_it_has_accepted(path: str) -> None:
    config = WorkerConfig(partial(WordOverlap, 0.1), path, limits=BatchLimits(pairs=4))
    async with process(config) as kept, client(path) as worker:
        number = pid(worker)
        futures = worker.submit(numbered(60), deadline())  # 1.5 s
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        assert await kept.stop(SOON)  # it went by itself
        assert await codes(futures) == {"ok": 60}
        assert not alive(number)


# -- deaths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_killed_or_stopped_worker_fails_its_waiters_and_is_replaced(
    path: str, how: int, tmp_path: Path
) -> None:
    async with (
        both(path, partial(Held, str(tmp_path / "gate")), hang_s=2.0) as first,
        client(path, hang_s=2.0) as second,
    ):
        victim = pid(first)
        futures = [f for w in (first, second) for f in w.submit(numbered(1000, start=id(w) % 10**6), deadline())]
        await until((tmp_path / "gate.held").exists)
        os.kill(victim, how)
        await until(lambda: not first.health()["ready"])
        refused = first.submit(numbered(1), deadline())
        assert await codes(refused) == {"worker_unavailable": 1}
        assert await codes(futures) == {"worker_died": 2000}
        (tmp_path / "gate").touch()
        failed = next(e for f in futures if isinstance(e := f.exception(), ComponentError))
        assert failed.retryable
        await until(lambda: first.health()["ready"] and second.health()["ready"])
        assert pid(first) == pid(second) != victim
        assert first.health()["losses"] >= 1  # type: ignore[operator]
        assert await codes(first.submit(numbered(10), deadline()) + second.submit(numbered(10), deadline())) == {
            "ok": 20
        }
        assert not alive(victim)


async def test_a_client_notices_a_stopped_worker_by_itself_and_finds_it_again(path: str) -> None:
    async with process(WorkerConfig(WordOverlap, path), hang_s=300.0), client(path, hang_s=1.0) as worker:
        number = pid(worker)
        os.kill(number, signal.SIGSTOP)
        assert await codes(worker.submit(numbered(3), deadline())) == {"worker_died": 3}
        assert worker.health()["ready"] is False
        os.kill(number, signal.SIGCONT)
        await until(lambda: worker.health()["ready"])
        assert pid(worker) == number
        assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}


@pytest.mark.slow
async def test_a_worker_whose_component_hangs_is_replaced(path: str) -> None:
    config = WorkerConfig(WordOverlap, path, limits=BatchLimits(hang_s=2.0))
    async with process(config, hang_s=300.0), client(path, hang_s=60.0) as worker:  # its event loop goes on beating
        number = pid(worker)
        assert await codes(worker.submit([*numbered(2), Pair("hang", "x")], deadline())) == {"worker_died": 3}
        await until(lambda: worker.health()["ready"] and pid(worker) != number)
        assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}
        assert not alive(number)


@pytest.mark.slow
async def test_a_worker_that_could_not_load_is_tried_again(path: str, tmp_path: Path) -> None:
    config = WorkerConfig(partial(loadable_once_there_is, str(tmp_path / "weights")), path)
    async with process(config) as kept:
        with pytest.raises(ComponentError, match="no weights"):
            await SocketWorker(config).start()
        (tmp_path / "weights").touch()
        failures = kept.restarts
        await until(lambda: kept.restarts > failures)
        async with client(path) as worker:
            assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}


async def test_a_dead_thread_inside_the_worker_heals_without_losing_the_process(path: str) -> None:
    async with both(path) as worker:
        number = pid(worker)
        assert await codes(worker.submit([*numbered(3), Pair("fatal", "x")], deadline())) == {"worker_died": 4}
        await until(lambda: worker.health()["restarts"] == 1 and worker.health()["ready"])
        assert await codes(worker.submit(numbered(3), deadline())) == {"ok": 3}
        assert pid(worker) == number


def test_the_worker_ends_with_a_supervisor_that_is_killed_and_ignores_the_groups_signals(path: str) -> None:
    program = textwrap.dedent(f"""
        import asyncio, sys, threading, time
        from reward_service.contracts import Pair
        from reward_service.supervision import KeptProcess
        from reward_service.workers.remote_client import SocketWorker
        from reward_service.workers.remote_process import WorkerConfig, model_job
        from tests.reward_service.fake_metrics import WordOverlap

        async def main():
            config = WorkerConfig(WordOverlap, {path!r})
            kept = KeptProcess(model_job(config))
            worker = SocketWorker(config)
            await worker.start()
            print(worker.health()["pid"], flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await asyncio.gather(*worker.submit([Pair("a", "b")], time.monotonic() + 60))
            print("scored", flush=True)
            time.sleep(600)

        asyncio.run(main())
    """)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGINT)
        print("score", file=parent.stdin, flush=True)
        assert parent.stdout.readline() == "scored\n"
        assert alive(worker)
        parent.kill()
    wait_until(lambda: not alive(worker))


# -- which component, and who may speak to it -----------------------------------------------------


async def test_a_worker_with_another_component_is_refused(path: str) -> None:
    async with both(path, component_digest=digest_of_component(WordOverlap())):
        other = SocketWorker(
            WorkerConfig(WordOverlap, path), component_digest=digest_of_component(WordOverlap(seconds=1.0))
        )
        with pytest.raises(ComponentError) as caught:
            await other.start()
        assert caught.value.code == "wrong_component"


async def test_a_component_that_changes_under_a_running_client_is_refused(path: str) -> None:
    async with process(WorkerConfig(WordOverlap, path)) as first, client(path) as worker:
        await first.stop(0)
        async with process(WorkerConfig(partial(WordOverlap, 0.001), path)):
            await until(lambda: "another component" in str(worker.health()["detail"]))
            assert worker.health()["ready"] is False
            assert await codes(worker.submit(numbered(1), deadline())) == {"worker_unavailable": 1}


async def test_the_socket_is_private(path: str, tmp_path: Path) -> None:
    async with both(path):
        assert os.stat(path).st_mode & 0o777 == 0o600
    os.chmod(tmp_path, 0o755)
    with pytest.raises(ComponentError, match="0700"):
        model_job(WorkerConfig(WordOverlap, str(tmp_path / "m.sock")))
    with pytest.raises(ComponentError, match="too long"):
        model_job(WorkerConfig(WordOverlap, "/tmp/" + "x" * 110))


@pytest.mark.slow
async def test_the_workers_memory_is_bounded(path: str) -> None:
    config = WorkerConfig(WordOverlap, path, artefact_bytes=100_000)
    async with process(config), client(path) as worker:
        for start in range(0, 20_000, 4000):
            assert await codes(worker.submit(numbered(4000, start), deadline())) == {"ok": 4000}
        await until(lambda: worker.health()["artefacts"]["misses"] >= 20_000)  # type: ignore[index]
        artefacts = worker.health()["artefacts"]
        assert isinstance(artefacts, dict)
        assert 90_000 < artefacts["bytes"] <= 100_000
        assert worker.health()["waiting"] == 0


# -- several devices ------------------------------------------------------------------------------


async def test_replicas_share_the_work_by_reference_and_stand_in_for_one_another(path: str) -> None:
    configs = [WorkerConfig(partial(WordOverlap, 0.02), f"{path}{i}", 10**7) for i in range(2)]
    async with process(configs[0]), process(configs[1]):
        workers = [SocketWorker(config) for config in configs]
        replicas = Replicas(workers)
        await replicas.start()
        pairs = [Pair(f"candidate {i}", f"reference {i % 40}") for i in range(160)]
        scores = await asyncio.gather(*replicas.submit(pairs, deadline()))
        assert scores == [ComponentScore(expected(p.candidate, p.reference)) for p in pairs]  # in order
        await until(lambda: replicas.health()["artefacts"]["misses"] == 160 + 40)  # type: ignore[index]
        shares = [worker.health()["artefacts"]["misses"] for worker in workers]  # type: ignore[index]
        assert min(shares) > 40  # both work, and no reference was encoded twice

        os.kill(pid(workers[0]), signal.SIGKILL)
        await until(lambda: not workers[0].health()["ready"])
        health = replicas.health()
        assert health["ready"]
        assert str(health["detail"]).startswith("replica 0: ")
        assert await codes(replicas.submit(pairs, deadline())) == {"ok": 160}
        await until(lambda: workers[0].health()["ready"])
        assert replicas.health()["detail"] == "ready"
        await replicas.stop(0)
        assert await codes(replicas.submit(pairs[:4], deadline())) == {"shutting_down": 4}
