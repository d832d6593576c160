"""`/docs`, with Swagger UI from the package `fastapi-offline` instead of from a content network."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from reward_service.api.page_routes import shown

router = APIRouter(include_in_schema=False)

_LOADED = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """A page that shows `/openapi.json` and sends requests by hand."""
    return shown(request, "docs")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """What the page loads."""
    if name not in _LOADED:
        raise HTTPException(404)
    return FileResponse(str(files("fastapi_offline") / "static" / name))
