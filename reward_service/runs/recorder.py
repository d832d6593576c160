"""Takes what was scored, adds it up beside the answer, and writes it to the store once a second."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from reward_service.observability.logs import described
from reward_service.observability.telemetry import Telemetry
from reward_service.runs.alarms import CODES, Alarm, alarms, looked_at
from reward_service.runs.rows import NO_STEP, Row, SampleRow
from reward_service.runs.samples import Reservoir, Told
from reward_service.runs.store import RunStore
from reward_service.runs.totals import Scored, Totals, add, of_requests, of_shadow
from reward_service.tasks import end

log = structlog.get_logger("reward_service.runs")

_EVERY_S = 1.0
_ALARMS_EVERY_S = 30.0
_TELL_EVERY_S = 60.0  # that the store refuses what is written
_WAITING = 65_536  # pairs; more are not entered into any run
_OPEN = 64  # steps that are held, over all runs; one that comes back later gets a row of its own
_IDLE_S = 3600.0  # a step that nothing came for is let go, long before the store forgets that its run was deleted
_UNWRITTEN = 1024  # steps that are held while the store refuses them; the oldest is given up first
_Key = tuple[str, int]


class _Entry(NamedTuple):
    """Something of one request that waits to be added up."""

    key: _Key
    at: float
    """When it was posted."""
    what: Scored | Totals | Sequence[Told]


@dataclass(slots=True)
class _Open:
    """One writer's part of a step."""

    key: _Key
    begun: float
    reservoir: Reservoir
    writer: str = field(default_factory=lambda: secrets.token_hex(4))
    totals: Totals = field(default_factory=dict)
    touched: float = 0.0
    fresh_samples: bool = False


class Recorder:
    """The runs of one process. `record` costs an answer next to nothing: the work is done in a task of its own."""

    def __init__(self, store: RunStore, telemetry: Telemetry, keep_samples: int = 0) -> None:
        """`keep_samples`: items of each step that are kept with their texts."""
        self.store = store
        self.keep_samples = keep_samples
        self.reading = asyncio.Lock()
        """Held by whoever reads a whole run: one at a time, so that watching leaves the processor to scoring."""
        self.dropped = 0
        """Pairs that were not entered because too many were waiting."""
        self._telemetry = telemetry
        self._queue: list[_Entry] = []
        self._waiting = 0
        self._held: OrderedDict[_Key, _Open] = OrderedDict()
        self._unwritten: dict[str, _Open] = {}
        self._writing = asyncio.Lock()
        self._told: dict[str, set[str]] = {}
        self._raised: dict[str, tuple[float, list[Alarm]]] = {}
        self._touched: dict[str, float] = {}
        self._told_at = -_TELL_EVERY_S
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._write_on(), name="runs")

    async def aclose(self) -> None:
        """Write what is left and release the store."""
        if self._task is not None:
            await end({self._task})
        await self.flush()
        await self.store.aclose()

    def record(self, run_id: str, step: int | None, scored: Scored) -> None:
        """One answered request. Never raises."""
        self._enter(run_id, step, len(scored.composites), scored)

    def keep(self, run_id: str, step: int | None, items: Sequence[Told]) -> None:
        """What samples may be taken from; for services that keep some."""
        self._enter(run_id, step, 0, items)

    def record_shadow(self, run_id: str, step: int | None, name: str, rewards: Sequence[tuple[float, float]]) -> None:
        """Pairs of an answered request that a shadow scored as well: (paid, shadow)."""
        if rewards:
            self._enter(run_id, step, len(rewards), of_shadow(name, rewards))

    async def delete(self, run_id: str) -> bool:
        """Whether there was such a run. What was posted before is gone for good, whichever process has it."""
        await self.flush()
        async with self._writing:
            found = await self.store.delete(run_id)
            self._forget({run_id: time.time()})
            return found

    async def flush(self) -> None:
        """Write now. What the store refuses stays held, and is written with the next totals or the next time."""
        async with self._writing:
            entered, self._queue, self._waiting = self._queue, [], 0
            if not entered and not self._unwritten:
                return
            try:
                deleted = await self._write(entered)
                if deleted:
                    gone = self._forget(deleted)
                    await self._write([one for one in entered if one.key in gone and one.at > deleted[one.key[0]]])
                self._told_at = -_TELL_EVERY_S
            except Exception as error:
                if time.monotonic() - self._told_at >= _TELL_EVERY_S:
                    self._told_at = time.monotonic()
                    log.error("runs_not_written", **described(error))

    async def alarms(self, run_id: str, updated_at: float) -> list[Alarm]:
        """Of a run that was last written to then; the same again costs nothing."""
        known = self._raised.get(run_id)
        if known is None or known[0] != updated_at:
            steps = await self.store.steps(run_id, looked_at)
            known = self._raised[run_id] = updated_at, await asyncio.to_thread(alarms, steps)
        return known[1]

    async def tell(self) -> None:
        """Bring the alarms of the last hour's runs onto `/metrics` and, once each, into the log."""
        now = time.monotonic()
        async with self._writing:
            self._touched = {run: at for run, at in self._touched.items() if now - at < 3600.0}
            touched = list(self._touched)  # as it is now: another flush may add to it
        self._told = {run: known for run, known in self._told.items() if run in touched}
        updated = {one.run_id: one.updated_at for one in await self.store.runs()}
        self._raised = {run: known for run, known in self._raised.items() if run in updated}
        for run in [run for run in touched if run in updated]:
            raised = {alarm.code: alarm.message for alarm in await self.alarms(run, updated[run])}
            for code in raised.keys() - self._told.get(run, set()):
                log.warning("run_alarm", run_id=run, alarm=code, message=raised[code])
            self._told[run] = set(raised)
        for code in CODES:
            self._telemetry.run_alarms.labels(code).set(sum(code in known for known in self._told.values()))

    def _enter(self, run_id: str, step: int | None, count: int, what: Scored | Totals | Sequence[Told]) -> None:
        if self._waiting + max(1, count) > _WAITING:
            self.dropped += count
            return
        self._waiting += count
        name = run_id.encode("utf-8", "replace").decode()  # a lone surrogate is in no store
        self._queue.append(_Entry((name, NO_STEP if step is None else step), time.time(), what))

    async def _write(self, entered: Sequence[_Entry]) -> dict[str, float]:
        """Add up, and write all that is unwritten. When runs were deleted of which something older is held."""
        await asyncio.to_thread(self._add_up, entered)
        ones = list(self._unwritten.values())
        if not ones:
            return {}
        deleted = await self.store.put([Row(*one.key, one.writer, one.totals, one.begun) for one in ones])
        fresh = [one for one in ones if one.fresh_samples]
        samples = [SampleRow(*one.key, one.writer, one.reservoir.samples, one.begun) for one in fresh]
        if samples:
            deleted |= await self.store.put_samples(samples)
        for one in fresh:
            one.fresh_samples = False
        self._unwritten = {}
        return deleted

    def _forget(self, deleted: Mapping[str, float]) -> set[_Key]:
        """Let go of what is older than its run's deletion. Which steps that were."""

        def stays(one: _Open) -> bool:
            return one.begun > deleted.get(one.key[0], 0.0)

        gone = {key for key, one in self._held.items() if not stays(one)}
        self._held = OrderedDict((key, one) for key, one in self._held.items() if stays(one))
        self._unwritten = {writer: one for writer, one in self._unwritten.items() if stays(one)}
        for run in deleted:
            self._touched.pop(run, None)
            self._raised.pop(run, None)
        return gone

    def _add_up(self, entered: Sequence[_Entry]) -> None:
        by_step: dict[_Key, list[_Entry]] = {}
        for one in entered:
            by_step.setdefault(one.key, []).append(one)
        now = time.time()
        for key, entries in by_step.items():
            held = self._held.pop(key, None) or _Open(key, entries[0].at, Reservoir(self.keep_samples))
            _add(held, [entry.what for entry in entries])
            held.touched = now
            self._held[key] = self._unwritten[held.writer] = held
            self._touched[key[0]] = time.monotonic()
        while self._held and (len(self._held) > _OPEN or now - next(iter(self._held.values())).touched > _IDLE_S):
            self._held.popitem(last=False)
        while len(self._unwritten) > _UNWRITTEN:
            given_up = self._unwritten.pop(next(iter(self._unwritten)))
            self._held.pop(given_up.key, None)
            self.dropped += given_up.totals.get("items", 0)

    async def _write_on(self) -> None:
        told_at = time.monotonic()
        forgotten = self.keep_samples > 0
        while True:
            try:
                if not forgotten:  # texts of earlier days: nobody asks for them any more
                    await self.store.forget_samples()
                    forgotten = True
                await self.flush()
                if time.monotonic() - told_at >= _ALARMS_EVERY_S:
                    told_at = time.monotonic()
                    await self.tell()
            except Exception as error:
                log.error("runs_not_written", **described(error))
            await asyncio.sleep(_EVERY_S)


def _add(one: _Open, whats: Sequence[Scored | Totals | Sequence[Told]]) -> None:
    requests = [what for what in whats if isinstance(what, Scored)]
    for what in whats:
        if isinstance(what, dict):
            add(one.totals, what)
        elif not isinstance(what, Scored):
            one.fresh_samples |= one.reservoir.add(what)
    if requests:
        add(one.totals, of_requests(requests))
