"""`POST /v1/read`: how the rules judge reads a report, and why. The same as `reward-service read --json`."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from judges.rules import reading
from reward_service.api.openapi import body_of, errors
from reward_service.api.request_body import read_json
from reward_service.api.steps import engine_of, json_response, refuse_unknown_parameters
from reward_service.errors import InvalidRequest, TooLarge
from reward_service.wire.decoding import decode_object

router = APIRouter()

_BODY = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "a report"}},
    "required": ["text"],
    "additionalProperties": False,
}


class ReadResponse(BaseModel):
    """A report as it is read. All offsets are characters of the text as sent; `by` names a row or a construction."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="as in the request")
    sections: list[dict[str, Any]] = Field(description="headings: words, start, end, and whether what follows is read")
    sentences: list[dict[str, Any]] = Field(
        description="with their clauses; a clause has phrases (what each is, and its rows) and mentions (finding, "
        "state, side, grade, zone, place, size, and because: what decided each of them)"
    )
    normal: list[dict[str, Any]] = Field(description="what is called normal, and the findings that this rules out")
    comparisons: list[dict[str, Any]] = Field(description="changes since an earlier study: of what, and which")
    outside: str | None = Field(description="what it is, if it is no English report of a chest radiograph")
    unread: list[dict[str, Any]] = Field(
        description="words that are not known in statements of which nothing is read, and whether they are denied"
    )
    findings: list[str] = Field(
        description="the whole in short: ?finding:side.grade^zone@place#millimetres (? possible), -finding denied, "
        "~finding denied in part, 0finding ruled out, finding=change"
    )


@router.post("/v1/read", operation_id="read", summary="How the rules judge reads a report, and why",
             responses={200: {"model": ReadResponse}, **errors(400, 401, 408, 413, 415, 422)},
             openapi_extra=body_of(_BODY))  # fmt: skip
async def read(request: Request) -> Response:
    """Sections, sentences, mentions, and the row or construction that decided each of them. Scores nothing."""
    settings = engine_of(request).settings
    refuse_unknown_parameters(request, ())
    body = decode_object(await read_json(request, settings.max_body_bytes, settings.timeout_s))
    text = body.get("text")
    if not isinstance(text, str) or len(body) > 1:
        raise InvalidRequest('The body must be {"text": "a report"}, and nothing else.', param="text")
    if len(text) > settings.max_text_chars:
        raise TooLarge(
            f"The text has {len(text)} characters; the limit is {settings.max_text_chars} (REWARD_MAX_TEXT_CHARS)."
        )
    return json_response(await asyncio.to_thread(reading.explain, text))
