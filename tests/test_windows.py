"""Windows cover every sample, whatever blocks a track comes in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark import windows
from earmark.errors import BadValue
from earmark.features import PRESETS

SMALL = dataclasses.replace(PRESETS["choi2016"], window_samples=50)
REPEAT = dataclasses.replace(SMALL, short="repeat")


def blocks_of(track: np.ndarray, sizes: list[int]):
    first = 0
    for size in sizes:
        yield track[first : first + size]
        first += size
    yield track[first:]


@given(st.integers(1, 400), st.lists(st.integers(0, 90), max_size=8), st.integers(1, 50))
def test_every_sample_lies_in_a_window_and_blocks_make_no_difference(n, sizes, hop):
    track = np.arange(1, n + 1, dtype=np.float32)
    cuts = list(windows.whole(blocks_of(track, sizes), settings=SMALL, hop_samples=hop))
    heard = np.zeros(n, dtype=bool)
    for start, samples, n_valid in cuts:
        assert samples.size == 50
        assert n_valid == min(50, n)
        expected = np.pad(track[start : start + 50], (0, max(0, 50 - n)))
        assert samples.tolist() == expected.tolist()
        heard[start : start + 50] = True
    assert heard.all()
    starts = [window.start for window in cuts]
    assert starts == sorted(set(starts))
    at_once = windows.whole([track], settings=SMALL, hop_samples=hop)
    assert starts == [window.start for window in at_once]


@given(st.integers(1, 400), st.lists(st.integers(0, 90), max_size=8))
def test_the_centre_of_blocks_is_the_centre_of_the_whole(n, sizes):
    track = np.arange(1, n + 1, dtype=np.float32)
    [window] = windows.centre(blocks_of(track, sizes), settings=SMALL)
    assert window.samples.tolist() == windows.centre_crop(track, settings=SMALL).tolist()
    assert window.start == max(0, (n - 50) // 2)
    assert window.n_valid == min(50, n)


def test_a_window_inside_one_block_is_no_copy():
    track = np.arange(60, dtype=np.float32)
    for cut in (windows.centre, windows.whole):
        [window, *_] = cut([track, track[:3]], settings=SMALL)
        assert np.shares_memory(window.samples, track)


def test_a_track_of_no_samples_has_no_window():
    assert list(windows.whole([], settings=SMALL)) == []
    assert list(windows.centre([], settings=SMALL)) == []


def test_a_short_clip_is_filled_as_the_settings_say():
    clip = np.array([1, 2, 3], dtype=np.float32)
    assert windows.fit(clip, settings=SMALL).tolist() == [1, 2, 3] + [0] * 47
    assert windows.fit(clip, settings=REPEAT).tolist() == ([1, 2, 3] * 17)[:50]
    for n in (0, 51):
        with pytest.raises(BadValue, match="do not fit"):
            windows.fit(np.zeros(n, dtype=np.float32), settings=SMALL)


def test_a_hop_that_leaves_gaps_is_refused():
    for hop in (0, 51):
        with pytest.raises(BadValue, match="leaves gaps"):
            list(windows.whole([np.zeros(60, np.float32)], settings=SMALL, hop_samples=hop))


def test_pooling_gives_each_window_one_vote():
    logits = np.array([[0, 4], [2, -2]], dtype=np.float32)
    assert windows.pool(logits).tolist() == [1, 1]


def test_a_track_may_get_the_mean_of_its_windows_scores_instead_of_their_logits():
    logits = np.array([[0, -20, 30], [2, -19, -4], [-3, -22, 33]], dtype=np.float32)
    scores = (1 / (1 + np.exp(-logits.astype(np.float64)))).mean(axis=0)
    expected = np.log(scores / (1 - scores))
    np.testing.assert_allclose(windows.pool(logits, pooling="scores"), expected, rtol=1e-6)
    np.testing.assert_array_equal(windows.pool(logits[:1], pooling="scores"), logits[0])


@given(st.integers(1, 100), st.integers(1, 50), st.data())
def test_a_stretch_is_repeated_until_it_fills_a_window(n, length, data):
    track = np.arange(1, n + 1, dtype=np.float32)
    hop = data.draw(st.integers(1, length))
    cuts = windows.stretches([track], settings=SMALL, stretch_samples=length, hop_samples=hop)
    for start, samples, n_valid in cuts:
        assert n_valid == min(length, n)
        stretch = track[start : start + n_valid].tolist()
        assert samples.tolist() == (stretch * 50)[:50]


def test_a_stretch_that_is_longer_than_a_window_is_refused():
    with pytest.raises(BadValue, match="longer than a window of 50"):
        list(windows.stretches([np.zeros(60, np.float32)], settings=SMALL, stretch_samples=51))


def test_each_moment_is_the_mean_of_the_windows_that_hear_it():
    starts = np.array([0, 25, 50])
    logits = np.array([[0.0], [3.0], [9.0]], dtype=np.float32)
    cells = windows.over_time(starts, logits, lengths=50, n_samples=100, cell_samples=25)
    assert cells[:, 0].tolist() == [0.0, 1.5, 6.0, 9.0]
    with pytest.raises(BadValue, match="in no window"):
        windows.over_time(starts, logits, lengths=50, n_samples=150, cell_samples=25)
