"""What the OpenAPI document says of bodies that the routes read by themselves, and of errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from reward_service.wire import schemas

MEANINGS = {
    400: "not JSON, or not UTF-8",
    401: "no valid API key",
    404: "no such profile, or not enabled",
    405: "no such method",
    408: "the body did not arrive in time",
    409: "another fingerprint is served than the pinned one",
    413: "the body is too large",
    415: "the body is not JSON, or compressed",
    422: "a field is wrong; `param` names it",
    429: "the queue is full; see Retry-After",
    431: "the request's head is too large",
    500: "an unexpected error; the log has its type under the request id",
    503: "a required component has no score, or the service is shutting down",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses in the one envelope."""
    return {status: {"model": schemas.ErrorEnvelope, "description": MEANINGS[status]} for status in statuses}


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI of a JSON body that the route reads by itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's schema plus the request models, which the routes parse themselves."""
    if app.openapi_schema:
        return app.openapi_schema
    servers = [{"url": app.root_path}] if app.root_path else None
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=servers
    )
    _, models = models_json_schema([(schemas.ScoreRequest, "validation")], ref_template="#/components/schemas/{model}")
    schema["components"]["schemas"].update(models["$defs"])
    schema["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"bearer": []}, {}]
    app.openapi_schema = schema
    return schema
