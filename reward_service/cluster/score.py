"""`reward-service score --ray`: the shards of a file go through a pool of actors of Ray Data, each with an engine.

A shard is the unit of everything: of work, of what a killed run loses, and of the checkpoint, which is that its records
are there. Ray Data's own checkpoint filters rows by id instead; it is kept in the memory of every reader, and its rows
come back in any order. Here the output is that of `score` byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import orjson

from reward_service.cluster.shards import Shards
from reward_service.errors import ConfigurationError, InvalidRequest, PinMismatch, ServiceError
from reward_service.evaluation import records
from reward_service.evaluation.corpus_values import CorpusValues
from reward_service.evaluation.output import Output, write_whole
from reward_service.evaluation.progress import Progress
from reward_service.evaluation.reading.entries import Census, Input
from reward_service.evaluation.score_file import Interrupted, Wanted, answers, chunks, common_fields, records_of
from reward_service.evaluation.senders import by_engine, settings_for
from reward_service.scoring import assembly
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings

_CACHES = {"cache_memory_bytes": 32 << 20, "artefact_bytes": 32 << 20}


def score(source: Input, output: str, wanted: Wanted, gpus: float = 0.0) -> int:
    """As `score_file.score`, on the cluster of RAY_ADDRESS or, without one, on this machine's cores.

    gpus: of each actor, also a fraction of one; with 0 models run on a CPU. There are as many actors as the cluster has
    room for. Raises what that raises; a run that was killed or interrupted is continued by the same call.
    """
    ray = _ray()
    if wanted.url:
        raise InvalidRequest("A service spreads its work itself: give either --ray or --url.", param="--url")
    if output == "-" or not (Path(output).is_file() or not Path(output).exists()):
        raise InvalidRequest("With --ray the output is a file.", param="--output")
    census = source.check()
    for note in source.columns.notes:
        sys.stderr.write(note + "\n")
    settings = _settings(wanted, gpus)
    answer, document = asyncio.run(_served(settings, wanted))
    run = {"input": census.digest, "detail": wanted.detail, "step": wanted.step, "with_texts": wanted.with_texts}
    shards = _begun(source, output, run, answer, restart=wanted.restart)
    _connect(ray)
    try:
        _score_left(ray, shards, census, _Score(shards, settings, replace(wanted, pin=answer["fingerprint"])), gpus)
    except KeyboardInterrupt as error:
        status = 128 + (error.args[0] if error.args else signal.SIGINT)
        raise Interrupted(f"Interrupted. The same command continues {output}.", status) from None
    finally:
        ray.shutdown()
    values = CorpusValues(document) if wanted.corpus else None
    nulls = _merge(shards, output, run, values)
    if wanted.corpus and values:
        write_whole(wanted.corpus, orjson.dumps(values.summary(), option=orjson.OPT_INDENT_2) + b"\n")
    shards.remove()
    sys.stderr.write(f"{answer['signature']}\n")
    return nulls


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigurationError("--ray needs Ray. Install it with: pip install 'reward-service[ray]'.") from None
    return ray


def _settings(wanted: Wanted, gpus: float) -> Settings:
    """What every actor is made of: it does not look at the environment of its machine.

    An actor has one core, so one thread, and its device follows from what Ray gives it. Its caches are small, because
    every text comes once. Raises `ConfigurationError` for an LLM judge without Redis, because each actor would have
    verdicts of its own.
    """
    own = {"pool_workers": 0, "torch_threads": 1, "device": "cuda" if gpus else "cpu"}
    settings = settings_for(wanted.profile, **own)
    small = {name: size for name, size in _CACHES.items() if name not in settings.model_fields_set}
    settings = settings.model_copy(update=small)
    assembly.check(settings.model_copy(update={"workers": 2}))
    return settings


async def _served(settings: Settings, wanted: Wanted) -> tuple[dict[str, Any], Any]:
    """What all answers have in common, and the document of the fingerprint. Raises `PinMismatch`."""
    served = Engine(settings).served(None)
    accepted = served.check_pin(wanted.pin, wanted.step)
    fingerprint = accepted.fingerprint if accepted else served.fingerprint
    answer = {"profile": served.name, "fingerprint": fingerprint, "signature": served.signature}
    return answer, served.at(wanted.step).document


def _begun(source: Input, output: str, run: dict[str, Any], answer: dict[str, Any], *, restart: bool) -> Shards:
    """The run's shards, those of an interrupted one or new ones.

    Raises `InvalidRequest` and `PinMismatch` where another run waits to be continued.
    """
    shards = Shards(Path(f"{output}.ray"))
    begun = None if restart else shards.begun
    if begun is None:
        if Output(output, run, restart=restart).resumes:
            raise InvalidRequest(f"{output}.partial is of a run without --ray: finish it so, or --restart.")
        shards.begin(source.entries(), run, answer)
        return shards
    if differs := [key for key, value in run.items() if begun.run.get(key) != value]:
        raise InvalidRequest(
            f"{output}.ray holds an interrupted run of another kind (differs: {', '.join(differs)}). "
            "Run that one again to finish it, or begin anew with --restart.",
            param="--output",
        )
    if begun.answer["fingerprint"] != answer["fingerprint"]:
        raise PinMismatch(
            f"{output}.ray was begun with {begun.answer['fingerprint']}, and {answer['fingerprint']} is served now. "
            "To score it anew: --restart."
        )
    done = sum(begun.sizes) - sum(begun.sizes[number] for number in shards.left())
    sys.stderr.write(f"continuing after {done:,} rows\n")
    return shards


def _connect(ray: Any) -> None:
    """To the cluster of RAY_ADDRESS, else to one of this machine's own. SIGTERM interrupts as SIGINT does."""
    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False  # ours counts rows

    def interrupt(number: int, _: object) -> NoReturn:
        raise KeyboardInterrupt(number)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)


def _score_left(ray: Any, shards: Shards, census: Census, score: _Score, gpus: float) -> None:
    """Have the shards scored that have no records. Raises the `ServiceError` that an actor ends with."""
    assert shards.begun is not None
    sizes, left = shards.begun.sizes, shards.left()
    if not left:
        return
    done = census.entries - sum(sizes[number] for number in left)
    nulls = 0
    # One shard a block: the driver and the object store hold numbers alone, and each is told of as it is finished.
    data = ray.data.from_items([{"shard": number} for number in left], override_num_blocks=len(left))
    actors = ray.data.ActorPoolStrategy(min_size=1, max_size=None)
    scored = data.map(_Actor, fn_constructor_args=(score,), compute=actors, num_cpus=1, num_gpus=gpus or None)
    with _own_errors(), Progress(census.entries, done) as progress:
        for row in scored.iter_rows():
            done += sizes[row["shard"]]
            nulls += row["nulls"]
            progress.update(done, nulls)


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """Ours instead of Ray's that wraps it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ServiceError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        if cause is None:
            raise
        raise cause from None


@dataclass(frozen=True, slots=True)
class _Score:
    """What an actor is started with; picklable."""

    shards: Shards
    settings: Settings
    wanted: Wanted


class _Actor:
    """One engine in a process of Ray's; the pin keeps one with other code or weights from scoring."""

    def __init__(self, score: _Score) -> None:
        self._score = score
        self._runner = asyncio.Runner()
        self._opened = by_engine(score.settings)
        self._scoring: Any = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The shard's number and how many of its results are null, once its records are written."""
        nulls = self._runner.run(self._write(int(row["shard"])))
        return {"shard": row["shard"], "nulls": nulls}

    async def _write(self, number: int) -> int:
        if self._scoring is None:  # here, and not in the constructor, so that its errors reach the driver as they are
            self._scoring = await self._opened.__aenter__()
        shards, wanted = self._score.shards, self._score.wanted
        common = common_fields(wanted, wanted.pin)
        nulls, lines = 0, []
        async for chunk, answer in answers(chunks(shards.entries(number)), self._scoring.send, common):
            for record in records_of(chunk, answer, wanted):
                lines.append(records.line(record))
                nulls += records.nulls(record)
        shards.write(number, lines)
        return nulls


def _merge(shards: Shards, output: str, run: dict[str, Any], values: CorpusValues | None) -> int:
    """Write the output from the shards' records; the number of null rewards."""
    assert shards.begun is not None
    out = Output(output, run, restart=True)
    try:
        for line in shards.records():
            record = records.of_line(line)
            out.append(line, record, shards.begun.answer)
            if values:
                values.add(record.get("results", [record]))
    finally:
        out.close()
    out.finish()
    return out.nulls
