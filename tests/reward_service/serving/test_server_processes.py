"""Starting, failing to start, draining, dying and being replaced: the real command, with one process and several."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from reward_service.api.auth import new_key
from reward_service.errors import ConfigurationError
from reward_service.serving import server
from testbed.service import Service, free_port, running, write_profile
from tests.needs import needs
from tests.waiting import SOON, soon, wait_until

WORKERS = pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
TEXT = {"bleu2": {"weight": 0.5}, "rougeL": {"weight": 0.5}}


def overlap(**settings: object) -> dict[str, Any]:
    """A model component whose value is the number of common words."""
    return {"overlap": {"value": "overlap", "weight": 1, "settings": settings}}


def held(folder: Path, **settings: object) -> dict[str, Any]:
    """The same, and it computes once the file `gate` exists."""
    return {"overlap": {"component": "held", "value": "overlap", "weight": 1,
                        "settings": {"gate": str(folder / "gate"), **settings}}}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Also where the service makes its temporary directories."""
    monkeypatch.setenv("TMPDIR", tempfile.mkdtemp(prefix="rs", dir="/tmp"))  # short: a socket's path has 107 bytes
    return tmp_path


@pytest.mark.parametrize(
    ("workers", "settings", "words"),
    [
        (1, {"profiles": "embeded"}, "Did you mean 'embedded'?"),
        pytest.param(2, {"profiles": "embeded"}, "Did you mean 'embedded'?", marks=pytest.mark.slow),
        pytest.param(1, {"profiles": "/no/such.yaml"}, "cannot be read", marks=pytest.mark.slow),
        pytest.param(1, {"profiles": "{broken}"}, "weights.safetensors", marks=pytest.mark.slow),
        pytest.param(1, {"profiles": "{late}"}, "disk gone", marks=pytest.mark.slow),
        pytest.param(2, {"profiles": "{late}"}, "disk gone", marks=pytest.mark.slow),
        (1, {"port": "{taken}"}, "Address already in use"),
        pytest.param(2, {"port": "{taken}"}, "Address already in use", marks=pytest.mark.slow),
        (1, {"host": "0.0.0.0"}, "Refusing to listen on 0.0.0.0 without API keys"),
        pytest.param(1, {"cache_url": "memcached://x"}, "REWARD_CACHE_URL", marks=pytest.mark.slow),
        pytest.param(1, {"timeout_s": "0"}, "REWARD_TIMEOUT_S", marks=pytest.mark.slow),
        pytest.param(1, {"api_keys": "name:secret"}, "new-key", marks=pytest.mark.slow),
        pytest.param(1, {"api_keys_file": "/no/such"}, "REWARD_API_KEYS_FILE", marks=pytest.mark.slow),
        pytest.param(2, {"ssl_certfile": "/no/such"}, "REWARD_SSL_CERTFILE", marks=pytest.mark.slow),
        pytest.param(1, {"ssl_keyfile": "/no/such"}, "REWARD_SSL_CERTFILE", marks=pytest.mark.slow),
        pytest.param(1, {"root_path": "reward"}, "REWARD_ROOT_PATH", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_start_says_so_in_one_line_and_ends_with_3(
    folder: Path, workers: int, settings: dict[str, str], words: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        values = {
            "broken": write_profile(folder, "broken", overlap(load_error="weights.safetensors")),
            "late": write_profile(folder, "late", {"cannot_warm_up": {"value": "overlap", "weight": 1}}),
            "taken": taken.getsockname()[1],
        }
        mini = write_profile(folder, "mini", TEXT)
        chosen = {name: value.format(**values) for name, value in settings.items()}
        service = Service(folder / "log", **{"profiles": mini, "workers": workers, **chosen})
        try:
            assert service.process.wait(60) == 3
        finally:
            service.kill()
    # A sibling that was told to stop may say that it drains. On a busy machine a model worker that could not load, and
    # has told so, may end before the others do. What is wrong stands in one line all the same.
    said = ("reward-service listening", '{"accepting_for_s"', '{"what":"reward-model","reason":"it died')
    problems = [line for line in service.log.splitlines() if not line.startswith(said)]
    assert len(problems) == 1, service.log
    assert problems[0].startswith("error: ")
    assert words in problems[0]
    assert os.listdir(os.environ["TMPDIR"]) == []


@WORKERS
def test_sigterm_drains(folder: Path, workers: int) -> None:
    """`/ready` is red at once, newcomers are still answered for the delay, what is in flight is finished, exit 0."""
    profile = write_profile(folder, "slow", held(folder))
    with (
        running(folder / "log", profiles=profile, workers=workers, drain_delay_s=4.0) as service,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        in_flight = [pool.submit(service.score, (f"a b c{i}", "a b d")) for i in range(2)]
        wait_until(lambda: service.metrics()["reward_inflight_items"] == 2)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{service.url}/ready", timeout=SOON).status_code == 503)
        red = httpx.get(f"{service.url}/ready", timeout=SOON)
        assert (red.status_code, red.json()["ready"], red.headers["connection"]) == (503, False, "close")
        assert httpx.get(f"{service.url}/health", timeout=SOON).status_code == 200
        newcomer = pool.submit(service.score, ("a x", "a y"))
        wait_until(lambda: service.metrics()["reward_inflight_items"] == 3)
        (folder / "gate").touch()
        for future, value in [*((f, 2.0) for f in in_flight), (newcomer, 1.0)]:
            assert future.result().json()["results"][0]["reward"] == value
        assert service.process.wait(SOON) == 0
        assert time.monotonic() - began >= 4.0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{service.url}/health")
    assert os.listdir(os.environ["TMPDIR"]) == []


@pytest.mark.slow
@WORKERS
def test_what_outlasts_the_grace_time_is_told_so(folder: Path, workers: int) -> None:
    profile = write_profile(folder, "slow", held(folder))
    with (
        running(folder / "log", profiles=profile, workers=workers, shutdown_grace_s=3) as service,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        stuck = pool.submit(service.score, ("a b", "a c"))
        wait_until((folder / "gate.held").exists)
        assert service.stop() == 0
        answer = stuck.result()
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == "shutting_down"
        assert answer.json()["error"]["retryable"] is True
        assert "retry-after" in answer.headers


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGTERM)])
def test_a_signal_while_loading_ends_it_with_0(folder: Path, workers: int, number: int) -> None:
    profile = write_profile(folder, "slow", {"slow_to_load": {"value": "overlap", "weight": 1}})
    service = Service(folder / "log", profiles=profile, workers=workers)
    try:
        wait_until(lambda: "listening" in service.log)
        url = service.log.split()[-1]
        assert httpx.get(f"{url}/health", timeout=SOON).status_code == 200
        assert httpx.get(f"{url}/ready", timeout=SOON).status_code == 503
        assert service.stop(number) == 0
    finally:
        service.kill()


@pytest.mark.slow
def test_what_does_not_end_is_given_up_after_the_grace_time(folder: Path) -> None:
    profile = write_profile(folder, "stuck", {"cannot_be_left": {"value": "overlap", "weight": 1}})
    service = Service(folder / "log", profiles=profile, shutdown_grace_s=0.5)
    try:
        wait_until(lambda: "listening" in service.log)
        assert service.stop() == 1
        assert '"not_ended_in_time"' in service.log
    finally:
        service.kill()


@pytest.mark.slow
def test_several_processes_share_one_model_worker_and_add_up_their_counts(folder: Path) -> None:
    profile = write_profile(folder, "both", {**TEXT, **overlap()})
    with running(folder / "log", profiles=profile, workers=2) as service:
        wait_until(lambda: len(service.http_processes()) == 2)
        assert len(service.model_workers()) == 1
        answers = [service.score((f"a b c{i}", "a b d")) for i in range(40)]  # a connection each: both take some
        assert {a.json()["results"][0]["status"] for a in answers} == {"ok"}
        for _ in range(5):  # whichever process is asked
            counted = service.metrics()
            assert counted['reward_items_total{profile="both",status="ok"}'] == 40
            assert counted['reward_requests_total{route="/score",status="200"}'] == 40
            assert counted["reward_inflight_items"] == 0
        assert service.stop() == 0
    assert os.listdir(os.environ["TMPDIR"]) == []


@pytest.mark.slow
def test_an_http_process_that_dies_is_replaced_and_not_missed_on_the_gauges(folder: Path) -> None:
    with running(folder / "log", profiles=write_profile(folder, "mini", TEXT), workers=2) as service:
        wait_until(lambda: len(service.http_processes()) == 2)
        victim = service.http_processes()[0]
        for i in range(20):
            service.score((f"a b c{i}", "a b d"))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(service.http_processes()) == 2 and victim not in service.http_processes())
        answered = 0
        while answered < 20:  # a connection that the dead process had accepted may be lost, later ones not
            answered += service.score((f"x {answered}", "x y")).status_code == 200
        counted = service.metrics()
        assert counted['reward_items_total{profile="mini",status="ok"}'] == 40  # counts outlive their process
        assert counted["reward_inflight_items"] == 0  # gauges do not
        assert '"restarting"' in service.log
        assert service.stop() == 0


@pytest.mark.slow
def test_no_http_process_takes_the_model_worker_with_it(folder: Path) -> None:
    """Whichever dies: the worker is nobody's but the supervisor's."""
    profile = write_profile(folder, "both", {**TEXT, **overlap()})
    with running(folder / "log", profiles=profile, workers=2) as service:
        workers = service.model_workers()
        for victim in service.http_processes():
            os.kill(victim, signal.SIGKILL)
        limit = soon()
        answered = 0
        while answered < 5:
            with contextlib.suppress(httpx.HTTPError):  # until the replacements listen
                answer = service.score((f"x {answered}", "x y")).json()
                answered += answer["results"][0]["status"] == "ok" if "results" in answer else 0
            assert time.monotonic() < limit
        assert service.model_workers() == workers
        assert service.stop() == 0


@pytest.mark.slow
def test_each_device_has_a_model_worker(folder: Path) -> None:
    profile = write_profile(folder, "two", overlap(device="cpu"))
    with running(folder / "log", profiles=profile, workers=2, device="cpu,cpu") as service:
        assert len(service.model_workers()) == 2
        answers = [service.score((f"a b {i}", f"a b d{i}")).json() for i in range(12)]
        assert {a["results"][0]["reward"] for a in answers} == {2.0}
        (health,) = httpx.get(f"{service.url}/info").json()["components"].values()
        assert health["replicas"] == 2
        assert service.stop() == 0
    assert os.listdir(os.environ["TMPDIR"]) == []


@pytest.mark.slow
def test_http_processes_end_with_their_supervisor(folder: Path) -> None:
    with running(folder / "log", profiles=write_profile(folder, "both", {**TEXT, **overlap()}), workers=2) as service:
        below = list(service.descendants())
        assert len(below) >= 3
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(map(_runs, below)))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@WORKERS
def test_a_dead_model_worker_is_replaced(folder: Path, workers: int) -> None:
    """Its waiters get a code, `/ready` is red until there is another, and then everything is as before."""
    gate, load = folder / "gate", folder / "load"
    gate.touch()
    load.touch()
    profile = write_profile(folder, "both", {**TEXT, **held(folder, load=str(load))})
    with (
        running(folder / "log", profiles=profile, workers=workers, model_process=True) as service,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        before = service.score(("a b c", "a b d")).json()["results"][0]["reward"]
        gate.unlink()
        waiting = [pool.submit(service.score, (f"a b {i}", "a b d"), timeout_s=SOON) for i in range(8)]
        wait_until(lambda: service.metrics()["reward_inflight_items"] == 8)
        (victim,) = service.model_workers()
        load.unlink()  # its successor cannot be ready before the test has looked
        os.kill(victim, signal.SIGKILL)
        codes = set()
        for future in waiting:
            (result,) = future.result().json()["results"]
            if result["status"] == "null":
                codes.add(result["missing"]["overlap"]["code"])
        assert codes <= {"worker_died", "worker_unavailable"}
        assert "worker_died" in codes
        red = httpx.get(f"{service.url}/ready", timeout=SOON)
        assert red.status_code == 503
        assert "held" in red.json()["degraded"]
        gate.touch()
        load.touch()
        service.wait_ready()
        assert service.model_workers() != [victim]
        assert service.score(("a b c", "a b d")).json()["results"][0]["reward"] == before

        def scored() -> bool:  # `/ready` speaks for one HTTP process; another may not have found the worker yet
            return bool(service.score(("new text", "new words")).json()["results"][0]["status"] == "ok")

        wait_until(scored)
        wait_until(lambda: service.metrics()['reward_worker_restarts{component="held"}'] >= 1)
        assert service.stop() == 0


@pytest.mark.slow
@WORKERS
def test_sighup_reads_the_keys_again(folder: Path, workers: int) -> None:
    """The old key is refused, the new one accepted; a file that cannot be used changes nothing."""
    (old, first), (new, second) = new_key("old"), new_key("new")
    keys = folder / "keys"
    keys.write_text(first)
    profile = write_profile(folder, "mini", TEXT)
    with running(folder / "log", profiles=profile, workers=workers, api_keys_file=keys) as service:

        def accepted(key: str) -> set[bool]:  # of several connections, each perhaps to another process
            headers = {"Authorization": f"Bearer {key}"}
            return {httpx.get(f"{service.url}/info", headers=headers).status_code == 200 for _ in range(6)}

        assert (accepted(old), accepted(new)) == ({True}, {False})
        wait_until(lambda: workers == 1 or len(service.http_processes()) == workers)
        keys.write_text(second)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: accepted(new) == {True} and accepted(old) == {False})
        keys.write_text("no key")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log.count('"not_reloaded"') == workers)
        assert (accepted(old), accepted(new)) == ({False}, {True})
        assert service.stop() == 0


@pytest.mark.slow
@needs("openssl")
def test_it_speaks_tls_and_takes_a_renewed_certificate(folder: Path) -> None:
    def certify(name: str) -> bytes:
        """A certificate for 127.0.0.1 that signs itself."""
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"]
        subprocess.run(
            [*command, "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
        return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())

    def served(port: int) -> bytes | None:
        context = ssl._create_unverified_context()
        with socket.create_connection(("127.0.0.1", port), SOON) as plain, context.wrap_socket(plain) as secure:
            secure.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answer = b""
            while chunk := secure.recv(4096):
                answer += chunk
            return secure.getpeercert(binary_form=True) if answer.startswith(b"HTTP/1.1 200") else None

    first = certify("first")
    files = {"ssl_certfile": folder / "cert.pem", "ssl_keyfile": folder / "key.pem"}
    service = Service(folder / "log", profiles=write_profile(folder, "mini", TEXT), **files)
    try:
        wait_until(lambda: "listening on https://127.0.0.1:" in service.log)
        port = int(service.log.split("https://127.0.0.1:")[1].split()[0])
        wait_until(lambda: served(port) == first)
        second = certify("second")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: served(port) == second)
        assert service.stop() == 0
    finally:
        service.kill()


def test_a_directory_that_cannot_be_written_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/self")  # nobody can make a directory there
    with pytest.raises(ConfigurationError, match="TMPDIR"):
        server._temporary_directory("reward-")


@pytest.mark.slow
def test_a_full_log_device_costs_lines_and_nothing_else(folder: Path) -> None:
    mini, port = write_profile(folder, "mini", TEXT), free_port()
    with running(folder / "log", stderr="/dev/full", profiles=mini, port=port) as service:
        for i in range(30):
            assert service.score((f"a b c{i}", "a b d")).json()["results"][0]["status"] == "ok"
        wait_until(lambda: service.metrics()["reward_log_lines_lost_total"] >= 30)
        assert service.stop() == 0
