"""The pages that are made from the code: python docs/generate.py, or make docs.

reference/cli.md           what each command says of itself
reference/python.md        what each public name of `earmark` says of itself (make_python_page.py)
reference/environment.md, exit-codes.md, recipe.md  (make_tables.py)
README.md, tutorials/ and some guides: what commands print (make_outputs.py; a minute)
reference/messages.md      the kinds of errors and warnings (make_messages.py)
reference/licences.md      of all that is installed (make_licences.py)
../share                   the man page and the shells' completions (make_share.py)
explanation/architecture.md, between the markers: a line for each file of src/earmark
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "src" / "earmark"
COMMANDS = DOCS / "reference" / "cli.md"
ARCHITECTURE = DOCS / "explanation" / "architecture.md"
SCRIPTS = (
    "make_python_page.py", "make_tables.py", "make_messages.py", "make_licences.py",
    "make_share.py",
)  # fmt: skip
BEGIN, END = "<!-- made by `make docs`: begin -->\n", "<!-- made by `make docs`: end -->\n"


def commands(target: Path) -> None:
    """Write the page of the command line."""
    words = ["earmark.cli", "utils", "docs", "--name", "earmark", "--output", str(target)]
    subprocess.run([sys.executable, "-m", "typer", *words], check=True, capture_output=True)


def modules() -> dict[str, str]:
    """The first line of each file of src/earmark, by its path; "" where a file says nothing.

    A folder's __init__.py stands under the folder's own name where it holds only that line.
    """
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parsed = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(PACKAGE).as_posix()
        if path.name == "__init__.py" and path.parent != PACKAGE and len(parsed.body) == 1:
            name = name.removesuffix("__init__.py")
        found[name] = (ast.get_docstring(parsed) or "").partition("\n")[0]
    return found


def tree() -> str:
    """One line a file, in the order of their paths; the files of a folder together."""
    found = modules()
    groups: dict[str, list[str]] = {}
    for name in sorted(found):
        folder = re.sub(r"[^/]+$", "", name)
        groups.setdefault(folder, []).append(name)
    width = max(map(len, found))
    lines = ["\n".join(f"{name:{width}}  {found[name]}" for name in group)
             for _, group in sorted(groups.items())]  # fmt: skip
    return "```text\n" + "\n\n".join(lines) + "\n```\n"


def architecture() -> str:
    """The page as it stands, with the tree of today between its markers."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    return f"{before}{BEGIN}{tree()}{END}{after}"


def main() -> None:
    commands(COMMANDS)
    for script in SCRIPTS:
        subprocess.run([sys.executable, DOCS / script], check=True)
    ARCHITECTURE.write_text(architecture(), encoding="utf-8", newline="\n")
    subprocess.run([sys.executable, DOCS / "make_outputs.py"], check=True)


if __name__ == "__main__":
    main()
