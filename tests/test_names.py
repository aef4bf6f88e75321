"""One word, one thing: a public class name, and a name for an array's type, stands once."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "earmark"


def statements():
    """(file, statement) for each statement at the top of each module."""
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            yield file, statement


def type_aliases():
    """(file, name, type) for each public name that a module gives to a type with parameters."""
    for file, statement in statements():
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Subscript):
            for target in statement.targets:
                name = target.id if isinstance(target, ast.Name) else ""
                meaning = ast.unparse(statement.value)
                if name[:1].isupper() and not name.isupper() and "Annotated" not in meaning:
                    yield file, name, meaning


def test_no_two_public_classes_have_one_name():
    places = defaultdict(list)
    for file, statement in statements():
        if isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
            places[statement.name].append(file)
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_each_name_of_a_type_is_defined_once():
    places = defaultdict(list)
    for file, name, meaning in type_aliases():
        places[name].append((file, meaning))
    assert len(places) > 10
    assert {name: uses for name, uses in places.items() if len(uses) > 1} == {}


def test_a_type_of_array_that_has_a_name_gets_no_second_one():
    names = {meaning: name for file, name, meaning in type_aliases() if file == "arrays.py"}
    assert names["npt.NDArray[np.float32]"] == "Float32Array"
    del names["npt.NDArray[Any]"]  # says nothing about what is in it; an alias of it may
    others = [
        (file, name, names[meaning])
        for file, name, meaning in type_aliases()
        if file != "arrays.py" and meaning in names
    ]
    assert others == []
