"""How large an installation is, by extra, and for which systems there are wheels.

python -m benchmarks.install -o docs/reference/install.md

Sizes: earmark's wheel and what it needs are installed into an empty environment for each extra;
pip's own files are not counted. Wheels: pip resolves the core for each system and Python from what
the index says, without building anything from source. Markers in the metadata are read as on this
machine; that is right for all that the core needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EXTRAS = ("", "library", "web", "pictures", "models", "data")  # train's size is PyTorch's
PLATFORMS = {
    "Linux x86-64": ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "Linux ARM": ["manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"],
    "macOS ARM": ["macosx_14_0_arm64", "macosx_11_0_arm64"],
    "Windows": ["win_amd64"],
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LARGEST = 6  # libraries that are named


def sizes() -> Iterator[str]:
    """The rows of a table: MB of each extra, and its largest libraries."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
        wheel = next(folder.glob("earmark-*.whl"))
        core: dict[str, int] = {}
        for extra in EXTRAS:
            print(f"installing {extra or 'the core'} ...", file=sys.stderr)
            found = installed(
                folder / (extra or "core"), f"{wheel}[{extra}]" if extra else str(wheel)
            )
            core = core or found
            more = {name: size for name, size in found.items() if name not in core or not extra}
            largest = Counter(more).most_common(LARGEST)
            names = ", ".join(f"{name} {size / 1e6:.0f}" for name, size in largest)
            total = sum(found.values()) / 1e6
            yield f"| {extra or 'core'} | {total:.0f} | {names} |"


def installed(environment: Path, requirement: str) -> dict[str, int]:
    """Bytes of each distribution in a new environment with this requirement, without pip."""
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip: list[str | Path] = [python, "-m", "pip", "-q", "--disable-pip-version-check"]
    constraints = ROOT / "constraints.txt"
    subprocess.run([*pip, "install", "-c", constraints, requirement], check=True)
    asked = subprocess.run([python, "-c", _SIZES], check=True, capture_output=True, text=True)
    found: dict[str, int] = json.loads(asked.stdout)
    return {name: size for name, size in found.items() if name not in ("pip", "setuptools")}


_SIZES = """
import importlib.metadata, json
print(json.dumps({
    each.metadata["Name"]: sum(
        path.stat().st_size
        for file in each.files or () if (path := each.locate_file(file)).exists()
    )
    for each in importlib.metadata.distributions()
}))
"""


def wheels() -> Iterator[str]:
    """The rows of a table: for each system, the Pythons for which the whole core has wheels."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for system, tags in PLATFORMS.items():
        cells = [resolves(project["dependencies"], tags, python) for python in PYTHONS]
        print(f"{system}: {cells}", file=sys.stderr)
        yield f"| {system} | {' | '.join(cells)} |"


def resolves(requirements: list[str], tags: list[str], python: str) -> str:
    """ "yes", or the last line of what pip says is missing."""
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run(
            [
                sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--report", "-",
                "--target", nowhere, "--only-binary=:all:", "--python-version", python,
                *(word for tag in tags for word in ("--platform", tag)), *requirements,
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode == 0:
        report: dict[str, Any] = json.loads(done.stdout)
        return f"yes, {len(report['install'])} wheels"
    return done.stderr.strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    page = (
        Path(__file__)
        .with_suffix(".in.md")
        .read_text(encoding="utf-8")
        .format(
            date=date.today().isoformat(),
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            system=sys.platform,
            sizes="\n".join(sizes()),
            pythons=" | ".join(PYTHONS),
            rules="|".join(["---"] * (len(PYTHONS) + 1)),
            wheels="\n".join(wheels()),
        )
    )
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    else:
        print(page)


if __name__ == "__main__":
    main()
