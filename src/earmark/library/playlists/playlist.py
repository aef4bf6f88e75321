"""Playlists: by what is heard in songs, by examples, or step by step from one song to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.arrays import Float32Array
from earmark.errors import BadValue, NotScanned
from earmark.library.database import Library, LibraryModel
from earmark.library.embeddings import unit
from earmark.library.identity import absolute
from earmark.library.playlists.expression import Evaluate, parse
from earmark.library.playlists.recordings import Recordings
from earmark.library.playlists.similar import Example, example_of
from earmark.library.settings import TagRules
from earmark.library.song import ScannedFile
from earmark.tagger import Tagger

NO_SONG_FITS = "no song of the library fits. Loosen the expression, or lower its scores"
_USUAL_SONGS = 25  # of a playlist without a length
_UNLIKE = 0.5  # weight of what songs are to be unlike against what they are to be like


@dataclass(frozen=True)
class Length:
    """How long a playlist is.

    songs : at most
    minutes : at most, by the lengths of the songs
    per_artist : songs of one artist at most, where the tags name the artist

    None is no limit; but where neither songs nor minutes are given a playlist has 25 songs.
    """

    songs: int | None = None
    minutes: float | None = None
    per_artist: int | None = None


@dataclass(frozen=True)
class PlaylistRequest:
    """What a playlist is to hold: songs by an expression, by examples, or on a journey.

    expression : such as "jazz and not vocal, calm > .6"; beside examples or a journey, only songs
        of which it is true are taken
    like : songs that the playlist is to sound like
    unlike : songs that it is not to sound like
    start, end : first and last song of a journey
    doubted : also take what is not music
    """

    expression: str | None = None
    like: Sequence[Path] = ()
    unlike: Sequence[Path] = ()
    start: Path | None = None
    end: Path | None = None
    length: Length = Length()
    doubted: bool = False

    def __post_init__(self) -> None:
        """Refuse requests that name no songs, or that contradict themselves."""
        if (self.start is None) != (self.end is None):
            raise BadValue("a journey needs both its first and its last song: --from and --to")
        if not self.expression and not self.like and self.start is None:
            raise BadValue(
                'a playlist needs an expression such as "jazz", or --like, or --from and --to'
            )
        if (self.like or self.unlike) and self.start is not None:
            option = "--like" if self.like else "--unlike"
            raise BadValue(f"{option} and --from make different playlists; give one of them")


@dataclass(frozen=True)
class _Candidates:
    """The songs that a playlist may take.

    vectors : float32 (n_songs, n_dimensions), of length one
    """

    songs: list[ScannedFile]
    vectors: Float32Array


def make_playlist(
    library: Library,
    request: PlaylistRequest,
    *,
    model: LibraryModel,
    settings: TagRules,
    load: Callable[[], Tagger],
) -> list[ScannedFile]:
    """The songs of a playlist, in order; none where no song answers the request.

    settings : what the words of the expression mean
    load : a tagger with the library's model; called only for an example that was not scanned

    Raises BadExpression; NotScanned for a journey's ends that are not in the library, and for
    examples that the library's model cannot hear.
    """
    expression = None
    if request.expression:
        expression = parse(request.expression, tags=model.card.tags, settings=settings)
    if request.start is not None and request.end is not None:
        start, end = (
            library.known_path(model, path) or absolute(path)
            for path in (request.start, request.end)
        )
        return journey(
            library, model, start, end,
            expression=expression, length=request.length, doubted=request.doubted,
        )  # fmt: skip
    if request.like or request.unlike:
        return like(
            library,
            model,
            [example_of(library, model, path, load=load) for path in request.like],
            unlike=[example_of(library, model, path, load=load) for path in request.unlike],
            expression=expression,
            length=request.length,
            doubted=request.doubted,
        )
    assert expression is not None  # else the request is refused
    found = matching(library, model, expression, doubted=request.doubted)
    return take(found, request.length, recordings=Recordings(library, model))


def matching(
    library: Library,
    model: LibraryModel,
    expression: Evaluate,
    *,
    below: Path | None = None,
    doubted: bool = False,
) -> list[ScannedFile]:
    """Every song of which an expression is true, the ones that answer it best first.

    doubted : also what is not music
    """
    found = library.songs(model, below=below, failed=False)
    songs = [song for song in found if doubted or song.headline is None]
    if not songs:
        return []
    match = expression(np.stack([_scores(song) for song in songs]))
    return [songs[i] for i in np.argsort(-match.degree, kind="stable") if match.holds[i]]


def take(
    ranked: Iterable[ScannedFile], length: Length, *, recordings: Recordings
) -> list[ScannedFile]:
    """The first songs of a list that make a playlist of that length; no recording comes twice.

    recordings : those that are left out; the songs are added to them
    """
    limit = _Limit(length)
    chosen = []
    for song in ranked:
        if limit.full:
            break
        if not recordings.have(song) and limit.admit(song):
            recordings.add(song)
            chosen.append(song)
    return chosen


def like(
    library: Library,
    model: LibraryModel,
    examples: Sequence[Example],
    *,
    unlike: Sequence[Example] = (),
    expression: Evaluate | None = None,
    length: Length = Length(),
    doubted: bool = False,
) -> list[ScannedFile]:
    """The songs that sound most like examples, without these and their copies.

    They are in the order of their similarity to the mean of the examples, less half of that to the
    mean of what they are to be unlike.

    expression : take only songs of which it is true
    doubted : also take what is not music
    """
    recordings = Recordings(library, model)
    for example in (*examples, *unlike):
        recordings.add(*example)
    candidates = _candidates(
        library, model, expression,
        without=[example.song.path for example in (*examples, *unlike)], doubted=doubted,
    )  # fmt: skip
    if not candidates.songs:
        return []
    nearness = np.zeros(len(candidates.songs), dtype=np.float32)
    for given, weight in ((examples, 1.0), (unlike, -_UNLIKE)):
        if given:
            mean = np.stack([example.vector for example in given]).mean(axis=0)
            nearness += np.float32(weight) * (candidates.vectors @ unit(mean))
    ranked = (candidates.songs[i] for i in np.argsort(-nearness, kind="stable"))
    return take(ranked, length, recordings=recordings)


def journey(
    library: Library,
    model: LibraryModel,
    start: Path,
    end: Path,
    *,
    expression: Evaluate | None = None,
    length: Length = Length(),
    doubted: bool = False,
) -> list[ScannedFile]:
    """A smooth path from one song of the library to another, both included; no recording twice.

    The way between the two embeddings is cut into equal steps; at each the nearest song that is
    still free is taken, and the songs are then ordered by how far along the way they lie.

    doubted : also take what is not music

    Raises NotScanned where one of the two is not in the library, BadValue where they are one.
    """
    ends = [_end(library, model, path) for path in (start, end)]
    if start == end:
        raise BadValue("a journey leads from one song to another: name two different songs")
    candidates = _candidates(library, model, expression, without=(start, end), doubted=doubted)
    first, last = (unit(vector) for _, vector in ends)
    n_songs = _n_songs(length, [song for song, _ in ends] + candidates.songs)
    free = np.ones(len(candidates.songs), dtype=bool)
    limit = _Limit(Length(songs=n_songs, per_artist=length.per_artist))
    recordings = Recordings(library, model)
    for song, vector in ends:
        limit.admit(song)
        recordings.add(song, vector)
    chosen: list[int] = []
    for step in range(1, n_songs - 1):
        share = step / (n_songs - 1)
        similarity = candidates.vectors @ unit((1 - share) * first + share * last)
        for i in np.argsort(-similarity, kind="stable"):
            song = candidates.songs[i]
            free[i] = free[i] and not recordings.have(song)
            if free[i] and limit.admit(song):
                recordings.add(song, candidates.vectors[i])
                chosen.append(int(i))
                break
    along = candidates.vectors @ (last - first)
    chosen.sort(key=lambda i: float(along[i]))
    path = [ends[0][0], *(candidates.songs[i] for i in chosen), ends[1][0]]
    return _shortened(path, length)


def _candidates(
    library: Library,
    model: LibraryModel,
    expression: Evaluate | None,
    *,
    without: Iterable[Path],
    doubted: bool,
) -> _Candidates:
    index = library.index(model)
    place = {int(number): i for i, number in enumerate(index.numbers)}
    left_out = set(without)
    pairs = [
        (song, place[number])
        for number, song in library.numbered(model, failed=False)
        if number in place and song.path not in left_out and (doubted or song.headline is None)
    ]
    songs = [song for song, _ in pairs]
    vectors = index.vectors(np.array([i for _, i in pairs], dtype=np.int64))
    if not songs or expression is None:
        return _Candidates(songs, vectors)
    match = expression(np.stack([_scores(song) for song in songs]))
    kept = np.flatnonzero(match.holds)
    return _Candidates([songs[i] for i in kept], vectors[kept])


class _Limit:
    """Counts the songs of a playlist against its length."""

    def __init__(self, length: Length) -> None:
        no_length = length.songs is None and length.minutes is None
        self._songs = _USUAL_SONGS if no_length else length.songs
        self._seconds = None if length.minutes is None else 60 * length.minutes
        self._per_artist = length.per_artist
        self._of_artist: dict[str, int] = {}

    @property
    def full(self) -> bool:
        return self._songs == 0

    def admit(self, song: ScannedFile) -> bool:
        """Whether a song fits; it is then counted."""
        artist = song.artist.casefold()
        n_of_artist = self._of_artist.get(artist, 0)
        if (
            self.full
            or (self._seconds is not None and song.seconds > self._seconds)
            or (artist and self._per_artist is not None and n_of_artist >= self._per_artist)
        ):
            return False
        self._of_artist[artist] = n_of_artist + 1
        if self._seconds is not None:
            self._seconds -= song.seconds
        if self._songs is not None:
            self._songs -= 1
        return True


def _end(library: Library, model: LibraryModel, path: Path) -> tuple[ScannedFile, Float32Array]:
    song, vector = library.song(model, path), library.vector(model, path)
    if song is None or vector is None:
        raise NotScanned(f"{path} is not in the library; scan it first")
    return song, vector


def _n_songs(length: Length, songs: Sequence[ScannedFile]) -> int:
    """How many songs a journey has, both ends included."""
    if length.minutes is None:
        return max(2, length.songs or _USUAL_SONGS)
    usual = max(1.0, float(np.median([song.seconds for song in songs])))
    return max(2, min(round(60 * length.minutes / usual), length.songs or len(songs)))


def _shortened(path: list[ScannedFile], length: Length) -> list[ScannedFile]:
    """A journey without the songs from its middle that make it too long."""
    while (
        length.minutes is not None
        and len(path) > 2
        and sum(song.seconds for song in path) > 60 * length.minutes
    ):
        del path[len(path) // 2]
    return path


def _scores(song: ScannedFile) -> Float32Array:
    assert song.scores is not None  # failures are left out
    return song.scores
