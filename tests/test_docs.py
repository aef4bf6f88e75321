"""What the documents say is what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model
from audio_files import example

ROOT = Path(__file__).parents[1]


def test_the_page_of_the_command_line_is_the_one_it_makes(tmp_path):
    made = tmp_path / "cli.md"
    words = ["earmark.cli", "utils", "docs", "--name", "earmark", "--output", str(made)]
    subprocess.run([sys.executable, "-m", "typer", *words], check=True, capture_output=True)
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == made.read_text(), (
        "run: make docs"
    )


def test_readmes_python_is_an_example_and_the_example_runs(tmp_path):
    script = ROOT / "examples" / "tag_from_python.py"
    assert script.read_text() in (ROOT / "README.md").read_text()
    model = tiny_model.write(tmp_path / "tiny.onnx")
    songs = [tmp_path / "song.mp3", tmp_path / "other.flac"]
    for seed, song in enumerate(songs):
        example().write(song, example().make_song(3, seed=seed))
    done = subprocess.run(
        [sys.executable, script, model, *songs], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "an embedding of 5 numbers" in done.stdout
    assert done.stdout.count("'path'") == 2


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")))
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
