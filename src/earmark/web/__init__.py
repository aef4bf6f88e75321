"""The page and the JSON API behind `earmark serve`."""

from __future__ import annotations

from importlib.util import find_spec

from earmark.errors import MissingExtra

_LIBRARIES = {  # what is imported, and the distribution that brings it
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "python_multipart": "python-multipart",
    "plotly": "plotly",
    "prometheus_client": "prometheus-client",
    "threadpoolctl": "threadpoolctl",
}


def require_libraries() -> None:
    """Raise MissingExtra unless all that the extra `web` brings is installed."""
    for library, distribution in _LIBRARIES.items():
        if find_spec(library) is None:
            raise MissingExtra(distribution, "web")
