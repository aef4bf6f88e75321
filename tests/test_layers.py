"""Imports go down only and never in a circle, and importing loads nothing heavy."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from earmark.cli import COMMANDS, Commands

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "earmark"

# Top to bottom; modules of one row may not import each other, but where a name stands in ALSO.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"web", "library", "evaluation", "data", "training", "doctor", "taggrams", "chapters"},
    {"tagger"},
    {"zoo", "engine", "inference", "results"},
    {"published"},
    {"graph", "runtime", "windows"},
    {"audio", "signal_check", "download", "model_file", "metrics", "ranking", "pictures"},
    {"features", "tags"},
    {"loudness", "privacy"},
    {
        "files",
        "folder_lock",
        "held_signals",
        "sqlite_file",
        "parquet_file",
        "onnx_file",
        "words",
        "provenance",
        "remote",
        "arrays",
        "lazy_names",
        "environment",
    },
    {"errors", "counted"},
]
ALSO = {
    ("training", "data"),
    ("evaluation", "data"),
    ("__main__", "cli"),
    ("evaluation", "taggrams"),
    ("web", "taggrams"),
    ("web", "chapters"),
    ("chapters", "taggrams"),
    ("web", "library"),
    ("folder_lock", "files"),
}
# Inside a folder: which of its parts a part may import. A part that is not named is free.
WALLS = {
    "data": {
        "catalog": set(),
        "matching": set(),
        "previews": {"catalog", "matching"},
        "store": {"catalog"},
    },
    "engine": {
        "worker": set(),
        "memory": set(),
        "processes": {"worker", "memory"},
        "ray": {"worker", "memory"},
    },
}
# What may import earmark.training, beside itself: it brings torch.
TRAINERS = {f"cli/{name}.py" for name in ("train", "sweep", "curve", "probe", "training_bar")}
# The rules of matching read and write nothing; catalogs and stores ask no network.
INPUT_AND_OUTPUT = {"io", "os", "pathlib", "shutil", "sqlite3", "subprocess", "tempfile"}
NETWORK = {"asyncio", "http", "httpx2", "requests", "socket", "ssl", "urllib"}
WITHOUT = {
    "data/matching/": INPUT_AND_OUTPUT | NETWORK,
    "data/catalog/": NETWORK,
    "data/store/": NETWORK,
}
# Where one library may be imported, and nowhere else.
ONLY = {
    "torch": "training/",
    "keras": "training/keras/",
    "ray": "engine/ray.py",
    "openvino": "runtime.py",
    "fastapi": "web/",
    "plotly": "web/",
    "mutagen": "library/",
    "httpx2": "data/previews/",
    "fsspec": "remote.py",
}
HEAVY = (
    "numpy", "av", "soxr", "onnx", "onnxruntime", "openvino", "torch", "keras", "h5py",
    "matplotlib", "pyarrow", "ray", "httpx2", "sklearn", "scipy", "pydantic", "rapidfuzz",
    "fastapi", "uvicorn", "starlette", "prometheus_client", "plotly",
    "mutagen", "fsspec",
)  # fmt: skip


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module in names)


def imported_by(path: Path) -> list[str]:
    """What a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if name in MODULES else str(node.module) for name in names]
    return found


def module_of(path: Path) -> str:
    parts = ("earmark", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports() -> list[tuple[str, str]]:
    """(file, what it imports) for every import statement below src/earmark."""
    return [
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in MODULES.values()
        for name in imported_by(path)
    ]


def test_every_module_has_its_layer():
    for path in PACKAGE.iterdir():
        name = path.name.removesuffix(".py")
        if name not in ("__init__", "__pycache__", "py.typed", "models"):
            assert any(name in names for names in LAYERS), f"{name} stands in no layer"


def test_every_layer_stands_on_the_page_of_the_architecture():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| layer | what is in it |\n")[2].partition("\n\n")[0]
    found = [set(re.findall(r"`(\w+)(?:/|\.py)`", row)) for row in table.splitlines()[1:]]
    assert found == [row for row in LAYERS if row != {"__main__"}]


def test_imports_go_down_only():
    for file, imported in imports():
        module, parts = file.split("/")[0].removesuffix(".py"), imported.split(".")
        if parts[0] != "earmark" or len(parts) < 2 or module == "__init__":
            continue
        target = parts[1]
        if target.startswith("__") or target == module:
            continue
        down = layer(target) > layer(module)
        assert down or (module, target) in ALSO, f"{module} must not import {target}"


def test_the_parts_of_a_folder_keep_to_their_side_of_the_walls():
    for file, imported in imports():
        folder, _, inner = file.partition("/")
        part, target = inner.split("/")[0].removesuffix(".py"), imported.split(".")
        allowed = WALLS.get(folder, {}).get(part)
        if allowed is None or target[:2] != ["earmark", folder] or len(target) < 3:
            continue
        assert target[2] in allowed | {part}, f"{file} must not import {imported}"


def test_each_heavy_library_has_one_home():
    for file, imported in imports():
        library = imported.split(".")[0]
        if library in ONLY:
            assert file.startswith(ONLY[library]), f"{file} must not import {library}"


def test_only_the_commands_that_train_import_training():
    for file, imported in imports():
        if imported.startswith("earmark.training") and not file.startswith("training/"):
            assert file in TRAINERS, f"{file} must not import {imported}"
    for path in (ROOT / "src" / "beetsplug").rglob("*.py"):
        assert not any(name.startswith("earmark.training") for name in imported_by(path))


def test_some_folders_do_without_the_network_and_without_files():
    for file, imported in imports():
        for folder, libraries in WITHOUT.items():
            if file.startswith(folder):
                assert imported.split(".")[0] not in libraries, f"{file} must not use {imported}"


def circles() -> list[set[str]]:
    """The largest sets of modules of which each imports each other, if only by way of others."""
    below = {name: set(imported_by(path)) & MODULES.keys() for name, path in MODULES.items()}
    for middle in MODULES:  # Warshall: all that can be reached
        for name in MODULES:
            if middle in below[name]:
                below[name] |= below[middle]
    rings = {frozenset(b for b in below[a] if a in below[b]) for a in MODULES if a in below[a]}
    return sorted(map(set, rings), key=min)


def test_no_imports_go_round():
    """Neither at the top of a file, nor in a function, nor for types alone."""
    assert circles() == []


def test_studies_import_no_benchmark():
    for path in (ROOT / "studies").rglob("*.py"):
        assert not any(name.split(".")[0] == "benchmarks" for name in imported_by(path)), path


@pytest.mark.parametrize(
    "code",
    [
        "import earmark",
        "import earmark.cli",
        "import sys; sys.argv = ['earmark', '--help']; from earmark.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code):
    report = f"{code}\nimport sys; print('loaded', *({set(HEAVY)!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].strip() == "loaded"


@pytest.mark.parametrize(("name", "does"), COMMANDS.items())
def test_help_says_of_each_command_what_the_command_says_first(name, does):
    assert Commands().get_command(None, name).help.replace("\n", " ").startswith(does)


def test_the_public_names_are_there_and_are_the_whole_of_all():
    import earmark

    for name in earmark.__all__:
        assert getattr(earmark, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Taggger'"):
        _ = earmark.Taggger  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["earmark.library", "earmark.evaluation"])
def test_the_face_of_a_folder_has_each_of_its_names_and_lists_them(name):
    face = import_module(name)
    assert dir(face) == sorted(face.__all__)
    for public in face.__all__:
        assert getattr(face, public).__module__.startswith(name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing
