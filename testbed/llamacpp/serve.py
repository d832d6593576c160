"""Serves a GGUF file with llama.cpp's own HTTP server until it is stopped: serve.py FILE PORT [CONTEXT [SLOTS]].

Run in the environment of `make_environment.sh`. llama.cpp divides its context among its slots, so CONTEXT is that of one
of them.
"""

from __future__ import annotations

import os
import signal
import sys

import xllamacpp


def main(file: str, port: int, context: int = 6144, slots: int = 4) -> None:
    """A model answers to the name `judge`, as those of `testbed/vllm/serve.sh` do."""
    threads = int(os.environ.get("THREADS", "1"))
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.model_alias = {"judge"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = slots, context * slots
    params.kv_unified = False  # else one long prompt may take what the others need
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.endpoint_metrics = True
    server = xllamacpp.Server(params)
    print(f"serving {file} at {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
