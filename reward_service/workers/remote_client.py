"""The HTTP processes' side of a model worker process: a `Runner` that forwards pairs to its socket.

It reconnects by itself. What a dead worker owed fails with ``worker_died``; until another is there,
new pairs fail with ``worker_unavailable``. Both may be retried.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from reward_service.contracts import ComponentError, ComponentScore, Pair, WorkFuture
from reward_service.supervision import Backoff, KeptTask
from reward_service.workers.batcher import Observe, fail, settle
from reward_service.workers.remote_process import LINE_LIMIT, WorkerConfig, line

_BACKOFF_S = (0.05, 1.0)
_SECOND_LOOK_S = 0.5
_START_S = 600.0


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
        component_digest: str | None = None,
        hang_s: float = 5.0,
        observe: Observe | None = None,
    ) -> None:
        """`config` is that of the worker's `model_job`. A worker that says nothing for `hang_s` is given up.

        `component_digest` is the component the worker must have (`digest_of_component`); by default the first one
        it shows, so that the component cannot change while this process lives.
        """
        self._path = config.path
        self._limit = config.limits.queue
        self._component_digest = component_digest
        self._hang_s = hang_s
        self._observe = observe or (lambda name, value: None)
        self._backoff = Backoff(*_BACKOFF_S)
        self._connection: KeptTask | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, _RemoteFuture] = {}
        self._to_cancel: list[int] = []
        self._next = 0
        self._health: dict[str, object] = {"ready": False, "detail": "not started"}
        self._loaded: asyncio.Future[None] | None = None
        self._stopping = False
        self._asleep = False
        self._switches = 0
        self._switched: asyncio.Future[None] | None = None
        self._switching = asyncio.Lock()

    async def start(self) -> None:
        """Wait until a worker is ready. Raises `ComponentError` if it cannot load its component."""
        self._loaded = asyncio.get_running_loop().create_future()
        self._connection = KeptTask("connection to the model worker", self._connect, self._backoff)
        try:
            async with asyncio.timeout(_START_S):
                await self._loaded
        except BaseException as error:
            await self.stop(0)
            if isinstance(error, TimeoutError):
                raise ComponentError("load_failed", f"no model worker after {_START_S:g} s") from None
            raise

    async def stop(self, grace_s: float) -> None:
        self._stopping = True
        if self._waiting:
            await asyncio.wait(list(self._waiting.values()), timeout=grace_s)
        self._fail_all("shutting_down", "the service is shutting down")
        if self._connection:
            await self._connection.stop()

    async def set_asleep(self, asleep: bool) -> None:
        """As `ThreadWorker.set_asleep`, for all processes that share the worker.

        A worker that comes back from the dead falls asleep again, as long as nobody has woken the one before.
        """
        async with self._switching:
            if (refusal := self._refusal(0)) is not None:
                raise refusal
            assert self._writer is not None
            self._switched = asyncio.get_running_loop().create_future()
            self._switches += 1
            self._writer.write(line({"asleep": asleep, "number": self._switches}))
            try:
                async with asyncio.timeout(_START_S):
                    await self._switched
            except TimeoutError:
                raise ComponentError("worker_unavailable", f"no answer in {_START_S:g} s", retryable=True) from None
            finally:
                self._switched = None
            self._asleep = asleep
            self._health = {**self._health, "asleep": asleep}  # the worker says so as well, with its next beat

    def submit(self, pairs: Sequence[Pair], deadline: float) -> list[asyncio.Future[ComponentScore]]:
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
                self._writer.write(line(message))
                self._waiting.update(zip(range(first, self._next), futures, strict=True))
            except TypeError:  # JSON has no lone surrogates
                refusal = ComponentError("component_error", "a text of this submission is not valid Unicode")
        if refusal is not None:
            for future in futures:
                fail(future, refusal)
        return list(futures)

    def health(self) -> Mapping[str, object]:
        """What the worker last said of itself; `waiting` and `losses` (of the connection) are this process's."""
        losses = self._connection.restarts if self._connection else 0
        return {**self._health, "waiting": len(self._waiting), "losses": losses}

    def ask_to_cancel(self, number: int) -> None:
        if not self._to_cancel:
            asyncio.get_running_loop().call_soon(self._send_cancellations)
        self._to_cancel.append(number)

    def _send_cancellations(self) -> None:
        numbers, self._to_cancel = self._to_cancel, []
        if self._writer is not None:
            self._writer.write(line({"cancel": numbers}))

    def _refusal(self, count: int) -> ComponentError | None:
        if self._stopping:
            return ComponentError("shutting_down", "the service is shutting down", retryable=True)
        if self._writer is None or not self._health["ready"]:
            return ComponentError("worker_unavailable", f"the model worker: {self._health['detail']}", retryable=True)
        if len(self._waiting) + count > self._limit:
            return ComponentError("queue_full", "too many pairs are waiting; retry", retryable=True)
        return None

    async def _connect(self) -> str | None:
        """One connection, from its beginning to its loss; why it was lost, or None if there was none."""
        try:
            async with asyncio.timeout(self._hang_s):
                reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        except OSError:
            return None
        self._backoff.reset()
        reason = "its connection ended"
        try:
            while (received := await self._line(reader)).endswith(b"\n"):
                self._handle(orjson.loads(received))
        except TimeoutError:
            reason = "it shows no sign of life"
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                self._writer.close()
            self._writer = None
            self._health = {"ready": False, "detail": f"the model worker is gone: {reason}"}
            self._fail_all("worker_died", "the model worker died while this pair waited for it")
            self._end_switch(self._switches, ("worker_died", "the model worker died"))
        return reason

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        """The next message, unfinished at the end of the connection. Raises `TimeoutError` when none comes."""
        reading = asyncio.ensure_future(reader.readline())
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
                settle(future, ComponentScore(answer[0], tuple(answer[1])))
        for name, value in message.get("observed", ()):
            self._observe(name, value)
        if "slept" in message:
            self._end_switch(*message["slept"])
        if "failure" in message:
            self._judge(message["health"], message["component_digest"], message["failure"])

    def _judge(self, health: dict[str, object], component_digest: str | None, reason: tuple[str, str] | None) -> None:
        """Whether the worker that is there is ready, and the one that this process wants."""
        failure = ComponentError(*reason) if reason else None
        self._component_digest = self._component_digest or component_digest
        if component_digest is not None and component_digest != self._component_digest:
            other = "the model worker has another component than this process: restart the service as a whole"
            failure = ComponentError("wrong_component", other)
        if self._asleep and not health["asleep"] and self._health.get("asleep"):
            self._asleep = False  # another process has woken it
        elif self._asleep and not health["asleep"] and self._switched is None and component_digest is not None:
            assert self._writer is not None
            self._writer.write(line({"asleep": True, "number": 0}))  # it is a new one
        ready = bool(health["ready"]) and component_digest is not None and failure is None
        self._health = {**health, "ready": ready, "detail": failure.message if failure else health["detail"]}
        assert self._loaded is not None
        if not self._loaded.done() and (ready or failure):
            if failure:
                self._loaded.set_exception(failure)
            else:
                self._loaded.set_result(None)

    def _end_switch(self, number: int, failure: tuple[str, str] | None) -> None:
        """Tell whoever wants the worker to sleep or wake, unless this is about an earlier wish."""
        if self._switched is None or self._switched.done() or number != self._switches:
            return
        if failure is None:
            self._switched.set_result(None)
        else:
            self._switched.set_exception(ComponentError(*failure, retryable=True))

    def _fail_all(self, code: str, message: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            fail(future, ComponentError(code, message, retryable=True))
