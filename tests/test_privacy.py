"""Nothing is asked of other machines, and nothing is left in the home folder, but what docs say.

Each command runs as a person starts it, with an empty home folder, and with every connection and
every look-up of its processes recorded, those of native code too.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import evaluation_data as made
import psutil
import pytest
import requests
import tiny_model
from network_record import NetworkRecord
from tiny_store import write_tiny_store

from earmark.data.catalog.catalog import write_catalog

ROOT = Path(__file__).parents[1]
# what commands leave, as docs/reference/privacy.md names it
LIBRARY = ".local/share/earmark/library.sqlite"
FONTS = ".cache/earmark/matplotlib"
KERAS = ".cache/earmark/keras"
INDUCTOR = "torchinductor"  # and the user's name: an empty folder, made by torch's optimisers
TELLS_AFTER = 12.0  # seconds; onnxruntime 1.32 looks up its collector after nine


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Songs, a catalog and a store of them, and a model."""
    folder = tmp_path_factory.mktemp("material")
    catalog = made.songs(folder, n=4)
    write_catalog(catalog, folder / "songs.parquet")
    made.store(catalog, folder / "store", audio=folder)
    write_tiny_store(folder / "tiny")
    tiny_model.write(folder / "model.onnx")
    return folder


@pytest.fixture
def record(tmp_path):
    return NetworkRecord(tmp_path)


def run(record, material, *words, **variables):
    done = subprocess.run(
        [sys.executable, *words], cwd=material, env=record.environment | variables,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def check(record, *folders, n_processes=1, in_tmp=()):
    """Nothing was asked of another machine, and only files of these folders are left."""
    assert record.n_processes() >= n_processes  # else the record itself is at fault
    assert record.foreign() == {}
    assert record.listening() == set()
    left = {name if name in folders else name.rpartition("/")[0] for name in record.left()}
    assert left == set(folders), record.left()
    assert {name.partition("_")[0] for name in record.left_in_tmp()} == set(in_tmp)


def test_the_record_sees_what_python_native_code_and_children_ask(record, tmp_path):
    native = (
        "import ctypes\n"
        "libc, found = ctypes.CDLL(None), ctypes.c_void_p()\n"
        "assert libc.getaddrinfo(b'native.example', b'80', None, ctypes.byref(found))\n"
    )
    python = (
        "import socket, subprocess, sys\n"
        "try: socket.create_connection(('192.0.2.1', 80))\n"
        "except OSError: pass\n"
        "try: socket.getaddrinfo('python.example', 80)\n"
        "except OSError: pass\n"
        "waiting = socket.create_server(('0.0.0.0', 0))\n"
        "socket.create_connection(('127.0.0.1', waiting.getsockname()[1]))\n"
        f"subprocess.run([sys.executable, '-c', {native!r}], check=True)\n"
    )
    run(record, tmp_path, "-c", python)
    asked = {" ".join(line.split()[:2]) for line in record.foreign()}
    assert asked == {"connect 192.0.2.1", "look-up python.example", "look-up native.example"}
    assert record.listening() == {"0.0.0.0"}
    assert record.n_processes() == 2


EARMARK = ("-m", "earmark")
SHARDS = (*EARMARK, "data", "shards", "songs.parquet", "--audio", ".")
COMMANDS: dict[str, tuple[Any, ...]] = {
    "tag": ((*EARMARK, "tag", "audio", "--workers", "2"), {}, 3),
    "tag with OpenVINO": (
        (*EARMARK, "tag", "audio/s0.wav", "--model", "model.onnx"),
        {"EARMARK_RUNTIME": "openvino"},
        1,
    ),
    "taggram": ((*EARMARK, "tag", "audio/s0.wav", "--taggram", "taggrams"), {}, 1, FONTS),
    "scan": ((*EARMARK, "library", "scan", "audio", "--workers", "2"), {}, 3, LIBRARY),
    "evaluate": (
        (*EARMARK, "evaluate", "model.onnx", "--store", "store", "-o", "report"),
        {},
        1,
        FONTS,
    ),
    "shards": (
        (*SHARDS, "-o", "own", "--workers", "2"),
        {},
        3,
    ),
    "doctor": ((*EARMARK, "doctor"), {}, 1),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_asks_nothing_and_leaves_what_the_docs_say(name, record, material):
    words, variables, n_processes, *folders = COMMANDS[name]
    if "openvino" in variables.values():
        pytest.importorskip("openvino")
    run(record, material, *words, **variables)
    check(record, *folders, n_processes=n_processes)


def test_the_server_and_its_decoders_ask_nothing(record, material):
    started = time.monotonic()
    server = subprocess.Popen(
        [sys.executable, *EARMARK, "serve", "--port", "0", "--decoders", "1"],
        env=record.environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = next(line for line in server.stderr if "listens at" in line)
        url = line.split("listens at ")[1].split()[0]
        song = {"file": ("song.wav", (material / "audio" / "s0.wav").read_bytes())}
        assert requests.post(f"{url}/api/tag", files=song, timeout=60).status_code == 200
        assert requests.get(url, timeout=60).status_code == 200
        time.sleep(max(0.0, started + TELLS_AFTER - time.monotonic()))
        n_running = 1 + len(psutil.Process(server.pid).children(recursive=True))
    finally:
        server.terminate()
        server.communicate(timeout=60)
    check(record, n_processes=n_running)


def test_training_and_export_ask_nothing(record, material):
    sizes: tuple[str, ...] = ("model.widths=[8,8]", "model.pools=[[4,2],[4,2]]", "model.pad=0")
    sizes += ("loop.tensorboard=true",) if find_spec("tensorboard") else ()
    settings = [word for size in sizes for word in ("--set", size)]
    run(record, material, *EARMARK, "train", "smoke", "--store", "tiny", "-o", "run", *settings)
    run(record, material, *EARMARK, "export", "run", "-o", "exported.onnx", "--name", "own")
    check(record, FONTS, n_processes=2, in_tmp=(INDUCTOR,))


def test_keras_leaves_its_settings_in_our_cache(record, material):
    if find_spec("keras") is None:
        pytest.skip("keras is not installed")
    # it looks whether matplotlib is there, which lists the fonts
    run(record, material, "-c", "import earmark.training.keras", KERAS_BACKEND="torch")
    check(record, FONTS, KERAS, in_tmp=(INDUCTOR,))


@pytest.mark.slow
def test_a_local_ray_keeps_to_this_machine_and_takes_its_files_with_it(record, material):
    pytest.importorskip("ray")
    before = set(Path("/tmp").glob("*ray*"))
    run(record, material, *SHARDS, "-o", "by_ray", "--ray", "local", "--workers", "1")
    check(record, n_processes=4)
    assert set(Path("/tmp").glob("*ray*")) == before


def test_beets_asks_nothing(record, material, tmp_path):
    pytest.importorskip("beets")
    settings = f"directory: {tmp_path}/music\nlibrary: {tmp_path}/beets.db\nplugins: [earmark]\n"
    (tmp_path / "config.yaml").write_text(f"{settings}earmark: {{model: {material}/model.onnx}}\n")
    words = ("-m", "beets", "import", "--quiet", "--nocopy", "--noautotag", "audio")
    run(record, material, *words, BEETSDIR=str(tmp_path))
    assert (tmp_path / "beets.db").is_file()
    check(record)


def test_a_choice_of_the_user_stays(record, tmp_path):
    (record.home / ".config" / "matplotlib").mkdir(parents=True)
    code = (
        "import os; from earmark.privacy import keep_private; keep_private()\n"
        "print(*(os.environ.get(name) for name in "
        "('ORT_DISABLE_TELEMETRY', 'RAY_USAGE_STATS_ENABLED', 'MPLCONFIGDIR', 'KERAS_HOME')))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True,
        env=record.environment | {"RAY_USAGE_STATS_ENABLED": "1", "EARMARK_CACHE": "/own"},
    ).stdout  # fmt: skip
    assert said.split() == ["1", "1", "None", "/own/keras"]


def test_what_is_left_stands_in_the_docs():
    text = (ROOT / "docs" / "reference" / "privacy.md").read_text(encoding="utf-8")
    for place in (f"~/{LIBRARY}", f"~/{FONTS}", f"~/{KERAS}", f"/tmp/{INDUCTOR}_USER"):
        assert f"`{place}`" in text


@pytest.mark.parametrize("library", ["onnxruntime", "openvino", "ray", "matplotlib", "keras"])
def test_each_import_of_a_library_that_tells_stands_beside_what_keeps_it_quiet(library):
    importing = [
        path
        for folder in ("src", "benchmarks", "studies", "examples")
        for path in (ROOT / folder).rglob("*.py")
        if library in set(_imported(path))
    ]
    assert importing
    for path in importing:
        # a package runs first what its __init__ says
        texts = [path.read_text(encoding="utf-8")]
        texts += [(path.parent / "__init__.py").read_text(encoding="utf-8")]
        assert any("keep_private()" in text for text in texts), path


def _imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):  # what is for type checkers alone is never imported
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
