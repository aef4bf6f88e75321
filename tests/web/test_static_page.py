"""The page without a server: what is written, and how it hears in a real browser, offline too."""

from __future__ import annotations

import functools
import io
import json
import re
import shutil
import tarfile
import threading
from contextlib import contextmanager
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import file_server
import numpy as np
import pytest
import tiny_model
from audio_files import music, write_audio
from typer.testing import CliRunner

from earmark import chapters, taggrams
from earmark.cli import app
from earmark.errors import BadValue, DownloadFailed
from earmark.model_file import read_card
from earmark.tagger import Tagger
from earmark.web import browser_runtime
from earmark.web.browser_runtime import PACKAGE, runtime_files
from earmark.web.static_page import write_page

ADDRESS = f"/onnxruntime-web/-/{PACKAGE}"


# ---- what is written


def package(**files: bytes) -> bytes:
    """An npm package as the registry sends it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()


SMALL = package(
    **{"ort.wasm.bundle.min.mjs": b"script", "ort-wasm-simd-threaded.wasm": b"wasm", "x": b"?"}
)


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """Starts a registry on loopback that answers so; its package is the right one."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EARMARK_OFFLINE", raising=False)
    monkeypatch.setattr(browser_runtime, "_SIZE", len(SMALL))
    monkeypatch.setattr(browser_runtime, "_SHA256", sha256(SMALL).hexdigest())
    servers = []

    def start(answer):
        server = file_server.FileServer({ADDRESS: answer}).__enter__()
        servers.append(server)
        monkeypatch.setenv("EARMARK_NPM_URL", server.url + "/")
        return server

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def test_the_runtime_is_fetched_once(registry):
    server = registry(file_server.whole(SMALL))
    expected = {"ort.js": b"script", "ort-wasm-simd-threaded.wasm": b"wasm"}
    assert runtime_files() == expected
    assert runtime_files() == expected
    assert server.asked == [ADDRESS]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (file_server.status(404), "answers 404"),
        (file_server.whole(SMALL[:-1] + b"?"), "sent another file than onnxruntime-web"),
        (file_server.cut(SMALL, keep=50), "cannot fetch http"),
    ],
)
def test_without_the_right_package_no_page_is_written_and_a_way_by_hand_is_told(
    registry, tmp_path, model, answer, words
):
    registry(answer)
    with pytest.raises(DownloadFailed, match=words) as caught:
        write_page(tmp_path / "page", model=model)
    kept = tmp_path / "cache" / "web" / PACKAGE
    assert "npm pack onnxruntime-web@" in str(caught.value)
    assert str(kept) in str(caught.value)
    assert not (tmp_path / "page").exists()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(SMALL)  # as the message says
    assert write_page(tmp_path / "page", model=model).n_files > 20


def test_offline_nobody_is_asked(registry, monkeypatch, tmp_path, model):
    server = registry(file_server.whole(SMALL))
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="EARMARK_OFFLINE forbids fetching http"):
        write_page(tmp_path / "page", model=model)
    assert server.asked == []


def test_the_command_writes_all_files_and_again_the_same_bytes(registry, tmp_path, model):
    registry(file_server.whole(SMALL))
    folder = tmp_path / "page"
    words = ["page", "-o", str(folder), "--model", str(model)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "CNAME").write_text("music.example")  # what a host needs stays
    assert CliRunner().invoke(app, words).exit_code == 0
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "CNAME").exists()

    worker = (folder / "sw.js").read_text()
    (listed,) = map(json.loads, re.findall(r"const FILES = (.*);", worker))
    names = {path.relative_to(folder).as_posix() for path in before}
    assert set(listed) == {"./", *names - {"sw.js"}}
    for name in ("static/docs.js", "static/library.js", "static/browser/hear.js"):
        assert name not in names

    html = (folder / "index.html").read_text()
    assert "Content-Security-Policy" in html
    assert "<!-- server" not in html
    assert 'href="docs"' not in html
    assert "the server keeps" not in html
    assert "sends them nowhere" in html
    for address in re.findall(r'(?:src|href)="([^"#]+)"', html):
        assert (folder / address).exists(), address  # relative, and there

    tiny_model.write(tmp_path / "other.onnx", seed=1)
    write_page(folder, model=tmp_path / "other.onnx")
    assert (folder / "sw.js").read_text() != worker  # so that browsers take the new model


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "page").write_text("")
    with pytest.raises(BadValue, match="page is a file"):
        write_page(tmp_path / "page")


# ---- in a real browser: nothing but the host on loopback may be found

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt install chromium")
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]


@pytest.fixture(scope="module")
def npm_cache(request):
    """A cache with the real package; it stays from one run of the tests to the next."""
    folder = request.config.cache.mkdir("earmark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARMARK_CACHE", str(folder))
        try:
            runtime_files()
        except DownloadFailed as error:
            pytest.skip(f"the npm registry cannot be reached: {error.lines[0]}")
        yield folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hosted(folder):
    """A static host: its address and a function that stops it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()

    def stop():
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    try:
        yield f"http://127.0.0.1:{server.server_port}/", stop
    finally:
        stop()


@contextmanager
def visit(browser, address):
    """A page; in the end nothing went wrong on it and nobody else was asked."""
    asked, wrong = [], []
    with browser.new_context() as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        context.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        yield page
    assert not wrong
    for url in asked:
        if url.endswith("/elsewhere"):
            continue
        assert url.startswith((address, f"blob:{address}", "data:image/")), url


def kept(page):
    """Wait until the service worker has all files."""
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")


def hear(page, path, folder):
    """All that the page says of a file."""
    page.locator("#file").set_input_files(str(path))
    page.wait_for_function(
        "(name) => document.title.startsWith(name)"
        " || !document.getElementById('alert').hidden", arg=path.name,
    )  # fmt: skip
    assert page.locator("#alert").is_hidden(), page.locator("#alert").inner_text()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as JSON").click()
    waiting.value.save_as(folder / "song.json")
    return json.loads((folder / "song.json").read_text())


def assert_heard_alike(said, tagger, path, *, within):
    """What the page says is what `earmark tag` says of the file."""
    expected = tagger.tag(path).as_json()
    assert said["path"] == path.name
    assert said["seconds"] == pytest.approx(expected["seconds"], abs=0.1)
    for key in ("model", "kind"):
        assert said[key] == expected[key]
    theirs = {tag["tag"]: tag for tag in expected["tags"]}
    assert {tag["tag"] for tag in said["tags"]} == theirs.keys()
    for tag in said["tags"]:
        known = theirs[tag["tag"]]
        assert tag["score"] == pytest.approx(known["score"], abs=within), tag["tag"]
        for key in ("group", "calibrated", "reliability"):
            assert tag[key] == known[key]
    return expected


@pytest.fixture(scope="module")
def tiny_page(npm_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model.write(folder / "tiny.onnx", reliability=(0.95, None) * 25)
    write_page(folder / "page", model=folder / "tiny.onnx")
    return folder


@needs_chromium
def test_it_hears_what_earmark_tag_hears_and_goes_on_when_the_host_is_gone(
    browser, tiny_page, tmp_path
):
    tagger = Tagger.load(tiny_page / "tiny.onnx")
    rate = tagger.card.features.rate
    samples = np.resize(music(30).mean(axis=0), 40 * rate)
    same = write_audio(tmp_path / "same.wav", samples[None], codec="pcm_f32le", rate=rate)
    other = write_audio(tmp_path / "other.mp3", music(20, seed=1), codec="libmp3lame")
    with hosted(tiny_page / "page") as (address, stop), visit(browser, address) as page:
        assert page.get_by_role("link", name="API").count() == 0
        said = hear(page, same, tmp_path)
        expected = assert_heard_alike(said, tagger, same, within=1e-4)
        assert said["first_genre"] == expected["first_genre"]
        gram = taggrams.taggram(tagger, same)
        np.testing.assert_allclose(said["taggram"]["scores"], gram.scores.T, atol=2e-4)
        np.testing.assert_allclose(said["taggram"]["seconds"], gram.seconds, atol=1e-3)
        assert said["taggram"]["tags"] == list(gram.tags)
        assert said["chapters"] == chapters.as_json(chapters.chapters(gram, tagger.card))
        refused = "(url) => fetch(url).then(() => false, () => true)"
        with file_server.FileServer({}) as elsewhere:  # neither the page nor the worker gets there
            other_address = f"{elsewhere.url}/elsewhere"
            assert page.evaluate(refused, other_address)
            assert page.workers[0].evaluate(refused, other_address)
            assert elsewhere.asked == []
        page.locator(".chip").first.click()
        assert page.get_by_role("button", name="What makes the model hear it").is_hidden()

        kept(page)
        stop()
        page.goto(address)
        assert_heard_alike(hear(page, other, tmp_path), tagger, other, within=0.02)
        assert page.locator("#list li").count() == 2  # the history is there too


@needs_chromium
def test_a_file_without_sound_and_a_long_one_are_refused_and_the_next_song_is_heard(
    browser, tiny_page, tmp_path
):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no music" * 5000)
    long = write_audio(
        tmp_path / "long.flac", np.zeros((1, 31 * 60 * 8000), np.float32), codec="flac", rate=8000
    )
    song = write_audio(tmp_path / "song.opus", music(10), codec="libopus", encoded_rate=48_000)
    with hosted(tiny_page / "page") as (address, _), visit(browser, address) as page:
        for path, words in (
            (broken, "broken.mp3 holds no sound that this browser can decode"),
            (long, "long.flac is longer than 30 minutes"),
        ):
            page.locator("#file").set_input_files(str(path))
            page.get_by_role("alert").get_by_text(words).wait_for()
        assert_heard_alike(
            hear(page, song, tmp_path), Tagger.load(tiny_page / "tiny.onnx"), song, within=0.02
        )


@needs_chromium
def test_many_songs_are_heard_one_after_the_other_and_can_be_stopped(browser, tiny_page, tmp_path):
    songs = [
        write_audio(tmp_path / f"{i}.mp3", music(5, seed=i), codec="libmp3lame") for i in range(4)
    ]
    with hosted(tiny_page / "page") as (address, _), visit(browser, address) as page:
        page.locator("#file").set_input_files([str(song) for song in songs[:3]])
        page.get_by_text("3 heard").wait_for()
        page.locator("#all-clear").click()
        # from outside the page, a click may come when all is heard
        page.evaluate(
            """() => new MutationObserver((_, observer) => {
              const stop = document.getElementById("cancel");
              if (!document.querySelector('#list li[data-state="listening"]')) return;
              observer.disconnect();
              if (stop.checkVisibility()) stop.click();
            }).observe(document.getElementById("list"), { subtree: true, attributes: true })"""
        )
        page.locator("#file").set_input_files([str(song) for song in songs])
        page.locator('#list li[data-state="stopped"]').last.wait_for()
        again = write_audio(tmp_path / "again.mp3", music(6, seed=9), codec="libmp3lame")
        hear(page, again, tmp_path)


@pytest.fixture(scope="module")
def shipped_page(npm_cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shipped")
    write_page(folder)
    return folder


def assert_real_songs_are_heard_alike(browser, shipped_page, songs, folder):
    tagger = Tagger.load()
    with hosted(shipped_page) as (address, stop), visit(browser, address) as page:
        kept(page)
        stop()
        for song in songs:
            assert_heard_alike(hear(page, song, folder), tagger, song, within=0.02)


def of_every_kind(folder: Path, n: int) -> list[Path]:
    songs = sorted(folder.glob("q4/audio/*"))
    return songs[:: len(songs) // n][:n]


@needs_chromium
def test_a_real_song_is_heard_by_the_shipped_model_as_earmark_tag_hears_it(
    browser, shipped_page, shared, tmp_path
):
    songs = of_every_kind(shared, 10)[:1]
    assert_real_songs_are_heard_alike(browser, shipped_page, songs, tmp_path)
    assert read_card(Tagger.load().model.path).name == "earmark"


@pytest.mark.slow
@needs_chromium
def test_so_are_ten_of_all_kinds(browser, shipped_page, shared, tmp_path):
    songs = of_every_kind(shared, 10)
    assert len(songs) == 10
    assert_real_songs_are_heard_alike(browser, shipped_page, songs, tmp_path)
