"""`reward-service score`: entries are read, scored and written in a stream, several requests at a time, in order."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from reward_service.errors import PinMismatch, ServiceError
from reward_service.evaluation import records
from reward_service.evaluation.corpus_values import CorpusValues
from reward_service.evaluation.output import Output, write_whole
from reward_service.evaluation.progress import Progress
from reward_service.evaluation.reading.entries import Entry, Input
from reward_service.evaluation.senders import TIMEOUT_S, Send, here, remote

_CHUNK_PAIRS = 256
_IN_FLIGHT = 4


class Interrupted(ServiceError):
    """SIGINT or SIGTERM; `status` is the process's exit status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, code="interrupted")
        self.status = status


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a file is to be scored."""

    profile: str | None = None
    url: str | None = None
    """A running service; without it the file is scored in this process."""
    pin: str | None = None
    detail: str = "full"
    step: int | None = None
    """Training step, for a profile that is a schedule."""
    corpus: str | None = None
    """File for the values of the whole file, which needs detail ``full``."""
    with_texts: bool = False
    restart: bool = False


def chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in requests of about `_CHUNK_PAIRS` pairs, in order."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        if chunk and size + entry.pairs > _CHUNK_PAIRS:
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += entry.pairs
    if chunk:
        yield chunk


def request_body(chunk: Sequence[Entry], common: Mapping[str, Any]) -> bytes:
    """The body of one request: an item for each pair, candidate by candidate, with its place in the file as id."""
    items = []
    for entry in chunk:
        pairs = [(candidate, reference) for candidate in entry.candidates for reference in entry.references]
        for i, (candidate, reference) in enumerate(pairs):
            id = entry.place if len(pairs) == 1 else f"{entry.place}, pair {i + 1}"
            prior = {} if entry.prior is None else {"prior": entry.prior}
            items.append({"id": id[-256:], "candidate": candidate, "reference": reference, **prior})
    return records.line({**common, "items": items})


def common_fields(wanted: Wanted, fingerprint: str | None) -> dict[str, Any]:
    """What all requests for one file say, beside their items; `fingerprint` is pinned."""
    asked = {
        "profile": wanted.profile if wanted.url else None,
        "fingerprint": fingerprint,
        "detail": wanted.detail,
        "step": wanted.step,
        "timeout_s": TIMEOUT_S,
    }
    return {key: value for key, value in asked.items() if value is not None}


def records_of(chunk: Sequence[Entry], answer: Mapping[str, Any], wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The records of the entries of one request, in order."""
    results = iter(answer["results"])
    full = wanted.detail == "full"
    for entry in chunk:
        own = [next(results) for _ in range(entry.pairs)]
        yield records.of(entry, own, answer["fingerprint"], full=full, texts=wanted.with_texts)


async def answers(
    parts: Iterator[list[Entry]], send: Send, common: dict[str, Any]
) -> AsyncGenerator[tuple[list[Entry], dict[str, Any]], None]:
    """Chunks with their answers, in order, `_IN_FLIGHT` requests at a time.

    The first answer's fingerprint is pinned for all others: one file, one reward function.
    """
    if common.get("fingerprint") is None and (first := next(parts, None)) is not None:
        answer = await _ask(send, first, common)
        common["fingerprint"] = answer["fingerprint"]
        yield first, answer
    waiting: deque[tuple[list[Entry], asyncio.Task[dict[str, Any]]]] = deque()
    try:
        for part in parts:
            waiting.append((part, asyncio.create_task(_ask(send, part, common))))
            if len(waiting) == _IN_FLIGHT:
                yield waiting[0][0], await waiting[0][1]
                waiting.popleft()
        while waiting:
            yield waiting[0][0], await waiting[0][1]
            waiting.popleft()
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _ask(send: Send, chunk: Sequence[Entry], common: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return await send(request_body(chunk, common))
    except ServiceError as error:
        raise _by_place(error, chunk) from None


def _by_place(error: ServiceError, chunk: Sequence[Entry]) -> ServiceError:
    """The same error, in terms of the file rather than of the request that a part of it became."""
    places = [entry.place for entry in chunk for _ in range(entry.pairs)]
    named: Callable[[re.Match[str]], str] = lambda found: places[int(found[1])]  # noqa: E731
    message = re.sub(r"\bitems\[(\d+)\]", named, error.message)
    return type(error)(message, code=error.code, param=error.param, details=error.details)


async def score(source: Input, output: str, wanted: Wanted) -> int:
    """Check and score all entries, write one record for each, the signature to stderr; the number of null rewards.

    Raises `Interrupted`, `InvalidRequest`, and whatever `ServiceError` the scoring ends with; rows that are written by
    then stay, and the same call continues after them.
    """
    census = source.check()
    for note in source.columns.notes:
        sys.stderr.write(note + "\n")
    run = {"input": census.digest, "detail": wanted.detail, "step": wanted.step, "with_texts": wanted.with_texts}
    out = Output(output, run, restart=wanted.restart)
    entries = source.entries()
    out.skip(entries)
    if out.resumes:
        sys.stderr.write(f"continuing after {out.done:,} rows\n")
    try:
        with cancelled_by_signals() as got:
            try:
                until = f"waiting for {wanted.url}" if wanted.url else "loading models"
                with Progress(census.entries, out.done, until=until) as progress:
                    await _score_all(entries, out, wanted, progress)
            except asyncio.CancelledError:
                status = 128 + (got[0] if got else signal.SIGINT)
                goes_on = f"The same command continues {output}"
                if output == "-":
                    goes_on = "With --output FILE it could be continued"
                raise Interrupted(f"Interrupted. {goes_on}.", status) from None
    except PinMismatch as error:
        if out.resumes:
            raise PinMismatch(f"{error.message} To score {output} anew with what is served: --restart.") from None
        raise
    finally:
        out.close()
    out.finish()
    sys.stderr.write(str(out.answer.get("signature", "no pairs, so nothing was scored")) + "\n")
    return out.nulls


async def _score_all(entries: Iterator[Entry], out: Output, wanted: Wanted, progress: Progress) -> None:
    common = common_fields(wanted, wanted.pin or out.answer.get("fingerprint"))
    done = out.done
    async with remote(wanted.url) if wanted.url else here(wanted.profile) as scoring:
        values: CorpusValues | None = None
        if wanted.corpus and out.resumes:
            values = CorpusValues(await scoring.document(out.answer))
            values.add(result for record in out.earlier() for result in record.get("results", [record]))
        async for chunk, answer in answers(chunks(entries), scoring.send, common):
            if wanted.corpus:
                values = values or CorpusValues(await scoring.document(answer))
            for record in records_of(chunk, answer, wanted):
                out.write(record, answer)
                if values:
                    values.add(record.get("results", [record]))
            out.flush()
            done += len(chunk)
            progress.update(done, out.nulls)
    if wanted.corpus:
        found = values.summary() if values else {}
        write_whole(wanted.corpus, orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        if not found:
            sys.stderr.write("No value of the whole file: they come from semb_score and radgraph_f1 (--profile).\n")


@contextlib.contextmanager
def cancelled_by_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM cancel the running task, once, and are then in the list.

    Without a handler of its own a second Ctrl-C, which wrappers of commands like to send along, would break off the
    ending: processes are then left with their semaphores. The ending is short, so nobody has to.
    """
    task = asyncio.current_task()
    assert task is not None
    got: list[int] = []

    def end(number: int) -> None:
        got.append(number)
        if len(got) == 1:
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        yield got
    finally:
        if not got:  # else the loop is about to end, and removes them
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
