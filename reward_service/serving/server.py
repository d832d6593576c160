"""Starts the HTTP server: address checks, limits of the operating system, drain on SIGTERM, exit status.

One process serves by itself; more, of HTTP or of models, are kept by `supervisor.py`. After SIGTERM `/ready` is red,
requests are still accepted for `drain_delay_s` so that a load balancer can look elsewhere, and what is in flight is
finished.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.loops.auto import auto_loop_factory

from reward_service.api.app import create_app
from reward_service.api.auth import accepted_keys, require_safe_address
from reward_service.contracts import ComponentError
from reward_service.errors import MAX_HEAD_BYTES, ConfigurationError
from reward_service.observability.logs import flush, say
from reward_service.scoring.engine import Engine
from reward_service.serving import supervisor, tls
from reward_service.serving.child import in_child, set_up_process
from reward_service.serving.http_protocol import HttpProtocol
from reward_service.settings import Settings, unknown_variables
from reward_service.supervision import Job
from reward_service.workers.placement import model_jobs

log = structlog.get_logger("reward_service.serving.server")

_LAST_WORDS_S = 1.5  # of the grace time: for telling whom it cuts off, and for closing
_KEEP_ALIVE_S = 75  # longer than common clients' pools keep a connection idle


def run(settings: Settings) -> int:
    """Serve until a signal; 0 after the drain, 1 when one of several HTTP processes had to be killed for it.

    Raises `ConfigurationError` when it cannot start.
    """
    require_safe_address(settings.host, accepted_keys(settings), settings.insecure)
    scheme = "https" if tls.options(settings) else "http"
    set_up_process(settings)
    for name, hint in unknown_variables():
        log.warning("unknown_setting", name=name, hint=hint)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that what follows is put away
    with contextlib.ExitStack() as cleanup:
        listener = cleanup.enter_context(_listen(settings))
        host, port = listener.getsockname()[:2]
        announcement = f"reward-service listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        if settings.workers == 1 and not settings.model_process:
            _run_loop(settings, None, listener.detach(), lambda event: say(announcement) if event == "up" else None)
            return 0
        sockets = cleanup.enter_context(_temporary_directory("reward-"))
        if not settings.runs_file:  # one for all processes, for as long as they run
            settings = settings.model_copy(update={"runs_file": f"{sockets}/runs.sqlite"})
        if settings.workers > 1:  # counters in files, to be added up; a process alone is quicker without
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = cleanup.enter_context(_temporary_directory("reward-metrics-"))
        try:
            models = [in_child(job, settings) for job in model_jobs(settings, sockets)]
        except ComponentError as error:
            raise ConfigurationError(f"{error.message} (TMPDIR says where sockets are made).") from None
        http = Job("reward-http", _run_loop, (settings, sockets, listener.fileno()), (listener.fileno(),))
        return asyncio.run(
            supervisor.supervise(
                [in_child(http, settings)] * settings.workers,
                models,
                grace_s=settings.shutdown_grace_s,
                on_up=lambda: say(announcement),
                on_stop=listener.close,
            )
        )


def _run_loop(settings: Settings, sockets: str | None, listener: int, report: Callable[[str], None]) -> None:
    """Serve on the socket of that descriptor."""
    # Until the server listens to it. asyncio would cancel what is being started, and uvicorn log that as a failure.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A component computing in a thread keeps the interpreter for this long whenever the event loop wants it; with the
    # default of 5 ms, a few hundred requests a second would wait for that alone.
    sys.setswitchinterval(0.0005)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_serve(settings, sockets, listener, report))


async def _serve(settings: Settings, sockets: str | None, listener: int, report: Callable[[str], None]) -> None:
    engine = Engine(settings, sockets=sockets)
    app = create_app(settings, engine)
    server = HttpServer(
        uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            log_level="error",  # a warning for each client that offers HTTP/2 tells nothing
            backlog=settings.backlog,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_keep_alive=_KEEP_ALIVE_S,
            server_header=False,
            proxy_headers=False,
            **tls.options(settings),
        ),
        app,
        settings,
        on_up=lambda: report("up"),
    )
    app.state.on_loaded = lambda: _loaded(report)
    app.state.on_fatal = server.stop
    app.state.time_left = server.time_left
    try:
        await server.serve(sockets=[socket.socket(fileno=listener)])
    finally:
        gc.unfreeze()  # else nothing of this engine could be freed by a process that lives on
    if app.state.fatal:
        raise app.state.fatal


def _loaded(report: Callable[[str], None]) -> None:
    gc.collect()
    gc.freeze()  # lexicon, weights and modules stay for good: scanning them again would only cost time
    report("ready")


def _give_up() -> None:
    """The grace time is long over: whatever it is that does not end, this process does."""
    log.error("not_ended_in_time")
    flush()
    os._exit(1)


class HttpServer(uvicorn.Server):
    """uvicorn's server with a drain: it would stop accepting at once, and end with the signal's status."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: Settings, on_up: Callable[[], None]) -> None:
        """`on_up` is called once signals are heard, and before the models are loaded."""
        super().__init__(config)
        self._on_up = on_up
        self._app = app
        self._engine: Engine = app.state.engine
        self._settings = settings
        self._grace_s = settings.shutdown_grace_s
        self._delay_s = min(settings.drain_delay_s, settings.shutdown_grace_s / 2)
        self._end: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        self._on_up()
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # what is left to do is short; let it finish

    def drain(self) -> None:
        """SIGTERM: say at once that this process is leaving, stop accepting a little later."""
        if self._end is None:
            log.info("draining", accepting_for_s=self._delay_s, grace_s=self._grace_s)
            self._begin_end()
            asyncio.get_running_loop().call_later(self._delay_s, self.stop)

    def interrupt(self) -> None:
        """SIGINT: no delay; a second one does not wait for what is in flight either."""
        self.force_exit = self.should_exit
        self.stop()

    def stop(self) -> None:
        """Stop accepting now, finish what is in flight."""
        self._begin_end()
        self.should_exit = True

    def reload(self) -> None:
        """SIGHUP: read keys and certificate again; where that fails, the ones before stay."""
        if not (self._settings.api_keys_file or self.config.is_ssl):
            return
        try:
            keys = accepted_keys(self._settings)
            if self.config.is_ssl:
                assert self.config.ssl is not None
                tls.load(self.config.ssl, self._settings)
        except ConfigurationError as error:
            log.error("not_reloaded", reason=error.message)
            return
        self._app.state.keys.accept(keys)
        log.info("reloaded", keys=len(keys), certificate=self.config.is_ssl)

    def _begin_end(self) -> None:
        self._engine.closing = True
        if self._end is None:
            self._end = time.monotonic() + self._grace_s
            killer = threading.Timer(self._grace_s + supervisor.MORE_S, _give_up)
            killer.daemon = True
            killer.start()

    def time_left(self) -> float:
        """Seconds of the grace time."""
        return self._grace_s if self._end is None else max(0.0, self._end - time.monotonic())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but whoever has connected is heard: it would reset connections with no request yet."""
        loop, waiting = asyncio.get_running_loop(), []
        for listener in sockets or ():
            with contextlib.suppress(OSError):  # until none is left
                while True:
                    waiting.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        for connection in waiting:
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(self._protocol, connection, ssl=self.config.ssl)
        heard_by = loop.time() + min(_LAST_WORDS_S, self.time_left() / 2)
        for unheard in self.server_state.connections.copy():
            while unheard.cycle is None and loop.time() < heard_by:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        self.config.timeout_graceful_shutdown = max(0.1, self.time_left() - _LAST_WORDS_S)  # type: ignore[assignment]
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        state = self.lifespan.state
        return HttpProtocol(config=self.config, server_state=self.server_state, app_state=state)


def _temporary_directory(prefix: str) -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot make a temporary directory: {error.strerror}. TMPDIR says where; it must be writable."
        ) from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=settings.backlog)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another REWARD_PORT, or 0 for "
            "a free one.",
            param="port",
        ) from None
