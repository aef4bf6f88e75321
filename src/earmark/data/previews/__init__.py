"""Previews: searched for, downloaded, checked, and kept in a folder with a ledger.

Its names load what they need when they are first used.
"""

from typing import TYPE_CHECKING

from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.data.previews.decisions import rematch_previews
    from earmark.data.previews.download import (
        DownloadListener,
        download_previews,
        preview_status,
        retry_previews,
    )
    from earmark.data.previews.entry import State
    from earmark.data.previews.merge import merge_previews
    from earmark.data.previews.options import DownloadOptions
    from earmark.data.previews.sources import SourceChoice
    from earmark.data.previews.status import PreviewStatus

_HOME = {
    "DownloadListener": "download",
    "DownloadOptions": "options",
    "PreviewStatus": "status",
    "SourceChoice": "sources",
    "State": "entry",
    "download_previews": "download",
    "merge_previews": "merge",
    "preview_status": "download",
    "rematch_previews": "decisions",
    "retry_previews": "download",
}

__all__ = [
    "DownloadListener",
    "DownloadOptions",
    "PreviewStatus",
    "SourceChoice",
    "State",
    "download_previews",
    "merge_previews",
    "preview_status",
    "rematch_previews",
    "retry_previews",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
