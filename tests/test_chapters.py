"""Chapters: where a recording changes, and what is written of it."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from audio_files import music, write_audio
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from earmark import chapters, taggrams
from earmark.chapters import Chapter, as_cue, as_text
from earmark.cli import app
from earmark.tagger import Tagger
from earmark.taggrams import Taggram

CELL = 3.6  # seconds


def gram_of(tagger, *parts, seed=0, noise=0.02):
    """A taggram of parts: (cells, tags that are heard)."""
    names = tagger.tags
    scores = np.concatenate(
        [np.tile([0.8 if name in heard else 0.05 for name in names], (n, 1)) for n, heard in parts]
    )
    drawn = np.random.default_rng(seed).normal(0, noise, scores.shape)
    scores = np.clip(scores + drawn, 0.001, 0.999).astype(np.float32)
    seconds = np.arange(len(scores)) * CELL
    return Taggram(None, tuple(names), seconds, scores, len(scores) * CELL)


def test_a_chapter_begins_where_the_sound_changes_and_says_what_stands_out(tagger):
    gram = gram_of(
        tagger, (60, ["jazz", "instrumental"]), (40, ["metal"]), (80, ["House", "party"])
    )
    first, second, third = chapters.chapters(gram, tagger.card)
    assert (first.start, first.end) == (0, pytest.approx(60 * CELL, abs=2 * CELL))
    assert third.start == pytest.approx(100 * CELL, abs=2 * CELL)
    assert third.end == gram.duration
    assert first.title == "jazz, instrumental"
    assert second.tags == ("metal",)
    assert third.tags == ("House", "party")


@pytest.mark.parametrize("seed", range(3))
def test_a_recording_that_does_not_change_is_one_chapter(tagger, seed):
    gram = gram_of(tagger, (500, ["jazz"]), seed=seed, noise=0.04)
    assert len(chapters.chapters(gram, tagger.card)) == 1


def test_a_year_that_changes_begins_no_chapter(tagger):
    gram = gram_of(tagger, (60, ["jazz", "80s"]), (60, ["jazz", "90s", "00s"]))
    assert len(chapters.chapters(gram, tagger.card)) == 1


@settings(max_examples=30, deadline=None)
@given(cells=st.integers(1, 120), seed=st.integers(0, 5), level=st.floats(0, 1))
def test_chapters_cover_a_recording_without_gaps(model, cells, seed, level):
    tagger = Tagger.load(model)
    drawn = np.random.default_rng(seed).random((cells, len(tagger.tags)))
    scores = (level * drawn).astype(np.float32)
    gram = Taggram(None, tagger.tags, np.arange(cells) * CELL, scores, cells * CELL - 1)
    found = chapters.chapters(gram, tagger.card)
    assert found[0].start == 0
    assert found[-1].end == gram.duration
    assert all(one.end == two.start for one, two in pairwise(found))
    assert len(found) == 1 or all(one.end - one.start > 40 for one in found)


def test_ten_hours_are_cut_as_well(tagger):
    gram = gram_of(tagger, (5000, ["jazz"]), (5000, ["metal"]))
    first, second = chapters.chapters(gram, tagger.card)
    assert second.start == pytest.approx(5000 * CELL, abs=20 * CELL)
    assert as_text([first, second]) == f"0:00 {first.title}\n5:00:00 {second.title}\n"


def test_a_cue_sheet_has_minutes_seconds_and_frames_and_no_quote_within_quotes():
    parts = [Chapter(0, 61.2, ("jazz",)), Chapter(61.2, 7300, ()), Chapter(7300, 7400, ('a"\nb',))]
    assert as_cue(parts, name='my "set".mp3').splitlines() == [
        "FILE \"my 'set'.mp3\" MP3",
        "  TRACK 01 AUDIO",
        '    TITLE "jazz"',
        "    INDEX 01 00:00:00",
        "  TRACK 02 AUDIO",
        '    TITLE "music"',
        "    INDEX 01 01:01:15",
        "  TRACK 03 AUDIO",
        '    TITLE "a\' b"',
        "    INDEX 01 121:40:00",
    ]


def test_the_command_writes_a_cue_sheet_and_a_list_beside_the_tags(model, tmp_path):
    path = write_audio(tmp_path / "a set.flac", music(8), codec="flac")
    folder = tmp_path / "chapters"
    words = ["tag", "--model", str(model), "--json", "--chapters", str(folder), str(path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["path"] == str(path)
    assert sorted(one.name for one in folder.iterdir()) == ["a set.chapters.txt", "a set.cue"]
    assert (folder / "a set.cue").read_text().startswith('FILE "a set.flac" WAVE\n  TRACK 01 AUDIO')
    gram = taggrams.taggram(Tagger.load(model), path)
    (whole,) = chapters.chapters(gram, Tagger.load(model).card)
    assert (folder / "a set.chapters.txt").read_text() == f"0:00 {whole.title}\n"
    assert re.search("chapters are in", done.stderr)
