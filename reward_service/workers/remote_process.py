"""The model worker process: one component, its artefacts and its batches, shared by all HTTP processes of a machine.

It listens on a unix socket and answers pairs in the order in which batches finish. Its supervisor starts
it, notices when it dies or hangs, and starts another; it exits by itself when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from reward_service.contracts import ComponentError, Outcome, Pair, PairMetric
from reward_service.profiles import fingerprint
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.thread import HANG_S, Factory, ThreadWorker

log = logging.getLogger(__name__)

_TICK_S = 0.25
_LOAD_S = 600.0
_DRAIN_S = 60.0
_HEARD_S, _UNHEARD_S = 2.0, 30.0  # how long a worker that cannot load says so, from when somebody listens; at most
_BACKOFF_S = (0.2, 10.0)
_MAX_PATH = 107  # bytes of a unix socket's path


class WorkerConfig(NamedTuple):
    """What a model worker process is started with; all of it picklable."""

    factory: Factory
    path: str
    """Of the unix socket. Its directory is made private; whoever can open it can have texts scored."""
    artefact_bytes: int = 2**30
    limits: BatchLimits = BatchLimits()
    hang_s: float = HANG_S
    """A batch that takes longer has hung, and the process with it: only its end gives the device free."""


def component_identity(metric: PairMetric) -> str:
    """Hash of all that determines the component's values, so that nobody scores with another one by mistake."""
    return fingerprint.digest(fingerprint.component_document("", metric, {}))


def _unpickle(factory: bytes) -> PairMetric:
    """Where the component is loaded, so that a module which cannot be imported is reported like missing weights."""
    return pickle.loads(factory)()  # type: ignore[no-any-return]


def frame(message: object) -> bytes:
    """A message as it crosses the socket: four bytes of length, then JSON, in which a float survives exactly."""
    body = orjson.dumps(message)
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next message. Raises `asyncio.IncompleteReadError` at the end of the connection."""
    size = int.from_bytes(await reader.readexactly(4), "big")
    return orjson.loads(await reader.readexactly(size))  # type: ignore[no-any-return]


class _Connection:
    """One HTTP process: what it waits for, and results that leave in one frame per turn of the event loop."""

    def __init__(self, worker: ThreadWorker, writer: asyncio.StreamWriter) -> None:
        self._worker = worker
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}
        self._outbox: list[object] = []

    def handle(self, message: dict[str, Any]) -> None:
        for number in message.get("cancel", ()):
            if number in self._waiting:
                self._waiting[number].cancel()
        if "pairs" in message:
            texts = [*message["texts"], None]
            pairs = [Pair(texts[c], texts[r], texts[p]) for c, r, p in message["pairs"]]
            timeout_s = math.inf if message["timeout_s"] is None else message["timeout_s"]
            futures = self._worker.submit(pairs, time.monotonic() + timeout_s)
            for number, future in enumerate(futures, message["first"]):
                self._waiting[number] = future
                future.add_done_callback(partial(self._answer, number))

    def send(self, message: object) -> None:
        self._writer.write(frame(message))

    def close(self) -> None:
        """Nobody listens any more: drop what has not started."""
        for future in list(self._waiting.values()):
            future.cancel()
        self._writer.close()

    def _answer(self, number: int, future: asyncio.Future[Outcome]) -> None:
        del self._waiting[number]
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        if future.cancelled():
            self._outbox.append((number, "cancelled", "nobody waited for this pair any more", True))
        elif isinstance(error := future.exception(), ComponentError):
            self._outbox.append((number, error.code, error.message, error.retryable))
        else:
            outcome = future.result()
            self._outbox.append((number, outcome.values, outcome.notes))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if not self._writer.is_closing():
            self.send({"results": outbox})


class _Server:
    """Serves one `ThreadWorker` on the socket and tells every client, and the supervisor, how it is."""

    def __init__(self, config: WorkerConfig, heartbeat: int) -> None:
        self._observed: list[tuple[str, float]] = []
        self._worker = ThreadWorker(
            config.factory,
            ArtefactCache(config.artefact_bytes),
            limits=config.limits,
            observe=lambda name, value: self._observed.append((name, value)),
            hang_s=config.hang_s,
            on_hang=lambda: os._exit(1),
        )
        self._path = config.path
        self._heartbeat = heartbeat
        self._connections: list[_Connection] = []
        self._identity: str | None = None
        self._failure: ComponentError | None = None
        self._heard = False
        """Whether somebody has been told of the failure."""

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve until `stopped`, then finish what has been accepted."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # left by a killed predecessor
        listening = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listening.bind(self._path)
        finally:
            os.umask(before)
        listening.listen(1024)
        server = await asyncio.start_unix_server(self._serve, sock=listening)
        ticking = asyncio.create_task(self._tick())
        loading = asyncio.create_task(self._load())
        await asyncio.wait([asyncio.ensure_future(stopped.wait()), ticking], return_when=asyncio.FIRST_COMPLETED)
        server.close()
        loading.cancel()
        await self._worker.stop(_DRAIN_S)
        await asyncio.sleep(_TICK_S)  # the last results leave

    async def _load(self) -> None:
        try:
            await self._worker.start()
            assert self._worker.metric is not None
            self._identity = component_identity(self._worker.metric)
            self._beat()  # before any client can see it ready: from here on, silence means it hangs
        except Exception as error:
            known = error if isinstance(error, ComponentError) else None
            self._failure = known or ComponentError("load_failed", f"{type(error).__name__}: {error}")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._worker, writer)
        self._connections.append(connection)
        try:
            connection.send(self._state())
            self._heard |= self._failure is not None
            while True:
                connection.handle(await read_frame(reader))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._connections.remove(connection)
            connection.close()

    def _state(self) -> dict[str, object]:
        failure = self._failure
        return {
            "health": {**self._worker.health(), "pid": os.getpid()},
            "identity": self._identity,
            "failure": failure and (failure.code, failure.message),
        }

    async def _tick(self) -> None:
        patience = _UNHEARD_S
        while True:
            await asyncio.sleep(_TICK_S)
            state = self._state()
            # A histogram is added up over the HTTP processes, so an observation goes to one of them.
            observed = self._observed[:]
            self._observed.clear()
            for i, connection in enumerate(self._connections):
                connection.send({**state, "observed": [] if i else observed})
                self._heard |= self._failure is not None
            self._beat()
            if self._failure:
                # The HTTP processes may still be starting, and end the service when they hear why this one cannot.
                patience = min(patience, _HEARD_S) if self._heard else patience
                patience -= _TICK_S
                if patience <= 0:
                    return  # the supervisor tries again

    def _beat(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._heartbeat, b"r" if self._identity else b"l")


def main() -> None:
    """Entry point of the process: the pickled `WorkerConfig` on standard input, heartbeats on standard output.

    Signals meant for the service as a whole are ignored, because HTTP processes still need the worker
    while they drain; the end of standard input is what ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    heartbeat = os.dup(1)
    os.set_blocking(heartbeat, False)
    os.dup2(2, 1)  # what libraries print must not look like a heartbeat
    config: WorkerConfig = pickle.load(sys.stdin.buffer)

    async def serve() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait_for_the_end() -> None:
            while os.read(0, 1024):
                pass
            loop.call_soon_threadsafe(stopped.set)

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        await _Server(config, heartbeat).run(stopped)
        logging.shutdown()
        os._exit(0)  # a component that hangs in its thread must not keep the process

    asyncio.run(serve())


class ModelProcess:
    """Keeps one model worker process running, from a thread of its own."""

    def __init__(self, config: WorkerConfig, *, hang_s: float = 10.0) -> None:
        """A worker that shows no sign of life for `hang_s` is killed. Raises `ComponentError` for a bad path."""
        if len(os.fsencode(config.path)) > _MAX_PATH:
            raise ComponentError("load_failed", f"the model worker's socket path is too long: {config.path}")
        self._config = config
        self._hang_s = hang_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._main, name="model-process", daemon=True)
        self._grace_s = 0.0
        self.restarts = 0
        """How often the worker has been replaced by this object."""

    def start(self) -> None:
        directory = Path(self._config.path).parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid() or directory.stat().st_mode & 0o077:
            raise ComponentError("load_failed", f"{directory} must belong to this user and be closed to others (0700)")
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End the worker, after what it has accepted or after `grace_s`. Blocks until it is gone."""
        self._grace_s = grace_s
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _main(self) -> None:
        delay = _BACKOFF_S[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            self._run()
            if self._stopping.is_set():
                return
            self.restarts += 1
            delay = _BACKOFF_S[0] if time.monotonic() - began > 30.0 else min(2 * delay, _BACKOFF_S[1])
            log.error("the model worker is gone; starting another in %.1f s", delay)
            self._stopping.wait(delay)

    def _run(self) -> None:
        """One life of the worker."""
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; from reward_service.workers.remote_process import main; main()"
        )
        with subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is not for it
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                with contextlib.suppress(BrokenPipeError):
                    config = self._config._replace(factory=partial(_unpickle, pickle.dumps(self._config.factory)))
                    process.stdin.write(pickle.dumps(config))
                    process.stdin.flush()
                self._watch(process.stdout.fileno())
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                if self._stopping.is_set():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(self._grace_s)
            finally:
                process.kill()

    def _watch(self, heartbeats: int) -> None:
        """Return when the worker has died or hung, or is to stop."""
        poll = select.poll()
        poll.register(heartbeats, select.POLLIN)
        seen, patience = time.monotonic(), _LOAD_S
        while not self._stopping.is_set() and time.monotonic() - seen < patience:
            if poll.poll(1000 * _TICK_S):
                beats = os.read(heartbeats, 4096)
                if not beats:
                    return
                seen = time.monotonic()
                patience = self._hang_s if beats.endswith(b"r") else _LOAD_S
        if not self._stopping.is_set():
            log.error("the model worker shows no sign of life; killing it")
