"""`kill` and Ctrl-C, as scripts and people send them to real processes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests
import stores
import tiny_model
from audio_files import tone, write_audio
from tiny_recipe import MODEL_TOML
from tiny_store import write_tiny_store

from earmark.data.catalog.catalog import write_catalog
from earmark.data.store.index import INDEX

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

RECIPE = f"""{MODEL_TOML}
[loop]
epochs = 10000
batch = 8
precision = "f32"
"""
AT_ONCE = 20.0  # seconds, on a machine that is busy with other tests; alone it takes one


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More music than is heard before the signal comes, a catalog and a store."""
    home = tmp_path_factory.mktemp("home")
    (home / "music").mkdir()
    for number in range(40):  # of which no two have the same sound, which a library hears once
        song = tone(200 + 10 * number, seconds=60, rate=22_050)
        write_audio(home / "music" / f"{number:03}.flac", song, codec="flac", rate=22_050)
    stores.write_wav(home / "song.wav", seed=1, seconds=60)
    (home / "previews" / "audio").mkdir(parents=True)
    for number in range(400):
        (home / "previews/audio" / f"{stores.song(number).id}.wav").symlink_to(home / "song.wav")
    write_catalog(stores.catalog(400), home / "catalog.parquet")
    tiny_model.write(home / "tiny.onnx")
    write_tiny_store(home / "store")
    return home


_shells: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    """What a failed test has started would otherwise fail the tests after it."""
    yield
    while _shells:
        shell = _shells.pop()
        if shell.returncode is None:
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(shell.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
        with shell:  # closes its pipes and waits
            shell.kill()


class Background:
    """A command that a script has started with `&`: it is set to ignore Ctrl-C."""

    def __init__(self, home: Path, *words: object) -> None:
        command = shlex.join([sys.executable, "-m", "earmark", *map(str, words)])
        self._shell = subprocess.Popen(
            ["sh", "-c", f"{command} & echo $!; wait $!; echo $?"],
            cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        _shells.append(self._shell)
        assert self._shell.stdout is not None
        self.process = psutil.Process(int(self._shell.stdout.readline()))

    def family(self, *, of: int) -> list[psutil.Process]:
        """The command and its children, as soon as there are so many of them."""
        until = time.monotonic() + 60
        try:
            while len(children := self.process.children(recursive=True)) < of:
                assert time.monotonic() < until, children
                time.sleep(0.05)
        except psutil.NoSuchProcess:
            raise AssertionError(f"it ended before it had {of} children: {self.end()}") from None
        return [self.process, *children]

    def wait_for(self, words: str) -> str:
        """The line of stderr that says so, as soon as it does."""
        assert self._shell.stderr is not None
        for line in self._shell.stderr:
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}")

    def end(self) -> tuple[int, str]:
        """Its exit code and the rest of what it said."""
        said, words = self._shell.communicate(timeout=60)
        return int(said.splitlines()[-1]), words


def kill(background: Background, family: list[psutil.Process]) -> str:
    """What it said after it was killed; nobody is left, and soon."""
    assert signal_is_ignored(background.process, signal.SIGINT)
    background.process.send_signal(signal.SIGINT)  # as from a Ctrl-C that is meant for others
    time.sleep(0.2)
    assert background.process.is_running()
    started = time.monotonic()
    background.process.terminate()
    _, alive = psutil.wait_procs(family, timeout=AT_ONCE)
    assert not alive, f"after {time.monotonic() - started:.1f} s"
    code, words = background.end()
    assert code == 143
    assert "Traceback" not in words
    return words


def signal_is_ignored(process: psutil.Process, number: int) -> bool:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return True  # only Linux tells
    line = next(line for line in status.read_text().splitlines() if line.startswith("SigIgn"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def test_tag(home):
    tag = Background(home, "tag", "music", "--model", "tiny.onnx", "--workers", 2)
    kill(tag, tag.family(of=3))  # two workers and the one that counts what they share


def test_tag_in_one_process(home):
    tag = Background(home, "tag", "music", "--model", "tiny.onnx", "--workers", 1, "--json")
    time.sleep(1.5)
    kill(tag, tag.family(of=0))


def test_library_scan_and_its_watch(home, tmp_path):
    scan = Background(
        home, "library", "scan", "music", "--model", "tiny.onnx", "--workers", 2,
        "--library", tmp_path / "library.sqlite",
    )  # fmt: skip
    kill(scan, scan.family(of=3))
    (tmp_path / "quiet").mkdir()
    watch = Background(
        home, "library", "scan", tmp_path / "quiet", "--model", "tiny.onnx", "--watch",
        "--library", tmp_path / "library.sqlite",
    )  # fmt: skip
    watch.wait_for("scanning again")
    kill(watch, watch.family(of=0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["library.sqlite", "quiet"]


def test_data_shards(home, tmp_path):
    shards = Background(
        home, "data", "shards", "catalog.parquet", "-o", tmp_path / "out", "--audio", "previews",
        "--features", "choi2016", "--workers", 2, "--clips-per-shard", 8,
    )  # fmt: skip
    family = shards.family(of=3)
    until = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*.parquet")):
        assert time.monotonic() < until
        time.sleep(0.05)
    kill(shards, family)
    left = {path.suffix for path in (tmp_path / "out").iterdir() if path.name != ".lock"}
    assert left <= {".npy", ".bin", ".parquet"}, left
    assert not (tmp_path / "out" / INDEX).exists()


def test_train_saves_and_ends(home, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    train = Background(
        home, "train", tmp_path / "recipe.toml", "--store", "store", "-o", tmp_path / "run"
    )
    train.wait_for("epoch 2")
    assert "stopped by SIGTERM. All is saved" in kill(train, train.family(of=0))


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("sweep", ("--set", "optimiser.rate=0.01,0.02")),
        ("curve", ("--songs", "8,all", "--split", "valid")),
    ],
)
def test_sweep_and_curve_save_and_end(command, options, home, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    background = Background(
        home, command, tmp_path / "recipe.toml", "--store", "store", "-o", tmp_path / "out",
        *options,
    )  # fmt: skip
    background.wait_for("epoch 2")
    assert "stopped by SIGTERM. All is saved" in kill(background, background.family(of=0))


def test_serve_ends_well(home):
    """A server that is asked to end has not failed: it exits with 0 (docs/guides/serving.md)."""
    serve = Background(home, "serve", "--port", 0, "--model", "tiny.onnx")
    url = serve.wait_for("earmark listens").split("listens at ")[1].split()[0]
    assert requests.get(url + "/api/health", timeout=60).ok
    family = serve.family(of=0)
    serve.process.terminate()
    assert not psutil.wait_procs(family, timeout=AT_ONCE)[1]
    assert serve.end()[0] == 0


@pytest.mark.parametrize("after", [0.1, 0.25, 0.4, 0.6])
def test_ctrl_c_while_a_command_starts_is_130(home, after):
    command = [sys.executable, "-m", "earmark", "tag", "music", "--model", "tiny.onnx"]
    with subprocess.Popen(
        command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        time.sleep(after)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    if process.returncode == -signal.SIGINT:
        return  # Python itself was still starting; to a shell this is 130, too
    assert process.returncode == 130, said
    assert b"Traceback" not in said


@pytest.mark.parametrize("n_children", [1, 2, 3])
def test_ctrl_c_while_workers_start_is_130(home, n_children):
    """One child counts what workers share, the others are workers, the last just born."""
    command = [sys.executable, "-m", "earmark", "tag", "music", "--model", "tiny.onnx"]
    with subprocess.Popen(
        [*command, "--workers", "2"],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        watched, until = psutil.Process(process.pid), time.monotonic() + 60
        while len(watched.children()) < n_children:
            assert time.monotonic() < until
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert b"Traceback" not in said
