"""The commands where only the core is installed: they work, or say in one line what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tiny_model
from audio_files import tone, write_audio

from earmark import doctor

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

# What the extras bring, in an environment that has none of it: importing it fails.
EXTRAS = (
    "aiolimiter", "crc32c", "fastapi", "fsspec", "h5py", "httpx2", "keras", "matplotlib", "mutagen",
    "onnx", "openvino", "plotly", "prometheus_client", "pyarrow", "rapidfuzz", "ray", "scipy",
    "sklearn", "stamina", "tensorboard", "threadpoolctl", "torch", "uvicorn",
)  # fmt: skip
CORE_ONLY = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS!r}))
from earmark.cli import main
main()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    write_audio(home / "a.flac", tone(300, seconds=1, rate=22_050), codec="flac", rate=22_050)
    tiny_model.write(home / "tiny.onnx")
    (home / "songs.csv").write_text("id,path,tags,artist,split\n1,a.flac,jazz,A,test\n")
    (home / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return home


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CORE_ONLY, *words],
        cwd=home, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["tag", "a.flac", "--model", "tiny.onnx", "--json"],
        ["tag", "a.flac"],
        ["models", "list"],
        ["models", "info", "tiny.onnx", "--tags"],
        ["train", "--help"],
    ],
    ids=" ".join,
)
def test_what_needs_no_extra_works_without(home, words):
    done = run(home, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("pictures", ["tag", "a.flac", "--model", "tiny.onnx", "--taggram", "out"]),
        ("models", ["models", "import", "choi2016", "weights.h5", "-o", "choi.onnx"]),
        ("library", ["library", "scan", "."]),
        ("web", ["serve"]),
        ("train", ["train", "smoke", "--store", "store", "-o", "run"]),
        ("train", ["export", "run", "-o", "x.onnx"]),
        ("data", ["data", "catalog", "csv", "songs.csv", "-o", "songs.parquet"]),
        ("data", ["evaluate", "tiny.onnx", "--catalog", "songs.csv"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_what_needs_an_extra_names_it_in_one_line(home, extra, words):
    done = run(home, *words)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "pip install " in last
    assert f"[{extra}]'" in last
    assert "Traceback" not in done.stderr


def test_an_address_that_needs_an_extra_fails_alone_with_its_line(home):
    done = run(home, "tag", "a.flac", "s3://bucket/a.flac", "--model", "tiny.onnx")
    assert done.returncode == 3
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert re.fullmatch(
        r"error: s3://bucket/a\.flac: fsspec is not installed\. Run: pip install .*\[remote\]'",
        line,
    )


def test_the_doctor_says_what_an_installation_lacks_and_what_installs_it():
    """The core and every extra that brings something are on its list, with what they bring."""
    declared = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    names = {
        extra: {re.split(r"[\[>=<]", each)[0] for each in needs} - {"earmark"}
        for extra, needs in declared["optional-dependencies"].items()
        if extra not in ("dev", "docs")  # of this repository, not of what is installed
    }
    assert {extra: set(libraries) for extra, (_, libraries) in doctor._EXTRAS.items()} == {
        extra: {name for name in libraries if not (extra == "web" and name == "threadpoolctl")}
        for extra, libraries in names.items()
        if libraries
    }
    core = {re.split(r"[\[>=<]", each)[0] for each in declared["dependencies"]}
    assert set(doctor._CORE) == core
