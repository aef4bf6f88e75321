"""A little library of music: songs that sound different, in a folder, with tags of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mutagen
from audio_files import tone, write_audio

from earmark.audio.find import Choice
from earmark.library.database import Library, LibraryModel
from earmark.library.scan import ScanCounts, ScanOptions, scan_folders
from earmark.library.settings import GroupRule, read_settings
from earmark.library.song import ScannedFile
from earmark.tagger import Tagger

# a tiny network's scores mean nothing: take the best two
BEST_TWO = dataclasses.replace(
    read_settings(),
    groups={"other": GroupRule(0, 0), "genre": GroupRule(0, 2), "mood": GroupRule(0, 2)},
)
CODECS = {".flac": "flac", ".wav": "pcm_s16le", ".mp3": "libmp3lame", ".m4a": "aac"}


def write_song(path: Path, *, pitch: float, seconds: float = 1.0, **tags: str) -> Path:
    """A tone in the format of the suffix, with tags by the names that mutagen's easy mode has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(pitch, seconds=seconds, rate=22_050)
    write_audio(path, samples, codec=CODECS[path.suffix], rate=22_050)
    if tags:
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        file.tags.update(tags)
        file.save()
    return path


def write_silence(path: Path, *, seconds: float = 1.0) -> Path:
    """Nothing, in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0 * tone(440, seconds=seconds, rate=22_050)
    return write_audio(path, samples, codec=CODECS[path.suffix], rate=22_050)


def write_songs(folder: Path, number: int) -> list[Path]:
    """Songs 0.flac, 1.flac, ... of different pitch."""
    return [
        write_song(
            folder / f"{i}.flac", pitch=110 * (i + 2), artist=f"Artist {i % 2}", title=f"T{i}"
        )
        for i in range(number)
    ]


def scan_once(
    library: Library,
    tagger: Tagger,
    *folders: Path,
    quick: bool = False,
    retry: bool = False,
    limits: bool = True,
    choice: Choice = Choice(),
) -> tuple[ScanCounts, list[ScannedFile]]:
    """What a scan counts, and the songs that it opened."""
    opened: list[ScannedFile] = []
    options = ScanOptions(workers=1, quick=quick, retry=retry, limits=limits, choice=choice)
    counts = scan_folders(library, folders, tagger=tagger, options=options, on_song=opened.append)
    return counts, opened


def songs(
    library: Library, model: LibraryModel | None = None, **choice: Any
) -> dict[str, ScannedFile]:
    """The songs of a library by the names of their files."""
    found = library.songs(model or library.model(), **choice)
    return {song.path.name: song for song in found}
