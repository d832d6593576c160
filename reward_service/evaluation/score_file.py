"""`reward-service score`: whole files, in this process or through a running service, in bounded chunks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import httpx
import orjson
import tenacity

from reward_service.errors import InvalidRequest, ServiceError
from reward_service.evaluation.corpus_values import CorpusValues
from reward_service.scoring.engine import Engine
from reward_service.settings import Settings
from reward_service.wire.parsing import parse
from reward_service.wire.rendering import render

_CHUNK_PAIRS = 256
_TIMEOUT_S = 600.0
_PATIENCE_S = 60.0  # for a service that is restarting or full
_PAUSE = tenacity.wait_exponential(multiplier=0.1, max=5.0) + tenacity.wait_random(0.0, 1.0)
Answer = dict[str, Any]


class Scoring(NamedTuple):
    """What scores the lines: this process, or a running service."""

    send: Callable[[bytes], Awaitable[Answer]]
    """The answer to a request's body. Raises `ServiceError`."""
    document: Callable[[Answer], Awaitable[Mapping[str, Any]]]
    """What the fingerprint of the profile that paid for an answer is the hash of."""


class Line(NamedTuple):
    """One line of input: the JSON that is sent, and how many pairs it holds."""

    number: int
    raw: bytes
    grouped: bool
    pairs: int


def read(source: str) -> list[Line]:
    """The lines of a JSONL file or standard input. Raises `InvalidRequest` naming the line."""
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{source}: {error.strerror}.", param="IN") from None
    return [_line(line, number) for number, line in enumerate(content.split(b"\n"), 1) if line.strip()]


def _line(line: bytes, number: int) -> Line:
    dumps: Callable[[Any], bytes] = orjson.dumps
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:  # a lone surrogate: the service makes that item null, so it is passed on as it is
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidRequest(f"Line {number} is not JSON: {error.msg}.", param="IN") from None
        dumps = _ascii
    if not isinstance(entry, dict) or not ({"candidate", "candidates"} & entry.keys()):
        raise InvalidRequest(f"Line {number}: needs 'candidate' (an item) or 'candidates' (a group).", param="IN")
    if entry.get("id") is None:
        entry["id"] = f"line-{number}"
    candidates = entry.get("candidates")
    return Line(number, dumps(entry), "candidates" in entry, len(candidates) if isinstance(candidates, list) else 1)


def _ascii(entry: Any) -> bytes:
    return json.dumps(entry).encode()


def chunks(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines in requests of about `_CHUNK_PAIRS` pairs, in the order of the file."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and size + line.pairs > _CHUNK_PAIRS:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += line.pairs
    if chunk:
        yield chunk


def request_body(chunk: Sequence[Line], common: dict[str, Any]) -> bytes:
    """The body of one request."""
    items = b",".join(line.raw for line in chunk if not line.grouped)
    groups = b",".join(line.raw for line in chunk if line.grouped)
    rest = orjson.dumps(common)[1:]
    return b'{"items":[' + items + b'],"groups":[' + groups + b"]" + (b"," if len(common) else b"") + rest


def _by_line(error: ServiceError, chunk: Sequence[Line]) -> ServiceError:
    """The same error, in terms of the file rather than of the request that a part of it became."""
    found = re.match(r"(items|groups)\[(\d+)\]", error.param or "")
    if found is None:
        return error
    lines = [line.number for line in chunk if line.grouped == (found[1] == "groups")]
    where = f"Line {lines[int(found[2])]}" if int(found[2]) < len(lines) else "A line"
    field = (error.param or "")[found.end() :].lstrip(".")
    message = error.message.replace(str(error.param), field or "the entry", 1)
    return ServiceError(f"{where}: {message}", code=error.code, param=error.param, details=error.details)


@contextlib.contextmanager
def _opened(output: str) -> Iterator[IO[bytes]]:
    """The output, under its own name only when it is complete: it may be the input, or the last good result.

    Raises `InvalidRequest` when it cannot be written.
    """
    if output == "-":
        yield sys.stdout.buffer
        return
    path = Path(output)
    special = path.exists() and not path.is_file()  # /dev/stdout, a pipe: nothing can take its place
    partial = path if special else Path(f"{output}.partial")
    try:
        with partial.open("wb") as out:
            yield out
        if not special:
            partial.replace(path)
    except (TimeoutError, ConnectionError):  # no fault of the file's
        raise
    except OSError as error:
        raise InvalidRequest(f"{output}: {error.strerror}.", param="--output") from None
    finally:
        if not special and partial.is_file() and not partial.stat().st_size:
            partial.unlink()


class Wanted(NamedTuple):
    """How a file is to be scored."""

    profile: str | None = None
    url: str | None = None
    """A running service; without it the file is scored in this process."""
    pin: str | None = None
    detail: str = "full"
    step: int | None = None
    corpus: str | None = None
    """File for the values of the whole file, which needs detail ``full``."""


async def score(lines: Sequence[Line], output: str, wanted: Wanted) -> int:
    """Score all lines, write one result per line of input, the signature to stderr; the number of null rewards."""
    nulls = done = 0
    signature = "no pairs, so nothing was scored"
    asked = {
        "profile": wanted.profile if wanted.url else None,
        "fingerprint": wanted.pin,
        "detail": wanted.detail,
        "step": wanted.step,
        "timeout_s": _TIMEOUT_S,
    }
    common = {key: value for key, value in asked.items() if value is not None}
    values: CorpusValues | None = None
    with _opened(output) as out:
        async with _remote(wanted.url) if wanted.url else _here(wanted.profile) as scoring:
            for chunk in chunks(lines):
                try:
                    answer = await scoring.send(request_body(chunk, common))
                except ServiceError as error:
                    raise _by_line(error, chunk) from None
                common["fingerprint"] = answer["fingerprint"]  # one file, one reward function
                signature = answer["signature"]
                singles, groups = iter(answer["results"]), iter(answer["groups"])
                written = [next(groups if line.grouped else singles) for line in chunk]
                for entry in written:
                    out.write(orjson.dumps({**entry, "fingerprint": answer["fingerprint"]}) + b"\n")
                results = [result for entry in written for result in entry.get("results", [entry])]
                if wanted.corpus:
                    values = values or CorpusValues(await scoring.document(answer))
                    values.add(results)
                nulls += sum(result["reward"] is None for result in results)
                done += len(written)
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{done}/{len(lines)} {'#' * (30 * done // len(lines)):30}")
    sys.stderr.write("\n" * sys.stderr.isatty() + signature + "\n")
    if wanted.corpus:
        with _opened(wanted.corpus) as out:
            out.write(orjson.dumps(values.summary() if values else {}, option=orjson.OPT_INDENT_2) + b"\n")
    return nulls


@contextlib.asynccontextmanager
async def _here(profile: str | None) -> AsyncIterator[Scoring]:
    settings = Settings(profiles=(profile,)) if profile else Settings()
    async with Engine(settings) as engine:

        async def send(raw: bytes) -> dict[str, Any]:
            parsed = parse(raw, sys.maxsize)
            scoring = replace(parsed.scoring, timeout_s=_TIMEOUT_S, hold=True)
            async with engine.admit(scoring) as admitted:
                scored = await admitted.score()
            return render(parsed, admitted, scored)

        async def document(answer: Answer) -> Mapping[str, Any]:
            return engine.served(None).at(answer.get("step")).document

        yield Scoring(send, document)


@contextlib.asynccontextmanager
async def _remote(url: str) -> AsyncIterator[Scoring]:
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest("The service's address begins with http:// or https://.", param="--url")
    if "@" in url:
        raise InvalidRequest("Give the key in REWARD_CLIENT_API_KEY; errors show the address.", param="--url")
    key = os.environ.get("REWARD_CLIENT_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_S, headers=headers) as client:
        reached = False  # a wrong address is told at once, a service that goes away is waited for

        async def post(raw: bytes) -> dict[str, Any]:
            nonlocal reached
            try:
                response = await client.post("/score", content=raw, headers={"Content-Type": "application/json"})
            except httpx.HTTPError as error:
                kind = _Again if reached else ServiceError
                raise kind(f"{url} does not answer ({type(error).__name__}).", code="unreachable") from None
            reached = True
            status = response.status_code
            may_heal = status in (408, 429) or (status >= 500 and status != 501)
            try:
                answer: dict[str, Any] = orjson.loads(response.content)
                if status == 200:
                    return answer
                problem = answer["error"]
                message, code, param = problem["message"], problem["code"], problem["param"]
                if status == 401:
                    message += " Here the key comes from REWARD_CLIENT_API_KEY."
                elif code == "not_found":
                    message += " Give --url without a path."
            except (ValueError, KeyError, TypeError):
                message = f"{url} answered {status} and not in this service's form; is a proxy in between?"
                code, param = "unreachable", None
            raise (_Again if may_heal else ServiceError)(message, code=code, param=param)

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            sys.stderr.write(f"{error} Trying again in {state.upcoming_sleep:.1f} s.\n")

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_Again),
            stop=tenacity.stop_after_attempt(10) | tenacity.stop_after_delay(_PATIENCE_S),
            wait=_PAUSE,
            before_sleep=tell,
            reraise=True,
        )

        async def document(answer: Answer) -> Mapping[str, Any]:
            response = await client.get("/v1/fingerprint", params={"profile": answer["profile"]})
            found: dict[str, Any] = orjson.loads(response.raise_for_status().content)
            if "stage" not in answer:
                return cast("Mapping[str, Any]", found["document"])
            stages = [stage["fingerprint"] for stage in found["stages"]]
            number = stages.index(answer["stage"]["fingerprint"]) + 1
            return cast("Mapping[str, Any]", found["document"]["stages"][str(number)])

        yield Scoring(lambda raw: retrying(post, raw), document)


class _Again(ServiceError):
    """What another attempt may mend."""
