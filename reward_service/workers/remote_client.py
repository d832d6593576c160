"""The HTTP processes' side of a model worker process: a `Runner` that forwards pairs to its socket.

It reconnects by itself. What a dead worker owed fails with ``worker_died``; until another is there,
new pairs fail with ``worker_unavailable``. Both may be retried.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from reward_service.contracts import ComponentError, Outcome, Pair, WorkFuture
from reward_service.workers.batcher import Observe, fail, settle
from reward_service.workers.remote_process import WorkerConfig, frame, read_frame

log = logging.getLogger(__name__)

_BACKOFF_S = (0.05, 1.0)
_SECOND_LOOK_S = 0.5


class _RemoteFuture(WorkFuture):
    """Only the worker knows whether the work has started: to cancel is to ask it, and its answer settles this."""

    owner: SocketWorker
    number: int

    def cancel(self, msg: Any = None) -> bool:
        if not self.done():
            self.owner.ask_to_cancel(self.number)
        return False


class SocketWorker:
    """A `Runner` for components of cost ``model`` that run in a process of their own."""

    def __init__(
        self,
        config: WorkerConfig,
        *,
        identity: str | None = None,
        hang_s: float = 5.0,
        start_timeout_s: float = 600.0,
        observe: Observe | None = None,
    ) -> None:
        """`config` is that of the `ModelProcess` which keeps the worker running.

        `identity` is the component the worker must have (`component_identity`); by default the first one
        it shows, so that the component cannot change while this process lives.
        """
        self._path = config.path
        self._limit = config.limits.queue
        self._identity = identity
        self._hang_s = hang_s
        self._start_timeout_s = start_timeout_s
        self._observe = observe or (lambda name, value: None)
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, _RemoteFuture] = {}
        self._to_cancel: list[int] = []
        self._next = 0
        self._losses = 0
        self._health: dict[str, object] = {"ready": False, "detail": "not started"}
        self._failure: ComponentError | None = None
        self._changed = asyncio.Event()
        self._stopping = False

    async def start(self) -> None:
        """Wait until a worker is ready. Raises `ComponentError` if it cannot load its component."""
        try:
            self._task = asyncio.create_task(self._stay_connected(), name="model-worker-client")
            async with asyncio.timeout(self._start_timeout_s):
                while not self._health["ready"]:
                    if self._failure:
                        raise self._failure
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            await self.stop(0)
            raise ComponentError("load_failed", f"no model worker after {self._start_timeout_s:g} s") from None
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        if self._waiting:
            await asyncio.wait(list(self._waiting.values()), timeout=grace_s)
        self._fail_all("shutting_down", "the service is shutting down")
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[Outcome]]:
        """As `Runner.submit`, except that a cancelled future is done when the worker has answered."""
        loop = asyncio.get_running_loop()
        first, self._next = self._next, self._next + len(pairs)
        futures = []
        texts: dict[str, int] = {}
        rows: list[tuple[int, int, int]] = []
        for number, pair in enumerate(pairs, first):
            future = _RemoteFuture(loop=loop)
            future.owner, future.number = self, number
            futures.append(future)
            rows.append(tuple(-1 if t is None else texts.setdefault(t, len(texts)) for t in pair))  # type: ignore[arg-type]
        refusal = self._refusal(len(pairs))
        if refusal is None:
            assert self._writer is not None
            timeout_s = None if deadline == math.inf else deadline - time.monotonic()
            message = {"first": first, "pairs": rows, "texts": list(texts), "timeout_s": timeout_s}
            try:
                self._writer.write(frame(message))
                self._waiting.update(zip(range(first, self._next), futures, strict=True))
            except TypeError:  # JSON has no lone surrogates
                refusal = ComponentError("component_error", "a text of this submission is not valid Unicode")
        if refusal is not None:
            for future in futures:
                fail(future, refusal)
        return list(futures)

    def health(self) -> Mapping[str, object]:
        """What the worker last said of itself; `waiting` and `losses` (of the connection) are this process's."""
        return {**self._health, "waiting": len(self._waiting), "losses": self._losses}

    def ask_to_cancel(self, number: int) -> None:
        if not self._to_cancel:
            asyncio.get_running_loop().call_soon(self._send_cancellations)
        self._to_cancel.append(number)

    def _send_cancellations(self) -> None:
        numbers, self._to_cancel = self._to_cancel, []
        if self._writer is not None:
            self._writer.write(frame({"cancel": numbers}))

    def _refusal(self, count: int) -> ComponentError | None:
        if self._stopping:
            return ComponentError("shutting_down", "the service is shutting down", retryable=True)
        if self._writer is None or not self._health["ready"]:
            return ComponentError("worker_unavailable", f"the model worker: {self._health['detail']}", retryable=True)
        if len(self._waiting) + count > self._limit:
            return ComponentError("queue_full", "too many pairs are waiting; retry", retryable=True)
        return None

    async def _stay_connected(self) -> None:
        delay = _BACKOFF_S[0]
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _BACKOFF_S[1])
                continue
            delay = _BACKOFF_S[0]
            reason = "its connection ended"
            try:
                while True:
                    self._handle(await self._message(reader))
            except TimeoutError:
                reason = "it shows no sign of life"
            except (asyncio.IncompleteReadError, OSError):
                pass
            finally:
                with contextlib.suppress(OSError):
                    self._writer.close()
                self._writer = None
                self._losses += 1
                self._health = {"ready": False, "detail": f"the model worker is gone: {reason}"}
                self._fail_all("worker_died", "the model worker died while this pair waited for it")

    async def _message(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        """The next message. Raises `TimeoutError` when none comes."""
        reading = asyncio.ensure_future(read_frame(reader))
        try:
            # The second look is for an event loop that was late itself: what the worker sent is waiting to be read.
            for patience_s in (self._hang_s, _SECOND_LOOK_S):
                if (await asyncio.wait({reading}, timeout=patience_s))[0]:
                    return reading.result()
            raise TimeoutError
        finally:
            reading.cancel()

    def _handle(self, message: dict[str, Any]) -> None:
        for number, *answer in message.get("results", ()):
            future = self._waiting.pop(number, None)
            if future is None:
                continue
            if isinstance(answer[0], str):
                code, text, retryable = answer
                settle(future, ComponentError(code, text, retryable=retryable))
            else:
                settle(future, Outcome(answer[0], tuple(answer[1])))
        for name, value in message.get("observed", ()):
            self._observe(name, value)
        if "health" in message:
            self._health = message["health"]
            self._failure = ComponentError(*message["failure"]) if message["failure"] else None
            if self._failure:
                self._health["detail"] = self._failure.message
            self._check(message["identity"])
            self._changed.set()

    def _check(self, identity: str | None) -> None:
        if identity is None:
            self._health["ready"] = False
        elif self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            other = "the model worker has another component than this process: restart the service as a whole"
            self._failure = ComponentError("wrong_component", other)
            self._health |= {"ready": False, "detail": other}

    def _fail_all(self, code: str, message: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            fail(future, ComponentError(code, message, retryable=True))
