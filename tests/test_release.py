"""What a release holds, and that what builds and runs it is pinned by its hash."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import earmark

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "release" / "locks"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def built(kind: str, folder: Path) -> Path:
    """A wheel or an sdist, as any installer has hatchling build it."""
    script = f"from hatchling.build import build_{kind} as build; print(build({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names in the wheel, and its metadata."""
    with zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        names = set(archive.namelist())
        metadata = f"earmark-{earmark.__version__}.dist-info/METADATA"
        return names, archive.read(metadata).decode()


def test_the_wheel_holds_all_of_the_package_and_nothing_else(wheel):
    names, _ = wheel
    files = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    recipes = {f"earmark/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.toml")}
    version = f"earmark-{earmark.__version__}"
    share = {
        f"{version}.data/data/share/{path.relative_to(ROOT / 'share').as_posix()}"
        for path in (ROOT / "share").rglob("*")
        if path.is_file()
    }
    about = {name for name in names if name.startswith(f"{version}.dist-info/")}
    assert names - about == files | recipes | share
    assert {
        "earmark/models/earmark.onnx", "earmark/recipes/choi2016.toml", "earmark/py.typed",
        "earmark/web/static/index.html", "beetsplug/earmark.py",
    } <= names  # fmt: skip


def test_the_wheel_carries_every_licence_text_and_the_readme(wheel):
    names, metadata = wheel
    folder = f"earmark-{earmark.__version__}.dist-info/licenses"
    texts = ["LICENSE", *(f"LICENSES/{path.name}" for path in (ROOT / "LICENSES").iterdir())]
    assert {f"{folder}/{text}" for text in texts} <= names
    assert "License-Expression: MIT\n" in metadata
    assert "\n# earmark" in metadata


def test_the_source_distribution_holds_what_packagers_need(tmp_path):
    with tarfile.open(built("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "PKG-INFO", "LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile", "constraints.txt",
        "release/locks/core.txt", "tests/conftest.py", "docs/index.md",
        "share/man/man1/earmark.1", "share/zsh/site-functions/_earmark",
        "src/earmark/models/earmark.onnx",
    } <= names  # fmt: skip


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names_in(requirements: list[str]) -> set[str]:
    return {normal(*re.findall(r"^[\w.-]+", line)) for line in requirements}


def pins(path: Path) -> dict[str, str]:
    """{name: version} of the lines `name==version`."""
    found = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {normal(name): version for name, version in found}


CONSTRAINTS = pins(ROOT / "constraints.txt")


@pytest.mark.parametrize("lock", sorted(LOCKS.glob("*.txt")), ids=lambda lock: lock.stem)
def test_a_lock_has_the_versions_that_are_tested_and_a_hash_of_each(lock):
    locked = pins(lock)
    assert {name: locked[name] for name in locked.keys() & CONSTRAINTS.keys()} == {
        name: CONSTRAINTS[name] for name in locked.keys() & CONSTRAINTS.keys()
    }, "run: make lock"
    entries = re.split(r"^(?=[\w.-]+==)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_locks_cover_what_make_installs_by_them():
    build = set((LOCKS / "build.in").read_text(encoding="utf-8").split())
    assert names_in(PROJECT["build-system"]["requires"]) <= build
    core = names_in(PROJECT["project"]["dependencies"])
    models = names_in(PROJECT["project"]["optional-dependencies"]["models"])
    builds = {"editables", *names_in(PROJECT["build-system"]["requires"])}
    assert core | builds <= pins(LOCKS / "core.txt").keys(), "run: make lock"
    assert core | builds | models <= pins(LOCKS / "models.txt").keys(), "run: make lock"
    assert builds | {"build", "twine"} <= pins(LOCKS / "dist.txt").keys(), "run: make lock"


def test_the_version_that_is_cited_is_the_latest_of_the_changelog():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    [(version, date), *_] = re.findall(r"^## (\d\S+) - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)
    assert version == earmark.__version__
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\ndate-released: {date}\n" in cited
