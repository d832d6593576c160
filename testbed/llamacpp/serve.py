"""Serves a GGUF file with llama.cpp's own HTTP server until it is stopped: serve.py FILE PORT.

Run in the environment of `make_environment.sh`. `$SLOTS` is how many requests run at once (default 2); each has its own
prompt cache, and `$CONTEXT` tokens (default 6144). `$THREADS` (default: all cores) must not be more than are free: the
threads wait for one another at every layer, so that one that is held up holds up all.
"""

from __future__ import annotations

import os
import signal
import sys

import xllamacpp


def main(file: str, port: int) -> None:
    """The model answers to the name `judge`, as those of `testbed/vllm/serve.sh` do."""
    slots, context = int(os.environ.get("SLOTS", "2")), int(os.environ.get("CONTEXT", "6144"))
    threads = int(os.environ.get("THREADS", "0")) or len(os.sched_getaffinity(0))
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.model_alias = {"judge"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = slots, context * slots
    params.kv_unified = False  # else one long prompt may take what the others need
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before its threads start, so that none of them gets one
    server = xllamacpp.Server(params)  # serves for as long as it is held
    signal.sigwait(signals)
    del server
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
