"""Which songs are one recording: copies, other encodings, near-duplicates of any kind."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from earmark.arrays import Float32Array
from earmark.library.database import Library, LibraryModel
from earmark.library.song import ScannedFile
from earmark.ranking import log_odds

# Near-duplicates: two encodings of one recording are this close, two songs seldom are. The limits
# are tight, because a missed copy costs less than two songs that are taken for one.
NEAR = 0.99  # cosine of the embeddings
NEAR_LOG_ODDS = 0.1  # root mean square of the difference over the tags, nats
NEAR_SECONDS = 1.0
_ROWS = 1024  # songs compared at once with all others: 100,000 others take 400 MB


def is_near(one: ScannedFile, other: ScannedFile, similarity: float) -> bool:
    """Whether two songs are probably one recording: the same audio, or alike in all we know."""
    if one.audio == other.audio:
        return True
    if similarity < NEAR or abs(one.seconds - other.seconds) > NEAR_SECONDS:
        return False
    assert one.scores is not None  # both were heard
    assert other.scores is not None
    difference = log_odds(one.scores) - log_odds(other.scores)
    difference[[*one.corrected, *other.corrected]] = 0  # there nothing was heard
    return bool(np.sqrt(np.mean(difference**2)) <= NEAR_LOG_ODDS)


class Recordings:
    """The recordings of some songs, to tell whether another song is one of them again."""

    def __init__(self, library: Library, model: LibraryModel) -> None:
        self._library = library
        self._model = model
        self._audio: set[bytes | None] = set()
        self._by_second: dict[int, list[tuple[ScannedFile, Float32Array]]] = defaultdict(list)

    def add(self, song: ScannedFile, vector: Float32Array | None = None) -> None:
        """Add a song; vector : its embedding, of length one, read where it is not given."""
        if vector is None:
            vector = self._library.vector(self._model, song.path)
        assert vector is not None  # it was heard
        self._audio.add(song.audio)
        self._by_second[int(song.seconds)].append((song, vector))

    def have(self, song: ScannedFile) -> bool:
        """Whether a song is of a recording that was added; then what is near it is so too."""
        if song.audio in self._audio:
            return True
        second = int(song.seconds)
        others = [
            other
            for near in range(second - int(NEAR_SECONDS), second + int(NEAR_SECONDS) + 1)
            for other in self._by_second.get(near, ())
        ]
        if not others:
            return False
        vector = self._library.vector(self._model, song.path)
        assert vector is not None  # it was heard
        for other, its_vector in others:
            if is_near(song, other, float(vector @ its_vector)):
                self.add(song, vector)
                return True
        return False


def near_duplicates(library: Library, model: LibraryModel) -> list[list[ScannedFile]]:
    """Groups of songs that are probably one recording, each song in one group at most."""
    with library.snapshot():
        return [library.by_number(model, group) for group in _groups(library, model)]


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
            one, other = library.by_number(model, (int(numbers[first + i]) for i in (row, column)))
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
