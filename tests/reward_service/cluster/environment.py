"""A small Ray cluster on this machine, and commands in the environment that has Ray."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.service import free_port
from tests.needs import is_missing

ROOT = Path(__file__).parents[3]
_BIN = ROOT / ".venvs" / "ray" / "bin"
_TOKEN = secrets.token_hex(32)
_HEAD = ("start", "--head", "--block", "--num-cpus=4", "--num-gpus=0", "--node-ip-address=127.0.0.1",
         f"--object-store-memory={200 << 20}", "--include-dashboard=false")  # fmt: skip


def python() -> str:
    """Of the environment; skips the test when that is absent."""
    if not (_BIN / "python").exists():
        is_missing("environment with Ray", "tests/reward_service/cluster/make_environment.sh")
    return str(_BIN / "python")


def environment(**more: str) -> dict[str, str]:
    """Of a process that uses the cluster; `more` are variables, too."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("REWARD_", "RAY_"))}
    fixed = {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
    return own | fixed | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN} | more


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """The address of a cluster of four logical CPUs, whatever the machine has; it ends with the block."""
    python()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # a short path: sockets lie in it
        log = Path(folder) / "log"
        command = [str(_BIN / "ray"), *_HEAD, f"--port={port}", f"--temp-dir={folder}/t"]
        with log.open("wb") as out:
            head = subprocess.Popen(command, stdout=out, stderr=out, env=environment(), start_new_session=True)
        try:
            limit = time.monotonic() + 120
            while b"Ray runtime started" not in log.read_bytes():
                assert head.poll() is None, log.read_text()
                assert time.monotonic() < limit, log.read_text()
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)  # it takes what it has started with it
            head.wait()


def run(address: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, to its end."""
    command = [python(), *map(str, arguments)]
    env = environment(RAY_ADDRESS=address, **more)
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300, check=False)


def start(address: str, *arguments: object, **more: str) -> subprocess.Popen[Any]:
    """The same, still running."""
    command = [python(), *map(str, arguments)]
    return subprocess.Popen(command, env=environment(RAY_ADDRESS=address, **more), start_new_session=True)
