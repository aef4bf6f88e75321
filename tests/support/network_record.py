"""Every connection and look-up of a process and of all its children, native code included.

record = NetworkRecord(folder)
subprocess.run(..., env=record.environment)
record.foreign(), record.listening(), record.left()

Works by a library that is compiled here and loaded before libc, so on Linux with a C compiler. It
does not see programs without libc, of which there are none in what earmark installs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("network_shim.c")


class NetworkRecord:
    """A home folder that is empty at first, and what processes in it ask of the network."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if sys.platform != "linux" or compiler is None:
            pytest.skip("connections of native code are recorded on Linux with a C compiler only")
        shim, self._lines = folder / "network_shim.so", folder / "network.txt"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", shim, _SOURCE, "-ldl"], check=True
        )
        self._lines.touch()
        self.home, self._tmp = folder / "home", folder / "tmp"
        self.home.mkdir()
        self._tmp.mkdir()
        # as a person's shell has it: none of the variables of the test or of earmark's settings
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.environment = kept | {
            "HOME": str(self.home),
            "TMPDIR": str(self._tmp),
            "LANG": "C.UTF-8",
            "LD_PRELOAD": str(shim),
            "NETWORK_RECORD": str(self._lines),
            "PYTHONDONTWRITEBYTECODE": "1",  # elsewhere than in HOME, but nobody's business here
        }

    def _calls(self) -> list[list[str]]:
        return [line.split(" ", 2) for line in self._lines.read_text().splitlines()]

    def foreign(self) -> Counter[str]:
        """What was asked of other machines, and how often: "look-up example.org", ..."""
        return Counter(
            f"{call} {what} by {program}"
            for call, what, program in self._calls()
            if call == "look-up" or (call in ("connect", "send") and not _is_loopback(what))
        )

    def listening(self) -> set[str]:
        """Addresses other than this machine's own that somebody waits at."""
        return {
            what for call, what, _ in self._calls() if call == "bind" and not _is_loopback(what)
        }

    def n_processes(self) -> int:
        """How many programs were started and recorded."""
        return sum(call == "start" for call, _, _ in self._calls())

    def left(self) -> list[str]:
        """The files and the empty folders below the home folder."""
        return sorted(
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if path.is_file() or not any(path.iterdir())
        )

    def left_in_tmp(self) -> list[str]:
        """What lies in the folder for temporary files."""
        return sorted(path.name for path in self._tmp.iterdir())


def _is_loopback(address: str) -> bool:
    ip = ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
