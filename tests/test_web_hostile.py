"""What uploads may do to the server: each bad one is told why, and the next is served."""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import requests
import tiny_model
from audio_files import music, write_audio, write_png, write_silent_film
from web_server import Process, serving, wait_until

from earmark.web.limits import Limits

LIMITS = Limits(decoders=1, upload_mb=2, upload_seconds=1, minutes=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("music") / "song.mp3"
    return write_audio(path, music(3), codec="libmp3lame").read_bytes()


@pytest.fixture(scope="module")
def server(model):
    with serving(model, limits=LIMITS) as server:
        yield server


def send(server, content, *, name="song.mp3", timeout=60):
    return requests.post(server.url + "/api/tag", files={"file": (name, content)}, timeout=timeout)


def write_hours_of_silence(path, hours):
    """FLAC at 8 kHz in its largest blocks, 14 kB an hour."""
    rate, n = 8000, 1 << 20
    with av.open(str(path), "w") as output:
        stream = output.add_stream(
            "flac", rate=rate, layout="mono", options={"frame_size": "65535"}
        )
        for start in range(0, round(hours * 3600 * rate), n):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, n), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


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
    assert "2 MB and no more" in answer


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


def test_a_decoder_that_takes_too_long_is_replaced(model, song, tmp_path):
    bomb = write_hours_of_silence(tmp_path / "bomb.flac", 4).read_bytes()
    limits = Limits(decoders=1, decode_seconds=0.4, minutes=600)
    with serving(model, limits=limits) as server:
        assert send(server, song).status_code == 200
        response = send(server, bomb)
        assert response.status_code == 422
        assert response.json()["error"]["kind"] == "too_costly"
        assert "longer than 0.4 seconds" in response.json()["error"]["message"]
        assert send(server, song).status_code == 200
        lost = 'earmark_decoders_lost_total{why="deadline"} 1.0'
        assert lost in requests.get(server.url + "/metrics", timeout=60).text


@pytest.mark.skipif(sys.platform != "linux", reason="only here is the decoder's memory held")
def test_a_file_that_claims_much_memory_gets_none_of_it(model, song):
    with Process(model, "--decode-mb", "100") as server:
        assert send(server, song).status_code == 200
        response = send(server, write_claim(40_000_000), name="claim.mp4")
        assert response.status_code == 422, response.text
        status = Path(f"/proc/{server.decoder().pid}/status").read_text()
        assert int(status.split("VmHWM:")[1].split()[0]) < 250_000  # kB; it claims 480 MB
        assert send(server, song).status_code == 200


def write_claim(n_samples):
    """An mp4 of half a kB whose index has so many entries, of 12 bytes in FFmpeg's memory each."""

    def box(kind, *parts):
        body = b"".join(parts)
        return struct.pack(">I", 8 + len(body)) + kind + body

    def words(*values):
        return struct.pack(f">{len(values)}I", *values)

    codec = box(b"mp4a", bytes(6), b"\0\1", bytes(8), b"\0\2\0\x10", bytes(4), words(44_100 << 16))
    table = box(
        b"stbl",
        box(b"stsd", words(0, 1), codec),
        box(b"stts", words(0, 1, n_samples, 1024)),
        box(b"stsc", words(0, 1, 1, 1, 1)),
        box(b"stsz", words(0, 1, n_samples)),
        box(b"stco", words(0, 1, 48)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", words(0, 0, 0, 44_100, 44_100, 0)),
        box(b"hdlr", bytes(8), b"soun", bytes(13)),
        box(b"minf", box(b"smhd", bytes(8)), table),
    )
    track = box(b"trak", box(b"tkhd", words(3, 0, 0, 1, 0, 1000), bytes(60)), media)
    header = box(b"mvhd", words(0, 0, 0, 1000, 1000), bytes(80))
    return box(b"ftyp", b"isom", bytes(4)) + box(b"moov", header, track)


def test_when_all_places_are_taken_the_next_one_is_told_when_to_come_back(model, song):
    with serving(model, limits=Limits(decoders=1, waiting=2, upload_seconds=30)) as server:
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2)]
        for connection in slow:  # two uploads that have begun
            connection.sendall(
                b"POST /api/tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
                b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge"
            )
        wait_until(lambda: server.service.health()["under_way"] == 2)
        response = send(server, song)
        assert response.status_code == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert response.json()["error"]["kind"] == "busy"
        assert requests.get(server.url + "/api/health", timeout=60).json()["under_way"] == 2
        for connection in slow:
            connection.close()
        wait_until(lambda: server.service.health()["under_way"] == 0)
        assert send(server, song).status_code == 200


def test_many_at_once_are_heard_together_and_each_gets_its_own(model, tmp_path):
    songs = [
        write_audio(tmp_path / f"{seed}.flac", music(4, seed=seed), codec="flac").read_bytes()
        for seed in range(6)
    ]
    with serving(model) as server:
        alone = [send(server, song).json()["tags"] for song in songs]
        answers = [None] * len(songs)

        def ask(i):
            answers[i] = send(server, songs[i]).json()["tags"]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(songs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for mine, theirs in zip(answers, alone, strict=True):
        assert [tag["score"] for tag in mine] == pytest.approx(
            [tag["score"] for tag in theirs], abs=2e-5
        )
    assert len({tags[0]["score"] for tags in alone}) == len(songs)


def test_a_killed_decoder_is_replaced_and_the_request_under_way_is_still_answered(model, song):
    with Process(model) as server:
        assert send(server, song).status_code == 200  # the decoder has started
        first = server.decoder()
        first.suspend()
        with asking(server, song) as answers:
            first.kill()
        assert answers[0].status_code == 200, answers[0].text
        assert server.decoder().pid != first.pid


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks to end")
def test_told_to_end_it_answers_what_is_under_way_and_leaves_nobody_behind(model, song):
    with Process(model) as server:
        assert send(server, song).status_code == 200
        family = server.children()
        server.decoder().suspend()
        with asking(server, song) as answers:
            server.signal(signal.SIGTERM)
            wait_until(lambda: not accepts(server))
            next(one for one in family if "spawn_main" in " ".join(one.cmdline())).resume()
        assert answers[0].status_code == 200, answers[0].text
        assert server.wait() == 0
        wait_until(lambda: not any(one.is_running() for one in family))
        last = [line for line in server.log() if line.get("path") == "/api/tag"][-1]
        assert last["status"] == 200
        assert last["request_id"] == answers[0].headers["X-Request-ID"]


@contextmanager
def asking(server, song):
    """A request that the server works on within the block, and its answer at the end."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(send(server, song)))
    thread.start()
    wait_until(lambda: requests.get(server.url + "/api/health", timeout=60).json()["under_way"])
    yield answers
    thread.join()


def accepts(server):
    try:
        return requests.get(server.url + "/api/health", timeout=60).ok
    except requests.ConnectionError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_decoder_does_not_outlive_a_server_that_is_killed(model):
    with Process(model) as server:
        family = server.children()
        server.signal(signal.SIGKILL)
        server.wait()
        wait_until(lambda: not any(one.is_running() for one in family))


def test_a_client_that_leaves_frees_its_place(model, song, tmp_path):
    path = write_hours_of_silence(tmp_path / "long.flac", 0.5)
    with serving(model, limits=Limits(decoders=1, minutes=600)) as server:
        body = (
            b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            + path.read_bytes()
            + b"\r\n--edge--\r\n"
        )
        head = (
            f"POST /api/listen HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head.encode() + body)
            first = b""
            while b'"done"' not in first:
                first += connection.recv(4096)
        wait_until(lambda: server.service.health()["under_way"] == 0)
        heard = server.service.metrics.registry.get_sample_value("earmark_batch_windows_sum")
        assert heard < 400  # of 62 windows and 493 stretches
        assert send(server, song).status_code == 200
