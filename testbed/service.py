"""The real service as child processes, with components that fail on command."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).parents[1]
SITE = Path(__file__).parent / "site"
COMMAND = [sys.executable, "-m", "reward_service.cli", "serve", "--port", "0"]


def write_profile(folder: Path, name: str, components: Mapping[str, Any], **fields: Any) -> str:
    """A profile file with guards off, so that a reward is the weighted sum of its components."""
    path = folder / f"{name}.yaml"
    head = {"name": name, "description": "for tests", "bounds": [-100, 100], "guards": "off"}
    path.write_text(yaml.safe_dump({**head, "components": dict(components), **fields}))
    return str(path)


class Service:
    """`reward-service serve` on a free port. Settings are keywords: ``workers=2`` is ``REWARD_WORKERS=2``."""

    def __init__(self, log: Path, *, command: list[str] | None = None, stderr: str = "", **settings: object) -> None:
        """`stderr`: a file, e.g. ``/dev/full``, that gets the log instead of `log`; then `settings` need a port."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("REWARD_", "PROMETHEUS_"))}
        environment |= {"PYTHONPATH": f"{SITE}:{ROOT}", "REWARD_DRAIN_DELAY_S": "0.2"}
        environment |= {f"REWARD_{name.upper()}": str(value) for name, value in settings.items()}
        self.log_path = log
        self.began = time.monotonic()
        self.url = f"http://127.0.0.1:{settings['port']}" if "port" in settings else ""
        command = command or (COMMAND if "port" not in settings else COMMAND[:-2])
        with open(stderr or log, "wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=ROOT)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_ready(self, within_s: float = 100.0) -> Service:
        """Return once `/ready` is green."""
        limit = time.monotonic() + within_s
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.log[-3000:]}")
            if not self.url and (found := re.search(r"http://\S+", self.log)):
                self.url = found.group()
            if self.url:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{self.url}/ready", timeout=5).status_code == 200:
                        return self
            time.sleep(0.05)
        raise AssertionError(f"not ready after {within_s} s:\n{self.log[-3000:]}")

    def score(self, *pairs: tuple[str, str], path: str = "/score", **fields: Any) -> httpx.Response:
        items = [{"candidate": candidate, "reference": reference} for candidate, reference in pairs]
        return httpx.post(f"{self.url}{path}", json={"items": items, **fields}, timeout=60)

    def metrics(self) -> dict[str, float]:
        """Every series of `/metrics` by its line up to the value."""
        lines = httpx.get(f"{self.url}/metrics", timeout=20).text.splitlines()
        return {name: float(value) for name, _, value in (s.rpartition(" ") for s in lines if not s.startswith("#"))}

    def descendants(self) -> dict[int, str]:
        """Names of all processes below, by process id."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            for task in Path(f"/proc/{waiting.pop()}/task").glob("*"):
                with contextlib.suppress(OSError):
                    for pid in map(int, (task / "children").read_text().split()):
                        found[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
                        waiting.append(pid)
        return found

    def model_workers(self) -> list[int]:
        return [pid for pid, name in self.descendants().items() if name == "reward-model"]

    def http_processes(self) -> list[int]:
        return [pid for pid, name in self.descendants().items() if name == "reward-http"]

    @property
    def front(self) -> int:
        """The process that answers, or one of those."""
        return next(iter(self.http_processes()), self.process.pid)

    def descriptors(self) -> int:
        """Of the process that answers."""
        return len(os.listdir(f"/proc/{self.front}/fd"))

    def memory_mb(self) -> float:
        """Resident set of the process that answers."""
        return int(Path(f"/proc/{self.front}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self, number: int = signal.SIGTERM, within_s: float = 40.0) -> int:
        """Send the signal; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(within_s)
        finally:
            self.kill()

    def kill(self) -> None:
        below = self.descendants() if self.process.poll() is None else {}
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def running(log: Path, **settings: Any) -> Iterator[Service]:
    """A service that is ready; killed at the end if it still runs."""
    service = Service(log, **settings)
    try:
        yield service.wait_ready()
    finally:
        service.kill()


_FIRST, _PORTS = 20_000, 12_000
"""Ports below those that the system gives to whoever asks for any (Linux: from 32768 on), and above those of Ray's
workers (10002 to 19999)."""
_tried = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """A port that nobody listens on, for a server that may be started later, or again.

    Until then nobody else gets it: a server that asks for any port gets one of the system's range, and other processes
    begin elsewhere in this one. Else a client that waits for its server would reach somebody else's.
    """
    while True:
        port = _FIRST + next(_tried) % _PORTS
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
