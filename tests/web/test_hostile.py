"""What uploads may do to the server: each bad one is told why, and the next is served."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import requests
from audio_files import (
    music,
    write_audio,
    write_hours_of_silence,
    write_png,
    write_silent_film,
)
from web_server import send, serving

from earmark.web.limits import Limits

LIMITS = Limits(decoders=1, upload_mb=2, upload_seconds=1, minutes=2)


@pytest.fixture(scope="module")
def server(model):
    with serving(model, limits=LIMITS) as server:
        yield server


def bad_uploads(folder, song):
    wav = write_audio(folder / "a.wav", music(1), codec="pcm_s16le").read_bytes()
    yield "empty", b""
    yield "text", b"this is a letter\n" * 100
    yield "truncated in its header", song[:40]
    yield "a wav that ends with its header", wav[:44]
    yield "noise", np.random.default_rng(0).bytes(20_000)
    yield "a picture", write_png(folder / "a.png").read_bytes()
    yield "a film without sound", write_silent_film(folder / "a.mp4").read_bytes()
    yield "a playlist", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"
    yield "a list of files", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "an address", b"http://127.0.0.1:1/\n"
    yield "hours of silence", write_hours_of_silence(folder / "bomb.flac", 1).read_bytes()
    nan = np.full((1, 12_000), np.nan, np.float32)
    yield "nothing but NaN", write_audio(folder / "n.wav", nan, codec="pcm_f32le").read_bytes()


def test_each_bad_upload_is_told_why_and_the_next_one_is_served(server, song, tmp_path):
    for what, content in bad_uploads(tmp_path, song):
        for route in ("/api/tag", "/api/listen"):
            response = requests.post(
                server.url + route, files={"file": (f"{what}.mp3", content)}, timeout=60
            )
            assert response.status_code == 422, (what, response.text)
            assert response.json()["path"] == f"{what}.mp3"
            message = response.json()["error"]["message"]
            assert len(message.split()) > 5
            assert str(tmp_path.parent) not in message
            assert "earmark-" not in message, "the name of our own file must not show"
    assert send(server, song).status_code == 200


def test_a_bomb_is_said_to_be_too_long_but_its_beginning_may_be_heard(server, tmp_path):
    bomb = write_hours_of_silence(tmp_path / "bomb.flac", 1)
    assert bomb.stat().st_size < 20_000
    response = send(server, bomb.read_bytes(), name="bomb.flac")
    assert response.json()["error"]["kind"] == "too_long"
    assert "2 minutes" in response.json()["error"]["message"]
    beginning = requests.post(
        server.url + "/api/tag", params={"max_seconds": 10}, timeout=60,
        files={"file": ("bomb.flac", bomb.read_bytes())},
    )  # fmt: skip
    assert beginning.json()["seconds"] == 10


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a\0b", "x" * 500, "", ".", "~/.ssh"],
)
def test_a_name_is_shown_and_never_used(server, song, name):
    body = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + song
        + b"\r\n--edge--\r\n"
    )
    response = requests.post(
        server.url + "/api/tag", data=body, timeout=60,
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
    )  # fmt: skip
    if response.status_code == 200:
        shown = response.json()["path"]
        assert 0 < len(shown) <= 200
        assert not set(shown) & set("/\\\0")
    else:
        assert (name, response.status_code) == ("", 422)  # without a name it is no file


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge",
        b"--edge\r\n\r\n\r\n--edge--",
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx',
        b"--other\r\n\r\n--other--",
        b"\xff" * 1000,
        b"--edge\r\n" + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n\r\n--edge--",
        b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file\r\n--edge--\r\n',
        b'--edge\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 1500 + b"--edge--\r\n",
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of starlette:
# a file whose part has no end is closed by the garbage collector only
def test_a_broken_form_is_refused_with_a_sentence(server, body):
    kind = "multipart/form-data; boundary=edge"
    for content_type in (kind, "multipart/form-data", "text/plain", "application/json"):
        response = requests.post(
            server.url + "/api/tag", data=body, headers={"Content-Type": content_type}, timeout=60
        )
        assert response.status_code in (400, 422), (content_type, response.text)
        assert len(response.json()["error"]["message"].split()) > 3


def test_too_large_an_upload_is_refused_before_it_is_sent(server):
    head = (
        "POST /api/tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000000\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "larger than 2 MB" in answer


def test_too_large_an_upload_that_hides_its_size_is_refused_as_it_comes(server):
    def chunks():
        yield b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(30):
            yield b"x" * 100_000
        yield b"\r\n--edge--\r\n"

    response = requests.post(
        server.url + "/api/tag", data=chunks(), timeout=60,
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
    )  # fmt: skip
    assert response.status_code == 413
    assert response.json()["error"]["kind"] == "too_large"


def test_an_upload_that_drips_is_cut_off(server, song):
    head = (
        "POST /api/tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb").read().decode()  # to the end: the connection is closed
    assert answer.startswith("HTTP/1.1 408")
    assert send(server, song).status_code == 200
