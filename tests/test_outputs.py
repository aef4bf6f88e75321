"""Terminal output on the pages is what the commands print; and the notebooks run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def load():
    spec = importlib.util.spec_from_file_location("outputs", ROOT / "docs" / "make_outputs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


outputs = load()


@pytest.fixture
def page(tmp_path):
    """A function that writes a page and says in what a new run differs."""
    if why := outputs.missing("clone"):
        pytest.skip(why)

    def differences(*lines: str, head: str = "clone") -> list[str]:
        path = tmp_path / "page.md"
        path.write_text("\n".join([f"<!-- outputs: {head} -->", *lines, ""]), encoding="utf-8")
        return outputs.differences(path, outputs.run(path))

    return differences


@pytest.mark.slow
@pytest.mark.parametrize("path", outputs.pages(), ids=lambda path: path.stem)
def test_a_page_shows_what_its_commands_print(path):
    if why := outputs.missing(outputs.world_of(path)):
        pytest.skip(why)
    assert outputs.differences(path, outputs.run(path)) == [], "run: make docs"


def test_files_of_a_page_and_earlier_commands_are_there(page):
    assert (
        page(
            '```text title="in/a.txt"',
            "one",
            "```",
            "```console",
            "$ cd in",
            "$ cat a.txt",
            "one",
            "```",
        )
        == []
    )


def test_another_word_another_line_and_another_number_are_found(page):
    for old, now in (("3 songs", "4 songs"), ("0.50 jazz", "0.53 jazz"), ("a", "a; echo b")):
        assert page("```console", f"$ echo {now}", old, "```") != []


def test_times_the_folder_and_the_last_digit_may_differ(page):
    for old, now in (
        ("in 3.1 s", "in 12 s"),
        ("0:03 left", "1:30 left"),
        ("~/a", '"$PWD/a"'),
        ("0.50 ███", "0.51 ██"),
        ("made 2026-01-02", "made 2027-12-31"),
    ):
        assert page("```console", f"$ echo {now}", old, "```") == []


def test_what_a_training_prints_is_compared_without_numbers_and_order(page):
    lines = (
        "```console",
        "$ echo epoch 2, loss 0.9; echo done",
        "done",
        "epoch 3, loss 0.41",
        "```",
    )
    assert page(*lines, head="clone, trained") == []
    assert page(*lines) != []
    assert page("```console", "$ echo loss 0.9", "gain 0.9", "```", head="clone, trained") != []


def test_a_command_that_fails_ends_the_run(page):
    with pytest.raises(RuntimeError, match=r"page\.md: a command failed\n.*No such file"):
        page("```console", "$ cat gone.txt", "$ echo never", "never", "```")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the notebooks' commands are for a Unix shell")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_a_clone(path):
    pytest.importorskip("nbclient", reason="no nbclient here: pip install 'earmark[docs]'")
    pytest.importorskip("ipykernel", reason="no ipykernel here: pip install 'earmark[docs]'")
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_notebooks.py", "--check", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before
