"""The only place that knows HTTP status codes: service errors become one envelope."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from reward_service import errors

STATUS: dict[type[errors.ServiceError], int] = {
    errors.InvalidRequest: 422,
    errors.UnknownProfile: 404,
    errors.PinMismatch: 409,
    errors.TooLarge: 413,
    errors.HeadTooLarge: 431,
    errors.TooSlow: 408,
    errors.Unauthorized: 401,
    errors.Overloaded: 429,
    errors.ComponentsUnavailable: 503,
    errors.ConfigurationError: 500,
}
_UNREADABLE = {"malformed_http", "malformed_json", "invalid_utf8", "invalid_unicode"}  # 400 rather than 422
_BY_CODE = {
    "unsupported_media_type": 415,
    "not_found": 404,
    "job_not_found": 404,
    "run_not_found": 404,
    "samples_not_found": 404,
    "method_not_allowed": 405,
    "shutting_down": 503,
    "no_room_in_time": 503,
    "jobs_unavailable": 503,
    "runs_unavailable": 503,
    "asleep": 503,
}


def status_of(error: errors.ServiceError) -> int:
    """HTTP status of a service error."""
    if error.code in _UNREADABLE:
        return 400
    return _BY_CODE.get(error.code) or STATUS.get(type(error), 500)


def envelope(error: errors.ServiceError, request_id: str) -> dict[str, object]:
    """``{"error": {code, message, param, request_id, retryable[, details]}}``."""
    body: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "request_id": request_id,
        "retryable": error.retryable,
    }
    if error.details:
        body["details"] = dict(error.details)
    return {"error": body}


def response(error: errors.ServiceError, request_id: str) -> Response:
    """The envelope as a response, with the headers its status asks for."""
    status = status_of(error)
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(error.details.get("retry_after_s", 1))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(envelope(error, request_id)), status, headers=headers, media_type="application/json")
