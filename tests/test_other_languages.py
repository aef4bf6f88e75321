"""What docs/guides/other-languages.md tells other languages to compute is what earmark computes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from earmark import features, windows
from earmark.features import PRESETS
from earmark.model_file import Calibration, Card

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "other-languages.md"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no node here, which runs the page's program")
# reads JSON and float32 from files beside it, and writes float32
RUN_JS = """
import { readFileSync, writeFileSync } from "node:fs";
import { logMel, scores } from "./page.mjs";
const read = (name) => new Float32Array(new Uint8Array(readFileSync(name)).buffer);
const jobs = JSON.parse(readFileSync("jobs.json"));
for (const { name, features } of jobs.logMels)
  writeFileSync(`${name}.out`, logMel(read(`${name}.in`), features));
console.log(JSON.stringify(jobs.scores.map(({ logits, card }) => scores(logits, card))));
"""


def code(language):
    """The longest block of that language on the page: the whole program."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return max(blocks, key=len)


def clip(settings, *, seconds=1.5):
    """Notes with pauses, an offset and noise."""
    random = np.random.default_rng(1)
    time = np.arange(round(seconds * settings.rate)) / settings.rate
    notes = 0.2 * np.sin(2 * np.pi * 440 * time) * (time % 0.5 < 0.3)
    return (notes + 0.01 + 0.002 * random.normal(size=time.size)).astype(np.float32)


def of_card(settings):
    return json.loads(json.dumps(settings.to_dict()))


def cards():
    """(card, logits of three windows) for each way to pool and to calibrate."""
    logits = np.random.default_rng(2).normal(-2, 2, (3, 4)).astype(np.float32)
    calibration = Calibration((0.5, 1.0, 1.5, 2.0), (0.1, 0.0, -0.2, 0.4))
    for pooling in ("logits", "scores"):
        for calibrated in (None, calibration):
            yield (
                Card(
                    name="x", tags=("a", "b", "c", "d"), features=PRESETS["choi2016"], priors=None,
                    source="", licence="", calibration=calibrated, pooling=pooling,
                ),
                logits,
            )  # fmt: skip


@pytest.fixture(scope="module")
def numpy_page():
    names = {}
    exec(compile(code("python"), str(PAGE), "exec"), names)
    return names


def assert_same(ours, settings):
    np.testing.assert_allclose(
        ours, features.log_mel(clip(settings), settings=settings), atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("name", PRESETS)
def test_the_numpy_of_the_page_makes_the_spectrogram(numpy_page, name):
    settings = PRESETS[name]
    assert_same(numpy_page["log_mel"](clip(settings), of_card(settings)), settings)


def test_the_numpy_of_the_page_leaves_silence_as_it_is(numpy_page):
    settings = PRESETS["efficientat-level"]
    for silent in (np.zeros(8000, np.float32), np.full(8000, 1e-6, np.float32)):
        np.testing.assert_allclose(
            numpy_page["log_mel"](silent, of_card(settings)),
            features.log_mel(silent, settings=settings), atol=1e-4,
        )  # fmt: skip


def test_the_numpy_of_the_page_pools_and_calibrates(numpy_page):
    for card, logits in cards():
        expected = card.scores(windows.pool(logits, pooling=card.pooling))
        found = numpy_page["scores"](logits, json.loads(card.to_json()))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_steps_of_the_page_together_give_the_scores_of_a_long_track(numpy_page, tagger):
    card = json.loads(tagger.card.to_json())
    rate, size = (card["features"][key] for key in ("rate", "window_samples"))
    track = np.random.default_rng(3).normal(0, 0.1, 70 * rate).astype(np.float32)
    track *= np.linspace(0.1, 1, track.size, dtype=np.float32)
    starts = [*range(0, track.size - size + 1, size), track.size - size]
    log_mels = [numpy_page["log_mel"](track[at : at + size], card["features"]) for at in starts]
    session = onnxruntime.InferenceSession(tagger.model.path)
    logits = session.run(["logits"], {"log_mel": np.stack(log_mels).astype(np.float32)})[0]
    expected = tagger.scores_of(tagger.listen(track, rate=rate))
    assert len(starts) == 3
    np.testing.assert_allclose(numpy_page["scores"](logits, card), expected, atol=1e-4)


@needs_node
def test_the_javascript_of_the_page_does_both(tmp_path):
    (tmp_path / "page.mjs").write_text(code("js"), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(RUN_JS, encoding="utf-8")
    for name, settings in PRESETS.items():
        clip(settings).tofile(tmp_path / f"{name}.in")
    jobs = {
        "logMels": [{"name": name, "features": of_card(of)} for name, of in PRESETS.items()],
        "scores": [
            {"card": json.loads(card.to_json()), "logits": logits.tolist()}
            for card, logits in cards()
        ],
    }
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run(
        [str(NODE), "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for name, settings in PRESETS.items():
        found = np.fromfile(tmp_path / f"{name}.out", dtype=np.float32)
        assert_same(found.reshape(settings.n_mels, -1), settings)
    for found, (card, logits) in zip(json.loads(done.stdout), cards(), strict=True):
        expected = card.scores(windows.pool(logits, pooling=card.pooling))
        np.testing.assert_allclose(found, expected, atol=1e-6)
