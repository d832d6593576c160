"""The real service in a process of its own, to be stopped, killed and brought back in the middle of things."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from testbed.service import free_port

COMMAND = str(Path(sys.executable).with_name("reward-service"))

REPORTS = (
    "The heart is normal in size. The lungs are clear.",
    "There is a small left pleural effusion. No pneumothorax.",
    "Right basilar opacity may represent pneumonia.",
    "No acute cardiopulmonary abnormality.",
    "Mild cardiomegaly with pulmonary vascular congestion.",
    "Stable right upper lobe nodule measuring 8 mm.",
)


class LiveService:
    """`reward-service serve` on a port of its own."""

    def __init__(self, log: Path, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [COMMAND, "serve", "--port", str(self.port), *flags]
        self._environment = {**os.environ, **(environment or {})}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 60.0) -> None:
        """Returns when it is ready; raises with the end of its log when it is not in time."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready", timeout=1.0).status_code == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"the service did not become ready:\n{self._log.read_text()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        assert self._process
        self._process.send_signal(how)
        self._process.wait(40)

    def restart(self, pause_s: float = 0.3) -> None:
        """Killed without a goodbye, then started again under the same address."""
        self.stop(signal.SIGKILL)
        time.sleep(pause_s)
        self.start()

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextlib.contextmanager
def running(log: Path, *flags: str) -> Iterator[LiveService]:
    service = LiveService(log, *flags)
    service.start()
    try:
        yield service
    finally:
        service.stop()
