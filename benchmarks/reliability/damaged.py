"""Damaged files: truncated, with flipped bits, holes and foreign parts, of many formats."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path

import tiny_model
from audio_files import FORMATS, music, write_format

from benchmarks.reliability.commands import EARMARK, Result, is_fault, start


def mutated(data: bytes, other: bytes, random_: random.Random) -> bytes:
    """A file's bytes, damaged in one of five ways."""
    kind, at = random_.randrange(5), random_.randrange(1, len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(random_.choice([1, 10, 1000])):
            changed[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        return bytes(changed)
    if kind == 2:
        return data[:at] + bytes(random_.randrange(5000)) + data[at:]
    if kind == 3:
        return data[:at] + data[min(len(data), at + random_.randrange(5000)) :]
    return data[:at] + other[random_.randrange(len(other)) :]


def damaged(folder: Path, sizes: argparse.Namespace) -> Result:
    """Each damaged file has its line; nothing else happens."""
    random_ = random.Random(sizes.seed)
    song, wholes = music(2.0), {}
    for name in FORMATS:
        path = write_format(folder, name, song)
        wholes[name] = path.read_bytes()
        path.unlink()
    (folder / "music").mkdir()
    for number in range(sizes.files):
        name = random_.choice([*wholes])
        data = mutated(wholes[name], random_.choice([*wholes.values()]), random_)
        (folder / "music" / f"{number:05}-{name}").write_bytes(data)
    paths = sorted(map(str, (folder / "music").iterdir()))
    (folder / "list").write_text("\n".join(paths))
    words = ["tag", "-", "--model", tiny_model.write(folder / "tiny.onnx"), "--json"]
    with (
        (folder / "list").open() as listed,
        start(*EARMARK, *words, "--workers", 2, stdin=listed) as process,
    ):
        said, told = process.communicate()
    lines = [json.loads(line) for line in said.splitlines()]
    kinds = Counter(line["error"]["kind"] if "error" in line else "tagged" for line in lines)
    complete = sorted(line["path"] for line in lines) == paths
    mistakes = [
        line["path"] for line in lines if is_fault(line.get("error", {}).get("message", ""))
    ]
    well = complete and process.returncode in (0, 3) and not is_fault(told) and not mistakes
    return {"well": well, "files": len(paths), "formats": len(wholes), "kinds": kinds}
