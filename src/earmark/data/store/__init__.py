"""Stores: the spectrograms of a catalog's songs, in shards. Write, read, verify, export, import.

Its names load what they need when they are first used.
"""

from typing import TYPE_CHECKING

from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.data.store.exporting import write_numpy, write_tars
    from earmark.data.store.format import StoreFormat
    from earmark.data.store.importing import NewSplits, import_store
    from earmark.data.store.index import StoreIndex, read_index
    from earmark.data.store.reader import Store, open_store
    from earmark.data.store.verify import verify_store
    from earmark.data.store.writer import write_shards

_HOME = {
    "NewSplits": "importing",
    "Store": "reader",
    "StoreFormat": "format",
    "StoreIndex": "index",
    "import_store": "importing",
    "open_store": "reader",
    "read_index": "index",
    "verify_store": "verify",
    "write_numpy": "exporting",
    "write_shards": "writer",
    "write_tars": "exporting",
}

__all__ = [
    "NewSplits",
    "Store",
    "StoreFormat",
    "StoreIndex",
    "import_store",
    "open_store",
    "read_index",
    "verify_store",
    "write_numpy",
    "write_shards",
    "write_tars",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
