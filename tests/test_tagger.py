"""Files in, tags out: windows, rankings, many files, and the bad ones among them."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
from audio_files import tone, write_audio

import earmark
from earmark import features, windows
from earmark.errors import BadValue, ModelNotFound, UnreadableAudio
from earmark.inference import Options
from earmark.results import Failure
from earmark.tagger import Tagger

RATE = 12_000


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Eight short songs, all different, and three files that are none."""
    folder = tmp_path_factory.mktemp("songs")
    paths = []
    for number in range(8):
        path = folder / f"song-{number}.flac"
        pitch = tone(110 * (number + 2), seconds=3 + number, rate=22_050)
        write_audio(path, pitch, codec="flac", rate=22_050)
        paths.append(path)
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("these are the words of a song\n" * 100)
    (folder / "cut.flac").write_bytes(paths[0].read_bytes()[:20])
    bad = [folder / name for name in ("empty.mp3", "text.mp3", "cut.flac")]
    return paths[:3] + bad[:1] + paths[3:6] + bad[1:] + paths[6:]


def test_a_clip_of_one_window_scores_as_its_spectrogram_does(tagger):
    settings = tagger.card.features
    clip = np.random.default_rng(0).normal(0, 0.1, settings.window_samples).astype(np.float32)
    mel = features.log_mel(clip, settings=settings)
    expected = tagger.score_log_mel(mel[None])[0]
    heard = tagger.tag(clip, rate=RATE, options=Options(rank="score"))
    scores = {tag.tag: tag.score for tag in heard.tags}
    np.testing.assert_allclose([scores[tag] for tag in tagger.tags], expected, atol=1e-6)
    assert expected.dtype == np.float32
    assert heard.seconds == pytest.approx(29.12)
    assert [tag.score for tag in heard.tags] == sorted(scores.values(), reverse=True)
    evidences = [tag.evidence for tag in tagger.tag(clip, rate=RATE)]
    assert evidences == sorted(evidences, reverse=True)


def test_a_long_track_is_heard_whole_and_the_centre_on_request(tagger):
    track = np.random.default_rng(1).normal(0, 0.1, int(75.5 * RATE)).astype(np.float32)
    track *= np.linspace(0.01, 1, track.size, dtype=np.float32)
    settings = tagger.card.features
    heard = tagger.listen(track, rate=RATE)
    assert heard.starts.tolist() == [0, 349_440, track.size - 349_440]
    assert tagger.listen(track, rate=RATE, options=Options(hop_seconds=10)).starts.size == 6
    centre = tagger.listen(track, rate=RATE, options=Options(center=True))
    crop = windows.centre_crop(track, settings=settings)
    mel = features.log_mel(crop, settings=settings)
    np.testing.assert_allclose(centre.logits, tagger.model.run(mel[None])[0], atol=1e-5)
    assert np.abs(centre.logits - heard.logits.mean(axis=0)).max() > 1e-3
    short = tagger.listen(track, rate=RATE, options=Options(max_seconds=30))
    assert short.seconds == pytest.approx(30)


def test_samples_at_another_rate_are_resampled_and_a_rate_is_asked_for(tagger):
    low = tagger.tag(tone(440, seconds=30, rate=RATE)[0], rate=RATE)
    high = tagger.tag(tone(440, seconds=30, rate=44_100)[0], rate=44_100)
    assert high.seconds == pytest.approx(low.seconds, abs=0.001)
    by_tag = {tag.tag: tag.score for tag in low.tags}
    assert all(tag.score == pytest.approx(by_tag[tag.tag], abs=0.05) for tag in high.tags)
    with pytest.raises(BadValue, match="rate"):
        tagger.tag(np.zeros(1000, dtype=np.float32))
    with pytest.raises(BadValue, match="no samples"):
        tagger.tag(np.zeros(0, dtype=np.float32), rate=RATE)


def test_rankings_sort_by_what_they_say(tagger, songs):
    tags = {
        rank: tagger.tag(songs[0], options=Options(rank=rank)).tags
        for rank in ("score", "lift", "evidence")
    }
    for rank, ranked in tags.items():
        values = [getattr(tag, rank) for tag in ranked]
        assert values == sorted(values, reverse=True)
        assert {tag.tag for tag in ranked} == set(tagger.tags)
    priors = dict(zip(tagger.tags, tagger.card.priors, strict=True))
    for tag in tags["score"]:
        assert tag.lift == pytest.approx(tag.score / priors[tag.tag], rel=1e-4)
    with pytest.raises(BadValue, match="score, lift, evidence"):
        Options(rank="best")
    with pytest.raises(BadValue, match="hop_seconds"):
        Options(hop_seconds=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_many_files_come_in_order_and_the_bad_ones_fail_alone(tagger, songs, workers):
    results = list(tagger.tag_files(songs, workers=workers))
    assert [result.path for result in results] == songs
    failed = [result for result in results if isinstance(result, Failure)]
    assert [failure.path.name for failure in failed] == ["empty.mp3", "text.mp3", "cut.flac"]
    for failure in failed:
        assert isinstance(failure.error, UnreadableAudio)
        line = failure.as_json()
        assert line["path"] == str(failure.path)
        assert line["error"]["kind"] == "unreadable_audio"
        assert failure.path.name in line["error"]["message"]
    alone = [tagger.tag(path) for path in songs if path.name.startswith("song")]
    good = [result for result in results if not isinstance(result, Failure)]
    for one, other in zip(alone, good, strict=True):
        assert [tag.tag for tag in one.tags][:5] == [tag.tag for tag in other.tags][:5]
        for mine, theirs in zip(one.tags, other.tags, strict=True):
            assert mine.score == pytest.approx(theirs.score, abs=1e-5)


def test_a_json_line_has_the_fields_that_scripts_depend_on(tagger, songs):
    line = json.loads(json.dumps(tagger.tag(songs[0]).as_json(top=3)))
    assert line["path"] == str(songs[0])
    assert line["seconds"] == pytest.approx(3, abs=0.01)
    assert line["model"] == "tiny"
    assert len(line["tags"]) == 3
    assert {"tag", "score", "lift"} <= line["tags"][0].keys()


def test_an_embedding_is_the_mean_over_windows(tagger):
    track = np.random.default_rng(2).normal(0, 0.1, 60 * RATE).astype(np.float32)
    vector = tagger.embed(track, rate=RATE)
    assert vector.shape == (5,)
    np.testing.assert_allclose(vector, tagger.listen(track, rate=RATE).embeddings.mean(axis=0))


def test_the_package_tags_in_one_call_and_says_how_to_get_a_model(model, songs):
    assert earmark.tag(songs[0], model=str(model)).model == "tiny"
    assert earmark.tag(songs[0]).model == "earmark"
    with pytest.raises(ModelNotFound, match="earmark models pull choi2016"):
        earmark.tag(songs[0], model="choi2016")


def test_embeddings_of_many_files_are_those_of_each_and_the_bad_ones_fail_alone(tagger, songs):
    results = list(tagger.embed_files(iter(songs), workers=2))
    assert [result.path for result in results] == songs
    assert sum(isinstance(result, Failure) for result in results) == 3
    for result in results:
        if not isinstance(result, Failure):
            np.testing.assert_allclose(result.vector, tagger.embed(result.path), atol=1e-5)
            assert (result.model, result.vector.dtype) == ("tiny", np.float32)


@pytest.mark.parametrize("n_samples", range(1, 6))
def test_a_track_of_a_few_samples_is_tagged_or_refused_with_the_reason(tagger, n_samples):
    samples = np.full(n_samples, 0.1, dtype=np.float32)
    assert len(tagger.tag(samples, rate=RATE).tags) == 50
    assert earmark.taggram(tagger, samples, rate=RATE).scores.shape == (1, 50)
    with pytest.raises(BadValue, match=r"shorter than one sample at 12000 Hz. Give a longer"):
        tagger.tag(samples, rate=192_000)


def test_bytes_and_an_array_of_two_channels_are_tagged_as_the_file(tagger, songs):
    expected = tagger.tag(songs[0])
    samples = earmark.load_audio(songs[0], rate=RATE).samples
    stereo = np.stack([samples, samples], axis=1)
    for heard in (
        tagger.tag(songs[0].read_bytes()),
        tagger.tag(songs[0].read_bytes(), options=Options(spread=3)),
        tagger.tag(stereo, rate=RATE),
        earmark.tag(stereo, rate=RATE, model=tagger.model.path),
    ):
        assert heard.path is None
        assert [tag.name for tag in heard.tags] == [tag.name for tag in expected.tags]
        assert heard.tags[0].score == pytest.approx(expected.tags[0].score, abs=1e-5)


@pytest.mark.parametrize("method", ["tag_files", "embed_files"])
def test_one_path_in_place_of_a_list_is_refused_at_once(tagger, method):
    with pytest.raises(BadValue, match=r"a list of files: give \['song.mp3'\], or call tag"):
        getattr(tagger, method)("song.mp3")


def test_a_tagger_says_which_model_it_has(tagger):
    assert repr(tagger) == f"<Tagger tiny, 50 tags, {tagger.model.path}>"


def test_what_happens_to_each_file_is_logged_under_earmark(tagger, songs, caplog):
    caplog.set_level(logging.DEBUG, logger="earmark")
    list(tagger.tag_files([songs[0], songs[3]]))
    lines = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert ("earmark.tagger", "DEBUG", f"heard {songs[0]}") in lines
    failed = next(line for line in lines if line[1] == "INFO")
    assert "empty.mp3" in failed[2]


def test_an_interrupt_ends_the_workers_too(model, songs):
    """Ctrl-C in the middle of many files leaves no process behind."""
    code = (
        "import sys\n"
        "from earmark.tagger import Tagger\n"
        "if __name__ == '__main__':\n"
        "    tagger = Tagger.load(sys.argv[1])\n"
        "    for n, _ in enumerate(tagger.tag_files(sys.argv[2:] * 200, workers=2)):\n"
        "        if n == 3: print('ready', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(model), *map(str, songs)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == b"ready\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) != 0
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []


def test_real_music_is_heard_as_what_it_is(shared, tmp_path):
    """The restored network on real clips, from file to tag."""
    from earmark import published

    weights = shared / "published" / "music_tagger_crnn_weights_theano.h5"
    published.convert("choi2016", weights, tmp_path / "choi.onnx")
    tagger = Tagger.load(tmp_path / "choi.onnx")
    cute = tagger.tag(shared / "published" / "bensound-cute.mp3")
    dubstep = tagger.tag(shared / "published" / "bensound-dubstep.mp3")
    assert "jazz" in [tag.tag for tag in cute.tags[:3]]
    assert dubstep.tags[0].tag == "electronic"
