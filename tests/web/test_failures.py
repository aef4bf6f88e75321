"""What happens around uploads: decoders that are lost, a full house, an end in the middle."""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
import requests
from audio_files import flip_bits, music, write_audio, write_hours_of_silence
from web_server import Process, send, serving, wait_until

from earmark.audio import load_audio
from earmark.web.limits import Limits


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
        answers: list[Any] = [None] * len(songs)

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
        assert heard is not None
        assert heard < 400  # of 62 windows and 493 stretches
        assert send(server, song).status_code == 200


def test_of_long_recordings_one_is_heard_at_a_time(model, song, tmp_path):
    half_an_hour = write_hours_of_silence(tmp_path / "long.flac", 0.5).read_bytes()
    with serving(model, limits=Limits(decoders=1)) as server:
        with server.service._long:  # another one is under way
            response = send(server, half_an_hour)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "60"
            assert "more than 20 minutes" in response.json()["error"]["message"]
            assert send(server, song).status_code == 200
        assert send(server, half_an_hour).json()["seconds"] > 1800


def test_what_ffmpeg_says_of_a_damaged_file_stays_out_of_the_log(model, tmp_path):
    file = write_audio(tmp_path / "damaged.mp3", music(4.0), codec="libmp3lame")
    flip_bits(file, n=400, seed=1, keep=500)
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=False) as said:
            load_audio(file, rate=22_050)
    finally:
        av.logging.set_level(level)
    assert said, "FFmpeg finds nothing to say of this file"
    with Process(model) as server:
        for _ in range(3):
            assert send(server, file.read_bytes()).status_code in (200, 422)
        server.signal(signal.SIGTERM)
        server.wait()
    others = [line for line in server.lines if not line.startswith("{")]
    assert len(others) == 1, others
    assert "earmark listens at" in others[0]
