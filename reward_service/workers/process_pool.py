"""The runner for components that are plain Python and slow (the rules judge): what is large goes to processes.

Processes are started when there is work for them and replaced when one dies or hangs, so neither costs
more than a repeated chunk.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from reward_service.contracts import ComponentError, ComponentScore, Pair
from reward_service.workers.batcher import BatchLimits, MicroBatcher, Observe
from reward_service.workers.pair_computer import ArtefactCache, PairComputer, ScoreOrError, added_up
from reward_service.workers.thread import Factory, load_error

log = logging.getLogger(__name__)

_ARTEFACT_BYTES = 64 * 2**20  # of each process


class PoolRunner:
    """A `Runner` for components of cost ``pool``.

    Submissions are cut into chunks by the micro-batcher, which keeps pairs with the same reference
    together. Each process builds the component once and keeps its own artefacts.
    """

    def __init__(
        self,
        factory: Factory,
        cache: ArtefactCache,
        *,
        processes: int,
        limits: BatchLimits | None = None,
        observe: Observe | None = None,
    ) -> None:
        """`cache` serves what is answered on the event loop; each process has one of its own."""
        self._factory = factory
        self._cache = cache
        self._processes = processes
        self._limits = limits or BatchLimits(pairs=32, characters=50_000, hang_s=60.0)
        self._pool: ProcessPoolExecutor | None = None
        self._restarts = 0
        self._artefacts: dict[int, dict[str, int]] = {}
        self._batcher = MicroBatcher(self._execute, self._limits, concurrency=processes, observe=observe)

    async def start(self) -> None:
        try:
            self._batcher.inline = PairComputer(await asyncio.to_thread(self._factory), self._cache).run
        except Exception as error:
            raise load_error(error) from error
        self._batcher.start()

    async def stop(self, grace_s: float) -> None:
        try:
            await self._batcher.stop(grace_s)
        finally:
            if pool := self._pool:
                self._pool = None
                # On a thread, until its semaphores are gone: a process that ends by `os._exit` would leave them behind.
                await asyncio.to_thread(_kill, pool, wait=True)

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
        return self._batcher.submit(pairs, deadline)

    def health(self) -> Mapping[str, object]:
        """Readiness, queue, batches; `restarts` of the pool; artefact counters added up over its processes."""
        artefacts = added_up([self._cache.stats(), *self._artefacts.values()])
        return {**self._batcher.health(), "restarts": self._restarts, "artefacts": artefacts}

    async def _execute(self, pairs: list[Pair]) -> list[ScoreOrError]:
        pool = self._pool = self._pool or self._start_pool(self._processes)
        results = await self._run_in(pool, pairs)
        if results is None:
            if pool is self._pool:
                self._restarts += 1
                self._pool = None
                self._artefacts.clear()
            _kill(pool)
            # All chunks of a broken pool are suspects, so each is repeated in a process of its own.
            alone = self._start_pool(1)
            try:
                results = await self._run_in(alone, pairs)
            finally:
                _kill(alone)
        if results is None:
            died = ComponentError("worker_died", "the process that scored this pair died twice", retryable=True)
            return [died] * len(pairs)
        return results

    async def _run_in(self, pool: ProcessPoolExecutor, pairs: list[Pair]) -> list[ScoreOrError] | None:
        """The results, or None if the process died or hung."""
        work = asyncio.get_running_loop().run_in_executor
        try:
            async with asyncio.timeout(self._limits.hang_s):
                pid, stats, results = await work(pool, _run_chunk, pairs)
        except (BrokenProcessPool, TimeoutError) as error:
            log.warning("a pool process died or hung: %s", type(error).__name__)
            return None
        if pool is self._pool:
            self._artefacts[pid] = stats
        return results

    def _start_pool(self, processes: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),  # the only one that is safe beside threads
            initializer=_initialise,
            initargs=(self._factory, _ARTEFACT_BYTES),
        )


def _kill(pool: ProcessPoolExecutor, *, wait: bool = False) -> None:
    # By signal first: the executor's own clean-up waits for its processes, for ever if one is stopped.
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait)  # its other chunks fail as broken, and are repeated


_computer: PairComputer | None = None
"""Of a pool process, which has only this one component."""


def _initialise(factory: Factory, artefact_bytes: int) -> None:
    global _computer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _computer = PairComputer(factory(), ArtefactCache(artefact_bytes))


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_chunk(pairs: list[Pair]) -> tuple[int, dict[str, int], list[ScoreOrError]]:
    assert _computer is not None
    results = _computer.run(pairs)
    return os.getpid(), _computer.cache.stats(), results
