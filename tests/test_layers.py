"""Imports go down only, and importing loads nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from earmark.cli import COMMANDS, Commands

PACKAGE = Path(__file__).parents[1] / "src" / "earmark"

# Top to bottom; modules of one row may not import each other, but where a name stands in ALSO.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"web", "library", "evaluation", "data", "training", "doctor", "taggrams"},
    {"tagger"},
    {"zoo", "engine", "inference"},
    {"published"},
    {"graph", "runtime", "windows"},
    {"audio", "signal_check", "download", "model_file", "metrics", "ranking"},
    {"features", "tags"},
    {"loudness", "privacy"},
    {"files", "folder_lock", "sqlite_file", "parquet_file", "provenance", "arrays"},
    {"errors"},
]
ALSO = {
    ("training", "data"),
    ("evaluation", "data"),
    ("__main__", "cli"),
    ("evaluation", "taggrams"),
    ("web", "taggrams"),
    ("web", "library"),
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
        "processes": {"worker"},
        "ray": {"worker"},
    },
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
}
HEAVY = (
    "numpy", "av", "soxr", "onnx", "onnxruntime", "openvino", "torch", "keras", "h5py",
    "matplotlib", "pyarrow", "ray", "httpx2", "sklearn", "scipy", "pooch", "pydantic", "rapidfuzz",
    "fastapi", "uvicorn", "starlette", "prometheus_client", "plotly",
    "mutagen",
)  # fmt: skip


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if module in names)


def imports() -> list[tuple[str, str]]:
    """(file, what it imports) for every import statement below src/earmark."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found += [(file, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "earmark":
                found += [(file, f"earmark.{alias.name}") for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.append((file, node.module))
    return found


def test_every_module_has_its_layer():
    for path in PACKAGE.iterdir():
        name = path.name.removesuffix(".py")
        if name not in ("__init__", "__pycache__", "py.typed", "models"):
            assert any(name in names for names in LAYERS), f"{name} stands in no layer"


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
        _ = earmark.Taggger


@pytest.mark.parametrize("name", ["earmark.library", "earmark.evaluation"])
def test_the_face_of_a_folder_has_each_of_its_names_and_lists_them(name):
    face = import_module(name)
    assert dir(face) == sorted(face.__all__)
    for public in face.__all__:
        assert getattr(face, public).__module__.startswith(name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing
