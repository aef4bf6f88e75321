"""The ASGI application: the API, the page, and the middleware around both."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from earmark import __version__
from earmark.web.access import Access
from earmark.web.api import api
from earmark.web.library_api import library_api
from earmark.web.middleware import GuardMiddleware
from earmark.web.pages import pages
from earmark.web.responses import add_error_handlers
from earmark.web.service import Service
from earmark.web.shelf import Shelf
from earmark.web.sound import Sound
from earmark.web.subsonic import subsonic


def create_app(
    service: Service,
    *,
    access: Access = Access(),
    root_path: str = "",
    shelf: Shelf | None = None,
) -> ASGIApp:
    """The application of a service.

    shelf : a library that is shown too
    access : who may use it; by default this machine only, without a token
    root_path : where a proxy shows it, such as "/earmark"; "" is the root
    """
    app = FastAPI(
        title="earmark",
        version=__version__,
        summary="earmark listens to music and says what it hears.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's page loads scripts from other sites; ours is /docs
        redoc_url=None,
    )
    app.include_router(api(service))
    app.include_router(pages(has_library=shelf is not None))
    if shelf is not None:
        sound = Sound(service.folder, seconds=service.limits.decode_seconds)
        app.include_router(library_api(shelf, sound))
        app.include_router(subsonic(shelf, access=access))
    add_error_handlers(app)
    # around the application, not in it, so that it sees the response to a bug too
    return GuardMiddleware(app, service=service, access=access, root_path=root_path)
