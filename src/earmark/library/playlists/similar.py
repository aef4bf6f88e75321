"""Songs that sound alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import NotScanned
from earmark.files import sha256
from earmark.library.database import Library, LibraryModel
from earmark.library.embeddings import unit
from earmark.library.hearing import ReadFile
from earmark.library.playlists.recordings import Recordings, is_near
from earmark.library.song import ScannedFile
from earmark.tagger import Tagger


class Example(NamedTuple):
    """A song to compare with, of the library or not, and its embedding, of length one."""

    song: ScannedFile
    vector: Float32Array


@dataclass(frozen=True)
class SimilarSong:
    """A song and how much it sounds like another.

    similarity : cosine of the two embeddings, in [-1, 1]
    near_duplicate : it is probably the same recording
    """

    song: ScannedFile
    similarity: float
    near_duplicate: bool = False


def example_of(
    library: Library, model: LibraryModel, path: Path, *, load: Callable[[], Tagger]
) -> Example:
    """A song of the library, by any name of its file, or any other file, which is heard.

    load : a tagger with the library's model; called only for a file that was not scanned

    Raises NotScanned for another model than the library's.
    """
    known = library.known_path(model, path)
    if known is not None:
        song, vector = library.song(model, known), library.vector(model, known)
        if song is not None and vector is not None:
            return Example(song, vector)
    tagger = load()
    if sha256(tagger.model.path) != model.sha256:
        raise NotScanned(
            f"{path} was not scanned, and {tagger.card.name} ({tagger.model.path}) is not the "
            f"model that the library was scanned with ({model.card.name}). Scan the file, or give "
            "that model with --model"
        )
    heard = ReadFile(quick=False, known=frozenset())(tagger, path)
    assert heard.embedding is not None  # no audio is known to it
    return Example(heard.song, unit(heard.embedding))


def similar_songs(
    library: Library,
    path: Path,
    *,
    model: LibraryModel,
    load: Callable[[], Tagger],
    n: int = 20,
    copies: bool = False,
    doubted: bool = False,
) -> list[SimilarSong]:
    """The n songs of a library that sound most like a file, scanned or not, best first.

    load : a tagger with the library's model; called only for a file that was not scanned
    copies : also other copies of its recording, and all copies of the others
    doubted : also what is not music

    Raises NotScanned for another model than the library's.
    """
    example = example_of(library, model, path, load=load)
    return similar(library, model, example, n=n, copies=copies, doubted=doubted)


def similar(
    library: Library,
    model: LibraryModel,
    example: Example,
    *,
    n: int = 20,
    copies: bool = False,
    doubted: bool = False,
) -> list[SimilarSong]:
    """The n songs of a library that sound most like one, best first, without itself.

    copies, doubted : as similar_songs has them
    """
    with library.snapshot():
        index = library.index(model)
        similarities = index.similarities(example.vector)
        recordings = Recordings(library, model)
        recordings.add(*example)

        def others() -> Iterator[SimilarSong]:
            for place in np.argsort(-similarities, kind="stable"):
                (song,) = library.by_number(model, [int(index.numbers[place])])
                if song.path == example.song.path or (song.headline is not None and not doubted):
                    continue
                similarity = float(similarities[place])
                if copies:
                    yield SimilarSong(song, similarity, is_near(example.song, song, similarity))
                elif not recordings.have(song):
                    recordings.add(song)
                    yield SimilarSong(song, similarity)

        return list(islice(others(), n))


def similar_finder(
    library: Library, model: LibraryModel, *, served: Path, n: int = 8
) -> Callable[[Float32Array], list[dict[str, Any]]]:
    """A function from an embedding to the n songs most like it, for a server.

    It reads everything now: the function needs no file, and any thread may call it. It returns
    {"title", "similarity"} for each song, best first. What is not music is left out, and of files
    with the same audio all but one.

    served : the model file that embeddings come from

    Raises NotScanned where that is not the model that the library was scanned with.
    """
    if sha256(served) != model.sha256:
        raise NotScanned(
            f"{library.path} was scanned with {model.card.name}, not with {served}. Scan with "
            f"{served}, or serve {model.card.name} with --model"
        )
    with library.snapshot():
        index = library.index(model)
        songs = library.by_number(model, index.numbers.tolist())
    first = {song.audio: place for place, song in reversed(list(enumerate(songs)))}
    kept = [place for place in sorted(first.values()) if songs[place].headline is None]
    index = replace(index, numbers=index.numbers[kept], places=index.places[kept])
    titles = {
        number: f"{song.artist} - {song.title}" if song.artist and song.title else song.path.stem
        for number, song in zip(index.numbers.tolist(), (songs[i] for i in kept), strict=True)
    }

    def find(vector: Float32Array) -> list[dict[str, Any]]:
        return [
            {"title": titles[number], "similarity": round(similarity, 5)}
            for number, similarity in index.nearest(vector, n=n)
        ]

    return find
