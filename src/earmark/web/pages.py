"""Static files: the page's own, and plotly.js from the plotly package; none from other sites."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_PART = re.compile("<!-- part ([a-z]+) -->")
_REVALIDATE = {"Cache-Control": "no-cache"}  # each time, so that an update shows at once
_IMMUTABLE = "public, max-age=31536000, immutable"


def pages(*, has_library: bool = False) -> APIRouter:
    """The routes of the page and its files; those of a library's page where there is one."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home() -> Response:
        page = _page("index.html")
        if has_library:
            page = page.replace('id="to-library" hidden', 'id="to-library"')
        return Response(page, headers=_REVALIDATE, media_type="text/html")

    if has_library:

        @router.get("/library")
        async def library() -> Response:
            return Response(_page("library.html"), headers=_REVALIDATE, media_type="text/html")

    @router.get("/docs")
    async def docs() -> Response:
        return Response(_page("docs.html"), headers=_REVALIDATE, media_type="text/html")

    @router.get("/favicon.ico")
    async def icon() -> Response:
        return _file(STATIC / "icon.svg")

    @router.get("/static/plotly.js")
    async def plotly(request: Request) -> Response:
        headers = {"Cache-Control": _IMMUTABLE, "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return FileResponse(plotly_js(), media_type=_TYPES[".js"], headers=headers)
        packed = await asyncio.to_thread(_packed_plotly)
        return Response(packed, 200, headers | {"Content-Encoding": "gzip"}, _TYPES[".js"])

    for path in sorted(STATIC.iterdir()):
        if path.suffix in _TYPES:
            router.add_api_route(f"/static/{path.name}", _sender(path), methods=["GET"])
    return router


def _sender(path: Path) -> Callable[[], Awaitable[Response]]:
    async def send() -> Response:
        return _file(path)

    return send


def _file(path: Path) -> Response:
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=_REVALIDATE)


@lru_cache
def _page(name: str) -> str:
    """One HTML page; plotly's URL has its version in it, so that browsers may cache it for good."""
    return whole_html(name).replace("static/plotly.js", f"static/plotly.js?{version('plotly')}")


def whole_html(name: str) -> str:
    """A page of static/, with static/parts/NAME.html in the place of each `<!-- part NAME -->`."""

    def part(found: re.Match[str]) -> str:
        return (STATIC / "parts" / f"{found[1]}.html").read_text(encoding="utf-8").rstrip("\n")

    return _PART.sub(part, (STATIC / name).read_text(encoding="utf-8"))


def plotly_js() -> Path:
    """plotly.js in the plotly package, found without importing the package."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"


@lru_cache
def _packed_plotly() -> bytes:
    return gzip.compress(plotly_js().read_bytes(), 6)
