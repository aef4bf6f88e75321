"""Embeddings are kept in blocks, and what is found among them is what is there and nearest."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import BadLibrary
from earmark.features import PRESETS
from earmark.library.database import Library
from earmark.library.embeddings import BLOCK, unit
from earmark.library.song import ScanFailure, ScannedFile
from earmark.model_file import Card

CARD = Card("known", ("jazz",), PRESETS["choi2016"], (0.1,), "random", "MIT")
N_SONGS = 2 * BLOCK + 10


def put(library, model, number, embedding):
    """A song /number.mp3 with an embedding; a failure without one."""
    failure = None if embedding is not None else ScanFailure("unreadable_audio", "no")
    scores = None if failure else np.array([0.5], dtype=np.float32)
    song = ScannedFile(
        Path(f"/{number}.mp3"), 1, 1, bytes(32), 30.0, scores=scores, failure=failure
    )
    library.put(model, song, embedding=embedding)


def found(library, model, embedding, *, n):
    """(name, similarity) of the nearest songs."""
    pairs = library.index(model).nearest(embedding, n=n)
    songs = library.by_number(model, (number for number, _ in pairs))
    return [(int(song.path.stem), value) for song, (_, value) in zip(songs, pairs, strict=True)]


def embeddings(n, *, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 32)).astype(np.float32)


def test_the_search_is_exact_among_the_songs_of_a_model(library):
    """Also where another model's songs stand between them, with embeddings of another length."""
    model, other = (library.add_model(letter * 64, CARD) for letter in "ab")
    vectors = embeddings(N_SONGS)
    for number, vector in enumerate(vectors):
        put(library, model, number, vector)
        put(library, other, number, vector[:7])
    for name, kept, query in (
        (model, vectors, vectors[0]),
        (other, vectors[:, :7], vectors[9, :7]),
    ):
        similarity = unit(kept) @ unit(query)
        best = np.argsort(-similarity)[:20]
        answer = found(library, name, query, n=20)
        assert [number for number, _ in answer] == best.tolist()
        np.testing.assert_allclose([value for _, value in answer], similarity[best], atol=1e-4)
        assert len(found(library, name, query, n=9999)) == N_SONGS
    stored = library.vector(model, Path("/300.mp3"))
    np.testing.assert_allclose(stored, unit(vectors[300]), atol=1e-4)
    index = library.index(model)
    some = np.array([300, 5])
    np.testing.assert_allclose(index.vectors(some), unit(vectors[some]), atol=1e-4)


def test_songs_that_fail_or_go_are_not_found_and_their_places_are_used_again(library):
    model = library.add_model("a" * 64, CARD)
    vectors = embeddings(N_SONGS)
    for number, vector in enumerate(vectors):
        put(library, model, number, vector)
    put(library, model, 3, None)
    library.mark_missing(model, [os.fsencode("/4.mp3"), os.fsencode(f"/{N_SONGS - 1}.mp3")])
    gone = {3, 4, N_SONGS - 1}
    everything = [number for number, _ in found(library, model, vectors[3], n=9999)]
    assert sorted(everything) == [n for n in range(N_SONGS) if n not in gone]
    assert library.vector(model, Path("/3.mp3")) is None
    library.forget_missing(model)
    new = embeddings(1, seed=1)[0]
    put(library, model, N_SONGS, new)  # the row of the last song, which was forgotten
    put(library, model, 3, vectors[3])
    assert found(library, model, new, n=1) == [(N_SONGS, pytest.approx(1, abs=1e-4))]
    assert found(library, model, vectors[3], n=1) == [(3, pytest.approx(1, abs=1e-4))]


def test_an_embedding_of_another_length_is_refused_and_changes_nothing(library):
    model = library.add_model("a" * 64, CARD)
    first, second = embeddings(2)
    put(library, model, 0, first)
    with pytest.raises(BadLibrary, match="another length"):
        put(library, model, 1, second[:5])
    assert [song.path.name for song in library.songs(model)] == ["0.mp3"]
    assert found(library, model, second, n=9) == found(library, model, second, n=1)


def test_what_is_found_is_of_one_moment_though_another_process_writes(library):
    model = library.add_model("a" * 64, CARD)
    vectors = embeddings(3)
    for number, vector in enumerate(vectors):
        put(library, model, number, vector)
    with Library.open(library.path) as other, library.snapshot():
        index = library.index(model)
        other.mark_missing(model, [os.fsencode("/0.mp3")])
        other.forget_missing(model)
        nearest = index.nearest(vectors[0], n=1)
        (song,) = library.by_number(model, (number for number, _ in nearest))
        assert song.path == Path("/0.mp3")
    assert len(library.index(model).numbers) == 2


def test_a_query_without_direction_is_like_nothing(library):
    model = library.add_model("a" * 64, dataclasses.replace(CARD, name="other"))
    put(library, model, 0, embeddings(1)[0])
    assert found(library, model, np.zeros(32, dtype=np.float32), n=5) == [(0, 0.0)]
