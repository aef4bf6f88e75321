"""The downloader against a service that misbehaves in every way that is known of the real ones."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from music_service import (
    Asked,
    Fault,
    MusicService,
    ServedSong,
    cut,
    drip,
    endless,
    hang,
    quota,
    reset,
    says,
    status,
    tone,
)  # fmt: skip

from earmark.data.catalog.catalog import Song
from earmark.data.previews import audio_check, run
from earmark.data.previews.decisions import rematch_previews
from earmark.data.previews.download import (
    DownloadListener,
    download_previews,
    preview_status,
    retry_previews,
)
from earmark.data.previews.entry import LedgerEntry, State
from earmark.data.previews.failures import GaveUp
from earmark.data.previews.folder import working_on
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.options import DownloadOptions, Part, parse_part
from earmark.data.previews.run import DownloadProgress
from earmark.data.previews.sources import SourceChoice, open_source
from earmark.data.previews.status import PreviewStatus
from earmark.errors import BadCatalog, BadLedger, BadValue, DataError, FolderInUse

OPTIONS = DownloadOptions(rate=0, cooldown=0.05, deadline=5, concurrency=4, patience=200)
NAMES = [("Air", "La Femme"), ("Simon & Garfunkel", "50% #1"), ("Björk", "Jóga"), ("!!!", "A+B?")]


def songs(n: int = 4) -> list[Song]:
    return [
        Song(f"TR{i:04}", *NAMES[i]) if i < len(NAMES) else Song(f"TR{i:04}", f"A{i}", f"T{i} song")
        for i in range(n)
    ]


def served(n: int = 4) -> list[ServedSong]:
    return [ServedSong(i, song.artist, song.title) for i, song in enumerate(songs(n))]


def download(
    service: MusicService,
    folder: Path,
    wanted: Sequence[Song] | None = None,
    *,
    source: str = "itunes",
    options: DownloadOptions = OPTIONS,
    part: Part | None = None,
    listener: DownloadListener | None = None,
) -> PreviewStatus:
    choice = SourceChoice(source, service.url, accepted_terms=True)
    return download_previews(
        songs() if wanted is None else wanted,
        folder,
        choice=choice,
        options=options,
        part=part,
        listener=listener,
    )


def entries(folder: Path) -> dict[str, LedgerEntry]:
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        return {entry.id: entry for entry in ledger.entries()}


def states(folder: Path) -> list[State]:
    return [entry.state for entry in entries(folder).values()]


def all_there(folder: Path, n: int = 4) -> bool:
    """Whether each song has its own audio, once, and nothing else lies there."""
    files = {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}
    return files == {f"TR{i:04}.wav": tone(i) for i in range(n)}


def first_times(kind: str, fault: Fault, number: int = 1) -> Callable[[Asked], Fault | None]:
    """That fault for the first requests of a kind about every subject."""
    return lambda asked: fault if asked.kind == kind and asked.number <= number else None


@pytest.mark.parametrize("source", ["itunes", "deezer"])
def test_every_song_gets_its_own_audio_and_a_row_that_says_so(tmp_path: Path, source: str) -> None:
    with MusicService(served(30)) as service:
        reached = download(service, tmp_path, songs(30), source=source)
    assert reached.states[State.DOWNLOADED] == reached.total == 30
    assert all_there(tmp_path, 30)
    entry = entries(tmp_path)["TR0002"]
    assert entry.hit is not None
    assert (entry.source, entry.hit.source_id, entry.file) == (source, "2", "TR0002.wav")
    assert entry.sha256 == hashlib.sha256(tone(2)).hexdigest()
    assert entry.size == len(tone(2))
    assert entry.clip_seconds == pytest.approx(0.3)
    assert max(service.counts.values()) == 1  # nothing was asked for twice


@pytest.mark.parametrize(
    "fault",
    [
        status(403), status(429), status(429, Retry_After=0), status(500), status(503),
        status(503, Retry_After=0), reset, cut(0.5, announced=True), cut(0.5, announced=False),
        says(b"<html>Sign in to the hotel's network</html>"), says(b""), says(b"{}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["search", "preview"])
def test_a_fault_that_passes_costs_no_song(tmp_path: Path, kind: str, fault: Fault) -> None:
    with MusicService(served()) as service:
        service.fault = first_times(kind, fault)
        reached = download(service, tmp_path)
    assert reached.states[State.DOWNLOADED] == 4
    assert all_there(tmp_path)


@pytest.mark.parametrize("fault", [hang, drip, endless])
@pytest.mark.parametrize("kind", ["search", "preview"])
def test_a_transfer_without_an_end_is_ended_and_made_again(
    tmp_path: Path, kind: str, fault: Fault
) -> None:
    options = DownloadOptions(
        rate=0, cooldown=0.05, deadline=0.5, concurrency=4, max_bytes=100_000, attempts=8
    )
    with MusicService(served()) as service:
        service.fault = first_times(kind, fault)
        assert download(service, tmp_path, options=options).states[State.DOWNLOADED] == 4
    assert all_there(tmp_path)


def test_deezers_quota_costs_no_song(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        service.fault = first_times("search", quota())
        assert download(service, tmp_path, source="deezer").states[State.DOWNLOADED] == 4


def test_links_of_deezer_that_have_run_out_cost_no_song(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        service.expired_links = True
        assert download(service, tmp_path, source="deezer").states[State.DOWNLOADED] == 4
    assert all_there(tmp_path)


def test_a_rejection_is_never_taken_for_no_result(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        service.fault = lambda asked: status(403) if asked.kind == "search" else None
        with pytest.raises(GaveUp, match="run the same command again"):
            download(
                service,
                tmp_path,
                options=DownloadOptions(rate=0, cooldown=0.01, patience=6, concurrency=2),
            )
        assert states(tmp_path) == [State.PENDING] * 4
        service.fault = lambda _: None
        assert download(service, tmp_path).states[State.DOWNLOADED] == 4


def test_a_song_that_the_source_does_not_have_is_no_result_and_no_failure(tmp_path: Path) -> None:
    with MusicService(served(2)) as service:
        reached = download(service, tmp_path)
    assert states(tmp_path) == [State.DOWNLOADED] * 2 + [State.NO_RESULT] * 2
    assert reached.failed == 0


def test_a_karaoke_version_that_comes_first_is_passed_over(tmp_path: Path) -> None:
    decoys = [
        ServedSong(90, "Air", "La Femme (Karaoke Version)"),
        ServedSong(91, "The Karaoke Crew", "La Femme (Originally Performed By Air)"),
    ]
    with MusicService(served(1), decoys=decoys) as service:
        download(service, tmp_path, songs(1))
    assert all_there(tmp_path, 1)


def test_only_other_recordings_are_a_rejection_with_its_reason(tmp_path: Path) -> None:
    with MusicService([ServedSong(9, "Air", "La Femme (Karaoke Version)")]) as service:
        reached = download(service, tmp_path, songs(1))
    entry = entries(tmp_path)["TR0000"]
    assert entry.state is State.REJECTED
    assert entry.reason
    assert reached.failed == 0


def test_hits_without_fields_are_no_trouble(tmp_path: Path) -> None:
    bare = [
        ServedSong(91, "", "", without=frozenset({"artistName", "trackName", "trackTimeMillis"})),
        ServedSong(92, "Air", "La Femme", without=frozenset({"previewUrl"})),
        ServedSong(93, "x", "y", without=frozenset({"trackId", "kind", "collectionName"})),
    ]
    with MusicService(served(1), decoys=bare) as service:
        download(service, tmp_path, songs(1))
    assert all_there(tmp_path, 1)


def test_a_match_without_a_preview_is_rejected_and_says_so(tmp_path: Path) -> None:
    bare = ServedSong(1, "Air", "La Femme", without=frozenset({"previewUrl"}))
    with MusicService([bare]) as service:
        download(service, tmp_path, songs(1))
    entry = entries(tmp_path)["TR0000"]
    assert (entry.state, entry.reason.endswith("no preview")) == (State.REJECTED, True)


def test_a_song_without_a_name_is_not_asked_for(tmp_path: Path) -> None:
    with MusicService([]) as service:
        download(service, tmp_path, [Song("a"), Song("b", "Air"), Song("c", title="x")])
    assert states(tmp_path) == [State.REJECTED] * 3
    assert service.counts.total() == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (says(b"<html>not here</html>"), "not audio"),
        (cut(0.5, announced=False), "cut"),
        (cut(0.5, announced=True), "connection failed"),
        (status(500), "HTTP 500"),
    ],
)
def test_what_never_arrives_whole_fails_with_its_reason_and_leaves_no_file(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    options = DownloadOptions(rate=0, cooldown=0.01, attempts=2, concurrency=4)
    with MusicService(served()) as service:
        service.fault = lambda asked: (
            fault if asked.kind == "preview" and asked.subject == "1" else None
        )
        reached = download(service, tmp_path, options=options)
        entry = entries(tmp_path)["TR0001"]
        assert entry.state is State.FAILED_RETRY
        assert entry.tries == 1
        assert reason in entry.reason
        assert entry.retry_at is not None
        assert entry.retry_at > entry.changed_at
        assert reached.failed == 1
        assert not list((tmp_path / "audio").glob("*TR0001*"))
        service.fault = lambda _: None
        assert retry_previews(tmp_path).states[State.DOWNLOADED] == 4
    assert all_there(tmp_path)
    assert service.counts["search", "Air La Femme"] == 1  # what is known is not asked again


def test_failures_become_permanent_after_some_rounds_and_retry_begins_anew(tmp_path: Path) -> None:
    options = DownloadOptions(rate=0, cooldown=0.01, attempts=1, rounds=3)
    with MusicService(served(1)) as service:
        service.fault = lambda asked: says(b"no") if asked.kind == "preview" else None
        seen = [
            (download(service, tmp_path, songs(1), options=options), entries(tmp_path)["TR0000"])
            for _ in range(3)
        ]
        assert [entry.state for _, entry in seen] == [
            State.FAILED_RETRY, State.FAILED_RETRY, State.FAILED_PERMANENT,
        ]  # fmt: skip
        assert [entry.tries for _, entry in seen] == [1, 2, 3]
        n_asked = service.counts.total()
        download(service, tmp_path, songs(1), options=options)
        assert service.counts.total() == n_asked  # permanent is permanent
        service.fault = lambda _: None
        assert retry_previews(tmp_path).states[State.DOWNLOADED] == 1


def test_a_failure_whose_time_comes_during_a_run_is_tried_in_it(tmp_path: Path) -> None:
    options = DownloadOptions(rate=0, cooldown=0.01, attempts=1, concurrency=1)
    slow = [0]

    def misbehave(asked: Asked) -> Fault | None:
        if asked.subject == "0" and asked.number == 1:
            return says(b"no")
        slow[0] += 1
        time.sleep(0.03)  # the whole service is slow
        return None

    with MusicService(served(20)) as service:
        service.fault = misbehave
        reached = download(service, tmp_path, songs(20), options=options)
    assert reached.states[State.DOWNLOADED] == 20


def test_a_preview_that_is_no_more_fails_for_good(tmp_path: Path) -> None:
    with MusicService(served(1)) as service:
        service.fault = lambda asked: status(404) if asked.kind == "preview" else None
        download(service, tmp_path, songs(1))
    assert states(tmp_path) == [State.FAILED_PERMANENT]
    assert service.numbers("lookup") == {"0": 1}


def test_retry_takes_other_outcomes_again_when_asked_to(tmp_path: Path) -> None:
    with MusicService([]) as service:
        download(service, tmp_path, songs(2))
        assert retry_previews(tmp_path).states[State.NO_RESULT] == 2
        assert service.counts.total() == 2
        marked = retry_previews(tmp_path, also=[State.NO_RESULT], only_mark=True)
        assert marked.states[State.PENDING] == 2
        assert service.counts.total() == 2
        assert retry_previews(tmp_path).states[State.NO_RESULT] == 2
        assert service.counts.total() == 4


def test_a_finished_folder_is_left_as_it_is(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
        n_asked = service.counts.total()
        before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "audio").iterdir()}
        assert download(service, tmp_path).states[State.DOWNLOADED] == 4
        assert service.counts.total() == n_asked
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "audio").iterdir()}


def test_parts_share_the_songs_out_and_each_song_is_in_one() -> None:
    ids = [f"TR{i}" for i in range(1000)]
    owners = [[i for i in ids if i in Part(number, 3)] for number in (1, 2, 3)]
    assert sorted(itertools.chain(*owners)) == sorted(ids)
    assert min(map(len, owners)) > 280
    # a stable hash: no other machine, version or day may share them out otherwise
    assert [Part(1, 3).__contains__(i) for i in ids[:6]] == [i in owners[0] for i in ids[:6]]
    digest = hashlib.sha256(b"TR0").digest()
    assert "TR0" in Part(int.from_bytes(digest[:8], "big") % 3 + 1, 3)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_a_part_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="I/N"):
        parse_part(text)


def test_only_the_songs_of_its_part_are_in_a_ledger(tmp_path: Path) -> None:
    with MusicService(served(20)) as service:
        one = download(service, tmp_path / "1", songs(20), part=Part(1, 2))
        two = download(service, tmp_path / "2", songs(20), part=Part(2, 2))
    assert one.total + two.total == 20
    assert not entries(tmp_path / "1").keys() & entries(tmp_path / "2").keys()


def test_progress_is_told_while_it_works(tmp_path: Path) -> None:
    class Ear(DownloadListener):
        heard: list[DownloadProgress | PreviewStatus]

        def __init__(self) -> None:
            self.heard = []

        def started(self, status: PreviewStatus) -> None:
            self.heard.append(status)

        def progressed(self, progress: DownloadProgress) -> None:
            self.heard.append(progress)

    ear = Ear()
    with MusicService(served()) as service:
        service.fault = lambda asked: (
            status(403) if (asked.subject, asked.number) == ("0", 1) else None
        )
        options = DownloadOptions(rate=0, cooldown=0.7, concurrency=1)
        download(service, tmp_path, options=options, listener=ear)
    assert isinstance(ear.heard[0], PreviewStatus)
    assert ear.heard[0].remaining == 4
    reports = [report for report in ear.heard if isinstance(report, DownloadProgress)]
    assert any(
        "no requests to" in report.waiting and "HTTP 403" in report.waiting for report in reports
    )


# -- files are the truth


def test_a_lost_ledger_is_made_again_from_the_files(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
        (tmp_path / "ledger.sqlite").unlink()
        service.counts.clear()
        assert download(service, tmp_path).states[State.DOWNLOADED] == 4
        assert service.counts.total() == 0
    assert entries(tmp_path)["TR0002"].sha256 == hashlib.sha256(tone(2)).hexdigest()


def test_a_damaged_ledger_is_put_aside_and_made_again_from_the_files(tmp_path: Path) -> None:
    aside: list[str] = []

    class Ear(DownloadListener):
        def ledger_was_damaged(self, path: str) -> None:
            aside.append(path)

    with MusicService(served()) as service:
        download(service, tmp_path)
        (tmp_path / "ledger.sqlite").write_bytes(b"\x00 not a ledger any more" * 1000)
        service.counts.clear()
        assert download(service, tmp_path, listener=Ear()).states[State.DOWNLOADED] == 4
        assert service.counts.total() == 0
    assert Path(aside[0]).read_bytes().startswith(b"\x00 not a ledger")


def test_a_preview_that_has_been_deleted_is_fetched_again(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
        (tmp_path / "audio" / "TR0001.wav").unlink()
        service.counts.clear()
        download(service, tmp_path)
        assert dict(service.counts) == {("preview", "1"): 1}
    assert all_there(tmp_path)


def test_a_preview_that_was_cut_on_the_disk_is_put_aside_and_fetched_again(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
        path = tmp_path / "audio" / "TR0001.wav"
        path.write_bytes(path.read_bytes()[:1000])
        download(service, tmp_path)
    assert all_there(tmp_path)
    assert (tmp_path / "replaced" / "TR0001.wav").stat().st_size == 1000


def test_a_file_that_was_kept_before_its_row_was_written_is_taken_up(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        (tmp_path / "audio").mkdir()
        (tmp_path / "audio" / "TR0003.wav").write_bytes(tone(3))
        (tmp_path / "audio" / ".TR0002.wav.0123abcd.part").write_bytes(b"half")
        download(service, tmp_path)
    assert all_there(tmp_path)
    assert service.numbers("preview") == {"0": 1, "1": 1, "2": 1}


# -- what stops a run


def test_two_runs_on_one_folder_are_one_too_many(tmp_path: Path) -> None:
    with MusicService(served()) as service, working_on(tmp_path):
        with pytest.raises(FolderInUse, match=f"process {os.getpid()}"):
            download(service, tmp_path)
        assert service.counts.total() == 0


def test_a_ledger_of_another_version_is_not_touched(tmp_path: Path) -> None:
    import sqlite3

    with MusicService(served()) as service:
        download(service, tmp_path)
        connection = sqlite3.connect(tmp_path / "ledger.sqlite")
        connection.execute("PRAGMA user_version = 9")
        connection.close()
        before = (tmp_path / "ledger.sqlite").read_bytes()
        with pytest.raises(BadLedger, match="version 9"):
            download(service, tmp_path)
    assert (tmp_path / "ledger.sqlite").read_bytes() == before
    assert all_there(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_takes_no_more_stops_the_run_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write_bytes = Path.write_bytes
    room = [3]

    def full(path: Path, data: bytes) -> int:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(code, os.strerror(code), str(path))
        return write_bytes(path, data)

    with MusicService(served(20)) as service:
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match=f"{os.strerror(code)}.*Finished work is safe"):
            download(service, tmp_path, songs(20))
        monkeypatch.undo()
        assert sum(state is State.DOWNLOADED for state in states(tmp_path)) <= 3
        assert not {State.NO_RESULT, State.FAILED_RETRY} & set(states(tmp_path))
        assert download(service, tmp_path, songs(20)).states[State.DOWNLOADED] == 20
    assert all_there(tmp_path, 20)


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_a_disk_that_fails_at_any_step_stops_the_run_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for i in range(6):
        (mine / f"TR{i:04}.wav").write_bytes(tone(i))
    choice = SourceChoice("folder", folder=str(mine))
    place = {"fsync": os, "replace": Path, "link": os}[call]
    works, left = getattr(place, call), [2]

    def failing(*args: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return works(*args)

    monkeypatch.setattr(place, call, failing)
    if call == "fsync":  # of copies: where no links can be made
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "")))
    if call == "link":  # then files are copied
        reached = download_previews(songs(6), tmp_path / "out", choice=choice, options=OPTIONS)
        assert reached.states[State.DOWNLOADED] == 6
    else:
        with pytest.raises(DataError, match=r"Input/output error.*Finished work is safe"):
            download_previews(songs(6), tmp_path / "out", choice=choice, options=OPTIONS)
    monkeypatch.undo()
    reached = download_previews(songs(6), tmp_path / "out", choice=choice, options=OPTIONS)
    assert reached.states[State.DOWNLOADED] == 6
    assert all_there(tmp_path / "out", 6)


def test_a_disk_that_cannot_be_read_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
        listdir = os.listdir

        def failing(path: object) -> list[str]:
            if str(path).endswith("audio"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return listdir(path)

        monkeypatch.setattr(os, "listdir", failing)
        with pytest.raises(DataError, match="Input/output error"):
            download(service, tmp_path)
        monkeypatch.undo()
    assert all_there(tmp_path)


def test_a_really_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    """A process that may write no file above 64 KiB: the ledger is the first to meet it."""
    code = (
        "import json, sys, resource, signal\n"
        "from earmark.data.catalog.catalog import Song\n"
        "from earmark.data.previews.download import SourceChoice, download_previews\n"
        "from earmark.data.previews.options import DownloadOptions\n"
        "from earmark.errors import DataError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "songs = [Song(*song) for song in json.loads(sys.argv[3])]\n"
        "try: download_previews(songs, sys.argv[2], choice=SourceChoice('itunes', sys.argv[1],\n"
        "    accepted_terms=True), options=DownloadOptions(rate=0, cooldown=0.05))\n"
        "except DataError as error: print(error)\n"
    )
    n = 100
    with MusicService(served(n)) as service:
        names = json.dumps([[song.id, song.artist, song.title] for song in songs(n)])
        said = subprocess.run(
            [sys.executable, "-c", code, service.url, str(tmp_path), names],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "Nothing is lost" in said.stdout
        assert said.stderr == ""
        assert download(service, tmp_path, songs(n)).states[State.DOWNLOADED] == n
    assert all_there(tmp_path, n)


def test_a_read_only_folder_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o555)
    choice = SourceChoice("deezer")
    open_source(choice)  # imports what the other user may not be allowed to read
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # whom root's folders do not let in
    try:
        with pytest.raises(DataError, match=r"cannot write to .*out: Permission denied"):
            download_previews([], folder, choice=choice)
    finally:
        if is_root:
            os.seteuid(0)


def test_a_catalog_that_does_not_parse_makes_no_folder(tmp_path: Path) -> None:
    from earmark.data.catalog.catalog import read_catalog

    (tmp_path / "catalog").write_bytes(b"no parquet")
    with pytest.raises(BadCatalog):
        download_previews(
            read_catalog(tmp_path / "catalog"), tmp_path / "out", choice=SourceChoice("deezer")
        )
    assert not (tmp_path / "out").exists()


def test_a_source_that_cannot_be_used_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="accept-terms"):
        download_previews(songs(), tmp_path / "out", choice=SourceChoice("itunes"))
    assert not (tmp_path / "out").exists()


def test_a_bug_that_one_song_meets_stops_that_song_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(audio: bytes | Path, *, song_id: str, **others: Any) -> audio_check.CheckedPreview:
        if song_id == "TR0002":
            raise ZeroDivisionError("of ours")
        return audio_check.keep(audio, song_id=song_id, **others)

    with MusicService(served()) as service:
        monkeypatch.setattr(run, "keep", mistaken)
        reached = download(service, tmp_path)
        assert reached.states[State.DOWNLOADED] == 3
        assert entries(tmp_path)["TR0002"].state in (State.FAILED_RETRY, State.FAILED_PERMANENT)
        reason = entries(tmp_path)["TR0002"].reason
        assert "a bug in earmark stopped it: ZeroDivisionError('of ours')" in reason


# -- a folder as a source, and rematch


def test_a_folder_of_ones_own_fills_the_previews(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "TR0000.wav").write_bytes(tone(0))
    (mine / "Björk - Jóga.wav").write_bytes(tone(2))
    (mine / "TR0001.wav").write_bytes(tone(1)[:500])
    reached = download_previews(
        songs(), tmp_path / "out", choice=SourceChoice("folder", folder=str(mine)), options=OPTIONS
    )
    assert states(tmp_path / "out") == [
        State.DOWNLOADED, State.FAILED_RETRY, State.DOWNLOADED, State.NO_RESULT,
    ]  # fmt: skip
    assert (tmp_path / "out" / "audio" / "TR0002.wav").read_bytes() == tone(2)
    assert preview_status(tmp_path / "out") == reached


def test_what_one_source_matched_another_source_searches_for_itself(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        service.fault = lambda asked: says(b"no audio") if asked.kind == "preview" else None
        download(service, tmp_path, options=DownloadOptions(rate=0, cooldown=0.01, attempts=1))
        service.fault = lambda _: None
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            one = entries(tmp_path)["TR0001"]
            ledger.put([replace(one, state=State.SEARCHED, hit=None)])
        assert download(service, tmp_path, source="deezer").states[State.DOWNLOADED] == 4
    assert {entry.source for entry in entries(tmp_path).values()} == {"deezer"}
    assert all_there(tmp_path)


def test_a_song_that_was_searched_and_not_judged_is_not_asked_for_again(tmp_path: Path) -> None:
    with MusicService(served(1)) as service:
        download(service, tmp_path, songs(1))
        (tmp_path / "audio" / "TR0000.wav").unlink()
        with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
            ledger.put([LedgerEntry("TR0000", *NAMES[0], state=State.SEARCHED)])
        assert download(service, tmp_path, songs(1)).states[State.DOWNLOADED] == 1
    assert list(service.numbers("search").values()) == [1]


def test_rematch_judges_the_stored_replies_without_the_network(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        # as if matching had once been worse, in both directions
        wrong = entries(tmp_path)
        ledger.put(
            [
                LedgerEntry("TR0000", *NAMES[0], state=State.REJECTED, reason="a mistake"),
                replace(wrong["TR0001"], artist="Nobody", title="Nothing"),
            ]
        )
    moves = rematch_previews(tmp_path)
    assert dict(moves) == {
        (State.REJECTED, State.MATCHED): 1,
        (State.DOWNLOADED, State.REJECTED): 1,
    }
    assert not (tmp_path / "audio" / "TR0001.wav").exists()
    assert (tmp_path / "replaced" / "TR0001.wav").read_bytes() == tone(1)
    assert rematch_previews(tmp_path) == {}
    after = entries(tmp_path)
    assert after["TR0000"].state is State.MATCHED
    assert after["TR0002"] == wrong["TR0002"]


def test_rematch_can_take_what_is_to_be_looked_at(tmp_path: Path) -> None:
    live = ServedSong(5, "Air", "La Femme", album="Live at the Forum")
    with MusicService([live]) as service:
        download(service, tmp_path, songs(1))
        assert states(tmp_path) == [State.REVIEW]
        assert rematch_previews(tmp_path) == {}
        assert dict(rematch_previews(tmp_path, accept_review=True)) == {
            (State.REVIEW, State.MATCHED): 1
        }
        assert download(service, tmp_path, songs(1)).states[State.DOWNLOADED] == 1
    assert rematch_previews(tmp_path) == {}  # what a person has accepted stays
    assert entries(tmp_path)["TR0000"].reason.startswith("accepted by hand: ")


def test_rematch_leaves_songs_that_wait_for_a_new_reply(tmp_path: Path) -> None:
    with MusicService([]) as service:
        download(service, tmp_path, songs(2))
        retry_previews(tmp_path, also=[State.NO_RESULT], only_mark=True)
    assert rematch_previews(tmp_path) == {}
    assert states(tmp_path) == [State.PENDING] * 2


def test_every_raw_reply_is_kept(tmp_path: Path) -> None:
    with MusicService(served()) as service:
        download(service, tmp_path)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        (answer,) = ledger.replies("TR0002")
    assert answer.source == "itunes"
    assert json.loads(answer.body)["results"][0]["trackName"] == "Jóga"


def test_real_music_goes_the_whole_way(tmp_path: Path, shared: Path) -> None:
    files = sorted((shared / "q4" / "audio").iterdir())[:3]
    served_ = [ServedSong(i, *NAMES[i], audio=path) for i, path in enumerate(files)]
    with MusicService(served_) as service:
        service.fault = first_times("preview", cut(0.6, announced=False))
        download(service, tmp_path, songs(3))
    for i, path in enumerate(files):
        assert (tmp_path / "audio" / f"TR{i:04}.opus").read_bytes() == path.read_bytes()
    assert all(entry.clip_seconds or 0 > 10 for entry in entries(tmp_path).values())
