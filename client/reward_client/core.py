"""The client without a transport: what to send, when to retry, and whether an answer may be believed.

Every exchange is a generator that yields `Send` and `Wait` and receives `Reply` or `Failure`; the synchronous and the
asynchronous client only carry these out, so both follow one set of rules.
"""

from __future__ import annotations

import json
import logging
import math
import operator
import re
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from reward_client.errors import AnswerMismatch, ApiError, BudgetSpent, FingerprintChanged
from reward_client.retry import SCORING, STARTING, RetryPolicy
from reward_client.types import Group, GroupScore, Item, Missing, Options, Score

T = TypeVar("T")
_log = logging.getLogger("reward_client")


class Send(NamedTuple):
    method: str
    path: str
    content: bytes | None
    headers: Mapping[str, str]
    timeout_s: float
    deadline: float
    """`time.monotonic()` seconds; no attempt outlives it, however late it got a connection."""

    def time_left(self) -> float:
        return max(0.001, min(self.timeout_s, self.deadline - time.monotonic()))


class Wait(NamedTuple):
    seconds: float


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Keys compared without case."""
    body: bytes


class Failure(NamedTuple):
    """The transport failed: no connection, a broken one, or no answer in time."""

    reason: str


Steps = Generator[Send | Wait, Reply | Failure | None, T]

_TELL_EVERY_S = 30.0
_LONG_POLL_S = 30.0
_GRACE_S = 5.0  # the service answers at its own deadline; the transport waits a little longer for that answer


@dataclass(frozen=True, slots=True)
class Call:
    """One POST /score: what it asks for, the ids it must come back with, and the caller's name for each."""

    what: Mapping[str, Any]
    wire_ids: tuple[str, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...] | None = None
    """Candidates per group; None for a call with items."""
    step: int | None = None
    """The training step, which chooses the stage where the profile is a schedule."""


@dataclass(frozen=True, slots=True)
class Job:
    """What was submitted, to be answered later. Can be pickled: any client of the same options gets its result.

    It holds the texts, because the service may lose a job, which without Redis ends with its process. It is then
    submitted again.
    """

    submitted: tuple[tuple[Call, str], ...]
    """Each call with its id at the service."""


class Core:
    """State shared by the exchanges of one client: options and the fingerprint document."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.document: Mapping[str, Any] | None = None
        """The service's fingerprint document, as it was when this client started."""
        self.fingerprint: str | None = options.fingerprint
        self._headers = {"content-type": "application/json"}
        if options.api_key:
            self._headers["authorization"] = f"Bearer {options.api_key}"

    def deadline(self) -> float:
        return time.monotonic() + self.options.budget_s

    def start(self, deadline: float) -> Steps[None]:
        """Waits until the service is ready, then takes its fingerprint document and pins it for this client's life.

        Raises `FingerprintChanged` when the document is not the pinned one, `BudgetSpent` when the wait was in vain.
        """
        if self.document is not None:
            return
        ready_by = min(deadline, time.monotonic() + self.options.ready_s)
        yield from self._exchange("/ready", None, ready_by, "waiting for /ready", STARTING)
        query = f"?profile={quote(self.options.profile, safe='')}" if self.options.profile else ""
        path = f"/v1/fingerprint{query}"
        reply = yield from self._exchange(path, None, deadline, "fetching the fingerprint")
        document = _json_object(reply.body)
        others = [*_fingerprints(document.get("stages")), *map(str, document.get("accepted") or ())]
        self._check_fingerprint(document.get("fingerprint"), *others)
        self.document = document

    def score(self, call: Call, deadline: float) -> Steps[dict[str, Any]]:
        """The believed answer to one call: right fingerprint, every id in its place."""
        doing = f"scoring {_span(call.names)}"
        reply = yield from self._post("/score", call, deadline, doing)
        return self._believed(call, _json_object(reply.body), doing)

    def submit(self, call: Call, deadline: float) -> Steps[str]:
        """The id under which the service will have the answer to one call."""
        doing = f"submitting {_span(call.names)}"
        reply = yield from self._post("/v1/jobs", call, deadline, doing, self.options.budget_s)
        job = _json_object(reply.body).get("id")
        if not isinstance(job, str) or not job:
            raise AnswerMismatch(f"{doing}: the answer names no job; is this a reward service?")
        return job

    def result(self, submitted: tuple[Call, str], deadline: float) -> Steps[dict[str, Any]]:
        """The believed answer to a call that was submitted; submitted again where the service has lost it.

        Raises `ApiError` for a job that failed for good, `BudgetSpent` at the deadline.
        """
        call, job = submitted
        doing = f"waiting for {_span(call.names)}"
        failures = 0
        while True:
            path = f"/v1/jobs/{quote(job, safe='')}?wait_s={min(_LONG_POLL_S, self.options.timeout_s):g}"
            try:
                reply = yield from self._exchange(path, None, deadline, doing)
            except ApiError as error:
                if error.code != "job_not_found":
                    raise
                _log.warning("%s: the service has lost job %s; it is submitted again", self.options.url, job)
            else:
                body = _json_object(reply.body)
                if body.get("state") == "done" and isinstance(body.get("answer"), dict):
                    return self._believed(call, body["answer"], doing)
                if body.get("state") == "pending":
                    continue
                failure = _job_error(body)
                if not failure.retryable:
                    raise _name_item(failure, call.names)
                _log.warning("%s: job %s failed (%s); it is submitted again", self.options.url, job, failure)
            failures += 1
            pause = SCORING.pause_s(failures, {})
            if time.monotonic() + pause >= deadline:
                raise BudgetSpent(self.options.budget_s, doing, "its job failed or was lost")
            yield Wait(pause)
            job = yield from self.submit(call, deadline)

    def _post(self, path: str, call: Call, deadline: float, doing: str, timeout_s: float | None = None) -> Steps[Reply]:
        """Sends a call. `timeout_s`: what the service may take for it, if that is not one attempt's time."""
        try:
            return (yield from self._exchange(path, self._content(call, timeout_s), deadline, doing))
        except ApiError as error:
            if error.status == 409:
                raise FingerprintChanged(str(self.fingerprint), "", error.message) from error
            raise _name_item(error, call.names) from error

    def _believed(self, call: Call, body: dict[str, Any], doing: str) -> dict[str, Any]:
        self._check_fingerprint(body.get("fingerprint"), *_fingerprints([body.get("stage")]))
        answered = body.get("results" if call.sizes is None else "groups")
        ids = [entry.get("id") for entry in answered] if isinstance(answered, list) else None
        if ids != list(call.wire_ids):
            raise AnswerMismatch(f"{doing}: the answer's ids are not those asked for, in order; nothing was used")
        return body

    def _check_fingerprint(self, found: Any, *others: str) -> None:
        """Raises `FingerprintChanged` unless the pin is `found`, a stage of a schedule, or accepted in its place."""
        if not isinstance(found, str) or not found:
            raise AnswerMismatch("the answer carries no fingerprint; is this a reward service?")
        if self.fingerprint is None:
            self.fingerprint = found
            return
        known = {each.split(".")[0] for each in (found, *others)}  # what follows only helps to say what changed
        if self.fingerprint.split(".")[0] not in known:
            raise FingerprintChanged(self.fingerprint, found)

    def _exchange(
        self, path: str, content: bytes | None, deadline: float, doing: str, policy: RetryPolicy = SCORING
    ) -> Steps[Reply]:
        """The first answer that is no failure, by the retry policy, until the deadline. A POST if it has content.

        Logs a warning when it begins to wait, and now and then while it does. Raises `ApiError` for a failure that no
        other attempt can heal, `BudgetSpent` at the deadline.
        """
        last, began = "no attempt was possible", time.monotonic()
        told, failures = -_TELL_EVERY_S, 0
        method, timeout_s = "GET" if content is None else "POST", self.options.timeout_s + _GRACE_S
        while time.monotonic() < deadline:
            reply = yield Send(method, path, content, self._headers, timeout_s, deadline)
            headers: Mapping[str, str] = {}
            if isinstance(reply, Reply):
                if reply.status < 300:
                    return reply
                error, headers = _api_error(reply), reply.headers
                if not policy.may_heal(reply.status):
                    raise error
                last = str(error)
            else:
                last = reply.reason if isinstance(reply, Failure) else "no reply"
            failures += 1
            pause = policy.pause_s(failures, headers)
            now = time.monotonic()
            if now + pause >= deadline:
                break
            if now - told >= _TELL_EVERY_S:
                told = now
                _log.warning("%s: %s (%s); trying for %.0f s more", self.options.url, last, doing, deadline - now)
            yield Wait(pause)
        raise BudgetSpent(round(deadline - began, 3), doing, last)

    def item_calls(self, items: Sequence[Item], step: int | None = None) -> list[Call]:
        """Requests of at most `request_items` items, in order."""
        _check_types(items, Item)
        step = _step(step)
        token, size = _token(), self.options.request_items
        names = [item.id if item.id is not None else str(index) for index, item in enumerate(items)]
        for item, name in zip(items, names, strict=True):
            _check_texts(name, (item.candidate,), item.reference, item.prior)
        calls = []
        for begin in range(0, len(items), size):
            part, part_names = items[begin : begin + size], tuple(names[begin : begin + size])
            ids = tuple(_wire_id(name, token, begin + index) for index, name in enumerate(part_names))
            entries = [
                {"id": wire_id, "candidate": item.candidate, "reference": item.reference, "prior": item.prior}
                for wire_id, item in zip(ids, part, strict=True)
            ]
            calls.append(Call({"items": entries}, ids, part_names, step=step))
        return calls

    def calls(self, entries: Sequence[Item] | Sequence[Group], step: int | None = None) -> list[Call]:
        """Requests for entries of one kind, in order. Raises `TypeError` for others."""
        if entries and isinstance(entries[0], Group):
            return self.group_calls(entries, step)  # type: ignore[arg-type]  # which checks each
        return self.item_calls(entries, step)  # type: ignore[arg-type]

    def group_calls(self, groups: Sequence[Group], step: int | None = None) -> list[Call]:
        """Requests of at most `request_items` candidates; a group is never divided."""
        _check_types(groups, Group)
        step = _step(step)
        token = _token()
        calls: list[Call] = []
        entries: list[dict[str, Any]] = []
        names: list[str] = []
        sizes: list[int] = []

        def flush() -> None:
            if entries:
                ids = tuple(entry["id"] for entry in entries)
                calls.append(Call({"groups": list(entries)}, ids, tuple(names), tuple(sizes), step))
                for gathered in (entries, names, sizes):
                    gathered.clear()

        for index, group in enumerate(groups):
            name = group.id if group.id is not None else str(index)
            _check_texts(name, group.candidates, group.reference, group.prior)
            if sum(sizes) + len(group.candidates) > self.options.request_items:
                flush()
            entries.append(
                {
                    "id": _wire_id(name, token, index),
                    "reference": group.reference,
                    "candidates": list(group.candidates),
                    "prior": group.prior,
                }
            )
            names.append(name)
            sizes.append(len(group.candidates))
        flush()
        return calls

    def _content(self, call: Call, timeout_s: float | None = None) -> bytes:
        options = self.options
        timeout_s = options.timeout_s if timeout_s is None else timeout_s
        body: dict[str, Any] = {
            **call.what,
            "detail": options.detail,
            "timeout_s": min(timeout_s, options.budget_s, 3600.0),
        }
        optional = {
            "profile": options.profile,
            "fingerprint": self.fingerprint,
            "run_id": options.run_id,
            "step": call.step,
        }
        body |= {key: value for key, value in optional.items() if value is not None}
        return json.dumps(body, allow_nan=False).encode()


def _step(step: int | None) -> int | None:
    """As a plain integer; numpy has others. Raises `TypeError` for what is none."""
    return None if step is None else operator.index(step)


def _check_types(entries: Sequence[Any], kind: type) -> None:
    for index, entry in enumerate(entries):
        if not isinstance(entry, kind):
            raise TypeError(
                f"entry {index} is a {type(entry).__name__}, not a reward_client.{kind.__name__}; "
                f"{kind.__name__}(**fields) makes one of a dict"
            )


def items_of(
    items: Sequence[Item] | Sequence[str],
    references: str | Sequence[str] | None,
    prior: str | Sequence[str | None] | None,
) -> Sequence[Item]:
    """Items as they are, or made of texts. Raises `ValueError` where not as many references or priors are given."""
    if references is None:
        return items  # type: ignore[return-value]  # what is no item is told by `_check_types`
    given = {"references": references, "prior": prior}
    each = {
        name: [texts] * len(items) if texts is None or isinstance(texts, str) else list(texts)
        for name, texts in given.items()
    }
    for name, texts in each.items():
        if len(texts) != len(items):
            raise ValueError(f"{len(items)} candidates and {len(texts)} {name}; as many are needed")
    return [
        Item(candidate, reference, earlier)  # type: ignore[arg-type]  # texts are checked with those of all items
        for candidate, reference, earlier in zip(items, each["references"], each["prior"], strict=True)
    ]


def item_scores(call: Call, body: Mapping[str, Any]) -> list[Score]:
    """The answer to an items call, under the caller's names."""
    stage = _stage(body)
    return [_score(name, result, stage) for name, result in zip(call.names, body["results"], strict=True)]


def scores_of(calls: Sequence[Call], bodies: Sequence[Mapping[str, Any]]) -> list[Score] | list[GroupScore]:
    """The answers to calls of one kind, in order."""
    if any(call.sizes is not None for call in calls):
        return [group for call, body in zip(calls, bodies, strict=True) for group in group_scores(call, body)]
    return [score for call, body in zip(calls, bodies, strict=True) for score in item_scores(call, body)]


def group_scores(call: Call, body: Mapping[str, Any]) -> list[GroupScore]:
    """The answer to a groups call. Raises `AnswerMismatch` when a group has lost or swapped candidates."""
    answers = []
    stage = _stage(body)
    for name, size, group in zip(call.names, call.sizes or (), body["groups"], strict=True):
        results = group.get("results")
        if not isinstance(results, list) or len(results) != size:
            raise AnswerMismatch(f"group {name}: {size} candidates were sent, not as many results came back")
        expected = [f"{group['id']}/{index}" for index in range(size)]
        if [result.get("id") for result in results] != expected:
            raise AnswerMismatch(f"group {name}: the results' ids are not in the order sent; nothing was used")
        scores = tuple(_score(f"{name}/{index}", result, stage) for index, result in enumerate(results))
        mean, std = _number(name, group.get("mean")), _number(name, group.get("std"))
        answers.append(GroupScore(name, scores, mean, std, bool(group.get("zero_advantage"))))
    return answers


def _stage(body: Mapping[str, Any]) -> str | None:
    stage = body.get("stage")
    return str(stage["profile"]) if isinstance(stage, Mapping) and "profile" in stage else None


def _score(name: str, result: Mapping[str, Any], stage: str | None) -> Score:
    reward, status = _number(name, result.get("reward")), str(result.get("status"))
    if (reward is None) != (status == "null"):
        raise AnswerMismatch(f"item {name}: status {status!r} contradicts its reward")
    return Score(
        id=name,
        reward=reward,
        status=status,
        components={key: _number(name, value) for key, value in (result.get("components") or {}).items()},
        contributions={key: float(value) for key, value in (result.get("contributions") or {}).items()},
        missing={
            key: Missing(str(entry.get("code")), str(entry.get("message")))
            for key, entry in (result.get("missing") or {}).items()
        },
        flags=tuple(result.get("flags") or ()),
        cache=str(result.get("cache") or ""),
        judgement=result.get("judgement"),
        reason=result.get("reason"),
        values=result.get("values") or {},
        stage=stage,
    )


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AnswerMismatch(f"item {name}: a score is neither a finite number nor null")
    return float(value)


def _fingerprints(stages: Any) -> list[str]:
    """Those of a schedule's stages, where there are any."""
    entries = stages if isinstance(stages, list) else []
    return [str(stage["fingerprint"]) for stage in entries if isinstance(stage, Mapping) and "fingerprint" in stage]


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise AnswerMismatch("the answer is not a JSON object; is this a reward service?")
    return value


def _api_error(reply: Reply) -> ApiError:
    try:
        error = json.loads(reply.body)["error"]
        return ApiError(
            reply.status,
            str(error["code"]),
            str(error["message"]),
            error.get("param"),
            error.get("request_id"),
            error.get("retryable"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):  # a proxy's page: its text may be anything, so left out
        return ApiError(reply.status, "http_error", "the answer carries no error envelope; is a proxy in between?")


def _job_error(body: Mapping[str, Any]) -> ApiError:
    failure = body.get("failure")
    if not isinstance(failure, Mapping) or not isinstance(failure.get("status"), int):
        raise AnswerMismatch("the answer is no job's; is this a reward service?")
    return _api_error(Reply(failure["status"], {}, json.dumps(failure).encode()))


def _name_item(error: ApiError, names: Sequence[str]) -> ApiError:
    found = re.match(r"(?:items|groups)\[(\d+)\]", error.param or "")
    if not found or int(found[1]) >= len(names):
        return error
    item = names[int(found[1])]
    return ApiError(error.status, error.code, error.message, error.param, error.request_id, error.retryable, item)


def _check_texts(name: str, candidates: Sequence[Any], reference: Any, prior: Any) -> None:
    if isinstance(candidates, str) or not all(isinstance(text, str) for text in (*candidates, reference)):
        raise TypeError(f"item {name}: candidate and reference must be strings")
    if prior is not None and not isinstance(prior, str):
        raise TypeError(f"item {name}: prior must be a string or None")


def _token() -> str:
    return uuid.uuid4().hex[:12]


def _wire_id(name: str, token: str, index: int) -> str:
    """The caller's name, made unique across calls: an answer to another call is never taken for this one's."""
    return f"{name[:200]}#{token}-{index}"


def _span(names: Sequence[str]) -> str:
    return f"item {names[0]}" if len(names) == 1 else f"{len(names)} items ({names[0]} .. {names[-1]})"
