"""Makes the wheel and the source distribution, and checks both: make dist

    python release/dist.py [FOLDER]

They are built twice, the second time from the unpacked source distribution on a path with blanks,
and must have the same bytes: so anyone can build what is on the index. The wheel is then installed
into an empty environment, and hears a song there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    # the time of every file in the archives: that of the commit
    os.environ.setdefault("SOURCE_DATE_EPOCH", _commit_time())
    with tempfile.TemporaryDirectory(prefix="earmark-dist-") as temporary:
        place = Path(temporary) / "a path with blanks"
        built = build(ROOT, place / "first")
        again = build(unpacked(built, place), place / "again")
        if built != again:
            sys.exit(f"error: two builds differ: {built} and {again}")
        files = [place / "first" / name for name in built]
        run(sys.executable, "-m", "twine", "check", "--strict", *files)
        try_out(next(path for path in files if path.suffix == ".whl"), place)
        target.mkdir(parents=True, exist_ok=True)
        for path in files:
            (target / path.name).write_bytes(path.read_bytes())
    for name, digest in built.items():
        print(f"{digest}  {target / name}")


def build(source: Path, folder: Path) -> dict[str, str]:
    """{name: sha256} of the source distribution and of the wheel that is built from it."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def unpacked(built: dict[str, str], place: Path) -> Path:
    """The folder of the source distribution, unpacked."""
    name = next(name for name in built if name.endswith(".tar.gz"))
    with tarfile.open(place / "first" / name) as archive:
        archive.extractall(place, filter="data")
    return place / name.removesuffix(".tar.gz")


def try_out(wheel: Path, place: Path) -> None:
    """Install the wheel into an empty environment, and have it hear a song."""
    home = place / "an environment"
    run(sys.executable, "-m", "venv", home)
    binaries = home / ("Scripts" if os.name == "nt" else "bin")
    python, earmark = binaries / "python", binaries / "earmark"
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel)
    run(python, "-m", "pip", "check")
    version = run(earmark, "--version").split()[-1]
    if wheel.name.split("-")[1] != version:
        sys.exit(f"error: {wheel.name} says that it is version {version}")
    run(earmark, "models", "list")
    song = place / "a song.flac"
    run(python, ROOT / "examples" / "make_music.py", song, "--seconds", "5")
    heard = json.loads(run(earmark, "tag", "--json", song))
    if not heard["tags"] or Path(heard["path"]) != song:
        sys.exit(f"error: the installed wheel says of {song}: {heard}")
    for name in ("man/man1/earmark.1", "bash-completion/completions/earmark"):
        if not (home / "share" / name).is_file():
            sys.exit(f"error: the wheel does not install share/{name}")


def run(*command: str | Path) -> str:
    """What a command prints; ends this one where it fails."""
    # the wheel is tried, and not the checkout
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, cwd=tempfile.gettempdir(), env=environment,
        text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"error: exit code {done.returncode} of {' '.join(map(str, command))}")
    return done.stdout


def _commit_time() -> str:
    done = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True
    )
    # outside of a checkout: 1 February 2020, as hatchling has it
    return done.stdout.strip() if done.returncode == 0 else "1580601600"


if __name__ == "__main__":
    main()
