"""Fetching and finding named models, against a file server that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import file_server
import pytest

from earmark import download, files, zoo
from earmark.errors import BadValue, DownloadFailed, ModelNotFound

NAMES = list(zoo.PUBLISHED)
IN_SHARED = [name for name in NAMES if zoo.PUBLISHED[name].kind != "musicnn"]
BODY = bytes(range(256)) * 400  # 102,400 bytes stand for weights
FILE = "tiny.h5"
TINY = zoo.Weights(
    kind="choi2016",
    file=FILE,
    url="http://127.0.0.1:9/never-asked",
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
    licence="MIT",
    citation="nobody",
    description="stands for published weights",
)
# another process knows it too, by running this first
TEACH = f"from earmark import zoo; zoo.PUBLISHED['tiny'] = zoo.{TINY!r}; "


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(zoo.PUBLISHED, "tiny", TINY)
    monkeypatch.delenv("EARMARK_ZOO_URL", raising=False)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Starts a mirror that gives this answer for the weights, or these answers by path."""
    started = []

    def start(*answer: file_server.Answer, **elsewhere: file_server.Answer):
        answers = {f"/{FILE}": one for one in answer}
        answers |= {f"/{path}": one for path, one in elsewhere.items()}
        server = file_server.FileServer(answers)
        started.append(server.__enter__())
        monkeypatch.setenv("EARMARK_ZOO_URL", server.url)
        return server

    yield start
    for server in started:
        server.__exit__(None, None, None)


def files_in_cache() -> list[Path]:
    return [path for path in files.cache_folder().rglob("*") if path.is_file()]


def fails_and_leaves_nothing(match: str, **options) -> str:
    with pytest.raises(DownloadFailed, match=match) as failure:
        zoo.fetch("tiny", **options)
    assert files_in_cache() == []
    assert "Nothing was installed" in str(failure.value)
    assert "EARMARK_PUBLISHED" in str(failure.value)  # the other way in
    return str(failure.value)


# fetching


def test_weights_are_fetched_into_the_cache_once(serve) -> None:
    server = serve(file_server.whole(BODY))
    first = zoo.fetch("tiny")
    assert first.read_bytes() == BODY
    assert files_in_cache() == [first]
    assert zoo.fetch("tiny") == first
    assert server.asked == [f"/{FILE}"]


def test_progress_adds_up_to_the_whole_file(serve) -> None:
    serve(file_server.whole(BODY))
    seen: list[int] = []
    zoo.fetch("tiny", progress=seen.append)
    assert min(seen) > 0
    assert sum(seen) == len(BODY)


def test_fetching_says_nothing(serve, capfd: pytest.CaptureFixture[str]) -> None:
    serve(file_server.whole(BODY))
    zoo.fetch("tiny")
    assert capfd.readouterr() == ("", "")


def test_a_redirect_is_followed(serve) -> None:
    server = serve(file_server.redirect("/moved"), moved=file_server.whole(BODY))
    assert zoo.fetch("tiny").read_bytes() == BODY
    assert server.asked == [f"/{FILE}", "/moved"]


def test_a_redirect_in_a_circle_ends(serve) -> None:
    serve(file_server.redirect(f"/{FILE}"))
    fails_and_leaves_nothing("redirect")


def test_a_mirror_address_may_end_in_a_slash(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(file_server.whole(BODY))
    monkeypatch.setenv("EARMARK_ZOO_URL", server.url + "/")
    assert zoo.fetch("tiny").read_bytes() == BODY


def test_a_wrong_checksum_names_both_sums(serve) -> None:
    wrong = BODY[:-1] + b"!"
    serve(file_server.whole(wrong))
    message = fails_and_leaves_nothing("sent another file")
    assert TINY.sha256 in message
    assert hashlib.sha256(wrong).hexdigest() in message


def test_a_page_instead_of_the_file_is_refused(serve) -> None:
    page = b"<html>please log in to this hotel's network</html>"
    serve(file_server.whole(page))
    fails_and_leaves_nothing(f"sent another file than tiny: {len(page)} bytes")


def test_a_file_far_too_long_is_not_read_to_its_end(serve) -> None:
    serve(file_server.whole(BODY * 200))
    fails_and_leaves_nothing("more than 102,400 bytes")


def test_a_file_that_the_server_packs_is_not_unpacked(serve) -> None:
    def packed(handler: file_server.Handler) -> None:
        body = gzip.compress(bytes(1 << 24))
        handler.head(Content_Length=len(body), Content_Encoding="gzip")
        handler.wfile.write(body)

    serve(packed)
    fails_and_leaves_nothing("the server packs the file with 'gzip'")


@pytest.mark.parametrize(("code", "words"), [(404, "404 Not Found"), (500, "500 Internal Server")])
def test_an_error_status_is_told(serve, code: int, words: str) -> None:
    serve(file_server.status(code))
    fails_and_leaves_nothing(f"the server answers {words}")


def test_a_server_error_is_not_asked_again(serve) -> None:
    server = serve(file_server.status(500))
    fails_and_leaves_nothing("500")
    assert len(server.asked) == 1


def test_a_cut_transfer_leaves_no_file(serve) -> None:
    serve(file_server.cut(BODY, keep=70_000))
    fails_and_leaves_nothing("70000 bytes read")


def test_a_cut_transfer_without_a_length_leaves_no_file(serve) -> None:
    serve(file_server.close_delimited(BODY[:70_000]))
    fails_and_leaves_nothing("70,000 bytes")


def test_a_whole_transfer_without_a_length_is_taken(serve) -> None:
    serve(file_server.close_delimited(BODY))
    assert zoo.fetch("tiny").read_bytes() == BODY


def test_a_server_that_drips_its_file_is_given_up(serve) -> None:
    serve(file_server.drip(BODY))
    fails_and_leaves_nothing("within 0.4 seconds", deadline=0.4)


def test_a_server_that_drips_its_headers_is_given_up(serve) -> None:
    serve(file_server.drip_head())
    fails_and_leaves_nothing("within 0.4 seconds", deadline=0.4)


def test_a_silent_server_is_given_up(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.2)
    serve(file_server.stall(BODY, keep=10, reached=threading.Event()))
    fails_and_leaves_nothing("timed out", deadline=30)


def test_a_closed_port_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:  # bound but not listening: nobody answers
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("EARMARK_ZOO_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        fails_and_leaves_nothing("refused")


def test_a_mirror_that_is_no_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_ZOO_URL", "not an address")
    fails_and_leaves_nothing("not an address")


def test_a_damaged_file_in_the_cache_is_fetched_again(serve) -> None:
    server = serve(file_server.whole(BODY))
    path = zoo.fetch("tiny")
    path.write_bytes(BODY[:1000])
    assert zoo.fetch("tiny").read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_failed_fetch_leaves_a_good_file_alone(serve) -> None:
    server = serve(file_server.whole(BODY))
    path = zoo.fetch("tiny")
    path.write_bytes(b"damaged")
    server.answers[f"/{FILE}"] = file_server.status(500)
    with pytest.raises(DownloadFailed):
        zoo.fetch("tiny")
    assert path.read_bytes() == b"damaged"  # not ours to delete; it is never handed out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_cache_that_cannot_be_written_is_told(serve, tmp_path: Path) -> None:
    serve(file_server.whole(BODY))
    files.cache_folder().chmod(0o500)
    with pytest.raises(DownloadFailed, match="cannot write tiny"):
        zoo.fetch("tiny")


def test_a_file_where_the_cache_should_be_is_told(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(file_server.whole(BODY))
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DownloadFailed, match="cannot write tiny"):
        zoo.fetch("tiny")


def test_two_processes_fetch_at_once(serve) -> None:
    server = serve(file_server.together(BODY, n_clients=2))
    command = [sys.executable, "-c", TEACH + "print(zoo.fetch('tiny'))"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=30)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert server.asked == [f"/{FILE}"] * 2
    assert [str(path) for path in files_in_cache()] == [told[0]] == [told[1]]
    assert Path(told[0]).read_bytes() == BODY


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_kill_in_the_middle_of_a_fetch_leaves_no_half_file(serve) -> None:
    reached = threading.Event()
    server = serve(file_server.stall(BODY, keep=50_000, reached=reached))
    process = subprocess.Popen([sys.executable, "-c", TEACH + "zoo.fetch('tiny')"])
    assert reached.wait(20)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert FILE not in [path.name for path in files_in_cache()]
    server.answers[f"/{FILE}"] = file_server.whole(BODY)
    assert zoo.fetch("tiny").read_bytes() == BODY


# without the network


@pytest.mark.parametrize("word", ["1", "true", "yes"])
def test_offline_asks_nobody_and_says_how_else(
    serve, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    server = serve(file_server.whole(BODY))
    monkeypatch.setenv("EARMARK_OFFLINE", word)
    with pytest.raises(DownloadFailed, match="EARMARK_OFFLINE forbids") as failure:
        zoo.fetch("tiny")
    assert server.asked == []
    assert "EARMARK_PUBLISHED" in str(failure.value)
    assert "earmark models import choi2016" in str(failure.value)


@pytest.mark.parametrize("word", ["", "0", "false"])
def test_offline_can_be_switched_off(serve, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    serve(file_server.whole(BODY))
    monkeypatch.setenv("EARMARK_OFFLINE", word)
    assert zoo.fetch("tiny").read_bytes() == BODY


def test_offline_still_gives_what_is_in_the_cache(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(file_server.whole(BODY))
    path = zoo.fetch("tiny")
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    assert zoo.fetch("tiny") == path


def test_a_folder_of_weights_is_taken_by_content_not_by_name(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(file_server.status(500))
    (tmp_path / "a folder").mkdir()
    (tmp_path / "another.h5").write_bytes(BODY[:-1] + b"!")
    (tmp_path / "renamed.h5").write_bytes(BODY)
    monkeypatch.setenv("EARMARK_PUBLISHED", str(tmp_path))
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    assert zoo.fetch("tiny") == tmp_path / "renamed.h5"
    assert server.asked == []
    assert files_in_cache() == []


def test_a_damaged_file_in_the_folder_of_weights_is_told(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(file_server.whole(BODY))
    (tmp_path / FILE).write_bytes(BODY[:-1])
    monkeypatch.setenv("EARMARK_PUBLISHED", str(tmp_path))
    with pytest.raises(DownloadFailed, match=hashlib.sha256(BODY[:-1]).hexdigest()) as failure:
        zoo.fetch("tiny")
    assert TINY.sha256 in str(failure.value)
    assert files_in_cache() == []


def test_a_folder_without_the_weights_leaves_it_to_the_network(
    serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(file_server.whole(BODY))
    (tmp_path / "music.mp3").write_bytes(b"music")
    monkeypatch.setenv("EARMARK_PUBLISHED", str(tmp_path))
    assert zoo.fetch("tiny").parent == files.cache_folder() / "weights"


def test_a_folder_of_weights_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARMARK_PUBLISHED", "/nowhere/at/all")
    with pytest.raises(BadValue, match="/nowhere/at/all"):
        zoo.fetch("tiny")


def test_weights_without_a_public_address_say_how_to_import_them() -> None:
    with pytest.raises(ModelNotFound, match="no public address of cs2470 is known") as failure:
        zoo.fetch("cs2470")
    assert "earmark models import cs2470 cs2470_trained_model.h5" in str(failure.value)


# the list


def test_every_entry_has_the_sum_and_size_of_the_published_file(shared: Path) -> None:
    for name in IN_SHARED:
        weights = zoo.PUBLISHED[name]
        path = shared / "published" / weights.file
        assert path.stat().st_size == weights.size, name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == weights.sha256, name


def test_the_folder_of_published_weights_serves_every_name(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARMARK_PUBLISHED", str(shared / "published"))
    monkeypatch.setenv("EARMARK_OFFLINE", "1")
    for name in [*IN_SHARED, "won2020"]:
        assert zoo.fetch(name).name == zoo.PUBLISHED[zoo.canonical(name)].file


PINNED = (
    r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/.+",
    r"https://github\.com/[^/]+/[^/]+/releases/download/[^/]+/.+",
    r"https://files\.pythonhosted\.org/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/.+",
)


def test_addresses_are_pinned_to_a_commit_or_a_release() -> None:
    urls = [url for name in NAMES if (url := zoo.PUBLISHED[name].url) is not None]
    assert len(urls) == len(NAMES) - 1  # cs2470 has none
    for url in urls:
        assert any(re.fullmatch(pattern, url) for pattern in PINNED), url


def test_no_two_files_share_a_name() -> None:
    # a mirror and the cache are flat folders
    sums: dict[str, set[str]] = {}
    for weights in zoo.PUBLISHED.values():
        sums.setdefault(weights.file, set()).add(weights.sha256)
    assert all(len(of_file) == 1 for of_file in sums.values())


def test_a_large_file_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def download(url: str, *, most: int, deadline: float, progress: object) -> bytes:
        waited.append(deadline)
        raise DownloadFailed("no network here")

    monkeypatch.setattr(zoo, "download", download)
    for name in ("choi2016", "musicnn-msd"):
        with pytest.raises(DownloadFailed):
            zoo.fetch(name)
    assert waited[0] == zoo.DEADLINE
    assert waited[1] == pytest.approx(29_292_476 / 20_000)


def test_an_alias_means_the_same_model() -> None:
    assert zoo.model_path("won2020") == zoo.model_path("won2020-fcn")


# finding a model


def install(name: str) -> Path:
    path = zoo.model_path(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a model")
    return path


def test_a_path_is_found_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"a model")
    assert zoo.resolve(path) == zoo.resolve(str(path)) == path


def test_an_installed_name_is_found() -> None:
    path = install("won2020-fcn")
    assert zoo.resolve("won2020-fcn") == zoo.resolve("won2020") == path


def test_a_folder_of_a_models_name_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install("choi2016")
    (tmp_path / "choi2016").mkdir()
    monkeypatch.chdir(tmp_path)
    assert zoo.resolve("choi2016") == path


def test_a_name_that_is_not_installed_says_what_to_run() -> None:
    with pytest.raises(ModelNotFound) as failure:
        zoo.resolve("choi2016")
    assert str(failure.value) == (
        "the model choi2016 is not on this machine. Run `earmark models pull choi2016`"
    )


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelNotFound, match=r"'choi2061'.*choi2016.*won2020-crnn"):
        zoo.resolve("choi2061")


def test_without_a_name_it_is_the_shipped_model_whatever_else_is_installed() -> None:
    install("choi2016")
    path = zoo.resolve()
    assert path.is_file()
    assert path == zoo.resolve("earmark") == zoo.model_path("earmark")
    assert path.parent.parent == Path(zoo.__file__).parent


def test_a_file_of_its_name_does_not_take_the_shipped_models_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "earmark").write_text("#!/bin/sh")
    monkeypatch.chdir(tmp_path)
    assert zoo.resolve() == zoo.model_path("earmark")


def test_the_shipped_model_is_nothing_to_fetch() -> None:
    with pytest.raises(ModelNotFound, match="comes with this package"):
        zoo.fetch("earmark")


def test_the_environment_names_the_default_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("choi2016")
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"a model")
    monkeypatch.setenv("EARMARK_MODEL", str(mine))
    assert zoo.resolve() == mine
    monkeypatch.setenv("EARMARK_MODEL", "won2020")
    with pytest.raises(ModelNotFound, match="earmark models pull won2020"):
        zoo.resolve()
