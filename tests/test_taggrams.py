"""Tags over time, and the picture of the spectrogram above them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from earmark import features, taggrams, windows

FEATURES = features.PRESETS["choi2016"]


def noise(seconds, level=0.1):
    samples = np.random.default_rng(0).normal(0, level, round(seconds * FEATURES.rate))
    return samples.astype(np.float32)


def test_a_song_shorter_than_a_stretch_is_repeated_as_a_whole(tagger):
    song = noise(4.5)
    gram = taggrams.taggram(tagger, song, rate=FEATURES.rate)
    clip = windows.repeat(song, settings=FEATURES)
    expected = tagger.score_log_mel(features.log_mel(clip, settings=FEATURES)[None])[0]
    assert len(gram.seconds) == 2
    for cell in gram.scores:
        np.testing.assert_allclose(cell, expected, atol=1e-6)


def test_the_spectrogram_has_one_floor_from_its_first_piece_to_its_last():
    loud, soft = noise(29), noise(3, level=1e-7)
    drawn = taggrams.spectrogram([loud, soft], settings=FEATURES, column_seconds=0.25)
    assert drawn.shape == (96, 116 + 12)
    assert drawn.min() == drawn.max() - FEATURES.top_db
    assert (drawn[:, 116:] == drawn.min()).all()


def test_names_of_taggrams_are_unique_and_never_too_long():
    paths = [Path("a/song.mp3"), Path("b/Song.flac"), Path("あ" * 83 + ".mp3"), Path("あ" * 84)]
    names = taggrams.names(paths)
    assert names == ["song", "Song-2", "あ" * 76, "あ" * 76 + "-2"]
    many = taggrams.names([Path("あ" * 84)] * 100)
    assert all(len(f"{name}.chapters.txt".encode()) <= 255 for name in many)
