"""Takes what was scored, adds it up beside the answer, and writes it to the store once a second."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from reward_service.observability.logs import described
from reward_service.observability.telemetry import Telemetry
from reward_service.runs.alarms import CODES, WINDOW, alarms
from reward_service.runs.samples import Reservoir, Told
from reward_service.runs.store import Row, RunStore
from reward_service.runs.totals import Scored, Totals, add, of_requests, of_shadow
from reward_service.tasks import end

log = structlog.get_logger("reward_service.runs")

_EVERY_S = 1.0
_ALARMS_EVERY_S = 30.0
_WAITING = 65_536  # pairs; more are not entered into any run
_OPEN = 64  # steps whose totals are held, over all runs; one that comes back later gets a row of its own
_NO_STEP = 0
_Key = tuple[str, int]
_Entry = tuple[_Key, Scored | Totals]


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
        self._held: OrderedDict[_Key, tuple[str, Totals]] = OrderedDict()
        self._unwritten: dict[tuple[str, int, str], Totals] = {}
        self._reservoirs: OrderedDict[_Key, tuple[str, Reservoir]] = OrderedDict()
        self._fresh: dict[_Key, None] = {}
        self._writing = asyncio.Lock()
        self._alarms: dict[str, set[str]] = {}
        self._touched: dict[str, float] = {}
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
        key = _key(run_id, step)
        if key not in self._reservoirs:
            self._reservoirs[key] = (secrets.token_hex(4), Reservoir(self.keep_samples))
            while len(self._reservoirs) > _OPEN:
                oldest, _ = next(iter(self._reservoirs.items()))
                if oldest in self._fresh:
                    break  # not written yet
                del self._reservoirs[oldest]
        self._reservoirs.move_to_end(key)
        if self._reservoirs[key][1].add(items):
            self._fresh[key] = None

    def record_shadow(self, run_id: str, step: int | None, name: str, rewards: Sequence[tuple[float, float]]) -> None:
        """Pairs of an answered request that a shadow scored as well: (paid, shadow)."""
        if rewards:
            self._enter(run_id, step, len(rewards), of_shadow(name, rewards))

    async def delete(self, run_id: str) -> bool:
        """Whether there was such a run. A process that still holds steps of it writes them with their next item."""
        await self.flush()
        async with self._writing:
            self._held = OrderedDict((key, held) for key, held in self._held.items() if key[0] != run_id)
            self._reservoirs = OrderedDict((key, kept) for key, kept in self._reservoirs.items() if key[0] != run_id)
            self._touched.pop(run_id, None)
            return await self.store.delete(run_id)

    async def flush(self) -> None:
        """Write now. What the store refuses stays held, and is written with the next totals of its step."""
        async with self._writing:
            await self._write_samples()
            if not self._queue and not self._unwritten:
                return
            entered, self._queue, self._waiting = self._queue, [], 0
            await asyncio.to_thread(self._add_up, entered)
            rows: list[Row] = [(*key, totals) for key, totals in self._unwritten.items()]
            self._unwritten = {}
            if rows:
                try:
                    await self.store.put(rows)
                except Exception as error:
                    log.error("runs_not_written", **described(error))

    async def _write_samples(self) -> None:
        fresh, self._fresh = self._fresh, {}
        rows = [(*key, kept[0], kept[1].samples) for key in fresh if (kept := self._reservoirs.get(key))]
        if rows:
            try:
                await self.store.put_samples(rows)
            except Exception as error:
                log.error("samples_not_written", **described(error))

    def _enter(self, run_id: str, step: int | None, count: int, one: Scored | Totals) -> None:
        if self._waiting + count > _WAITING:
            self.dropped += count
            return
        self._waiting += count
        self._queue.append((_key(run_id, step), one))

    def _add_up(self, entered: Sequence[_Entry]) -> None:
        by_step: dict[_Key, list[Scored | Totals]] = {}
        for key, one in entered:
            by_step.setdefault(key, []).append(one)
        for key, ones in by_step.items():
            writer, totals = self._held.pop(key) if key in self._held else (secrets.token_hex(4), {})
            for totals_of_shadow in (one for one in ones if isinstance(one, dict)):
                add(totals, totals_of_shadow)
            if requests := [one for one in ones if isinstance(one, Scored)]:
                add(totals, of_requests(requests))
            self._held[key] = (writer, totals)
            self._unwritten[(*key, writer)] = totals
            self._touched[key[0]] = time.monotonic()
        while len(self._held) > _OPEN:
            self._held.popitem(last=False)

    async def _write_on(self) -> None:
        told_at = time.monotonic()
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.flush()
                if time.monotonic() - told_at >= _ALARMS_EVERY_S:
                    told_at = time.monotonic()
                    await self.tell()
            except Exception as error:
                log.error("runs_not_written", **described(error))

    async def tell(self) -> None:
        """Bring the alarms of the last hour's runs onto `/metrics` and, once each, into the log."""
        now = time.monotonic()
        async with self._writing:
            self._touched = {run: at for run, at in self._touched.items() if now - at < 3600.0}
        self._alarms = {run: known for run, known in self._alarms.items() if run in self._touched}
        for run in list(self._touched):
            steps = await self.store.steps(run, ends=WINDOW)
            raised = {alarm.code: alarm.message for alarm in alarms([totals for _, totals in steps])}
            for code in raised.keys() - self._alarms.get(run, set()):
                log.warning("run_alarm", run_id=run, alarm=code, message=raised[code])
            self._alarms[run] = set(raised)
        for code in CODES:
            self._telemetry.run_alarms.labels(code).set(sum(code in known for known in self._alarms.values()))


def _key(run_id: str, step: int | None) -> _Key:
    name = run_id.encode("utf-8", "replace").decode()  # a lone surrogate is in no store
    return name, _NO_STEP if step is None else step
