"""The man page and the completions are those of the commands, and shells and man can read them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from earmark.cli import COMMANDS

ROOT = Path(__file__).parents[1]
SHARE = ROOT / "share"
MAN_PAGE = SHARE / "man/man1/earmark.1"
BASH = SHARE / "bash-completion/completions/earmark"


@pytest.fixture(scope="module")
def made():
    return run_path(str(ROOT / "docs" / "make_share.py"))["files"]()


def test_the_files_of_share_are_the_ones_it_makes(made):
    for name, text in made.items():
        assert (SHARE / name).read_text(encoding="utf-8") == text, "run: make docs"
    there = {path.relative_to(SHARE).as_posix() for path in SHARE.rglob("*") if path.is_file()}
    assert there == made.keys()


def test_the_man_page_has_every_command(made):
    page = made["man/man1/earmark.1"]
    for name in COMMANDS:
        assert f'.SS "earmark {name}"\n' in page
    assert "<str>" not in page
    assert r"\fB\-\-accept\-terms\fR" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_finds_nothing_wrong_with_the_man_page():
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", MAN_PAGE], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "earmark - listen to music and say what is heard" in done.stdout


@pytest.fixture
def shell(tmp_path):
    """Runs a script in bash, with an empty home folder and an `earmark` on the path."""
    if sys.platform == "win32" or shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    command = tmp_path / "bin" / "earmark"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m earmark "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"

    def run(script: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", "-eu", "-c", script], cwd=tmp_path, capture_output=True, text=True,
            timeout=120, env={**os.environ, "HOME": str(tmp_path), "PATH": path},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


# what bash does when Tab is pressed behind the words
TAB = """
COMP_WORDS=(earmark {words}); COMP_CWORD=$(({count})); IFS=$' \\t\\n'
_earmark_completion earmark
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def test_bash_completes_commands_and_options(shell):
    assert shell(f". '{BASH}'\n" + TAB.format(words="li", count=1)).split() == ["library"]
    options = shell(f". '{BASH}'\n" + TAB.format(words="tag --ma", count=2))
    assert options.split() == ["--max-seconds"]


# `true` comes last, as bash becomes its last command, and earmark asks which shell started it
def test_bash_reads_what_show_completion_prints(shell):
    found = shell(
        'eval "$(earmark --show-completion bash; true)"\n' + TAB.format(words="doc", count=1)
    )
    assert found.split() == ["doctor"]


def test_install_completion_makes_bash_complete(shell, tmp_path):
    assert "bash completion installed in" in shell("earmark --install-completion; true")
    assert ".bash_completions" in (tmp_path / ".bashrc").read_text()
    assert shell(". ~/.bashrc\n" + TAB.format(words="evalu", count=1)).split() == ["evaluate"]
