"""`earmark data shards | verify | export | import` as a person types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import stores

from earmark.data.catalog.catalog import write_catalog
from earmark.data.store.reader import open_store
from earmark.folder_lock import only_run_in


def earmark(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "earmark", "data", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of five songs, and the audio of four of them, one of which is text."""
    folder = tmp_path_factory.mktemp("cli")
    stores.write_audio(folder / "previews", 5, missing=[1, 3])
    (folder / "previews" / "audio" / "S003.mp3").write_text("no music")
    write_catalog(stores.catalog(5), folder / "catalog.parquet")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Path:
    run = earmark(
        "shards", folder / "catalog.parquet", "-o", folder / "store", "--audio",
        folder / "previews", "--features", "choi2016", "--clips-per-shard", 2, "--workers", 2,
    )  # fmt: skip
    assert run.returncode == 3  # one file could not be used
    assert run.stdout == ""
    assert "error: audio/S003.mp3: FFmpeg finds no audio in it" in run.stderr
    assert "3 clips in 3 shards; 1 song has no audio file, 1 file could not be" in run.stderr
    assert "run this again with --retry" in run.stderr
    return folder / "store"


def test_shards_makes_a_store_that_opens(store: Path) -> None:
    with open_store(store) as opened:
        assert opened.ids == ["S000", "S002", "S004"]
        assert opened.settings.name == "choi2016"
        assert opened.log_mels([0]).shape == (1, 96, 1366)


def test_shards_says_as_json_what_became_of_each_song(folder: Path, store: Path) -> None:
    run = earmark(
        "shards", folder / "catalog.parquet", "-o", store, "--audio", folder / "previews",
        "--features", "choi2016", "--clips-per-shard", 2, "--json",
    )  # fmt: skip
    assert run.returncode == 3
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert lines[0]["error"] == {"kind": "no_audio", "message": "no audio file"}
    assert lines[1]["path"] == "audio/S003.mp3"
    assert lines[1]["id"] == "S003"
    assert lines[1]["error"]["kind"] == "unreadable_audio"
    assert lines[2] == {
        "store": str(store),
        "songs": 5,
        "clips": 3,
        "failures": {"no_audio": 1, "unreadable_audio": 1},
        "shards": 3,
    }


def test_songs_without_audio_alone_are_no_failure(folder: Path, tmp_path: Path) -> None:
    stores.write_audio(tmp_path / "previews", 5, missing=[1, 3])
    words = ["shards", folder / "catalog.parquet", "-o", tmp_path / "store"]
    words += ["--audio", tmp_path / "previews", "--features", "choi2016", "--dtype", "uint8"]
    assert earmark(*words).returncode == 0
    stores.write_wav(tmp_path / "previews" / "S003.wav", seed=3)
    again = earmark(*words, "--retry")
    assert again.returncode == 0
    assert "4 clips in 1 shard; 1 song has no audio file, 0 files" in again.stderr


def test_verify_is_quiet_about_a_whole_store_and_names_damage(store: Path, tmp_path: Path) -> None:
    run = earmark("verify", store)
    assert (run.returncode, run.stdout) == (0, "")
    assert "3 clips in 3 shards, all well" in run.stderr
    broken = tmp_path / "broken"
    broken.mkdir()
    for name, data in stores.bytes_of(store).items():
        (broken / name).write_bytes(data)
    clips = np.load(broken / "shard-00001.npy", mmap_mode="r+")
    clips[0, 50, 700] += 1
    clips.flush()
    run = earmark("verify", broken)
    assert run.returncode == 1
    assert run.stdout == "shard-00001.npy: damaged clips: 0 (S002)\n"
    run = earmark("verify", broken, "--json")
    assert json.loads(run.stdout) == {
        "file": "shard-00001.npy",
        "problem": "damaged clips: 0 (S002)",
    }


@pytest.mark.parametrize("to", ["webdataset", "numpy"])
def test_export_names_its_files_and_import_takes_them_back(
    store: Path, tmp_path: Path, to: str
) -> None:
    run = earmark("export", store, "-o", tmp_path / "out", "--to", to)
    assert run.returncode == 0
    (line,) = run.stdout.splitlines()
    assert Path(line).is_file()
    assert earmark("import", tmp_path / "out", "-o", tmp_path / "back").returncode == 0
    with open_store(store) as one, open_store(tmp_path / "back") as other:
        np.testing.assert_array_equal(one.raw(range(3)), other.raw(range(3)))


def test_a_folder_in_use_is_one_line_and_exit_code_1(folder: Path, store: Path) -> None:
    with only_run_in(store):
        run = earmark(
            "shards", folder / "catalog.parquet", "-o", store, "--audio", folder / "previews"
        )
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: another run works on {store} (process ")
    assert "Traceback" not in run.stderr


def test_features_that_do_not_exist_are_named(folder: Path, tmp_path: Path) -> None:
    run = earmark("shards", folder / "catalog.parquet", "-o", tmp_path / "s", "--features", "choi")
    assert run.returncode == 1
    assert "choose one of choi2016, cs2470, won2020" in run.stderr


def test_verify_says_how_to_mend_a_store_and_repair_mends_it(
    folder: Path, store: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(store, tmp_path / "store"))
    clips = broken / "shard-00001.npy"
    data = bytearray(clips.read_bytes())
    data[-1] ^= 1
    clips.write_bytes(data)
    found = earmark("verify", broken)
    assert found.returncode == 1
    assert found.stdout == "shard-00001.npy: damaged clips: 0 (S002)\n"
    assert "with --repair" in found.stderr
    earmark(
        "shards", folder / "catalog.parquet", "-o", broken, "--audio", folder / "previews",
        "--features", "choi2016", "--clips-per-shard", 2, "--workers", 1, "--repair",
    )  # fmt: skip
    assert stores.bytes_of(broken) == stores.bytes_of(store)


def test_import_draws_splits_and_says_when_there_are_none(store: Path, tmp_path: Path) -> None:
    earmark("export", store, "-o", tmp_path / "out", "--to", "numpy")
    (tmp_path / "out" / "0-3_songs.csv").unlink()
    bare = earmark("import", tmp_path / "out", "-o", tmp_path / "bare")
    assert bare.returncode == 0, bare.stderr
    assert "no clip has a split" in bare.stderr
    words = ("--validation", 0.34, "--test", 0.33)
    drawn = earmark("import", tmp_path / "out", "-o", tmp_path / "drawn", *words)
    assert drawn.returncode == 0, drawn.stderr
    with open_store(tmp_path / "drawn") as opened:
        assert sorted(opened.splits) == ["test", "train", "valid"]
