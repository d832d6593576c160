"""Pages and what they load, from the package, with the headers that keep a browser to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files

from reward_service.viewer import pair

TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SHARED = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HEADERS: Mapping[str, str] = {**_SHARED, "Content-Security-Policy": _POLICY}
"""Of every page but the API documentation: only files of this service, nothing inline, no other site around it."""
DOCS_HEADERS: Mapping[str, str] = {
    **_SHARED,  # Swagger UI styles its elements inline and has its icons as data
    "Content-Security-Policy": _POLICY.replace("style-src", "style-src 'unsafe-inline'").replace(
        "img-src", "img-src data:"
    ),
}


def page(name: str, root: str) -> str:
    """The page `name`; `root` is the path under which the service is published."""
    return _read(f"{name}.html").replace("{{root}}", escape(root, quote=True))


def asset(name: str) -> tuple[str, str] | None:
    """Content and media type of what a page loads; None where there is none of that name."""
    kind = name.rpartition(".")[2]
    if name not in _names() or kind == "html":
        return None
    return pair.style() if name == "pair.css" else _read(name), TYPES[kind]


@cache
def _names() -> frozenset[str]:
    own = (file.name for file in files("reward_service.web").joinpath("static").iterdir())
    return frozenset({*own, "pair.css"})


@cache
def _read(name: str) -> str:
    return files("reward_service.web").joinpath("static", name).read_text(encoding="utf-8")
