"""Terminal output on the pages, made by their commands: python docs/make_outputs.py [PAGE...]

A page with a line `<!-- outputs: WORLD -->` is run from its first line to its last in an empty
folder, by one bash:

- a block whose first line has title="NAME" becomes the file NAME
- a line `$ COMMAND` of a console block is run, and what it prints stands below it

WORLD is what the folder holds: `music` has twelve labelled clips from ../shared (their names come
onto the page, their sound stays outside), `clone` the folder examples/. A command that fails ends
the run. --check writes nothing, shows what differs and ends with 1.

What changes from run to run is written alike: the folder is ~, the port of a server 8000. What may
differ between two runs is not compared: times, dates, long hashes; and numbers with a decimal point
may be .02 apart. A page that says `<!-- outputs: WORLD, trained -->` trains a network, which learns
a little else on each kind of processor: its numbers and the order of its lines are not compared.
"""

from __future__ import annotations

import argparse
import csv
import difflib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from mutagen.oggopus import OggOpus

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
HEAD = re.compile(r"^<!-- outputs: (\w+)(, trained)? -->$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)
MARK = "\x1eoutput\n"  # in front of what each command prints
NEAR = 0.02  # how far numbers with a decimal point may be apart
PORT = "8000"  # on the page; the run takes a free one
TIMEOUT = 300  # seconds for a page
CLIPS = (
    "MT0000392975", "MT0000888329", "MT0001472536", "MT0002834532", "MT0003286463", "MT0003542756",
    "MT0005963165", "MT0007833171", "MT0011322528", "MT0011886148", "MT0011938737", "MT0028709149",
)  # fmt: skip
# Times, as "1.2 s" or "0:03"; dates; hashes: not compared.
VARYING = re.compile(
    r"\b\d[\d.,]* ?(?:ms|s|seconds|minutes?|min)\b|\b\d+:\d\d\b"
    r"|\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?|\b[0-9a-f]{12,}\b"
)
DECIMAL = re.compile(r"\d*\.\d+")


def pages() -> list[Path]:
    """The pages whose output is made here."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if HEAD.search(page.read_text(encoding="utf-8"))]


def world_of(page: Path) -> str:
    """The name of the world that a page runs in."""
    head = HEAD.search(page.read_text(encoding="utf-8"))
    assert head is not None
    return head[1]


def missing(world: str) -> str | None:
    """Why a world cannot be made here; None where it can."""
    if os.name == "nt" or not all(map(shutil.which, ("bash", "curl"))):
        return "the pages' commands are for bash and curl"
    if world == "music" and not SHARED.is_dir():
        return "no ../shared beside this checkout: real music is not in the clone"
    return None


def make_world(world: str, folder: Path) -> None:
    """Fill an empty folder."""
    if world == "music":
        (folder / "Music").mkdir()
        with (SHARED / "q4" / "tracks.csv").open(encoding="utf-8", newline="") as lines:
            rows = {row["id"]: row for row in csv.DictReader(lines)}
        for clip in CLIPS:
            artist, title = rows[clip]["artist"], rows[clip]["title"]
            song = folder / "Music" / f"{artist} - {title}.opus"
            shutil.copyfile(SHARED / "q4" / rows[clip]["path"], song)
            tagged = OggOpus(song)
            tagged.update(artist=artist, title=title)
            tagged.save()
    elif world == "clone":
        shutil.copytree(ROOT / "examples", folder / "examples")
    else:
        raise ValueError(f"unknown world {world!r}")


def run(page: Path) -> str:
    """The page, with what its commands print today."""
    text = page.read_text(encoding="utf-8")
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="page-") as made:
        folder = Path(made).resolve()
        make_world(world_of(page), folder)
        script = "trap 'kill $(jobs -p) 2> /dev/null' EXIT\n"  # a server that a page starts
        for language, title, body in BLOCK.findall(text):
            if title:
                (folder / title).parent.mkdir(parents=True, exist_ok=True)
                (folder / title).write_text(body, encoding="utf-8")
            elif language == "console":
                script += "".join(map(_step, COMMAND.findall(body)))
        done = subprocess.run(
            ["bash", "-c", script.replace(PORT, port)],
            cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", timeout=TIMEOUT,
        )  # fmt: skip
    printed = done.stdout.replace(str(folder), "~").replace(f":{port}", f":{PORT}").split(MARK)
    if done.returncode:
        raise RuntimeError(f"{page.name}: a command failed\n{printed[-1]}")
    outputs = iter(printed[1:])

    def with_output(block: re.Match[str]) -> str:
        if block[1] != "console" or block[2]:
            return block[0]
        lines = []
        for command in COMMAND.findall(block[3]):
            shown = next(outputs).strip("\n").splitlines()
            lines += [f"$ {command}", *(line.rstrip() for line in shown)]
        return "```console\n" + "\n".join(lines) + "\n```"

    return BLOCK.sub(with_output, text)


def _step(command: str) -> str:
    return f"printf '\\036output\\n'\n{command}\n[ $? = 0 ] || exit 1\n"


def _environment(folder: Path) -> dict[str, str]:
    """As a new user on a terminal of 88 columns has it; the same earmark as runs this script."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EARMARK_", "XDG_", "COVERAGE_", "PYTEST_"))
    }
    return kept | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "COLUMNS": "88",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
    }


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def differences(page: Path, new: str) -> list[str]:
    """The lines in which a page differs from its new text, in more than the rules allow."""
    old = page.read_text(encoding="utf-8")
    head = HEAD.search(old)
    assert head is not None
    before, after = old.splitlines(), new.splitlines()
    if head[2]:
        alike = sorted(map(_words, before)) == sorted(map(_words, after))
    else:
        alike = len(before) == len(after) and all(map(_alike, before, after))
    if alike:
        return []
    return list(difflib.unified_diff(before, after, page.name, "made now", lineterm="", n=1))


def _words(line: str) -> str:
    """A line without numbers, bars and hashes."""
    return " ".join(re.sub(r"[\d.,-]*\d", "#", VARYING.sub("#", line)).replace("█", "").split())


def _alike(one: str, other: str) -> bool:
    one, other = (
        " ".join(VARYING.sub("#", line).replace("█", "").split()) for line in (one, other)
    )
    numbers = [[float(number) for number in DECIMAL.findall(line)] for line in (one, other)]
    same_words = DECIMAL.sub("#", one) == DECIMAL.sub("#", other)
    return same_words and all(abs(a - b) <= NEAR + 1e-9 for a, b in zip(*numbers, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the terminal output on the pages.")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="all by default")
    parser.add_argument("--check", action="store_true", help="only show what differs")
    arguments = parser.parse_args()
    differ = False
    for page in [path.resolve() for path in arguments.pages] or pages():
        if why := missing(world_of(page)):
            sys.stderr.write(f"{page.name} stays as it is: {why}\n")
            continue
        new = run(page)
        found = differences(page, new)
        differ = differ or bool(found)
        if arguments.check:
            sys.stdout.writelines(f"{line}\n" for line in found)
        elif found:
            page.write_text(new, encoding="utf-8", newline="\n")
    return int(arguments.check and differ)


if __name__ == "__main__":
    sys.exit(main())
