"""`/docs`, with Swagger UI from the package `fastapi-offline` instead of from a content network."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_SCRIPT, _STYLE, _ICON = "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"


@router.get("/docs")
async def docs(request: Request) -> Response:
    """A page that shows `/openapi.json` and sends requests by hand."""
    root = request.scope.get("root_path", "")
    return get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title=request.app.title,
        swagger_js_url=f"{root}/docs/{_SCRIPT}",
        swagger_css_url=f"{root}/docs/{_STYLE}",
        swagger_favicon_url=f"{root}/docs/{_ICON}",
    )


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """What the page loads."""
    if name not in (_SCRIPT, _STYLE, _ICON):
        raise HTTPException(404)
    return FileResponse(str(files("fastapi_offline") / "static" / name))
