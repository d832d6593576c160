"""Real servers of other makers than vLLM, on the CPU, each with SmolLM2; their environments are built by scripts."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed import vllm_server
from testbed.service import free_port

HERE = Path(__file__).parent
LLAMACPP = Path(os.environ.get("REWARD_LLAMACPP_ENV", Path.home() / ".cache" / "reward-service" / "llama-cpp"))
SMOLLM2 = vllm_server.ENVIRONMENT / "smollm2"
"""The folder of its weights, which is also the name by which `transformers serve` takes requests for it."""


def has_llamacpp() -> bool:
    return bool(list(LLAMACPP.glob("complete-*"))) and (LLAMACPP / "smollm2" / "revision").exists()


def has_transformers() -> bool:
    return (vllm_server.ENVIRONMENT / "bin" / "transformers").exists() and (SMOLLM2 / "revision").exists()


@contextmanager
def llamacpp() -> Iterator[str]:
    """The address of llama.cpp's server with one thread and one slot."""
    port = free_port()
    with _running([str(HERE / "llamacpp" / "serve.sh"), str(port)], port, {"THREADS": "1", "SLOTS": "1"}) as url:
        yield url


@contextmanager
def transformers() -> Iterator[str]:
    """The address of `transformers serve`, which takes requests for `SMOLLM2` alone."""
    port = free_port()
    program = str(vllm_server.ENVIRONMENT / "bin" / "transformers")
    command = [program, "serve", str(SMOLLM2), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with _running(command, port, {"HF_HUB_OFFLINE": "1"}) as url:
        yield url


@contextmanager
def _running(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[str]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        try:
            _wait(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        except AssertionError:
            log.seek(0)
            raise AssertionError(log.read()[-3000:].decode(errors="replace")) from None
        finally:
            process.kill()  # it may be in the middle of an answer that nobody awaits
            process.wait(60)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once it answers with 200, after at most three minutes."""
    for _ in range(360):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            assert process.poll() is None, "it ended while starting"
            time.sleep(0.5)
    raise AssertionError("it did not come up in 180 s")
