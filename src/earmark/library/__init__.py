"""A person's music folder: what is heard in it, tags in its files, playlists, similar songs.

The names below are the public ones; a module is loaded when its first name is used.

database, song       the library's file, and one row of it; embeddings: vectors of all songs
identity, show       by which names a file is known; a song as JSON, and the tags that count
overlay, corrections what a person says of a song's tags; song_table: all songs in memory
changes, scan        which files are new, and hearing them; hearing: one file in a worker process
settings             which tags count, and what they are called in files and playlists
writing/             fields of music files: from scores, into files, and undone
playlists/           songs by an expression, by examples, on a journey; similar songs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.library.database import Library
    from earmark.library.playlists.playlist import PlaylistRequest, make_playlist
    from earmark.library.playlists.similar import similar_songs
    from earmark.library.scan import ScanOptions, scan_folders
    from earmark.library.settings import read_settings
    from earmark.library.writing.undo import undo_writing
    from earmark.library.writing.write import plan_writing, write_tags

_HOME = {
    "Library": "database",
    "PlaylistRequest": "playlists.playlist",
    "ScanOptions": "scan",
    "make_playlist": "playlists.playlist",
    "plan_writing": "writing.write",
    "read_settings": "settings",
    "scan_folders": "scan",
    "similar_songs": "playlists.similar",
    "undo_writing": "writing.undo",
    "write_tags": "writing.write",
}

__all__ = [
    "Library",
    "PlaylistRequest",
    "ScanOptions",
    "make_playlist",
    "plan_writing",
    "read_settings",
    "scan_folders",
    "similar_songs",
    "undo_writing",
    "write_tags",
]

if not TYPE_CHECKING:  # so that mypy refuses names that are not there
    __getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
