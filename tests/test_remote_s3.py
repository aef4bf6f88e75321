"""Audio and stores in a bucket, on a server on loopback that speaks S3: `make s3` runs this."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audio_files import music, write_audio
from tiny_recipe import tiny_recipe
from tiny_store import write_tiny_store

from earmark.data.store import open_store, verify_store

pytest.importorskip("s3fs", reason="s3fs is not installed: run `make s3`")
pytest.importorskip("moto.server", reason="moto is not installed: run `make s3`")

# botocore and moto warn of what is theirs to mend
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(botocore|moto|aiobotocore)")
KEY = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as environment:
        for name, value in KEY.items():
            environment.setenv(name, value)
        server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write_audio(home / "song.flac", music(3, seed=1), codec="flac")
    write_tiny_store(home / "store", n=48)
    return home


@pytest.fixture(scope="module")
def bucket(endpoint: str, folder: Path) -> Any:
    import s3fs

    files = s3fs.S3FileSystem()
    files.mkdir("music")
    files.put(str(folder / "song.flac"), "music/a b/sóng #1?.flac")
    files.put(str(folder / "store"), "music/store", recursive=True)
    return files


def earmark(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    quick = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nowhere"}
    return subprocess.run(
        [sys.executable, "-m", "earmark", *words],
        capture_output=True, text=True, timeout=120, env={**clean, **quick, **environment},
    )  # fmt: skip


def test_a_song_in_a_bucket_is_tagged_as_the_local_one(endpoint, bucket, folder, model):
    names = ["s3://music/a b/sóng #1?.flac", "s3://music/none.flac", "s3://elsewhere/song.flac"]
    done = earmark(
        "tag", *names, str(folder / "song.flac"), "--model", str(model), "--json",
        "--workers", "1", AWS_ENDPOINT_URL=endpoint, **KEY,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == [*names, str(folder / "song.flac")]
    assert lines[0]["tags"] == lines[3]["tags"]
    for line in lines[1:3]:
        assert line["error"]["message"].endswith("nothing is at this address. Check the name")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", **KEY}, "Could not connect"),
        ({}, "credentials"),
    ],
    ids=["wrong endpoint", "no credentials"],
)
def test_what_the_driver_lacks_is_said_in_one_line(endpoint, bucket, model, environment, words):
    environment = {"AWS_ENDPOINT_URL": endpoint, **environment}
    done = earmark("tag", "s3://music/song.flac", "--model", str(model), **environment)
    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert line.startswith("error: cannot read s3://music/song.flac: fetching it failed (")
    assert words in line
    assert line.endswith("Check the address, the credentials and the connection")


@pytest.mark.parametrize("resident", [True, False], ids=["resident", "elsewhere"])
def test_a_store_in_a_bucket_reads_as_the_local_one(bucket, folder, resident):
    with (
        open_store("s3://music/store", resident=resident) as there,
        open_store(folder / "store") as here,
    ):
        assert (there.ids, there.sha256) == (here.ids, here.sha256)
        places = np.random.default_rng(1).permutation(len(here))
        np.testing.assert_array_equal(there.log_mels(places), here.log_mels(places))
    assert verify_store("s3://music/store", workers=1) == []


def test_training_reads_a_store_in_a_bucket(bucket, tmp_path):
    from earmark.training import train

    assert train(tiny_recipe(loop={"epochs": 1}), "s3://music/store", tmp_path / "run").epochs == 1
