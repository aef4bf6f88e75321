"""The pages that are made from the code: python docs/generate.py, or make docs.

reference/cli.md           what each command says of itself
reference/python.md        what each public name of `earmark` says of itself
explanation/architecture.md, between the markers: a line for each file of src/earmark
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import earmark

DOCS = Path(__file__).resolve().parent
PACKAGE = DOCS.parent / "src" / "earmark"
COMMANDS = DOCS / "reference" / "cli.md"
PYTHON = DOCS / "reference" / "python.md"
ARCHITECTURE = DOCS / "explanation" / "architecture.md"
BEGIN, END = "<!-- made by `make docs`: begin -->\n", "<!-- made by `make docs`: end -->\n"


def commands(target: Path) -> None:
    """Write the page of the command line."""
    words = ["earmark.cli", "utils", "docs", "--name", "earmark", "--output", str(target)]
    subprocess.run([sys.executable, "-m", "typer", *words], check=True, capture_output=True)


def python_page() -> str:
    """The page of the Python API: signatures and docstrings of what `earmark` exports."""
    parts = [
        "# The Python API",
        "Everything public is a name of `earmark`; other modules may change from one version to "
        "the next. A first script: [examples/tag_from_python.py](../../examples/tag_from_python.py)"
        ". Made by `make docs` from the docstrings.",
    ]
    for name in sorted(earmark.__all__, key=str.lower):
        value = getattr(earmark, name)
        parts += [f"## earmark.{name}", _block(value, name)]
        if not inspect.isclass(value):
            continue
        for method, member in vars(value).items():
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            if isinstance(member, property):
                parts += [f"### {name}.{method}", f"```text\n{inspect.getdoc(member)}\n```"]
            elif inspect.isfunction(member) and not method.startswith("_"):
                parts += [f"### {name}.{method}", _block(member, method)]
    return "\n\n".join(parts) + "\n"


def _block(value: object, name: str) -> str:
    """The signature, where there is one, and the docstring."""
    words = inspect.getdoc(value) or ""
    if callable(value) and not (inspect.isclass(value) and issubclass(value, BaseException)):
        signature = str(inspect.signature(value)).replace("'", "").replace("self, ", "")
        words = f"{name}{signature.replace('(self)', '()')}\n\n{words}"
    return f"```text\n{words.strip()}\n```"


def modules() -> dict[str, str]:
    """The first line of each file of src/earmark, by its path; those that say nothing are left out.

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
    PYTHON.write_text(python_page(), encoding="utf-8", newline="\n")
    ARCHITECTURE.write_text(architecture(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
