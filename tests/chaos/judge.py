"""A scripted LLM judge in a process of its own: `python -m tests.chaos.judge PORT MODEFILE`.

It reads the mode from the file at every request: ``ok``, ``slow`` (each answer takes eight seconds) or ``garbage``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.chaos.service import ROOT, free_port


class Judge:
    """The judge, to be killed, slowed and made to talk nonsense."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._mode = folder / "judge-mode"
        self._log = folder / "judge-log"
        self._process: subprocess.Popen[bytes] | None = None
        self.mode("ok")

    def mode(self, mode: str) -> None:
        self._mode.write_text(mode)

    def start(self) -> Judge:
        command = [sys.executable, "-m", "tests.chaos.judge", str(self.port), str(self._mode)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
            )
        limit = time.monotonic() + 30
        while time.monotonic() < limit:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.02)
        raise AssertionError(self._log.read_text())

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


async def _main(port: int, mode: Path) -> None:
    from tests.judges.vllm.conftest import ScriptedServer, _answer

    async def reply(_: dict[str, Any]) -> str:
        match mode.read_text():  # noqa: ASYNC240
            case "slow":
                await asyncio.sleep(8.0)
            case "garbage":
                return '{"matched": [[7, "nonsense'
        return _answer()

    server = ScriptedServer()
    server.port = port
    server.reply = reply
    await server.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
