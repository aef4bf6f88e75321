"""One run writes at a time, and a killed one leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from music_folder import BEST_TWO, scan_once, write_song

from earmark.errors import FolderInUse
from earmark.library.database import Library
from earmark.library.writing import journal
from earmark.library.writing.rewrite import only_writer
from earmark.library.writing.undo import UndoOutcome, last_run, undo_writing
from earmark.library.writing.write import UnwritableFile, plan_writing, write_tags


def written(library):
    return list(write_tags(library, plan_writing(library, library.model(), settings=BEST_TWO)))


def earmark(library, *words, before=""):
    """`earmark library WORDS` in a process that first runs some lines of Python."""
    script = f"""
import os, signal, sys
from earmark.cli import main
from earmark.library.writing import rewrite, undo, write
{before}
sys.argv = ["earmark", "library", *{words!r}, "--yes", "--library", {str(library.path)!r}]
main()
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)


def test_a_second_run_is_refused_and_says_who_has_the_library_and_since_when(library, song):
    before = song.read_bytes()
    plan = plan_writing(library, library.model(), settings=BEST_TWO)
    with Library.open(library.path) as other, only_writer(other):
        for words in (("write",), ("undo", "1")):
            done = earmark(library, *words)
            assert done.returncode == 1
            said = done.stderr.decode()
            assert f"another run works on {library.path} (process {os.getpid()}, since " in said
        with pytest.raises(FolderInUse, match="Wait until it ends"):
            list(write_tags(library, plan))
    assert song.read_bytes() == before
    assert len(written(library)) == 1
    with only_writer(library), Library.open(library.path) as other, pytest.raises(FolderInUse):
        list(undo_writing(other, 1))
    assert [each.outcome for each in undo_writing(library, 1)] == [UndoOutcome.restored]
    assert song.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_the_copy_of_a_killed_run_is_deleted_by_the_next_one_and_nothing_else(library, song):
    before = song.read_bytes()
    others = [
        song.with_name(name)
        for name in (".song.flac.0123abcd.part", ".earmark-0123abcd.part.flac", ".earmark.part")
    ]
    for other in others:
        other.write_bytes(b"theirs")

    def left():
        return [path for path in song.parent.iterdir() if path != song and path not in others]

    kill = "= lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    done = earmark(library, "write", before=f"write.audio_hash {kill}")
    assert done.returncode == -signal.SIGKILL
    (copy,) = left()
    assert copy.suffix == ".flac"
    assert song.read_bytes() == before
    assert len(written(library)) == 1
    assert left() == []

    now = song.read_bytes()
    done = earmark(library, "undo", before=f"undo._restore {kill}")
    assert done.returncode == -signal.SIGKILL
    assert len(left()) == 1
    assert song.read_bytes() == now
    (each,) = undo_writing(library, last_run(library))
    assert each.outcome is UndoOutcome.restored
    assert left() == []
    assert song.read_bytes() == before
    assert all(other.read_bytes() == b"theirs" for other in others)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_kill_after_the_journal_and_before_the_rename_is_undone_as_nothing(library, song):
    before = song.read_bytes()
    done = earmark(
        library, "write", before="os.chown = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert done.returncode == -signal.SIGKILL
    assert song.read_bytes() == before
    assert [each.outcome for each in undo_writing(library, 1)] == [UndoOutcome.unwritten]
    assert len(list(song.parent.iterdir())) == 1


def test_a_file_that_another_program_writes_at_once_is_not_in_the_journal(
    library, song, monkeypatch
):
    def chown(*_):
        with song.open("ab") as file:
            file.write(b"\0")

    monkeypatch.setattr(os, "chown", chown)
    (refused,) = written(library)
    assert isinstance(refused, UnwritableFile)
    assert "another program changed it at the same time" in str(refused.error)
    assert journal.runs(library) == []


def test_a_refusal_after_the_journal_strikes_the_entry(library, song, monkeypatch):
    def chown(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "chown", chown)
    before = song.read_bytes()
    (refused,) = written(library)
    assert str(refused.error) == (
        f"cannot write to {song}: Input/output error. The file is unchanged. Check the disk"
    )
    assert journal.runs(library) == []
    assert song.read_bytes() == before


def test_the_longest_names_are_written_and_no_message_names_the_copy(library, tagger, tmp_path):
    name = "あ" * 80 + ".flac"  # 245 bytes, of the 255 that most file systems allow
    path = write_song(tmp_path / "music" / "short.flac", pitch=440)
    path = path.rename(path.with_name(name))
    scan_once(library, tagger, path.parent)
    (made,) = written(library)
    assert made.after["genre"]
    assert [each.outcome for each in undo_writing(library, 1)] == [UndoOutcome.restored]


def test_a_refusal_names_the_song_and_not_the_copy(library, song, monkeypatch):
    def damage(copy, _):
        copy.write_bytes(b"no audio at all")

    monkeypatch.setattr("earmark.library.writing.write.write_fields", damage)
    (refused,) = written(library)
    assert str(song) in str(refused.error)
    assert ".part" not in str(refused.error)
