"""The steps of the Dockerfile without a container engine: build, start, ask whether it is healthy.

    python deploy/run_steps.py [--keep FOLDER]

Runs in a copy of the repository: the RUN, ENV, ENTRYPOINT, CMD and HEALTHCHECK of the Dockerfile,
with its folders below a temporary one, and as the user who calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
_OWN = ("/opt/earmark", "/data")  # folders of the container
_START_SECONDS = 120


def steps(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, arguments) of each step, in order."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", dockerfile))
    return [
        (word, rest)
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def build_context(ignore_file: str) -> list[str]:
    """What of the repository is copied into the image."""
    return [line[1:] for line in ignore_file.splitlines() if line.startswith("!")]


def run(folder: Path) -> None:
    """Run all steps below a folder."""
    environment = dict(os.environ, EARMARK_TOKEN=secrets.token_hex(8))

    def moved(text: str) -> str:
        for own in _OWN:
            text = re.sub(rf"(?<![\w/]){own}", str(folder) + own, text)
        return text

    (folder / "opt").mkdir()
    source = folder / "source"
    source.mkdir()
    for name in build_context((HERE / "Dockerfile.dockerignore").read_text(encoding="utf-8")):
        subprocess.run(["cp", "-r", ROOT / name, source / name], check=True)
    start: list[str] = []
    healthy: list[str] = []
    for word, rest in steps((HERE / "Dockerfile").read_text(encoding="utf-8")):
        if word == "RUN":
            command = re.sub(r"&& chown \S+ \S+", "", moved(rest))
            print(f"RUN {command}", flush=True)
            subprocess.run(["sh", "-c", command], cwd=source, env=environment, check=True)
        elif word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                environment[name] = os.path.expandvars(
                    moved(value).replace("$PATH", environment["PATH"])
                )
        elif word in ("ENTRYPOINT", "CMD"):
            start += json.loads(rest)
        elif word == "HEALTHCHECK":
            healthy = json.loads(rest.partition("CMD ")[2])
    print(f"START {shlex.join(start)}", flush=True)
    server = subprocess.Popen(start, env=environment, cwd=folder)
    try:
        end = time.monotonic() + _START_SECONDS
        while subprocess.run(healthy, env=environment, stderr=subprocess.DEVNULL).returncode:
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not become healthy")
            time.sleep(1)
        print("HEALTHY", flush=True)
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="A folder to work in, which stays.")
    arguments = parser.parse_args()
    if arguments.keep:
        arguments.keep.mkdir(parents=True)
        run(arguments.keep.resolve())
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))


if __name__ == "__main__":
    main()
