"""Catalogs: which songs there are, what they are called, and how they are labelled.

Its names load what they need when they are first used.
"""

from typing import TYPE_CHECKING

from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.data.catalog.catalog import Catalog, Song, read_catalog, write_catalog
    from earmark.data.catalog.from_csv import read_csv
    from earmark.data.catalog.from_jamendo import read_jamendo
    from earmark.data.catalog.from_msd import read_msd
    from earmark.data.catalog.from_mtat import read_mtat
    from earmark.data.catalog.make import CatalogOptions, make_catalog

_HOME = {
    "Catalog": "catalog",
    "CatalogOptions": "make",
    "Song": "catalog",
    "make_catalog": "make",
    "read_catalog": "catalog",
    "read_csv": "from_csv",
    "read_jamendo": "from_jamendo",
    "read_msd": "from_msd",
    "read_mtat": "from_mtat",
    "write_catalog": "catalog",
}

__all__ = [
    "Catalog",
    "CatalogOptions",
    "Song",
    "make_catalog",
    "read_catalog",
    "read_csv",
    "read_jamendo",
    "read_msd",
    "read_mtat",
    "write_catalog",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
