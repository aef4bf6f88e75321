"""The faces of earmark.data: what each exports, and that importing one loads nothing heavy."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

FACES = ("earmark.data.catalog", "earmark.data.store", "earmark.data.previews")


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_is_there_and_comes_from_below_it(face: str) -> None:
    module = importlib.import_module(face)
    assert dir(module) == module.__all__ == sorted(module._HOME)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith(face)
    with pytest.raises(AttributeError, match=rf"'{face}' has no attribute 'Stoer'"):
        _ = module.Stoer


@pytest.mark.parametrize("face", FACES)
def test_no_name_of_a_face_is_hidden_by_a_module_of_that_name(face: str) -> None:
    module = importlib.import_module(face)
    modules = {found.name for found in pkgutil.iter_modules(module.__path__)}
    assert not modules & set(module.__all__)


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.parametrize("face", FACES)
def test_importing_a_face_loads_nothing_of_what_it_names(face: str) -> None:
    loaded = loaded_after(f"import {face}")
    assert not loaded & {"numpy", "pyarrow", "av", "httpx2"}
    assert not [name for name in loaded if name.startswith(f"{face}.")]


def test_a_ledger_needs_no_rule_of_matching_and_no_network() -> None:
    loaded = loaded_after("import earmark.data.previews.ledger")
    assert "earmark.data.matching.hit" in loaded
    assert "earmark.data.matching.judge" not in loaded
    assert "earmark.data.previews.http" not in loaded


def test_a_rematch_needs_no_network() -> None:
    loaded = loaded_after("import earmark.data.previews.decisions")
    assert not loaded & {"httpx2", "stamina", "aiolimiter", "earmark.data.previews.run"}
