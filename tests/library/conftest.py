"""What the tests of the library share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from music_folder import scan_once, write_song, write_songs

from earmark.library.database import Library
from earmark.tagger import Tagger


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library."""
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        yield library


@pytest.fixture
def song(library: Library, tagger: Tagger, tmp_path: Path) -> Path:
    """A song that the library has heard."""
    path = write_song(tmp_path / "music" / "song.flac", pitch=440, title="Song")
    scan_once(library, tagger, path.parent)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three songs that nobody has heard."""
    write_songs(tmp_path / "music", 3)
    return tmp_path / "music"
