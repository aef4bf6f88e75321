"""Songs that sound alike, and near-duplicates among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import NotScanned
from earmark.files import sha256
from earmark.library.database import Library, LibraryModel
from earmark.library.song import ScannedFile
from earmark.ranking import log_odds
from earmark.tagger import Tagger

# Near-duplicates: two encodings of one recording are this close, two songs seldom are. The limits
# are tight, because a missed copy costs less than two songs that are taken for one.
NEAR = 0.99  # cosine of the embeddings
NEAR_LOG_ODDS = 0.1  # root mean square of the difference over the tags, nats
NEAR_SECONDS = 1.0
_ROWS = 1024  # songs compared at once with all others: 100,000 others take 400 MB


@dataclass(frozen=True)
class SimilarSong:
    """A song and how much it sounds like another.

    similarity : cosine of the two embeddings, in [-1, 1]
    near_duplicate : it is probably the same recording
    """

    song: ScannedFile
    similarity: float
    near_duplicate: bool = False


def embedding_of(
    library: Library, model: LibraryModel, path: Path, *, load: Callable[[], Tagger]
) -> Float32Array:
    """The embedding of a song of the library, or of any other file.

    load : a tagger with the library's model; called only for a file that was not scanned

    Raises NotScanned for another model than the library's.
    """
    stored = library.vector(model, path)
    if stored is not None:
        return stored
    tagger = load()
    if sha256(tagger.model.path) != model.sha256:
        raise NotScanned(
            f"{path} was not scanned, and {tagger.card.name} ({tagger.model.path}) is not the "
            f"model that the library was scanned with ({model.card.name}). Scan the file, or give "
            "that model with --model"
        )
    return tagger.embed(path)


def similar_songs(
    library: Library,
    path: Path,
    *,
    model: LibraryModel,
    load: Callable[[], Tagger],
    n: int = 20,
) -> list[SimilarSong]:
    """The n songs of a library that sound most like a file, scanned or not, best first.

    load : a tagger with the library's model; called only for a file that was not scanned

    Raises NotScanned for another model than the library's.
    """
    vector = embedding_of(library, model, path, load=load)
    return similar(library, model, path, vector=vector, n=n)


def similar(
    library: Library, model: LibraryModel, path: Path, *, vector: Float32Array, n: int = 20
) -> list[SimilarSong]:
    """The n songs of a library that sound most like one, best first, without itself.

    vector : of that song
    """
    with library.snapshot():
        found = library.index(model).nearest(vector, n=n + 1)
        songs = library.by_number(number for number, _ in found)
        this = library.song(model, path)
    return [
        SimilarSong(song, similarity, this is not None and is_near(this, song, similarity))
        for song, (_, similarity) in zip(songs, found, strict=True)
        if song.path != path
    ][:n]


def similar_finder(
    library: Library, model: LibraryModel, *, served: Path, n: int = 8
) -> Callable[[Float32Array], list[dict[str, Any]]]:
    """A function from an embedding to the n songs most like it, for a server.

    It reads everything now: the function needs no file, and any thread may call it. It returns
    {"title", "similarity"} for each song, best first.

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
        songs = library.by_number(index.numbers.tolist())
    titles = {
        number: f"{song.artist} - {song.title}" if song.artist and song.title else song.path.stem
        for number, song in zip(index.numbers.tolist(), songs, strict=True)
    }

    def find(vector: Float32Array) -> list[dict[str, Any]]:
        return [
            {"title": titles[number], "similarity": round(similarity, 5)}
            for number, similarity in index.nearest(vector, n=n)
        ]

    return find


def is_near(one: ScannedFile, other: ScannedFile, similarity: float) -> bool:
    """Whether two songs are probably one recording: the same audio, or alike in all we know."""
    if one.audio == other.audio:
        return True
    if similarity < NEAR or abs(one.seconds - other.seconds) > NEAR_SECONDS:
        return False
    assert one.scores is not None  # both were heard
    assert other.scores is not None
    difference = log_odds(one.scores) - log_odds(other.scores)
    return bool(np.sqrt(np.mean(difference**2)) <= NEAR_LOG_ODDS)


def near_duplicates(library: Library, model: LibraryModel) -> list[list[ScannedFile]]:
    """Groups of songs that are probably one recording, each song in one group at most."""
    with library.snapshot():
        return [library.by_number(group) for group in _groups(library, model)]


def _groups(library: Library, model: LibraryModel) -> list[list[int]]:
    """The rows of the library of each group."""
    index = library.index(model)
    lengths = library.lengths(model)
    seconds = np.array([lengths[int(number)] for number in index.numbers])
    order = np.argsort(seconds, kind="stable")  # so that only neighbours need comparing
    seconds, numbers, vectors = seconds[order], index.numbers[order], index.vectors(order)
    leader = list(range(len(numbers)))  # of each song's group
    for first in range(0, len(numbers), _ROWS):
        last = min(first + _ROWS, len(numbers))
        end = int(np.searchsorted(seconds, seconds[last - 1] + NEAR_SECONDS, side="right"))
        similarity = vectors[first:last] @ vectors[first:end].T
        for row, column in np.argwhere(np.triu(similarity >= NEAR, 1)):
            one, other = library.by_number(int(numbers[first + i]) for i in (row, column))
            if is_near(one, other, float(similarity[row, column])):
                _join(leader, first + int(row), first + int(column))
    groups: dict[int, list[int]] = {}
    for place, number in enumerate(numbers):
        groups.setdefault(_find(leader, place), []).append(int(number))
    return [group for group in groups.values() if len(group) > 1]


def _find(leader: list[int], place: int) -> int:
    while leader[place] != place:
        leader[place] = leader[leader[place]]
        place = leader[place]
    return place


def _join(leader: list[int], one: int, other: int) -> None:
    leader[_find(leader, other)] = _find(leader, one)
