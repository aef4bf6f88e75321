"""A server under a mix of songs and nonsense: its answers, its memory and its handles."""

from __future__ import annotations

import argparse
import random
import socket
import time
from collections import Counter
from pathlib import Path

import psutil
import tiny_model
from audio_files import music, write_format
from web_server import Process, send

from benchmarks.family import of_living
from benchmarks.reliability.commands import Result
from benchmarks.reliability.damaged import mutated


def soak(folder: Path, sizes: argparse.Namespace) -> Result:
    """A mix of songs and nonsense; what the server holds at the end, beside what it held early."""
    random_ = random.Random(sizes.seed)
    song = write_format(folder, "bare.mp3", music(5.0)).read_bytes()
    other = write_format(folder, "plain.flac", music(1.0)).read_bytes()
    requests_ = [
        b"GET / HTTP/1.1\r\n",
        b"\0" * 100,
        b"POST /api/tag HTTP/1.1\r\nContent-Length: 9\r\n\r\n",
    ]
    codes, early = Counter[str](), None
    with Process(tiny_model.write(folder / "tiny.onnx")) as server:
        port, began = int(server.url.rsplit(":", 1)[1]), time.monotonic()
        process = psutil.Process(server._process.pid)
        while (passed := time.monotonic() - began) < sizes.minutes * 60:
            kind = random_.randrange(3)
            if kind == 2:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(random_.choice(requests_))
                codes["cut short"] += 1
            else:
                data = song if kind == 0 else mutated(song, other, random_)
                answer = send(server, data)
                codes[str(answer.status_code)] += 1
            if early is None and passed > sizes.minutes * 6:
                early = _held(process)
        late = _held(process)
        server.signal(15)
        code = server.wait()
        told = [line for line in server.lines if not line.startswith("{")][1:]
    early = early or late
    grown = late["megabytes"] - early["megabytes"], late["handles"] - early["handles"]
    ok = not any(500 <= int(status) < 600 for status in codes if status.isdigit())
    well = ok and code == 0 and not told and grown[0] < 50 and grown[1] < 20
    return {"well": well, "answers": codes, "early": early, "late": late, "not_json": told[:3]}


def _held(process: psutil.Process) -> dict[str, float]:
    """The memory and the handles of a process and its children."""
    family = [process, *process.children(recursive=True)]
    return {
        "megabytes": round(sum(of_living(family, lambda each: int(each.memory_info().rss))) / 1e6),
        "handles": sum(of_living(family, psutil.Process.num_fds)),
    }
