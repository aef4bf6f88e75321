"""The notebooks, run from the first cell to the last: python docs/make_notebooks.py [NOTEBOOK...]

Each notebook is executed where it lies, as after a fresh clone, and written with what it shows;
with --check it is only executed. Times and the version of Python are left out of the file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "notebooks"
TIMEOUT = 300  # seconds for a cell


def run(path: Path) -> Any:
    """A notebook with its outputs; raises nbclient's CellExecutionError where a cell fails."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    )
    client.execute()
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the notebooks, and keep what they show.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all by default")
    parser.add_argument("--check", action="store_true", help="run them, and write nothing")
    arguments = parser.parse_args()
    for path in arguments.notebooks or sorted(FOLDER.glob("*.ipynb")):
        notebook = run(path.resolve())
        if not arguments.check:
            nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
