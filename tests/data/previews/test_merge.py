"""Joining the folders of several machines, in any order, with damage on the way."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from music_service import MusicService, ServedSong, tone

from earmark.data.catalog.catalog import Song
from earmark.data.matching.hit import Hit
from earmark.data.previews.decisions import rematch_previews
from earmark.data.previews.download import download_previews, retry_previews
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.folder import working_on
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.merge import merge_previews
from earmark.data.previews.options import DownloadOptions, Part
from earmark.data.previews.sources import SourceChoice
from earmark.errors import BadLedger, BadValue, FolderInUse

HIT = Hit("Air", "La Femme", "Moon Safari", 427.0, "http://x/y", "12", "song")
OPTIONS = DownloadOptions(rate=0, cooldown=0.05)


def make(folder: Path, *entries: LedgerEntry, audio: dict[str, bytes] | None = None) -> Path:
    (folder / "audio").mkdir(parents=True)
    for name, data in (audio or {}).items():
        (folder / "audio" / name).write_bytes(data)
    with Ledger.open(folder / "ledger.sqlite", make=True) as ledger:
        ledger.put(
            entries, [StoredReply(entry.id, 1.0, "itunes", entry.id.encode()) for entry in entries]
        )
    return folder


def with_audio(song_id: str, number: int, **fields: object) -> LedgerEntry:
    import hashlib

    data = tone(number)
    entry = LedgerEntry(
        song_id, state=State.DOWNLOADED, hit=HIT, file=f"{song_id}.wav",
        sha256=hashlib.sha256(data).hexdigest(), size=len(data),
    )  # fmt: skip
    return replace(entry, **fields)  # type: ignore[arg-type]


def entries(folder: Path) -> dict[str, LedgerEntry]:
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        return {entry.id: entry for entry in ledger.entries()}


def audio(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "audio").iterdir()}


def test_parts_become_one_folder_that_a_run_finds_complete(tmp_path: Path) -> None:
    songs = [Song(f"TR{i:02}", f"Artist{i}", f"Title{i}") for i in range(20)]
    with MusicService([ServedSong(i, f"Artist{i}", f"Title{i}") for i in range(19)]) as service:
        choice = SourceChoice("itunes", service.url, accepted_terms=True)
        for number in (1, 2, 3):
            download_previews(
                songs, tmp_path / str(number), choice=choice, part=Part(number, 3), options=OPTIONS
            )
        merged = merge_previews([tmp_path / n for n in "123"], tmp_path / "all")
        assert (merged.songs, merged.copied, merged.damaged) == (20, 19, ())
        assert audio(tmp_path / "all") == {f"TR{i:02}.wav": tone(i) for i in range(19)}
        service.counts.clear()
        reached = download_previews(songs, tmp_path / "all", choice=choice, options=OPTIONS)
        assert (reached.states[State.DOWNLOADED], reached.states[State.NO_RESULT]) == (19, 1)
        assert service.counts.total() == 0
        # it knows how its parts were run
        assert retry_previews(tmp_path / "all", endpoint=service.url).total == 20


def test_the_state_that_has_come_furthest_counts_in_any_order(tmp_path: Path) -> None:
    outcomes = [
        LedgerEntry("TR1", state=State.PENDING),
        LedgerEntry("TR1", state=State.FAILED_RETRY, retry_at=5.0),
        LedgerEntry("TR1", state=State.NO_RESULT),
        LedgerEntry("TR1", state=State.REVIEW, score=0.5),
        LedgerEntry("TR1", state=State.REVIEW, score=0.6, reason="the better one"),
    ]
    folders = [make(tmp_path / str(i), entry) for i, entry in enumerate(outcomes)]
    for number, order in enumerate(itertools.permutations(folders, 2)):
        best = max((entries(folder)["TR1"] for folder in order), key=outcomes.index)
        merge_previews(order, tmp_path / "out" / str(number))
        assert entries(tmp_path / "out" / str(number))["TR1"] == best


def test_two_previews_of_one_song_become_one_the_same_in_any_order(tmp_path: Path) -> None:
    one = make(tmp_path / "1", with_audio("TR1", 1, score=0.8), audio={"TR1.wav": tone(1)})
    two = make(tmp_path / "2", with_audio("TR1", 2, score=0.9), audio={"TR1.wav": tone(2)})
    for name, order in {"a": (one, two), "b": (two, one)}.items():
        merge_previews(order, tmp_path / name)
        assert audio(tmp_path / name) == {"TR1.wav": tone(2)}
        assert entries(tmp_path / name)["TR1"].score == 0.9


def test_a_preview_of_another_kind_replaces_and_leaves_no_second_file(tmp_path: Path) -> None:
    flac = with_audio("TR1", 1, score=0.5, file="TR1.flac")
    one = make(tmp_path / "1", flac, audio={"TR1.flac": tone(1)})
    two = make(tmp_path / "2", with_audio("TR1", 2, score=0.9), audio={"TR1.wav": tone(2)})
    merge_previews([one, two], tmp_path / "out")
    assert audio(tmp_path / "out") == {"TR1.wav": tone(2)}


def test_a_damaged_preview_is_named_and_its_song_taken_up_again(tmp_path: Path) -> None:
    one = make(
        tmp_path / "1", with_audio("TR1", 1), with_audio("TR2", 2), with_audio("TR3", 3),
        audio={"TR1.wav": tone(1), "TR2.wav": tone(99)},
    )  # fmt: skip
    merged = merge_previews([one], tmp_path / "out")
    assert merged.damaged == (
        str(one / "audio" / "TR2.wav"),
        str(one / "audio" / "TR3.wav"),
    )
    assert audio(tmp_path / "out") == {"TR1.wav": tone(1)}
    after = entries(tmp_path / "out")
    assert [after[i].state for i in ("TR1", "TR2", "TR3")] == [
        State.DOWNLOADED, State.MATCHED, State.MATCHED,
    ]  # fmt: skip


def test_a_damaged_preview_does_not_hide_the_good_one_of_another_folder(tmp_path: Path) -> None:
    bad = make(tmp_path / "1", with_audio("TR1", 1, score=0.9), audio={"TR1.wav": tone(99)})
    good = make(tmp_path / "2", with_audio("TR1", 2, score=0.8), audio={"TR1.wav": tone(2)})
    for name, order in {"a": (bad, good), "b": (good, bad)}.items():
        assert len(merge_previews(order, tmp_path / name).damaged) == 1
        assert audio(tmp_path / name) == {"TR1.wav": tone(2)}
        assert entries(tmp_path / name)["TR1"].state is State.DOWNLOADED


def test_replies_are_joined_and_kept_once(tmp_path: Path) -> None:
    one = make(tmp_path / "1", LedgerEntry("TR1", state=State.REJECTED))
    shutil.copytree(one, tmp_path / "2")
    merge_previews([one, tmp_path / "2"], tmp_path / "out")
    with Ledger.open(tmp_path / "out" / "ledger.sqlite") as ledger:
        assert [answer.body for answer in ledger.replies("TR1")] == [b"TR1"]


def test_a_folder_without_a_ledger_counts_by_its_previews(tmp_path: Path) -> None:
    one = make(tmp_path / "1", with_audio("TR1", 1), audio={"TR1.wav": tone(1)})
    bare = tmp_path / "2" / "audio"
    bare.mkdir(parents=True)
    (bare / "TR2.wav").write_bytes(tone(2))
    (bare / "TR3.wav").write_bytes(tone(3)[:100])
    merged = merge_previews([one, bare.parent], tmp_path / "out")
    assert merged.damaged == (str(bare / "TR3.wav"),)
    assert audio(tmp_path / "out") == {"TR1.wav": tone(1), "TR2.wav": tone(2)}


def test_the_output_may_be_one_of_the_folders_and_merging_again_changes_nothing(
    tmp_path: Path,
) -> None:
    one = make(tmp_path / "1", with_audio("TR1", 1), audio={"TR1.wav": tone(1)})
    two = make(tmp_path / "2", with_audio("TR2", 2), audio={"TR2.wav": tone(2)})
    assert merge_previews([one, two], one).copied == 1
    before = entries(one)
    assert merge_previews([one, two], one).copied == 0
    assert entries(one) == before
    assert audio(one) == {"TR1.wav": tone(1), "TR2.wav": tone(2)}
    assert audio(two) == {"TR2.wav": tone(2)}


def test_a_merge_that_was_killed_goes_on(tmp_path: Path) -> None:
    one = make(tmp_path / "1", with_audio("TR1", 1), audio={"TR1.wav": tone(1)})
    out = tmp_path / "out"
    (out / "audio").mkdir(parents=True)
    (out / "audio" / "TR1.wav").write_bytes(tone(1))  # linked, and then killed
    (out / "audio" / ".TR2.wav.0123abcd.part").write_bytes(b"half")
    assert merge_previews([one], out).songs == 1
    assert audio(out) == {"TR1.wav": tone(1)}
    assert entries(out)["TR1"] == entries(one)["TR1"]


def test_what_is_no_folder_of_previews_is_named(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(BadValue, match="neither a ledger nor previews"):
        merge_previews([tmp_path / "1"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_ledger_of_a_part_is_an_error_and_not_a_part_without_songs(
    tmp_path: Path,
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    with pytest.raises(BadLedger, match="damaged"):
        merge_previews([tmp_path / "1"], tmp_path / "out")


def test_a_folder_that_a_run_works_on_is_not_merged(tmp_path: Path) -> None:
    one = make(tmp_path / "1", LedgerEntry("TR1"))
    with working_on(one), pytest.raises(FolderInUse):
        merge_previews([one], tmp_path / "out")


@pytest.mark.parametrize(("song_id", "file"), [("TR1", "../../victim"), ("../../victim", "x.wav")])
def test_a_ledger_from_elsewhere_reaches_no_file_outside(
    tmp_path: Path, song_id: str, file: str
) -> None:
    (tmp_path / "victim").write_bytes(tone(1))
    other = make(tmp_path / "other", with_audio(song_id, 1, file=file))
    mine = make(tmp_path / "mine", with_audio("TR1", 2), audio={"TR1.wav": tone(2)})
    before = audio(mine)
    with pytest.raises(BadLedger, match="no earmark wrote"):
        merge_previews([other], mine)
    with pytest.raises(BadLedger, match="no earmark wrote"):
        rematch_previews(other)
    assert (tmp_path / "victim").read_bytes() == tone(1)
    assert audio(mine) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other", "victim"]
