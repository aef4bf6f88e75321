"""Files are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from earmark import files


def test_a_file_takes_its_name_only_when_the_block_ends_well(tmp_path):
    target = tmp_path / "deep" / "file.txt"
    with files.atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_an_error_leaves_what_stood_there_and_no_litter(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), files.atomic_path(target) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_kill_in_the_middle_leaves_what_stood_there(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    code = (
        "import os, signal, sys; from earmark import files\n"
        "with files.atomic_path(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows flushes names with their files")
def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after_that(
    tmp_path, monkeypatch
):
    """A power cut leaves the old file, or the new one whole, and once the block has ended that."""
    done = []
    fsync, replace = os.fsync, os.replace

    def flush(number):
        done.append(("flush", os.fstat(number).st_ino))
        fsync(number)

    def rename(source, target):
        done.append(("rename", Path(source).stat().st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    files.write_bytes(tmp_path / "file", b"new")
    file, folder = (path.stat().st_ino for path in (tmp_path / "file", tmp_path))
    assert done == [("flush", file), ("rename", file), ("flush", folder)]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_file_that_has_its_name_is_written_even_if_its_folder_cannot_be_flushed(
    tmp_path, monkeypatch, number
):
    fsync = os.fsync

    def flush(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", flush)
    files.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_new_file_has_the_mode_that_the_umask_asks_for(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "file.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_sha256_is_the_one_everybody_computes(tmp_path):
    files.write_bytes(tmp_path / "abc", b"abc")
    assert files.sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_json_lines_keep_unicode_and_the_bytes_of_odd_names():
    assert files.json_line({"title": "Björk ♥"}) == '{"title": "Björk ♥"}'
    odd = os.fsdecode(b"caf\xe9.mp3")
    line = files.json_line({"path": odd})
    line.encode()  # any program can read it
    assert os.fsencode(json.loads(line)["path"]) == b"caf\xe9.mp3"


def test_unfinished_files_have_short_names_and_are_known_by_them(tmp_path):
    target = tmp_path / ("あ" * 80 + ".flac")
    names = (".song.part.txt", ".earmark-0123abcd.partial", "earmark.part")
    theirs = [tmp_path / name for name in names]
    for path in theirs:
        path.write_bytes(b"theirs")
    older = tmp_path / ".song.mp3.0123abcd.part"
    older.write_bytes(b"half")
    with files.atomic_path(target) as plain, files.atomic_path(target, keep_suffix=True) as kept:
        assert (plain.suffix, kept.suffix) == (".part", ".flac")
        for path in (plain, kept):
            path.write_bytes(b"half")
            assert files.is_temporary(path)
            assert len(path.name) < 40
        with files.atomic_path(tmp_path / "killed.npy") as left:
            left.write_bytes(b"half")
            files.remove_unfinished(tmp_path)
            assert not left.exists()
            assert not older.exists()
            for path in (plain, kept, left):
                path.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    assert all(path.read_bytes() == b"theirs" for path in theirs)
