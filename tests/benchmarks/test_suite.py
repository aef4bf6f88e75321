"""The benchmarks run. No number is looked at: other tests and machines share the processor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import published_pieces as made
import pytest
from audio_files import tone, write_audio

from earmark import published

ROOT = Path(__file__).parents[2]


# Ray is left out: it has tests of its own
STAGES = ("tags", "shards", "scores", "parts", "training", "startup", "growth", "long", "library")


def test_the_list_of_what_is_measured_names_every_command():
    folder = ROOT / "benchmarks"
    scripts = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in folder.rglob("*.py")
        if path.name != "__main__.py" and '__name__ == "__main__"' in path.read_text("utf-8")
    }
    listed = (folder / "__init__.py").read_text("utf-8")
    missing = {name for name in scripts if f"python -m {name} " not in listed}
    assert missing == {"benchmarks.suite.ways"}  # which other benchmarks start


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """The folder where all tests keep their rows, so that no stage runs twice."""
    return tmp_path_factory.mktemp("benchmarks")


def run(work, *words):
    """A tiny run in a process: (rows, the page, what it said)."""
    page = work / "performance.md"
    command = [sys.executable, "-m", "benchmarks", "--tiny", "-o", page, "--work", work, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(page.with_suffix(".json").read_text())["rows"], page, done.stderr


@pytest.fixture(scope="module")
def musicnn(tmp_path_factory):
    """A model file of musicnn with random weights."""
    folder = tmp_path_factory.mktemp("musicnn")
    weights = made.write_musicnn(folder / "MSD_musicnn")
    published.convert("musicnn", weights, folder / "musicnn.onnx", name="musicnn-msd")
    return folder / "musicnn.onnx"


def test_essentia_and_musicnn_give_scores_of_each_clip(musicnn, tmp_path):
    pytest.importorskip("essentia", reason="the benchmarks' peers are not installed")
    from benchmarks.suite import ways

    paths = [tmp_path / "long.wav", tmp_path / "short.wav"]  # than a clip of the network
    for path, seconds in zip(paths, (31, 10), strict=True):
        write_audio(path, tone(440, seconds=seconds), codec="pcm_s16le")
    found = [ways._essentia_musicnn(str(path), model=str(musicnn)) for path in paths]
    for scores in found:
        assert scores.shape == (1, 50)
        assert ((scores > 0) & (scores < 1)).all()


def test_the_limit_counts_each_piece_that_musicnn_hears(musicnn):
    from benchmarks.suite.limit import flop_of_a_window

    frames, pieces = 187, 10
    front = 204 * 7 * (38 * 59 + 67 * 30) + 51 * (128 + 64 + 32) * 96
    middle = 64 * 7 * (561 + 64 + 64)
    of_a_piece = frames * (front + middle) + 1506 * 200 + 200 * 50
    assert flop_of_a_window(musicnn) == 2 * pieces * of_a_piece


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_tiny_run_has_rows_of_each_stage(work, stage):
    rows, _, _ = run(work, "--only", stage)
    assert {"machine", stage} <= {row["stage"] for row in rows if "missing" not in row}
    if stage == "tags":
        ways = {row["way"] for row in rows if row["stage"] == "tags"}
        assert {"original", "researcher", "earmark", "earmark, every second", "ffmpeg"} <= ways
        assert {"musicnn-msd", "essentia, musicnn-msd"} <= ways  # or why they are missing


@pytest.mark.slow
def test_a_run_of_all_stages_writes_the_page_and_one_that_was_killed_goes_on_where_it_was(work):
    rows, page, _ = run(work)
    assert {row["stage"] for row in rows if "missing" not in row} == {"machine", *STAGES}
    text = page.read_text(encoding="utf-8")
    assert "times the machine's limit (earmark)" in text
    assert text.count("Not measured in this run.") == 1  # Ray
    assert page.with_suffix(".svg").read_text().count("earmark") > 0

    kept = work / "tiny" / "records.jsonl"
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:-1]) + lines[-1][:20])  # killed in the midst of a row
    _, _, said = run(work)
    assert f"{len(rows) - 1} of {len(rows)} measurements are there already" in said


def test_the_limit_counts_a_network_as_it_is_defined_however_its_graph_computes_it(tmp_path):
    from benchmarks.suite.limit import flop_of_a_window

    from earmark.graph import ConvBlock, Dense, Network, build

    weights = np.zeros((16, 1, 5, 3), np.float32), np.zeros((7, 16, 3, 3), np.float32)
    blocks = [ConvBlock(w, np.zeros(len(w), np.float32), (2, 2)) for w in weights]
    n = 7 * (27 // 4) * (41 // 4)
    output = Dense(np.zeros((n, 3), np.float32), np.zeros(3, np.float32))
    network = Network(27, 41, front=[], blocks=blocks, output=output)
    expected = 2 * (16 * 15 * 27 * 41 + 7 * 16 * 9 * 13 * 20 + 3 * n)
    for by_winograd in (True, False):
        path = tmp_path / f"{by_winograd}.onnx"
        path.write_bytes(build(network, by_winograd=by_winograd).SerializeToString())
        assert flop_of_a_window(path) == expected


def test_the_limit_counts_the_layers_of_a_mobilenet_at_the_places_where_they_are_computed(tmp_path):
    from benchmarks.suite.limit import flop_of_a_window

    from earmark.graph import Conv, ConvBlock, Dense, InvertedResidual, Network, build

    def conv(*shape: int) -> Conv:
        return Conv(np.zeros(shape, np.float32), np.zeros(shape[0], np.float32))

    first = conv(4, 1, 3, 3)
    residual = InvertedResidual(
        expand=conv(8, 4, 1, 1), depthwise=conv(8, 1, 5, 5), squeeze=None, project=conv(6, 8, 1, 1),
        activation="relu", stride=2,
    )  # fmt: skip
    blocks = [ConvBlock(first.weight, first.bias, (1, 1), "relu", stride=(2, 2)), residual]
    output = Dense(np.zeros((6, 3), np.float32), np.zeros(3, np.float32))
    network = Network(16, 24, front=[], blocks=blocks, summary="mean", output=output)
    path = tmp_path / "mobile.onnx"
    path.write_bytes(build(network).SerializeToString())
    places, fewer = 8 * 12, 4 * 6  # after the first stride, after the second
    expected = places * (4 * 9 + 8 * 4) + fewer * (8 * 25 + 6 * 8) + 6 * 3
    assert flop_of_a_window(path) == 2 * expected
