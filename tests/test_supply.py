"""Temporary files, permissions and secrets: what other users of a machine could get at."""

from __future__ import annotations

import ast
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from audio_files import example
from web_server import serving

from earmark.web.access import Access

ROOT = Path(__file__).parents[1]
# Ray's sockets need a short path: a folder with a random name is made there
IN_TMP = {"src/earmark/engine/ray.py"}


def test_no_file_in_tmp_has_a_fixed_name():
    """Another user of the machine could put a link there. Folders are made by tempfile."""
    fixed, unsafe = set(), []
    for path in (ROOT / "src").rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and str(node.value).startswith(("/tmp", "/var/tmp")):
                fixed.add(name)
            if isinstance(node, ast.Attribute | ast.Name):
                used = node.attr if isinstance(node, ast.Attribute) else node.id
                if used in ("mktemp", "gettempdir", "tempnam"):
                    unsafe.append(f"{name}:{node.lineno}")
    assert fixed == IN_TMP
    assert unsafe == []


def test_every_action_of_a_workflow_is_named_by_its_commit():
    """A tag or a branch can be moved to other code, which would run with what CI may do."""
    steps = [
        line.split("uses:")[1].strip()
        for path in (ROOT / ".github/workflows").glob("*.yml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(steps) > 10
    assert [step for step in steps if not re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", step)] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_commands_write_has_the_mode_of_the_umask(model, tmp_path, umask):
    song = tmp_path / "song.flac"
    example().write(song, example().make_song(3, seed=1))
    (tmp_path / "songs.csv").write_text("id,path,tags,artist,split\na,song.flac,jazz,A,train\n")
    for words in (
        ("tag", "--model", model, "--taggram", "out/taggrams", song),
        ("data", "catalog", "csv", "songs.csv", "-o", "out/catalog.parquet"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "earmark", *words], cwd=tmp_path, umask=umask,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    made = list((tmp_path / "out").rglob("*"))
    assert len(made) >= 3
    for path in made:
        full = 0o777 if path.is_dir() else 0o666
        assert path.stat().st_mode & 0o777 == full & ~umask, path


def test_no_log_holds_a_token(model, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with serving(model, access=Access(token="right-secret")) as server:
        for token, status in (("right-secret", 200), ("wrong-secret", 401)):
            headers = {"Authorization": f"Bearer {token}"}
            got = requests.get(f"{server.url}/api/models", headers=headers, timeout=60)
            assert (got.status_code == 401) == (status == 401)
            assert "secret" not in got.text
    told = "".join((caplog.text, *capfd.readouterr()))
    assert "/api/models" in told
    assert "secret" not in told
    assert "secret" not in repr(Access(token="right-secret"))


def test_the_help_does_not_show_the_token_of_the_environment():
    done = subprocess.run(
        [sys.executable, "-m", "earmark", "serve", "--help"], capture_output=True, text=True,
        env={**os.environ, "EARMARK_TOKEN": "right-secret"}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert "EARMARK_TOKEN" in done.stdout
    assert "secret" not in done.stdout.replace("A secret that", "")
