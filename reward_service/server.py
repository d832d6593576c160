"""Starts the HTTP server: address checks, limits of the operating system, processes, exit status."""

from __future__ import annotations

import os
import resource
import socket
import sys
import tempfile
from typing import Any

import uvicorn

from reward_service.api.auth import require_safe_address
from reward_service.app import create_app
from reward_service.engine import Engine
from reward_service.settings import Settings


def run(settings: Settings) -> int:
    """Serve until a signal. Returns the exit status: 0 after a clean drain, 3 when it cannot start."""
    require_safe_address(settings.host, settings.api_keys, settings.insecure)
    raise_file_limit()
    Engine.check(settings)  # before the port is taken: a wrong profile is one line here, not a restart loop
    if (settings.workers > 1 or settings.model_process) and not settings.runtime_dir:
        os.environ["REWARD_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="reward-")  # mode 0700
        settings = Settings()
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    sys.stderr.write(f"reward-service listening on http://{host}:{port}\n")
    sys.stderr.flush()
    if settings.workers > 1:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="reward-metrics-"))
        config = uvicorn.Config(
            "reward_service.app:create_app", factory=True, workers=settings.workers, **_options(settings)
        )
        uvicorn.supervisors.Multiprocess(config, sockets=[listener]).run()
        return 0
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, **_options(settings)))
    server.run(sockets=[listener])
    return 3 if app.state.fatal else 0


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": None,
        "access_log": False,
        "backlog": settings.backlog,
        "timeout_graceful_shutdown": int(settings.shutdown_grace_s) or None,
        "timeout_keep_alive": 75,  # longer than common clients' pools keep a connection idle
        "server_header": False,
        "proxy_headers": False,
    }


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        from reward_service.errors import ConfigurationError

        raise ConfigurationError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Choose another REWARD_PORT, or 0 for "
            "a free one.",
            param="port",
        ) from None
    listener.listen(settings.backlog)
    listener.set_inheritable(True)
    return listener


def raise_file_limit() -> None:
    """Thousands of trainers' connections arrive at once: use all the file descriptors that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (min(hard, 1 << 20) if hard != resource.RLIM_INFINITY else 1 << 16, hard)
        )
