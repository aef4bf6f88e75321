"""From audio to a store: real files, real kills. test_reader.py reads what is written."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import stores
from audio_files import write_hours_of_silence
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from earmark.audio import load_audio
from earmark.data.catalog.catalog import Catalog, Song
from earmark.data.store.format import StoreFormat, pack
from earmark.data.store.writer import write_shards
from earmark.engine import map_units
from earmark.errors import BadStore, BadValue, DataError, FolderInUse
from earmark.features import PRESETS, log_mel
from earmark.folder_lock import only_run_in
from earmark.windows import centre_crop

FORMAT = stores.tiny_format()


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Eleven songs' audio; S003 has none, S006 is text and S007 is empty."""
    folder = tmp_path / "previews"
    stores.write_audio(folder, 11, missing=[3, 6, 7])
    (folder / "audio" / "S006.mp3").write_text("<html>no such preview</html>")
    (folder / "audio" / "S007.mp3").touch()
    return folder


def sidecar(store: Path, number: int) -> list[dict[str, object]]:
    return pq.read_table(store / f"shard-{number:05d}.parquet").to_pylist()


def test_a_clip_is_the_log_mel_of_the_middle_of_its_file(audio: Path, tmp_path: Path) -> None:
    write_shards(
        stores.catalog(11), tmp_path / "store", store_format=FORMAT, audio=audio, workers=1
    )
    clips = np.load(tmp_path / "store" / "shard-00000.npy")
    assert clips.shape == (3, 16, 33)
    assert clips.dtype == np.float16
    for row in range(3):
        samples = load_audio(audio / "audio" / f"S00{row}.wav", rate=8_000).samples
        expected = log_mel(centre_crop(samples, settings=stores.TINY), settings=stores.TINY)
        # float16 has 11 bits of mantissa; the spectrogram itself may differ in its last bits
        np.testing.assert_allclose(clips[row], expected, rtol=2**-11, atol=1e-3)


def test_every_song_has_a_row_that_says_what_became_of_it(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    index = write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    rows = [row for number in range(3) for row in sidecar(store, number)]
    assert [row["id"] for row in rows] == stores.catalog(11).ids
    assert [row["clip"] for row in rows] == [0, 1, 2, None, 0, 1, None, None, 0, 1, 2]
    assert [row["error_kind"] for row in rows if row["clip"] is None] == [
        "no_audio", "unreadable_audio", "unreadable_audio",
    ]  # fmt: skip
    assert rows[7]["error"] == "the file is empty. Fetch it again"
    assert rows[7]["source"] == "audio/S007.mp3"
    assert rows[0]["tags"] == []
    assert rows[4]["tags"] is None
    assert rows[5]["tags"] == ["rock", "sad"]
    assert rows[0]["seconds"] == 1.5
    assert index.failures == {"no_audio": 1, "unreadable_audio": 2}
    assert (index.n_songs, index.n_clips) == (11, 8)


def test_the_index_says_what_the_store_holds(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    index = json.loads((store / "store.json").read_text())
    assert index["format"] == "earmark.store"
    assert index["version"] == 1
    assert index["features"] == stores.TINY.to_dict()
    assert index["tags"] == list(stores.TAGS)
    assert (index["songs"], index["clips"], len(index["shards"])) == (11, 8, 3)


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_the_number_of_workers_changes_no_byte(audio: Path, tmp_path: Path, dtype: str) -> None:
    store_format = stores.tiny_format(dtype)
    for workers in (1, 2, 3):
        write_shards(
            stores.catalog(11),
            tmp_path / f"{workers}",
            store_format=store_format,
            audio=audio,
            workers=workers,
        )
    one = stores.bytes_of(tmp_path / "1")
    assert len(one) == 7
    assert stores.bytes_of(tmp_path / "2") == one
    assert stores.bytes_of(tmp_path / "3") == one


def test_the_threads_of_the_numeric_library_change_no_byte(tmp_path: Path) -> None:
    stores.write_wav(tmp_path / "a.wav", seed=1, seconds=30, rate=12_000)
    script = tmp_path / "script.py"
    script.write_text(
        dedent("""
        import sys
        from earmark.data.catalog.catalog import Catalog, Song
        from earmark.data.store.format import StoreFormat
        from earmark.data.store.writer import write_shards
        from earmark.features import PRESETS
        catalog = Catalog.from_songs([Song("a")])
        store_format = StoreFormat(PRESETS["choi2016"])
        write_shards(catalog, sys.argv[1], store_format=store_format, audio=sys.argv[2], workers=1)
    """)
    )
    for threads in ("1", "4"):
        subprocess.run(
            [sys.executable, script, tmp_path / threads, tmp_path],
            env={**os.environ, "OPENBLAS_NUM_THREADS": threads},
            check=True,
        )
    assert stores.bytes_of(tmp_path / "1") == stores.bytes_of(tmp_path / "4")


SCRIPT = """
import sys
import stores
from earmark.data.store.writer import write_shards
if __name__ == "__main__":
    store, audio, n, workers = sys.argv[1:]
    store_format = stores.tiny_format(clips_per_shard=10)
    catalog = stores.catalog(int(n))
    write_shards(catalog, store, store_format=store_format, audio=audio, workers=int(workers))
"""


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    stores.write_audio(tmp_path / "previews", 120, missing=[5, 50])
    store, whole = tmp_path / "store", tmp_path / "whole"
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}  # with tests/support
    command = [sys.executable, str(script), str(store), str(tmp_path / "previews"), "120"]
    kills = 0
    for n_shards in (1, 4, 8):  # kill it when so many stand
        run = subprocess.Popen([*command, "2"], env=environment)
        while run.poll() is None and len(list(store.glob("*.parquet"))) < n_shards:
            time.sleep(0.002)
        kills += run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert kills == 3
    assert not (store / "store.json").exists()
    stood = {path.name: path.stat().st_mtime_ns for path in store.glob("*.parquet")}
    subprocess.run([*command, "1"], env=environment, check=True)
    assert all((store / name).stat().st_mtime_ns == time for name, time in stood.items())
    subprocess.run(
        [sys.executable, script, whole, tmp_path / "previews", "120", "2"],
        env=environment,
        check=True,
    )
    assert stores.bytes_of(store) == stores.bytes_of(whole)


def test_a_finished_store_is_left_as_it_is(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    before = {path.name: path.stat().st_mtime_ns for path in store.glob("shard-*")}
    done: list[int] = []
    write_shards(
        stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1, progress=done.append
    )
    assert {path.name: path.stat().st_mtime_ns for path in store.glob("shard-*")} == before
    assert done == [11]


def test_progress_counts_every_song_once(audio: Path, tmp_path: Path) -> None:
    done: list[int] = []
    write_shards(
        stores.catalog(11),
        tmp_path / "store",
        store_format=FORMAT,
        audio=audio,
        workers=1,
        progress=done.append,
    )
    assert sum(done) == 11


def test_audio_is_found_by_id_and_then_by_path(tmp_path: Path) -> None:
    stores.write_wav(tmp_path / "music" / "audio" / "a.wav", seed=1)
    stores.write_wav(tmp_path / "music" / "b.dotted.WAV", seed=2)
    stores.write_wav(tmp_path / "music" / "deep" / "c.wav", seed=3)
    stores.write_wav(tmp_path / "elsewhere" / "d.wav", seed=4)
    songs = [
        Song("a", path="deep/c.wav"),
        Song("b.dotted"),
        Song("c", path="deep/c.wav"),
        Song("d", path=str(tmp_path / "elsewhere" / "d.wav")),
        Song("e", path="deep/none.wav"),
    ]
    store = tmp_path / "store"
    write_shards(
        Catalog.from_songs(songs), store, store_format=stores.tiny_format(clips_per_shard=9),
        audio=tmp_path / "music", workers=1,
    )  # fmt: skip
    assert [row["source"] for row in sidecar(store, 0)] == [
        "audio/a.wav", "b.dotted.WAV", "deep/c.wav", (tmp_path / "elsewhere/d.wav").as_posix(), "",
    ]  # fmt: skip


def test_a_song_that_costs_too_much_is_a_row_unless_limits_are_off(tmp_path: Path) -> None:
    write_hours_of_silence(tmp_path / "A.flac", hours=1.2)
    songs = Catalog.from_songs([Song("A")])
    for name, limits, kind in (("with", True, "unreadable_audio"), ("without", False, None)):
        write_shards(
            songs, tmp_path / name, store_format=FORMAT, audio=tmp_path, limits=limits, workers=1
        )
        assert [row["error_kind"] for row in sidecar(tmp_path / name, 0)] == [kind]


def test_a_catalog_without_any_audio_is_an_error_and_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="none of the 3 songs has an audio file in"):
        write_shards(
            stores.catalog(3), tmp_path / "store", store_format=FORMAT, audio=tmp_path / "nothing"
        )
    with pytest.raises(DataError, match="there is no folder"):
        write_shards(
            stores.catalog(3), tmp_path / "store", store_format=FORMAT, audio=tmp_path / "none"
        )


def test_audio_that_came_later_is_taken_when_failures_are_tried_again(
    audio: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    stores.write_wav(audio / "audio" / "S003.wav", seed=3)
    again = {"store_format": FORMAT, "audio": audio, "workers": 1}
    assert write_shards(stores.catalog(11), store, **again).n_clips < 9
    index = write_shards(stores.catalog(11), store, **again, retry=True)
    assert index.failures == {"unreadable_audio": 2}
    write_shards(
        stores.catalog(11), tmp_path / "fresh", store_format=FORMAT, audio=audio, workers=1
    )
    assert stores.bytes_of(store) == stores.bytes_of(tmp_path / "fresh")


def test_a_shard_that_lost_a_row_is_made_again_when_failures_are_tried_again(
    audio: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    again = {"store_format": FORMAT, "audio": audio, "workers": 1}
    write_shards(stores.catalog(11), store, **again)
    before = stores.bytes_of(store)
    sidecar = store / "shard-00000.parquet"
    pq.write_table(pq.read_table(sidecar)[1:], sidecar)
    write_shards(stores.catalog(11), store, **again, retry=True)
    assert stores.bytes_of(store) == before


def test_trying_again_without_the_audio_or_for_other_features_loses_nothing(
    audio: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    before = stores.bytes_of(store)
    other = StoreFormat(PRESETS["won2020"], clips_per_shard=4)
    with pytest.raises(DataError, match="there is no folder"):
        write_shards(
            stores.catalog(11), store, store_format=FORMAT, audio=tmp_path / "no", retry=True
        )
    with pytest.raises(BadStore, match="other features"):
        write_shards(stores.catalog(11), store, store_format=other, audio=audio, retry=True)
    assert stores.bytes_of(store) == before


@pytest.mark.parametrize(
    ("store_format", "n", "message"),
    [
        (StoreFormat(PRESETS["choi2016"], clips_per_shard=4), 11, "made with other features than"),
        (stores.tiny_format("uint8"), 11, "made with other dtype than"),
        (stores.tiny_format(), 10, "made with other songs_sha256 than"),
        (stores.tiny_format(), 8, "holds shards of a larger catalog"),
    ],
)
def test_another_store_in_the_same_folder_is_refused_and_stays(
    audio: Path, tmp_path: Path, store_format: StoreFormat, n: int, message: str
) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    before = stores.bytes_of(store)
    with pytest.raises(BadStore, match=message):
        write_shards(stores.catalog(n), store, store_format=store_format, audio=audio, workers=1)
    assert stores.bytes_of(store) == before


def test_a_store_of_another_version_is_refused_and_stays(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    index = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps({**index, "version": 2}))
    before = stores.bytes_of(store)
    with pytest.raises(BadStore, match="of version 2; this earmark knows version 1"):
        write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    assert stores.bytes_of(store) == before


def test_two_runs_on_one_folder_do_not_meet(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with only_run_in(store), pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
        write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)


def test_a_full_disk_is_named_and_loses_nothing(
    audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 5:  # the clips of the second shard; each rename flushes its folder too
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot write to .*: No space left on device.*same comm"):
        write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=2)
    assert set(stores.bytes_of(store)) == {"shard-00000.npy", "shard-00000.parquet"}
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    write_shards(
        stores.catalog(11), tmp_path / "fresh", store_format=FORMAT, audio=audio, workers=1
    )
    assert stores.bytes_of(store) == stores.bytes_of(tmp_path / "fresh")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders even from root")
def test_a_folder_that_cannot_be_written_to_is_named(audio: Path) -> None:
    with pytest.raises(DataError, match="cannot write to /proc/store"):
        write_shards(stores.catalog(11), "/proc/store", store_format=FORMAT, audio=audio)


def test_what_a_killed_run_left_half_done_is_cleared(audio: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / ".shard-00000.npy.abcd.part").write_bytes(b"half")
    write_shards(stores.catalog(11), store, store_format=FORMAT, audio=audio, workers=1)
    assert not list(store.glob(".*.part"))


@given(arrays(np.float32, (4, 9), elements=st.floats(-200, 100, width=32)))
@example(np.eye(4, 9, dtype=np.float32) * np.float32(1e-45))
@settings(max_examples=200)
def test_uint8_is_within_half_a_step_that_spans_the_clip(clip: np.ndarray) -> None:
    codes, offset, step = pack(clip, dtype="uint8")
    span = float(clip.max()) - float(clip.min())
    assert step <= span / 255 * 1.001 or span < 1e-30  # all one value: any step will do
    # half a step, and what float32 loses on the way
    assert np.abs(offset + step * codes.astype(np.float64) - clip).max() <= step / 2 + 1e-4


@given(arrays(np.float32, (4, 9), elements=st.floats(-200, 100, width=32)))
def test_float16_is_within_its_eleven_bits(clip: np.ndarray) -> None:
    codes, offset, step = pack(clip, dtype="float16")
    assert (offset, step) == (0.0, 1.0)
    assert (np.abs(codes.astype(np.float64) - clip) <= np.abs(clip) * 2**-11 + 2**-25).all()


def test_impossible_forms_are_refused() -> None:
    with pytest.raises(BadValue, match="choose float16 or uint8"):
        StoreFormat(stores.TINY, "float32")
    with pytest.raises(BadValue, match="clips_per_shard is 0"):
        StoreFormat(stores.TINY, "float16", 0)


def test_workers_get_absolute_paths_and_rows_keep_relative_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_audio(tmp_path / "audio", 4)
    seen: list[Path | None] = []
    spread = map_units

    def elsewhere(work: Any, units: Iterable[Any], **options: Any) -> Iterator[Any]:
        def listed() -> Iterator[Any]:
            for unit in units:
                seen.append(unit.path)
                yield unit

        return spread(work, listed(), **options)

    monkeypatch.setattr("earmark.data.store.writer.map_units", elsewhere)
    monkeypatch.chdir(tmp_path)
    store_format = stores.tiny_format()
    for name, folder in (("a", Path("audio")), ("b", tmp_path / "audio")):
        write_shards(
            stores.catalog(4), tmp_path / name, store_format=store_format, audio=folder, workers=1
        )
    assert len(seen) == 8
    assert all(path is not None and path.is_absolute() for path in seen)
    assert stores.bytes_of(tmp_path / "a") == stores.bytes_of(tmp_path / "b")
