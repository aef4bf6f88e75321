"""A test that hangs ends with a line; pytest in a process of its own, on a test that does."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HANGS = """
import threading, time

def test_that_hangs():
    threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
    wait()

def wait():
    time.sleep(60)  # line 9

def test_that_comes_after_it():
    pass
"""


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="pytest-timeout ends it in its own way")
def test_a_test_that_hangs_is_told_in_one_line_and_the_next_one_runs(tmp_path):
    tests = Path(__file__).parent
    shutil.copy(tests / "conftest.py", tmp_path)
    (tmp_path / "test_hangs.py").write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", tmp_path, "-o", "timeout=1"]
    command += ["-o", f"pythonpath={tests / 'support'}"]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "it took more than 1 s, and was at test_hangs.py:9" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert len((done.stdout + done.stderr).splitlines()) < 12
