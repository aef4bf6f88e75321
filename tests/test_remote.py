"""Audio and stores at addresses: read as local ones are, and refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import music, write_audio
from file_server import FileServer, cut, parts, status, whole
from tiny_store import write_tiny_store

from earmark.audio import load_audio, probe
from earmark.data.store import open_store, read_index, verify_store
from earmark.errors import BadStore, BadValue, MissingExtra, UnreadableAudio
from earmark.remote import Address, place_of
from earmark.results import Failure
from earmark.tagger import Tagger

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[remote]'")


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("music") / "song.flac"
    return write_audio(path, music(3, seed=1), codec="flac")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three shards; no test writes to it."""
    return write_tiny_store(tmp_path_factory.mktemp("store") / "store", n=48)


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in the memory of this process."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def put(memory: Any, source: Path, name: str) -> str:
    memory.put(str(source), f"/{name}", recursive=source.is_dir())
    return f"memory://{name}"


@pytest.mark.parametrize(
    ("name", "is_address"),
    [
        ("s3://bucket/song.mp3", True),
        ("https://host/a/b.flac?key=1", True),
        ("gs://bucket", True),
        ("song.mp3", False),
        ("/music/s3://no.mp3", False),
        ("C:/music/song.mp3", False),
        ("c://song.mp3", False),
        ("AC/DC: Live.mp3", False),
        ("s3:song.mp3", False),
        (Path("s3://bucket/song.mp3"), False),
        (Address("s3://bucket/song.mp3"), True),
    ],
)
def test_a_name_with_a_scheme_is_an_address_and_a_path_never_is(name: Any, is_address: bool):
    place = place_of(name)
    assert isinstance(place, Address) is is_address
    if isinstance(name, str) and is_address:
        assert str(place) == name


@pytest.mark.skipif(os.name == "nt", reason="Windows has no files of such a name")
def test_the_name_of_a_file_that_is_there_is_that_file(tmp_path, monkeypatch, song):
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    Path("http:/song.flac").write_bytes(song.read_bytes())
    assert place_of("http://song.flac") == Path("http:/song.flac")
    assert load_audio("http://song.flac", rate=8000).seconds == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/a/what? #1.flac", "what? #1.flac"),
        ("https://host/a/song.flac?signature=x/y.z#t=1", "song.flac"),
        ("s3://bucket", "bucket"),
        ("https://[broken/song.flac", "song.flac"),
    ],
)
def test_an_address_has_the_name_of_its_file(url, name):
    assert Address(url).name == name
    assert Address(url).stem == name.removesuffix(".flac")


def test_an_address_survives_the_way_to_a_worker():
    address = Address("s3://bucket/store/") / "store.json"
    assert str(address) == "s3://bucket/store/store.json"
    assert pickle.loads(pickle.dumps(address)) == address
    error = UnreadableAudio(address, "why")
    assert pickle.loads(pickle.dumps(error)).path == address
    assert str(error) == "cannot read s3://bucket/store/store.json: why"


def test_audio_at_an_address_is_that_of_the_file(memory, song, tagger: Tagger, monkeypatch):
    at = put(memory, song, "music/song.flac")
    np.testing.assert_array_equal(
        load_audio(at, rate=8000, start=1, seconds=1).samples,
        load_audio(song, rate=8000, start=1, seconds=1).samples,
    )
    assert probe(at) == probe(song)
    there, here = tagger.tag(at), tagger.tag(song)
    assert there.tags == here.tags
    assert there.as_json() == {**here.as_json(), "path": at}


def test_nothing_is_left_of_audio_that_was_fetched(
    memory, song, tagger: Tagger, tmp_path, monkeypatch
):
    at = put(memory, song, "song.flac")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tagger.tag(at)
    memory.pipe("/text.mp3", b"no audio" * 100)
    with pytest.raises(UnreadableAudio, match=r"cannot read memory://text.mp3: FFmpeg finds no"):
        tagger.tag("memory://text.mp3")
    assert list(tmp_path.iterdir()) == []


def test_each_address_of_a_list_fails_alone_with_what_to_do(memory, song, tagger: Tagger):
    put(memory, song, "album/song.flac")
    names = [
        "memory://album/song.flac",
        "memory://album/none.flac",
        "memory://album",
        "nowhere://song.flac",
        "http://127.0.0.1:1/song.flac",
        song,
    ]
    results = list(tagger.tag_files(names, workers=1))
    messages = [str(one.error) if isinstance(one, Failure) else "" for one in results]
    assert messages[0] == messages[-1] == ""
    assert messages[1].endswith("nothing is at this address. Check the name")
    assert "it is a folder. Give the addresses of the files in it" in messages[2]
    assert messages[3].startswith("nowhere:// is no kind of address that fsspec knows")
    assert messages[4].startswith("cannot read http://127.0.0.1:1/song.flac: fetching it failed (")
    assert messages[4].endswith("Check the address, the credentials and the connection")
    assert not any("\n" in message for message in messages)


def test_a_list_of_files_may_have_no_end(song, tagger: Tagger):
    def endless() -> Iterator[Path]:
        while True:
            yield song

    results = tagger.tag_files(endless(), workers=1)
    assert [next(results).path for _ in range(9)] == [song] * 9


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(BadValue, match=r"s3://bucket/a\.mp3 needs another package\. Install s3fs"):
        load_audio("s3://bucket/a.mp3", rate=8000)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"fsspec is not installed. Run: pip install .*remote"):
        load_audio("s3://bucket/a.mp3", rate=8000)


def test_the_command_hears_addresses_and_asks_for_nothing_else(song, model):
    body = song.read_bytes()
    answers = {
        "/a/song.flac": parts(body),
        "/whole.flac": whole(body),
        "/cut.flac": cut(body, keep=len(body) // 2),
        "/shut.flac": status(403),
        "/broken.flac": status(500),
    }
    with FileServer(answers) as server:
        names = [f"{server.url}{path}" for path in (*answers, "/none.flac")]
        done = subprocess.run(
            [sys.executable, "-m", "earmark", "tag", "-", str(song), "--model", str(model),
             "--json", "--workers", "1"],
            input="\n".join(names), capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        asked = set(server.asked)
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == [*names, str(song)]
    local = lines.pop()["tags"]
    assert [line.get("tags") == local for line in lines] == [True, True, False, False, False, False]
    errors = [line["error"] for line in lines[2:]]
    assert {error["kind"] for error in errors} == {"unreadable_audio"}
    for error, words in zip(
        errors, ["fetching it failed", "403", "500", "nothing is at this address"], strict=True
    ):
        assert words in error["message"]
        assert "\n" not in error["message"]
    assert asked == {*answers, "/none.flac"}


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "elsewhere"])
def test_a_store_at_an_address_reads_as_the_local_one(memory, folder, resident):
    at = put(memory, folder, "deep/store")
    with open_store(at, resident=resident) as there, open_store(folder) as here:
        assert there.ids == here.ids
        assert there.splits == here.splits
        assert there.sha256 == here.sha256
        np.testing.assert_array_equal(there.labels, here.labels)
        places = np.random.default_rng(1).permutation(len(here))
        np.testing.assert_array_equal(there.log_mels(places), here.log_mels(places))
        np.testing.assert_array_equal(there.raw(places), here.raw(places))
    assert verify_store(at, workers=1) == []


def test_a_clip_of_a_store_elsewhere_is_one_request_of_its_size(folder):
    bodies = {f"/store/{path.name}": path.read_bytes() for path in folder.glob("s*")}
    with FileServer({name: parts(body) for name, body in bodies.items()}) as server:
        with open_store(f"{server.url}/store", resident=False) as store:
            server.asked.clear()
            store.raw([0, 47])
            assert sorted(server.asked) == ["/store/shard-00000.npy", "/store/shard-00002.npy"]
        server.answers["/store/shard-00001.npy"] = whole(bodies["/store/shard-00001.npy"])
        with pytest.raises(BadStore, match="the server gives whole files, and no parts"):
            open_store(f"{server.url}/store")
        server.answers["/store/shard-00001.npy"] = status(403)
        with pytest.raises(BadStore, match=r"shard-00001.npy: .*Check the address, the credent"):
            open_store(f"{server.url}/store")


def test_a_store_that_is_not_there_not_finished_or_damaged_is_refused(memory, folder):
    with pytest.raises(BadStore, match=r"memory://none is not a store: it has no store.json"):
        open_store("memory://none")
    at = put(memory, folder, "store")
    body = memory.cat_file("/store/shard-00001.npy")
    memory.pipe("/store/shard-00001.npy", body[:-7] + b"damaged")
    [problem] = verify_store(at, workers=1)
    assert (problem.file, problem.problem[:13]) == ("shard-00001.npy", "damaged clips")
    with open_store(at, resident=False) as store:
        memory.rm("/store/shard-00001.npy")
        with pytest.raises(BadStore, match=r"cannot read memory://store/shard-00001.npy: nothing"):
            store.raw([25])
    with pytest.raises(BadStore, match=r"shard-00001.npy: nothing is there"):
        open_store(at)
    memory.rm("/store/store.json")
    with pytest.raises(BadStore, match="memory://store is not finished"):
        read_index(Address("memory://store"))
