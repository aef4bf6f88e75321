"""The public face of earmark.training, and its modules, which import each other one way only."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from earmark import training

FOLDER = Path(training.__file__).parent


def test_importing_the_package_loads_no_heavy_library():
    code = (
        "import sys; before = set(sys.modules); import earmark.training; "
        "print(*sorted({'torch', 'keras', 'numpy', 'pydantic'} & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_is_there_and_listed():
    assert dir(training) == training.__all__
    for name in training.__all__:
        assert getattr(training, name).__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = training.nothing  # type: ignore[attr-defined]


def test_no_module_imports_itself_through_others():
    graph = {}
    for path in sorted(FOLDER.rglob("*.py")):
        name = path.relative_to(FOLDER).with_suffix("").as_posix().removesuffix("/__init__")
        graph[name] = {
            found
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for found in modules_of(node)
        }
    graph.pop("__init__")  # the face: it looks up its names when they are used
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError for a circle
    assert order.index("model") < order.index("learner") < order.index("loop")


def modules_of(node: ast.AST) -> list[str]:
    """The modules of training that an import statement names, lazy and typed ones included."""
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return []
    package, _, module = node.module.partition("earmark.training")
    if package or node.module == "earmark":
        return []
    module = module.strip(".").replace(".", "/")
    names = [f"{module}/{alias.name}".strip("/") for alias in node.names]
    inner = [name for name in names if module_file(name).is_file()]
    return inner or [module]


def module_file(name: str) -> Path:
    """Where the module lies; a folder is its __init__."""
    folder = FOLDER / name
    return folder / "__init__.py" if folder.is_dir() else FOLDER / f"{name}.py"
