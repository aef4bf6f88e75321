"""The page of the Python API is the one that the docstrings make."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import earmark

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_of_the_python_api_is_the_one_it_makes(tmp_path):
    made = tmp_path / "python.md"
    subprocess.run([sys.executable, DOCS / "make_python_page.py", made], check=True, timeout=60)
    assert (DOCS / "reference" / "python.md").read_text(encoding="utf-8") == made.read_text(
        encoding="utf-8"
    ), "run: make docs"


def test_every_public_name_stands_on_the_page_once():
    sections = runpy.run_path(str(DOCS / "make_python_page.py"))["SECTIONS"]
    assert sorted(name for _, names in sections for name in names) == sorted(earmark.__all__)
