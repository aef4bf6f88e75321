"""The parts behind the API: the shared network, the decoders, who is let in, what is muted."""

from __future__ import annotations

import base64
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest
from audio_files import music, write_audio
from threadpoolctl import (  # type: ignore[import-untyped]
    threadpool_info,
    threadpool_limits,
)
from web_server import wait_until

from earmark.audio import AUDIO_SUFFIXES, load_audio
from earmark.errors import BadValue, MissingExtra
from earmark.features import PRESETS
from earmark.runtime import BATCH, Model
from earmark.tagger import Tagger
from earmark.web import decoder_process, drawing, occlusion, require_libraries
from earmark.web.access import Access
from earmark.web.batching import SharedModel
from earmark.web.decoders import Decoders
from earmark.web.errors import Busy, NotAuthorised, TooCostly, WrongHost, WrongOrigin
from earmark.web.limits import Limits
from earmark.web.pages import STATIC
from earmark.web.responses import shown_name
from earmark.web.server import access_for, serve

FEATURES = PRESETS["choi2016"]


def spectrograms(n, seed):
    shape = (n, FEATURES.n_mels, FEATURES.n_frames)
    return np.random.default_rng(seed).normal(-30, 15, shape).astype(np.float32)


def test_what_many_threads_ask_goes_through_together_and_comes_apart_again(model):
    batches = []
    asked = [spectrograms(1 + (seed % 4 == 3), seed) for seed in range(12)]
    alone = [Model(model).run(one) for one in asked]
    slow = Model(model)
    entered, held, run = threading.Event(), threading.Event(), slow.run

    def slow_run(mels):
        entered.set()
        held.wait()
        return run(mels)

    slow.run = slow_run  # type: ignore[method-assign]
    shared = SharedModel(slow, on_batch=batches.append)
    with ThreadPoolExecutor(1 + len(asked)) as threads:
        first = threads.submit(shared.run, spectrograms(1, 99))
        entered.wait()  # the network is busy, and all that follow must wait
        under_way = threads.map(shared.run, asked)
        wait_until(lambda: shared._waiting.qsize() == len(asked))
        held.set()
        answers = list(under_way)
        first.result()
    shared.close()
    for (logits, embeddings), expected in zip(answers, alone, strict=True):
        np.testing.assert_allclose(logits, expected[0], atol=1e-4)
        np.testing.assert_allclose(embeddings, expected[1], atol=1e-4)
    assert sum(batches) == 1 + sum(map(len, asked))
    assert max(batches) == BATCH
    # as full as can be: no two that follow each other would have fitted into one
    assert all(sum(pair) > BATCH for pair in pairwise(batches[1:]))


def test_more_than_a_batch_from_one_request_is_taken_alone_and_whole(model):
    batches = []
    shared = SharedModel(Model(model), on_batch=batches.append)
    asked = spectrograms(2 * BATCH + 1, 5)
    logits, embeddings = shared.run(asked)
    shared.close()
    expected = Model(model).run(asked)
    np.testing.assert_allclose(logits, expected[0], atol=1e-4)
    np.testing.assert_allclose(embeddings, expected[1], atol=1e-4)
    assert batches == [2 * BATCH + 1]


def test_a_mistake_in_the_network_reaches_those_who_asked_and_nobody_else(model):
    shared = SharedModel(Model(model), on_batch=[].append)
    with pytest.raises(Exception, match="takes spectrograms of shape"):
        shared.run(np.zeros((1, 3, 3), dtype=np.float32))
    assert len(shared.run(spectrograms(2, 0))[0]) == 2
    shared.close()


def test_a_decoder_gives_the_samples_that_the_library_gives(tmp_path):
    path = write_audio(tmp_path / "a.mp3", music(5), codec="libmp3lame")
    decoders = Decoders(Limits(decoders=1), on_loss=pytest.fail)
    try:
        whole = decoders.decode(path, name="a.mp3", rate=12_000)
        part = decoders.decode(path, name="a.mp3", rate=12_000, start=2.0, seconds=1.5)
    finally:
        decoders.close()
    np.testing.assert_array_equal(whole.samples, load_audio(path, rate=12_000).samples)
    assert part.samples.size == 18_000


def test_a_script_without_a_guard_is_told_what_it_lacks(model, tmp_path):
    script = tmp_path / "serve.py"
    script.write_text(f"from earmark.web.service import Service\nService({str(model)!r})\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "__main__" in done.stderr.splitlines()[-1]


def test_the_page_takes_from_a_folder_what_a_scan_takes():
    code = (STATIC / "files.js").read_text("utf-8")
    written = code[code.index("new RegExp(") : code.index('$", "i")')]
    suffixes = {f".{name}" for name in re.findall(r"[a-z0-9]+(?=[|)\"])", written)}
    assert suffixes == AUDIO_SUFFIXES | {".mp4", ".webm"}
    (accepted,) = re.findall(r'accept="([^"]+)"', (STATIC / "index.html").read_text("utf-8"))
    assert {*accepted.split(",")} == AUDIO_SUFFIXES | {"audio/*", "video/mp4", "video/webm"}


@pytest.mark.skipif(sys.platform != "linux", reason="only here is the decoder's memory held")
@pytest.mark.parametrize("megabytes", [0.01, 3])  # it lacks at the first byte, or while decoding
def test_a_decoder_without_memory_says_so_and_the_next_one_takes_its_place(megabytes, tmp_path):
    path = write_audio(tmp_path / "a.flac", music(60), codec="flac")
    lost = []
    decoders = Decoders(Limits(decoders=1, decode_mb=megabytes), on_loss=lost.append)
    try:
        for _ in range(2):
            with pytest.raises(TooCostly, match=rf"a\.flac .* more than {megabytes} MB of memory"):
                decoders.decode(path, name="a.flac", rate=48_000)
    finally:
        decoders.close()
    assert lost == ["memory", "memory"]


@pytest.mark.skipif(sys.platform != "linux", reason="only here is the decoder's memory held")
def test_where_no_process_can_be_started_the_next_file_tries_again(tmp_path, monkeypatch):
    path = write_audio(tmp_path / "a.flac", music(2), codec="flac")
    decoders = Decoders(Limits(decoders=1, decode_mb=0.01), on_loss=[].append)

    def refuse(_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    def decode():
        decoders.decode(path, name="a.flac", rate=48_000)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(SpawnProcess, "start", refuse, raising=False)
            for error in (TooCostly, Busy, Busy):
                with pytest.raises(error):
                    decode()
        with pytest.raises(TooCostly):  # by a new one, which ends like the first
            decode()
    finally:
        decoders.close()


class Pipe:
    """Keeps what is sent."""

    def __init__(self):
        self.sent = []

    def send_bytes(self, message):
        self.sent.append(message)


@pytest.mark.parametrize("room", [1 << 20, 1 << 60])  # bytes: as it is, and as where none is left
def test_what_cannot_be_read_is_damaged_only_where_memory_is_left(room, tmp_path, monkeypatch):
    (tmp_path / "a.m4a").write_text("no audio")
    monkeypatch.setattr(decoder_process, "_ROOM", room)
    job = {"path": str(tmp_path / "a.m4a"), "rate": 12_000, "start": 0.0, "seconds": 1.0}
    pipe = Pipe()
    if room == 1 << 60:
        with pytest.raises(MemoryError):
            decoder_process._answer(pipe, job)
        assert not pipe.sent
    else:
        decoder_process._answer(pipe, job)
        assert [message[:1] for message in pipe.sent] == [decoder_process.FAILED]


def test_the_muted_region_that_matters_is_the_one_that_is_shown(model):
    tagger = Tagger.load(model)

    def run(mels):
        """The first tag listens to one corner, the second against it, and no other does."""
        logits = np.zeros((len(mels), 50), dtype=np.float32)
        logits[:, 0] = mels[:, 90:, 5:20].mean(axis=(1, 2))
        logits[:, 1] = -logits[:, 0]
        return logits, np.zeros((len(mels), 5), dtype=np.float32)

    tagger.model.run = run  # type: ignore[method-assign]
    noise = np.random.default_rng(0).normal(0, 0.1, FEATURES.window_samples).astype(np.float32)
    told = occlusion.sensitivity(tagger, noise, start=7.0)
    falls = np.array(told["falls"])
    assert falls.shape == (50, occlusion.N_BANDS, occlusion.N_TIMES)
    assert falls[0, -1, 0] > 5
    assert falls[1, -1, 0] == -falls[0, -1, 0]
    assert not np.delete(falls[0].ravel(), (occlusion.N_BANDS - 1) * occlusion.N_TIMES).any()
    assert not falls[2:].any()
    assert told["times"][0] == 7.0


def test_only_what_was_heard_of_a_short_song_is_muted(model):
    samples = music(4)[0, ::4].astype(np.float32)  # at about 12 kHz
    told = occlusion.sensitivity(Tagger.load(model), samples, start=0.0)
    assert told["times"][-1] == pytest.approx(samples.size / FEATURES.rate, abs=0.01)


def test_the_waveform_keeps_every_peak():
    samples = np.zeros(100_003, dtype=np.float32)
    samples[[5, 70_001]] = 0.5, -0.25
    drawn = drawing.waveform(samples)
    assert max(drawn["high"]) == 1000
    assert min(drawn["low"]) == -500
    assert drawing.waveform(np.zeros(3, dtype=np.float32)) == {"low": [0] * 3, "high": [0] * 3}


def test_a_click_stands_in_the_spectrogram_where_it_is_in_the_song():
    seconds = 50
    samples = np.zeros(seconds * FEATURES.rate, dtype=np.float32)
    for click in (10, 20, 45):
        samples[click * FEATURES.rate] = 1.0
    drawn = drawing.mel_image(samples, settings=FEATURES)["z"]
    shape = [int(n) for n in drawn["shape"].split(",")]
    steps = np.frombuffer(base64.b64decode(drawn["bdata"]), dtype=np.uint8).reshape(shape)
    loud = np.flatnonzero(steps.max(axis=0) > 100) * seconds / shape[1]
    assert set(loud.round()) == {10, 20, 45}


def test_silence_and_the_shortest_song_have_a_picture():
    for n in (1, 300, FEATURES.window_samples + 1):
        picture = drawing.mel_image(np.zeros(n, dtype=np.float32), settings=FEATURES)
        assert picture["z"]["shape"].startswith("96, ")
        assert picture["hz"] == sorted(picture["hz"])


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("song.mp3", "song.mp3"),
        ("C:\\music\\söng 1.mp3", "söng 1.mp3"),
        ("../../etc/passwd", "passwd"),
        ("..", "upload"),
        (None, "upload"),
        ("a\u202egpj.mp3\n", "agpj.mp3"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_name_is_shown_in_its_last_part_and_in_print(given, shown):
    assert shown_name(given) == shown


HOST = {"host": "localhost:8000"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "error"),
    [
        ("GET", "/", HOST, None),
        ("GET", "/", {"host": "[::1]:8000"}, None),
        ("GET", "/", {"host": "evil.example:8000"}, WrongHost),
        ("GET", "/", {}, WrongHost),
        ("POST", "/api/tag", HOST, NotAuthorised),
        ("POST", "/api/tag", HOST | {"authorization": "Bearer wrong"}, NotAuthorised),
        ("POST", "/api/tag", HOST | {"authorization": "Bearer sesame"}, None),
        ("GET", "/metrics", HOST, NotAuthorised),
        ("GET", "/api/health", HOST, None),
        ("POST", "/api/tag", HOST | {"origin": "https://evil.example"}, WrongOrigin),
        ("POST", "/api/tag", HOST | {"origin": "null"}, WrongOrigin),
        ("POST", "/api/tag", HOST | {"origin": "http://localhost:8000", "authorization": "sesame"},
         None),
    ],
)  # fmt: skip
def test_who_is_let_in(method, path, headers, error):
    access = Access(token="sesame")
    if error is None:
        access.check(method, path, headers)
    else:
        with pytest.raises(error):
            access.check(method, path, headers)


def test_an_address_that_others_reach_needs_a_token_or_a_decision():
    assert access_for("127.0.0.1", token=None, allow_hosts=["songs.example"]).hosts == {
        "127.0.0.1", "localhost", "::1", "songs.example",
    }  # fmt: skip
    with pytest.raises(BadValue, match="EARMARK_TOKEN"):
        access_for("0.0.0.0", token=None, allow_hosts=[])
    assert access_for("0.0.0.0", token="x", allow_hosts=[]).hosts is None
    assert access_for("::", token=None, allow_hosts=[], everyone=True).token is None


def test_while_it_serves_no_thread_of_blas_spins_beside_the_others(monkeypatch):
    """Four spectrograms at once took four times the processor's time that they need."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr("earmark.web.logs.set_up", lambda _: None)
    monkeypatch.setattr("earmark.web.server.create_app", lambda *_, **__: None)
    counts = []

    def run(*_, **__):
        pools = threadpool_info()
        counts.extend(one["num_threads"] for one in pools if one["user_api"] == "blas")

    monkeypatch.setattr("uvicorn.Server.run", run)
    with threadpool_limits(2, user_api="blas"):
        serve(None, None, access=Access())
    assert set(counts) <= {1}  # none where NumPy brings a BLAS that minds its own threads


def test_what_the_command_cannot_do_it_says_in_one_line(model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, said in (
            (("--host", "0.0.0.0"), "EARMARK_TOKEN"),
            (("--port", port), "--port"),
            (("--model", "no-such-model"), "choi2016"),
        ):
            done = subprocess.run(
                [sys.executable, "-m", "earmark", "serve", "--model", str(model), *words],
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert done.returncode == 1
            assert len(done.stderr.splitlines()) == 1
            assert said in done.stderr


def test_without_its_libraries_the_command_names_the_extra(monkeypatch):
    monkeypatch.setattr("earmark.web.find_spec", lambda *_: None)
    with pytest.raises(MissingExtra, match=r"\[web\]"):
        require_libraries()


def test_limits_that_nothing_could_pass_are_refused():
    with pytest.raises(BadValue, match="minutes is 0"):
        Limits(minutes=0)
