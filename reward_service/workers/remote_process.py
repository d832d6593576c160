"""The body of a model worker process: one component with its artefacts and batches, for all HTTP processes.

It listens on a unix socket. Each message is one line of JSON, in which a float survives exactly:

- from a client, pairs as positions in `texts` (-1: no prior), numbered from `first`, and pairs that it gives up:
  ``{"first": 7, "pairs": [[0, 1, -1]], "texts": ["...", "..."], "timeout_s": 5.0}``, ``{"cancel": [7]}``; or that it
  shall release its memory, or load again: ``{"asleep": true, "number": 3}``;
- from the worker, answers as batches finish, and four times a second what it is and how it is:
  ``{"results": [[7, {"f1": 0.8}, []], [8, "code", "message", true]]}``, ``{"slept": [3, null]}`` (or why not),
  ``{"health": {...}, "component_digest": "...", "failure": ["code", "message"], "observed": [["compute_s", 0.1]]}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from reward_service.contracts import ComponentError, ComponentScore, Pair, PairMetric
from reward_service.observability import logs
from reward_service.profiles import fingerprint
from reward_service.supervision import ALIVE, Job
from reward_service.tasks import end
from reward_service.workers.batcher import BatchLimits
from reward_service.workers.pair_computer import ArtefactCache
from reward_service.workers.thread import Factory, ThreadWorker, load_error

LINE_LIMIT = 2**31
"""Bytes of one message: more than a submission can have."""

_TICK_S = 0.25
_DRAIN_S = 60.0
_HEARD_S, _UNHEARD_S = 2.0, 30.0  # how long a worker that cannot load says so: to somebody who listens, to nobody
_MAX_PATH = 107  # bytes of a unix socket's path
_STOP = signal.SIGUSR1


class WorkerConfig(NamedTuple):
    """What a model worker process is started with; all of it picklable."""

    factory: Factory
    path: str
    """Of the unix socket; whoever can open it can have texts scored."""
    artefact_bytes: int = 2**30
    limits: BatchLimits = BatchLimits()


def model_job(config: WorkerConfig, *, hang_s: float = 10.0) -> Job:
    """The process for a supervisor to keep; one that shows no sign of life for `hang_s` is killed.

    Signals meant for the service as a whole do not end it, because HTTP processes still need it while they drain.
    Raises `ComponentError` for a path that is too long or in a folder that others may enter.
    """
    if len(os.fsencode(config.path)) > _MAX_PATH:
        raise ComponentError("load_failed", f"the model worker's socket path is too long: {config.path}")
    directory = Path(config.path).parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.getuid() or directory.stat().st_mode & 0o077:
        raise ComponentError("load_failed", f"{directory} must belong to this user and be closed to others (0700)")
    config = config._replace(factory=partial(_unpickle, pickle.dumps(config.factory)))
    return Job("reward-model", _main, (config,), stop_signal=_STOP, hang_s=hang_s)


def digest_of_component(metric: PairMetric) -> str:
    """Hash of all that determines the component's values, so that nobody scores with another one by mistake."""
    return fingerprint.digest(fingerprint.component_document("", metric, {}))


def line(message: object) -> bytes:
    """A message as it crosses the socket."""
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _unpickle(factory: bytes) -> PairMetric:
    """Where the component is loaded, so that a module which cannot be imported is reported like missing weights."""
    return pickle.loads(factory)()  # type: ignore[no-any-return]


def _main(config: WorkerConfig, report: Callable[[str], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(_Server(config, report).run())
    _exit(0)  # a component that hangs in its thread must not keep the process


def _exit(status: int) -> None:
    logs.flush()
    os._exit(status)


class _Worker(ThreadWorker):
    """Its hung thread would keep the device: only the end of the process gives that free."""

    def abandon_thread(self) -> None:
        _exit(1)


class _Connection:
    """One HTTP process: what it waits for, and results that leave in one line per turn of the event loop."""

    def __init__(self, worker: ThreadWorker, writer: asyncio.StreamWriter) -> None:
        self._worker = worker
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[ComponentScore]] = {}
        self._outbox: list[object] = []

    def handle(self, message: dict[str, Any]) -> None:
        if "asleep" in message:
            switching = self._set_asleep(message["asleep"], message["number"])
            self._switch = asyncio.create_task(switching, name="falling asleep or waking")
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

    async def _set_asleep(self, asleep: bool, number: int) -> None:
        failure = None
        try:
            await self._worker.set_asleep(asleep)
        except ComponentError as error:
            failure = (error.code, error.message)
        if not self._writer.is_closing():
            self.send({"slept": (number, failure)})

    def send(self, message: object) -> None:
        self._writer.write(line(message))

    def close(self) -> None:
        """Nobody listens any more: drop what has not started."""
        for future in list(self._waiting.values()):
            future.cancel()
        self._writer.close()

    def _answer(self, number: int, future: asyncio.Future[ComponentScore]) -> None:
        del self._waiting[number]
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        if future.cancelled():
            self._outbox.append((number, "cancelled", "nobody waited for this pair any more", True))
        elif isinstance(error := future.exception(), ComponentError):
            self._outbox.append((number, error.code, error.message, error.retryable))
        else:
            score = future.result()
            self._outbox.append((number, score.values, score.notes))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if not self._writer.is_closing():
            self.send({"results": outbox})


class _Server:
    """Serves one component on the socket and tells every client, and the supervisor, how it is."""

    def __init__(self, config: WorkerConfig, report: Callable[[str], None]) -> None:
        self._observed: list[tuple[str, float]] = []
        self._worker = _Worker(
            config.factory,
            ArtefactCache(config.artefact_bytes),
            limits=config.limits,
            observe=lambda name, value: self._observed.append((name, value)),
        )
        self._path = config.path
        self._report = report
        self._connections: list[_Connection] = []
        self._component_digest: str | None = None
        self._failure: ComponentError | None = None
        self._failure_heard = asyncio.Event()

    async def run(self) -> None:
        """Serve until the stop signal, then finish what has been accepted; or until a failure to load is known."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(logs.on_loop_error)
        loop.add_signal_handler(_STOP, stopped.set)
        server = await asyncio.start_unix_server(self._serve, sock=self._listen(), limit=LINE_LIMIT)
        tasks = [asyncio.create_task(job) for job in (stopped.wait(), self._load(), self._tick())]
        waiting, loading, _ = tasks
        await asyncio.wait([waiting, loading], return_when=asyncio.FIRST_COMPLETED)
        if not self._failure:
            await waiting
        server.close()
        loading.cancel()
        await self._worker.stop(_DRAIN_S)
        await asyncio.sleep(_TICK_S)  # the last results leave
        await end(tasks)

    def _listen(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # left by a killed predecessor
        listening = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listening.bind(self._path)
        finally:
            os.umask(before)
        listening.listen(1024)
        return listening

    async def _load(self) -> None:
        """Returns when the component is there, or when it has been told long enough why it is not."""
        try:
            await self._worker.start()
            assert self._worker.metric is not None
            self._component_digest = digest_of_component(self._worker.metric)
            self._report(ALIVE)  # before any client can see it ready: from here on, silence means it hangs
        except Exception as error:
            self._failure = load_error(error)
            # The HTTP processes may still be starting, and end the service when they hear why this one cannot.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_UNHEARD_S):
                    await self._failure_heard.wait()
            await asyncio.sleep(_HEARD_S)  # then the supervisor tries again

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._worker, writer)
        self._connections.append(connection)
        try:
            self._tell(connection)
            while (received := await reader.readline()).endswith(b"\n"):
                connection.handle(orjson.loads(received))
        except OSError:
            pass
        finally:
            self._connections.remove(connection)
            connection.close()

    def _tell(self, connection: _Connection) -> None:
        """How the worker is, what it has, and what has been observed since anybody was told."""
        failure = self._failure
        # A histogram is added up over the HTTP processes, so an observation goes to one of them.
        observed, self._observed[:] = self._observed[:], []
        connection.send(
            {
                "health": {**self._worker.health(), "pid": os.getpid()},
                "component_digest": self._component_digest,
                "failure": failure and (failure.code, failure.message),
                "observed": observed,
            }
        )
        if failure:
            self._failure_heard.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for connection in self._connections:
                self._tell(connection)
            if self._component_digest:
                self._report(ALIVE)
