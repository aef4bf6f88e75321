"""The model in the package: what it answers, how big it is, what it says, what it hears."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from earmark import Options, Tagger, tags, zoo
from earmark.audio import load_audio
from earmark.metrics import roc_auc
from earmark.model_file import read_card

# 4Q's words and the tags of the same meaning
SAME = {
    "Jazz": "jazz", "Electronic": "electronic", "R&B": "rnb", "Country": "country",
    "Blues": "blues", "Rap": "Hip-Hop", "Folk": "folk", "Sad": "sad", "Reggae": "reggae",
    "Latin": "Latin",
}  # fmt: skip
SOUNDS = tags.GROUPS["sound"]
RATE = 32_000  # Hz


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.load()


def scores(tagger: Tagger, audio, **how) -> dict[str, float]:
    return {tag.tag: tag.score for tag in tagger.tag(audio, **how).tags}


def test_it_answers_msd_50_first_and_no_umbrella(tagger):
    assert tagger.card.name == zoo.SHIPPED
    assert tagger.tags[:50] == tags.MSD_50
    assert len(tagger.tags) == 130
    assert set(SOUNDS) <= set(tagger.tags)
    assert not {"Pop/Rock", "International", "Vocal"} & set(tagger.tags)


def test_it_is_small_and_says_what_it_is(tagger):
    path = zoo.resolve()
    assert path.stat().st_size <= 8_000_000
    card = read_card(path)
    assert card.licence == "MIT"
    assert card.calibration is not None
    assert card.reliability is not None
    assert card.features.level is not None
    assert all(0 < prior < 1 for prior in card.priors)
    said = str(dataclasses.asdict(card))
    for word in ("4Q", "EfficientAT", "Choi", "Won", "musicnn", "held_out_folds"):
        assert word in said


def test_it_says_how_reliable_only_what_twenty_clips_measured(tagger):
    card = tagger.card
    measured = card.training["measured"]
    for tag, reliability in zip(card.tags, card.reliability, strict=True):
        assert (reliability is not None) == (tag in measured)
        if tag in measured:
            low, high = measured[tag]["interval"]
            assert measured[tag]["positives"] >= 20
            assert low <= reliability <= high
    for tag, scale in zip(card.tags, card.calibration.scale, strict=True):
        assert tag in card.training["calibrated"] or scale == 1


@pytest.mark.parametrize(
    ("sound", "kind"),
    [("silence", "silence"), ("noise", "noise"), ("hum", "noise"), ("tone", "other")],
)
def test_what_is_not_music_is_said_to_be_what_it_is(tagger, sound, kind):
    times = np.arange(20 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * n * times) / n for n in (1, 2, 3, 4))
    samples = {
        "silence": np.zeros(times.size),
        "noise": np.random.default_rng(0).normal(0, 0.1, times.size),
        "hum": 0.1 * hum,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * times),
    }[sound]
    heard = tagger.tag(samples.astype(np.float32), rate=RATE)
    assert heard.kind == kind
    assert heard.headline is not None
    assert heard.first_genre is None
    assert heard.as_json()["kind"] == kind
    assert not set(SOUNDS) & {tag.name for tag in heard}


def test_the_volume_changes_nothing(tagger, shared):
    for row in rows_of(shared)[::120]:
        samples = load_audio(shared / "q4" / row["path"], rate=RATE).samples
        loud = scores(tagger, samples, rate=RATE)
        soft = scores(tagger, samples * np.float32(10 ** (-20 / 20)), rate=RATE)
        assert max(abs(loud[tag] - soft[tag]) for tag in loud) < 1e-3


def test_music_is_called_music_and_most_has_a_first_genre(tagger, shared):
    heard = [
        tagger.tag(shared / "q4" / row["path"], options=Options(center=True))
        for row in rows_of(shared)[::60]
    ]
    assert [one.kind for one in heard] == ["music"] * len(heard)
    sure = [one.first_genre for one in heard if one.first_genre is not None]
    assert len(sure) > 0.8 * len(heard)
    assert all(tag.group == "genre" for tag in sure)
    fifty = tagger.tag(
        shared / "q4" / rows_of(shared)[0]["path"], options=Options(center=True, vocabulary="msd50")
    )
    assert {tag.name for tag in fifty} == set(tags.MSD_50)


def test_it_hears_jazz_and_hip_hop_where_people_do(tagger, shared):
    """On clips that it learned from: this proves the file and the front end, not how good it is."""
    rows = rows_of(shared)[::15]
    words = [set(f"{row['genres']}|{row['moods']}".split("|")) for row in rows]
    labels = np.array([[word in said for word in SAME] for said in words])
    heard = np.zeros(labels.shape)
    for place, row in enumerate(rows):
        score = scores(tagger, shared / "q4" / row["path"], options=Options(center=True))
        heard[place] = [score[tag] for tag in SAME.values()]
    assert roc_auc(labels, heard) > 0.9


def rows_of(shared) -> list[dict[str, str]]:
    with (shared / "q4" / "tracks.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
