"""What the static page computes in a browser is what Python computes; its modules run in node."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soxr
from audio_files import FORMATS, music, tone, write_audio, write_format

from earmark import chapters, features, inference, taggrams, windows
from earmark import tags as vocabulary
from earmark.audio.downmix import Mixer
from earmark.model_file import Calibration, Card
from earmark.signal_check import Level
from earmark.tagger import Tagger
from earmark.taggrams import Taggram
from earmark.web import drawing
from earmark.web.pages import STATIC
from earmark.web.static_page import hearing
from earmark.words import WORDS

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node here, which runs the page's modules")
RUN = """
import { readFileSync } from "node:fs";
import * as chapters from "./chapters_of.js";
import * as drawing from "./drawing.js";
import * as line from "./line.js";
import { mono } from "./mono.js";
import { rateOf } from "./file_rate.js";
import { resample } from "./resample.js";
import * as windows from "./windows.js";
const floats = (name) => new Float32Array(new Uint8Array(readFileSync(name)).buffer);
const given = JSON.parse(readFileSync("given.json"));
const rows = (values) => values.map((row) => Float64Array.from(row));
const results = [];
"""
PRESETS = features.PRESETS
TINY = dataclasses.replace(PRESETS["choi2016"], window_samples=100)


@pytest.fixture
def run(tmp_path):
    """Runs a piece of JavaScript that pushes to `results`; given is what it reads."""
    for path in (STATIC / "browser").glob("*.js"):
        shutil.copy(path, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')

    def run(code, given=None, **arrays):
        for name, array in arrays.items():
            (tmp_path / name).write_bytes(np.ascontiguousarray(array, dtype=np.float32).tobytes())
        (tmp_path / "given.json").write_text(json.dumps(given))
        (tmp_path / "run.js").write_text(f"{RUN}{code}\nconsole.log(JSON.stringify(results));")
        done = subprocess.run(
            ["node", "run.js"], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def card(tags=tuple(WORDS), *, settings=TINY, **fields):
    random = np.random.default_rng(3)
    values = {
        "name": "x",
        "tags": tags,
        "features": settings,
        "priors": tuple(random.uniform(0.002, 0.5, len(tags)).tolist()),
        "source": "",
        "licence": "",
        "reliability": tuple(None if i % 3 else 0.8 for i in range(len(tags))),
        "calibration": Calibration(
            tuple(1.0 if i % 2 else 1.3 for i in range(len(tags))),
            tuple(0.0 if i % 2 else -0.2 for i in range(len(tags))),
        ),
    }
    return Card(**values | fields)


def of_page(card):
    return hearing(card, sha256="")


def test_windows_stretches_and_what_is_made_of_their_answers(run):
    random = np.random.default_rng(0)
    lengths = [1, 7, 12, 24, 25, 36, 99, 100, 101, 150, 199, 200, 201, 333]
    code = """
for (const { n, short } of given.jobs) {
  const samples = Float32Array.from({ length: n }, (_, i) => i + 1);
  const features = { window_samples: 100, short };
  const plain = (all) => [...all].map((one) => [one.start, one.length, [...one.samples]]);
  results.push([plain(windows.whole(samples, features)),
    plain(windows.stretches(samples, features, 24, 12))]);
}
for (const pooling of ["logits", "scores"]) {
  results.push([...windows.pool(rows(given.logits), pooling)]);
}
const answers = given.starts.map((start, i) => ({ start, length: 24, logits: given.logits[i] }));
results.push(windows.overTime(answers, 60, 12).map((row) => [...row]));
"""
    sizes = [(n, short) for n in lengths for short in ("silence", "repeat")]
    jobs = [{"n": n, "short": short} for n, short in sizes]
    logits = random.normal(-2, 6, (5, 4))
    starts = [0, 12, 24, 36, 36]
    found = run(code, {"jobs": jobs, "logits": logits.tolist(), "starts": starts})
    for (n, short), (whole, stretches) in zip(sizes, found[: len(jobs)], strict=True):
        samples = np.arange(1, n + 1, dtype=np.float32)
        settings = dataclasses.replace(TINY, short=short)
        expected = windows.whole([samples], settings=settings)
        assert whole == [[one.start, one.n_valid, one.samples.tolist()] for one in expected]
        expected = windows.stretches(
            [samples], settings=settings, stretch_samples=24, hop_samples=12
        )
        assert stretches == [[one.start, one.n_valid, one.samples.tolist()] for one in expected]
    for pooling, pooled in zip(("logits", "scores"), found[len(jobs) :], strict=False):
        log_odds = windows.pool(logits.astype(np.float32), pooling=pooling)
        np.testing.assert_allclose(pooled, log_odds, atol=1e-4)
    over_time = windows.over_time(
        np.array(starts), logits.astype(np.float32), lengths=24, n_samples=60, cell_samples=12
    )
    np.testing.assert_allclose(found[-1], over_time, atol=1e-5)


def heard(logits, *, peak=0.5, unrest=3.0):
    n = len(logits)
    return inference.Listening(
        seconds=12.3456, starts=np.arange(n), lengths=np.full(n, 100),
        logits=logits.astype(np.float32), embeddings=np.zeros((n, 1), np.float32),
        damaged_packets=0, peak=peak, unrest=unrest,
    )  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"priors": None, "calibration": None, "reliability": None},
        {"pooling": "scores"},
        {"tags": vocabulary.MSD_50},
    ],
    ids=["as shipped", "bare", "scores", "without words for sounds"],
)
def test_the_line_of_a_song_has_the_tags_the_first_genre_and_the_warnings_of_earmark_tag(
    run, fields
):
    model = card(**fields)
    random = np.random.default_rng(1)
    levels = [(0.5, 3.0), (0.5, 0.1), (0.5, None), (1e-5, 3.0), (0.0, 0.0), (5e-4, 3.0)]
    jobs = [
        (random.normal(offset, 2, (3, len(model.tags))), *level)
        for level in [*levels, (300.5, 3.0)]
        for offset in (-4, -1, 1)
    ]
    for specific in (1.0, -1.0):  # beside a vague genre, near and not
        logits = np.full((3, len(model.tags)), -4.0)
        logits[:, model.tags.index("indie")] = 2.0
        logits[:, model.tags.index("indie rock")] = specific
        if "music" in model.tags:
            logits[:, model.tags.index("music")] = 12
        jobs.append((logits, 0.5, 3.0))
    for sound in ("speech", "silence", "noise", "hum", "applause", "tone", "music"):
        if sound in model.tags:
            logits = random.normal(-2, 2, (3, len(model.tags)))
            logits[:, model.tags.index(sound)] = 12
            jobs.append((logits, 0.5, 3.0))
    code = """
for (const { logits, peak, unrest } of given.jobs) {
  const { rules } = given.card;
  const odds = line.calibrated(windows.pool(rows(logits), rules.pooling), rules.calibration);
  results.push(line.line("a.mp3", 12.3456, odds, { peak, unrest }, given.card));
}
"""
    given = [
        {"logits": logits.tolist(), "peak": peak, "unrest": unrest} for logits, peak, unrest in jobs
    ]
    found = run(code, {"jobs": given, "card": of_page(model)})
    tagger = Tagger(SimpleNamespace(card=model))
    kinds, genres = set(), []
    for (logits, peak, unrest), one in zip(jobs, found, strict=True):
        expected = tagger.tags_of(heard(logits, peak=peak, unrest=unrest), path=Path("a.mp3"))
        theirs, ours = expected.as_json(), one["song"]
        kinds.add(theirs["kind"])
        genres.append(theirs["first_genre"])
        assert one["headline"] == expected.headline
        # Python's scores are float32: the smallest have few digits, and may change places
        assert {tag["tag"] for tag in ours["tags"]} == {tag["tag"] for tag in theirs["tags"]}
        ours["tags"], theirs["tags"] = (
            [tag for tag in song["tags"] if tag["score"] > 0.002] for song in (ours, theirs)
        )
        near = {"score": 2e-6, "lift": 2e-3, "evidence": 1e-3}
        theirs["tags"] = [
            tag
            | {
                key: pytest.approx(tag[key], abs=atol)
                for key, atol in near.items()
                if tag[key] is not None
            }
            for tag in theirs["tags"]
        ]
        assert ours == theirs
    assert len(kinds) > 2
    assert {"indie", "indie rock"} <= {*genres}


def test_level_and_unrest(run):
    random = np.random.default_rng(0)
    rate = 8000
    jobs = [
        random.normal(0, 0.1, 15 * rate),
        music(14)[0][: 14 * 8000],
        np.zeros(12 * rate),
        random.normal(0, 0.1, 5 * rate),
    ]
    code = """
for (const name of given) results.push(line.levelOf(floats(name), 8000, 10));
"""
    names = [f"job{i}" for i in range(len(jobs))]
    found = run(code, names, **dict(zip(names, jobs, strict=True)))
    for samples, one in zip(jobs, found, strict=True):
        level = Level(rate)
        level.add(samples.astype(np.float32))
        assert one["peak"] == pytest.approx(level.peak)
        if level.unrest is None:
            assert one["unrest"] is None
        else:
            assert one["unrest"] == pytest.approx(level.unrest, abs=1e-3)


@pytest.mark.parametrize(
    ("rate", "target"),
    [(44_100, 32_000), (44_100, 22_050), (48_000, 22_050), (48_000, 12_000), (8_000, 16_000)],
)
def test_resampling_is_that_of_soxr(run, rate, target):
    samples = music(3)[0][: 3 * 44_100]
    samples = soxr.resample(samples, 44_100, rate).astype(np.float32)
    code = "results.push([...resample(floats('samples'), given[0], given[1])]);"
    found = np.array(run(code, [rate, target], samples=samples)[0])
    expected = soxr.resample(samples, rate, target, quality="HQ")
    assert abs(found.size - expected.size) <= 1
    n = min(found.size, expected.size)
    window = np.hanning(n)
    error, whole = (
        np.abs(np.fft.rfft(window * x)) for x in (found[:n] - expected[:n], expected[:n])
    )
    edge = min(rate, target) / 2  # Hz
    kept = np.fft.rfftfreq(n, 1 / target) < 0.9 * edge
    assert np.linalg.norm(error[kept]) < 5e-5 * np.linalg.norm(whole)
    # in the last tenth below the edge both fall off, each in its way
    assert np.linalg.norm(error) < 2e-3 * np.linalg.norm(whole)


def test_what_lies_above_the_new_rate_is_gone(run):
    code = "results.push([...resample(floats('samples'), 44100, 16000)]);"
    found = np.array(run(code, samples=tone(9000, seconds=0.5)[0])[0])
    assert np.abs(found[500:-500]).max() < 1e-5


@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_channels_are_mixed_as_by_the_downmix_also_in_antiphase(run, n_channels):
    rate, n = 8000, 8000 * 4 + 123
    random = np.random.default_rng(0)
    channels = random.normal(0, 0.2, (n_channels, n)).astype(np.float32)
    if n_channels > 1:  # equal, then opposed, then a mixture
        channels[1, : n // 3] = channels[0, : n // 3]
        channels[1, n // 3 : 2 * n // 3] = -channels[0, n // 3 : 2 * n // 3]
        channels[1, -n // 3 :] = -0.5 * channels[0, -n // 3 :]
    names = {f"c{i}": channel for i, channel in enumerate(channels)}
    code = "results.push([...await mono(given.map(floats), 8000)]);"
    found = np.array(run(code, list(names), **names)[0])
    even = channels[::2].sum(axis=0) / np.float32(n_channels)
    odd = channels[1::2].sum(axis=0) / np.float32(n_channels) if n_channels > 1 else None
    expected = Mixer(rate=rate, first=0).mix(even, odd, last=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_files_state_their_rate(run, tmp_path):
    named: dict[str, int | None] = {
        name: 44_100 for name in FORMATS if not name.endswith((".wma", ".mka", ".wv"))
    }
    named["plain.opus"] = 48_000
    music_ = music(1)
    for name in named:
        write_format(tmp_path, name, music_)
    for name, rate, codec in [
        ("low.mp3", 22_050, "libmp3lame"), ("least.mp3", 11_025, "libmp3lame"),
        ("dat.wav", 48_000, "pcm_s16le"), ("high.flac", 96_000, "flac"),
        ("low.m4a", 32_000, "aac"), ("low.aac", 24_000, "aac"), ("high.aiff", 96_000, "pcm_s16be"),
    ]:  # fmt: skip
        write_audio(tmp_path / name, music_, rate=rate, codec=codec)
        named[name] = rate
    (tmp_path / "not.mp3").write_bytes(b"no music" * 1000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "dat.wav").read_bytes()[:20])
    (tmp_path / "none.mp3").write_bytes(b"")
    for name in ("not.mp3", "cut.wav", "none.mp3"):
        named[name] = None
    code = "for (const name of given) results.push(rateOf(new Uint8Array(readFileSync(name))));"
    found = dict(zip(named, run(code, list(named)), strict=True))
    assert found == named


@pytest.mark.parametrize("name", PRESETS)
def test_the_pictures(run, name):
    settings = dataclasses.replace(PRESETS[name], window_samples=3 * PRESETS[name].rate + 11)
    samples = soxr.resample(music(7)[0], 44_100, settings.rate).astype(np.float32)
    model = card(vocabulary.MSD_50, settings=settings)
    code = """
const samples = floats("samples"), { mel, model: { features } } = given;
results.push(drawing.waveform(samples, samples.reduce((a, b) => Math.max(a, Math.abs(b)), 0)));
results.push(drawing.melImage(samples, mel, features));
"""
    wave, mel = run(code, of_page(model), samples=samples)
    for key, values in drawing.waveform(samples).items():
        np.testing.assert_allclose(wave[key], values, atol=1)
    expected = drawing.mel_image(samples, settings=settings)
    assert mel["hz"] == expected["hz"]
    assert mel["z"]["shape"] == expected["z"]["shape"]
    steps = [
        np.frombuffer(base64.b64decode(one["z"]["bdata"]), np.uint8) for one in (mel, expected)
    ]
    difference = np.abs(np.subtract(*steps, dtype=np.int16))
    assert difference.max() <= 2


def recording(model, parts, *, cell):
    """Cells of several parts, each with tags of its own."""
    random = np.random.default_rng(5)
    rows = []
    for n in parts:
        base = random.normal(-3, 2, len(model.tags))
        rows += [base + random.normal(0, 0.4, len(model.tags)) for _ in range(n)]
    scores = (1 / (1 + np.exp(-np.array(rows)))).astype(np.float32)
    return Taggram(None, model.tags, np.arange(len(rows)) * cell, scores, len(rows) * cell - 1)


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ([5], {}),
        ([40, 60, 25], {}),
        ([40, 60, 25], {"priors": None, "calibration": None, "reliability": None}),
        ([900, 1100, 1000], {}),
    ],
)
def test_chapters_with_their_cue_sheet_and_list(run, parts, fields):
    model = card(**fields)
    gram = recording(model, parts, cell=3.625)
    columns = [i for i, tag in enumerate(model.tags) if vocabulary.group(tag) != "sound"]
    code = """
const gram = { seconds: given.seconds, duration: given.duration, scores: rows(given.scores) };
const parts = chapters.chapters(gram, given.card);
for (const name of ["a.mp3", 'My "mix".flac']) {
  results.push([parts, chapters.asText(parts), chapters.asCue(parts, name)]);
}
"""
    given = {
        "seconds": gram.seconds.tolist(), "duration": gram.duration,
        "scores": gram.scores.tolist(), "card": of_page(model),
    }  # fmt: skip
    found = run(code, given)
    shown = dataclasses.replace(
        gram, tags=tuple(model.tags[i] for i in columns), scores=gram.scores[:, columns]
    )
    expected = chapters.chapters(shown, model)
    assert len(expected) == len(parts)
    for name, one in zip(["a.mp3", 'My "mix".flac'], found, strict=True):
        assert one[0] == chapters.as_json(expected)
        assert one[1] == chapters.as_text(expected)
        assert one[2] == chapters.as_cue(expected, name=name)
    assert of_page(model)["rules"]["moments"] == taggrams.MOMENTS_PER_WINDOW
