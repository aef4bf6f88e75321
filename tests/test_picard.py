"""The plug-in for Picard, run by Picard's own interface; its client, against a real server."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import mutagen
import pytest
import tiny_model
from audio_files import tone, write_audio
from web_server import Serving, serving

from earmark import Tagger
from earmark.web.access import Access

PLUGIN = Path(__file__).parents[1] / "integrations/picard/earmark"
SESSION = Path(__file__).parent / "support/picard_session.py"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PLUGIN / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = load("client")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def server(model) -> Iterator[Serving]:
    with serving(model, access=Access(token="a-secret-of-thirty-two-characters")) as server:
        yield server


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / 'a "quoted" näme;.flac'
    return write_audio(path, tone(300, seconds=1, rate=22_050), codec="flac", rate=22_050)


def test_the_client_gets_what_the_tagger_hears(server, model, song):
    heard = client.hear(song, server=server.url + "/", token="a-secret-of-thirty-two-characters")
    tags = Tagger.load(model).tag(song)
    assert {tag["tag"]: tag["score"] for tag in heard["tags"]} == pytest.approx(
        {tag.tag: tag.score for tag in tags}, abs=1e-4
    )


def test_a_wrong_token_a_bad_file_and_a_wrong_address_each_have_their_reason(server, song):
    with pytest.raises(client.NotHeard, match="token"):
        client.hear(song, server=server.url, token="wrong")
    song.write_text("no music")
    with pytest.raises(client.NotHeard, match="cannot read"):
        client.hear(song, server=server.url, token="a-secret-of-thirty-two-characters")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(client.NotHeard, match="Is `earmark serve` running"):
        client.hear(song, server=f"http://127.0.0.1:{port}")
    for address in ("localhost:8000", "http://localhost:eighty", "http://[1"):
        with pytest.raises(client.NotHeard, match="not an address"):
            client.hear(song, server=address)
    song.unlink()
    with pytest.raises(client.NotHeard, match=r"cannot read .*: No such file"):
        client.hear(song, server=server.url)


def test_a_server_that_refuses_a_large_file_before_its_end_has_its_reason_told(server, song):
    with song.open("r+b") as file:
        file.truncate(400_000_000)
    with pytest.raises(client.NotHeard, match="token"):
        client.hear(song, server=server.url, token="wrong")


def heard(
    kind: str = "music", first: str | None = "metal", **tags: tuple[str, float]
) -> dict[str, object]:
    listed = [{"tag": tag, "group": group, "score": score} for tag, (group, score) in tags.items()]
    return {"kind": kind, "first_genre": first, "tags": listed}


def test_the_first_genre_leads_and_what_is_not_sure_or_no_music_has_none():
    tags = {
        "rock": ("genre", 0.9),
        "metal": ("genre", 0.6),
        "sad": ("mood", 0.5),
        "jazz": ("genre", 0.1),
    }
    assert client.genres_and_moods(heard(**tags), least=0.5) == (["metal", "rock"], ["sad"])
    assert client.genres_and_moods(heard(first=None, **tags), least=0.5) == ([], ["sad"])
    assert client.genres_and_moods(heard(kind="speech", **tags), least=0.5) == ([], [])


def picard() -> str:
    """A Python that has Picard: this one, or the one that is named."""
    if named := os.environ.get("EARMARK_TEST_PICARD"):
        return named
    if importlib.util.find_spec("picard") is None:
        pytest.skip(
            "no Picard 3: `pip install picard` in an environment of its own (300 MB), and name its "
            "python in EARMARK_TEST_PICARD"
        )
    return sys.executable


def test_picard_fills_empty_fields_and_keeps_the_others(model, song, tmp_path):
    python = picard()
    kept = shutil.copy(song, tmp_path / "kept.flac")
    tags = mutagen.File(kept)
    tags["genre"] = ["Own"]
    tags.save()
    broken = tmp_path / "broken.flac"
    data = song.read_bytes()
    broken.write_bytes(data[: data.index(b"\xff\xf8")] + bytes(4_000))  # tags, and no audio
    with serving(model) as server:
        done = subprocess.run(
            [python, SESSION, PLUGIN, tmp_path, server.url, song, kept, broken],
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["defaults"] == ["http://127.0.0.1:8000", 0.5, False]
    assert len(said["errors"]) == 1
    assert said["errors"][0].startswith(f"{broken}: cannot read broken.flac")
    answer = Tagger.load(model).tag(song)
    filled = mutagen.File(song)
    expected = client.genres_and_moods(answer.as_json(), least=0.0)
    assert expected[1]
    assert (filled.get("genre", []), filled["mood"]) == expected
    assert mutagen.File(kept)["genre"] == ["Own"]
    assert mutagen.File(kept)["mood"] == expected[1]
