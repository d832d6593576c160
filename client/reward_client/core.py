"""The client without a transport: what to send, when to retry, and whether an answer may be believed.

Every exchange is a generator that yields `Send` and `Wait` and receives `Reply` or `Failure`; the synchronous and the
asynchronous client only carry these out, so both follow one set of rules.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from reward_client.answers import api_error, fingerprints, job_error, json_object, name_item
from reward_client.calls import Call, span
from reward_client.errors import AnswerMismatch, ApiError, BudgetSpent, FingerprintChanged
from reward_client.retry import SCORING, STARTING, RetryPolicy
from reward_client.types import Options

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
        document = json_object(reply.body)
        others = [*fingerprints(document.get("stages")), *map(str, document.get("accepted") or ())]
        self._check_fingerprint(document.get("fingerprint"), *others)
        self.document = document

    def score(self, call: Call, deadline: float) -> Steps[dict[str, Any]]:
        """The believed answer to one call: right fingerprint, every id in its place."""
        doing = f"scoring {span(call.names)}"
        reply = yield from self._post("/score", call, deadline, doing)
        return self._believed(call, json_object(reply.body), doing)

    def submit(self, call: Call, deadline: float) -> Steps[str]:
        """The id under which the service will have the answer to one call."""
        doing = f"submitting {span(call.names)}"
        reply = yield from self._post("/v1/jobs", call, deadline, doing, self.options.budget_s)
        job = json_object(reply.body).get("id")
        if not isinstance(job, str) or not job:
            raise AnswerMismatch(f"{doing}: the answer names no job; is this a reward service?")
        return job

    def result(self, submitted: tuple[Call, str], deadline: float) -> Steps[dict[str, Any]]:
        """The believed answer to a call that was submitted; submitted again where the service has lost it.

        Raises `ApiError` for a job that failed for good, `BudgetSpent` at the deadline.
        """
        call, job = submitted
        doing = f"waiting for {span(call.names)}"
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
                body = json_object(reply.body)
                if body.get("state") == "done" and isinstance(body.get("answer"), dict):
                    return self._believed(call, body["answer"], doing)
                if body.get("state") == "pending":
                    continue
                failure = job_error(body)
                if not failure.retryable:
                    raise name_item(failure, call.names)
                _log.warning("%s: job %s failed (%s); it is submitted again", self.options.url, job, failure)
            failures += 1
            pause = SCORING.pause_s(failures, {})
            if time.monotonic() + pause >= deadline:
                raise BudgetSpent(self.options.budget_s, doing, "its job failed or was lost")
            yield Wait(pause)
            job = yield from self.submit(call, deadline)

    def ask(self, method: str, path: str, query: Mapping[str, Any] | None = None) -> Steps[dict[str, Any]]:
        """The JSON answer of a route that scores nothing, so it needs no pin and may be asked while models sleep."""
        given = urlencode({name: value for name, value in (query or {}).items() if value is not None})
        address = f"{path}?{given}" if given else path
        reply = yield from self._exchange(address, None, self.deadline(), f"{method} {path}", method=method)
        return json_object(reply.body)

    def _post(self, path: str, call: Call, deadline: float, doing: str, timeout_s: float | None = None) -> Steps[Reply]:
        """Sends a call. `timeout_s`: what the service may take for it, if that is not one attempt's time."""
        try:
            return (yield from self._exchange(path, self._content(call, timeout_s), deadline, doing))
        except ApiError as error:
            if error.status == 409:
                raise FingerprintChanged(str(self.fingerprint), "", error.message) from error
            raise name_item(error, call.names) from error

    def _believed(self, call: Call, body: dict[str, Any], doing: str) -> dict[str, Any]:
        self._check_fingerprint(body.get("fingerprint"), *fingerprints([body.get("stage")]))
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
        self,
        path: str,
        content: bytes | None,
        deadline: float,
        doing: str,
        policy: RetryPolicy = SCORING,
        method: str | None = None,
    ) -> Steps[Reply]:
        """The first answer that is no failure, by the retry policy, until the deadline. A POST if it has content.

        Logs a warning when it begins to wait, and now and then while it does. Raises `ApiError` for a failure that no
        other attempt can heal, `BudgetSpent` at the deadline.
        """
        last, began = "no attempt was possible", time.monotonic()
        told, failures = -_TELL_EVERY_S, 0
        method = method or ("GET" if content is None else "POST")
        timeout_s = self.options.timeout_s + _GRACE_S
        while time.monotonic() < deadline:
            reply = yield Send(method, path, content, self._headers, timeout_s, deadline)
            headers: Mapping[str, str] = {}
            if isinstance(reply, Reply):
                if reply.status < 300:
                    return reply
                error, headers = api_error(reply.status, reply.body), reply.headers
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
