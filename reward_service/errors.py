"""Errors that concern a whole request or the start-up, one flat class per boundary.

What concerns one item or one component is data (`ComponentError`), not an exception that escapes.
No class knows an HTTP status: `api/errors.py` is the only place that maps these to one. Messages say
what is wrong and how to fix it, and never contain report text.

    ServiceError
      InvalidRequest          the body or a parameter cannot be understood
      UnknownProfile          no such profile, or it is not enabled
      PinMismatch             the pinned fingerprint is not the one being served
      TooLarge                more bytes than the service accepts
      HeadTooLarge            the head is larger than the service accepts
      TooSlow                 the body did not arrive in time
      Unauthorized            no API key, or a wrong one
      Overloaded              the queue is full: come back later
      ComponentsUnavailable   a component whose policy is `fail` has no score
      ConfigurationError      the service cannot start as configured
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

MAX_HEAD_BYTES = 64 * 2**10
"""Of a request's line and headers, and of a chunked body's trailers."""


class ServiceError(Exception):
    """Base: `code` is stable and machine-readable, `message` says what and how to fix it."""

    code = "internal_error"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.param = param
        self.details = details or {}


class InvalidRequest(ServiceError):
    code = "invalid_request"


class UnknownProfile(ServiceError):
    code = "unknown_profile"


class PinMismatch(ServiceError):
    code = "fingerprint_mismatch"


class TooLarge(ServiceError):
    code = "body_too_large"


class HeadTooLarge(ServiceError):
    code = "head_too_large"

    def __init__(self) -> None:
        super().__init__(f"The request's head is larger than {MAX_HEAD_BYTES} bytes. Send fewer or shorter headers.")


class TooSlow(ServiceError):
    code = "body_too_slow"
    retryable = True


class Unauthorized(ServiceError):
    code = "unauthorized"


class Overloaded(ServiceError):
    code = "overloaded"
    retryable = True


class ComponentsUnavailable(ServiceError):
    code = "components_unavailable"
    retryable = True


class ConfigurationError(ServiceError):
    code = "configuration"


def did_you_mean(name: str, known: Iterable[str], *, listed: bool = False) -> str:
    """`` Did you mean 'rougeL'?`` for a near miss, else the list of what there is; with `listed` both."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1) or [n for n in names if n.lower() == name.lower()]
    all_ = f" Known: {', '.join(sorted(names))}."
    return f" Did you mean '{near[0]}'?{all_ if listed else ''}" if near else all_


_WORD = re.compile(r"[\w.\-\[\]]{1,64}", re.ASCII)


def quoted(name: object) -> str:
    """``'name'`` for an error, or a stand-in: whoever sends a report as a name shall not read it there."""
    return f"'{name}'" if isinstance(name, str) and _WORD.fullmatch(name) else "(not shown)"
