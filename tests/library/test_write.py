"""Tags are written as planned, safely, and taken back to the byte."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import stat
import subprocess
import sys

import mutagen
import numpy as np
import pytest
from audio_files import FORMATS, music, write_audio, write_format
from music_folder import BEST_TWO, scan_once, songs, write_silence, write_song
from mutagen import id3

from earmark.audio import load_audio
from earmark.errors import BadValue, NotScanned
from earmark.library.settings import default_text, read_settings
from earmark.library.writing import journal
from earmark.library.writing.fields import changed_fields, fields_from
from earmark.library.writing.summary import PlanSummary
from earmark.library.writing.tag_file import read_fields, write_fields
from earmark.library.writing.undo import UndoOutcome, last_run, undo_writing
from earmark.library.writing.write import (
    TagChange,
    UnwritableFile,
    left_out,
    plan_writing,
    write_tags,
)
from earmark.results import rank_tags
from earmark.words import GENRES, MOODS


def planned(library, *, settings=BEST_TWO, mode="fill"):
    return list(plan_writing(library, library.model(), settings=settings, mode=mode))


def written(library, *, settings=BEST_TWO, mode="fill", keep_mtime=False):
    chosen = plan_writing(library, library.model(), settings=settings, mode=mode)
    return list(write_tags(library, chosen, keep_mtime=keep_mtime))


def undone(library, run=None):
    return list(undo_writing(library, last_run(library) if run is None else run))


def inside(folder):
    """Every file's bytes and time."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()}


# What is wanted


def tags(**scores):
    """Tags as the tagger gives them, best first."""
    card = tiny_model_card(tuple(name.replace("_", " ") for name in scores))
    return rank_tags(card, np.array(list(scores.values()), dtype=np.float32))


def tiny_model_card(names):
    from earmark.features import PRESETS
    from earmark.model_file import Card

    priors = (0.1,) * len(names)
    return Card("tiny", names, PRESETS["choi2016"], priors, source="a test", licence="MIT")


def said(heard, settings):
    return fields_from(heard, settings=settings, model="tiny", sha256="0123456789abcdef")


def test_tags_count_from_their_groups_least_score_on_and_the_best_few_are_written(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "[group.genre]\nmin = 0.4\ntop = 2\n[group.mood]\nmin = 0.9\n[scores]\ntop = 3\n"
    )
    heard = tags(rock=0.5, rnb=0.9, jazz=0.4, pop=0.3, happy=0.8, sad=0.95)
    found = said(heard, read_settings(own))
    assert found["genre"] == ("R&B", "Rock")
    assert found["mood"] == ("Sad",)
    assert found["EARMARK_SCORES"] == ("sad=0.95", "rnb=0.90", "happy=0.80")
    assert found["EARMARK_MODEL"] == ("tiny 0123456789ab",)


def test_a_general_genre_is_written_behind_a_specific_one_and_umbrellas_never():
    settings = read_settings()
    found = said(tags(rock=0.9, grunge=0.5, pop=0.45), settings)
    assert found["genre"] == ("Grunge", "Rock")
    assert said(tags(rock=0.9, pop=0.6), settings)["genre"] == ("Rock", "Pop")
    umbrellas = tags(**{"Pop/Rock": 0.9, "International": 0.8, "Vocal": 0.7, "ska": 0.5})
    assert said(umbrellas, settings)["genre"] == ("Ska",)


def test_every_word_is_written_as_people_write_it():
    settings = read_settings()
    expected = {
        "Hip-Hop": "Hip-Hop", "rnb": "R&B", "drum and bass": "Drum and Bass", "k-pop": "K-Pop",
        "classical": "Classical", "lo-fi": "Lo-Fi", "Progressive rock": "Progressive Rock",
        "singer-songwriter": "Singer-Songwriter", "new wave": "New Wave", "Latin": "Latin",
    }  # fmt: skip
    assert {tag: settings.name(tag) for tag in expected} == expected
    for word in (*GENRES, *MOODS):
        parts = re.split("[ -]", settings.name(word.tag))
        assert all(part[0].isupper() or part == "and" for part in parts), word.tag


def test_an_era_is_never_written_but_as_a_score():
    found = said(tags(**{"80s": 0.99, "oldies": 0.9, "rock": 0.5}), read_settings())
    assert set(found) == {"genre", "mood", "EARMARK_SCORES", "EARMARK_MODEL"}
    assert found["genre"] == ("Rock",)
    assert found["EARMARK_SCORES"][0] == "80s=0.99"


def test_own_names_and_a_white_list_decide_what_is_written(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[names]\n"indie rock" = "Indie"\n"indie pop" = "Indie"\n"rock" = ""\n'
        '[group.genre]\nonly = ["indie", "Jazz", "R&B"]\ntop = 3\n[scores]\ntop = 0\n'
    )
    heard = tags(rock=0.9, indie_rock=0.8, indie_pop=0.7, rnb=0.6, pop=0.6, jazz=0.5)
    assert said(heard, read_settings(own)) == {"genre": ("Indie", "R&B", "Jazz"), "mood": ()}


def test_a_tag_without_a_name_gets_capitals_and_keeps_those_it_has():
    settings = read_settings()
    assert settings.name("acid jazz") == "Acid Jazz"
    assert settings.name("EDM") == "EDM"
    assert settings.name("progressive rock") == "Progressive Rock"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("genre = 3", "unknown table"),
        ("[group.genres]\nmin = 0.1", "unknown group 'genres'; did you mean genre"),
        ("[group.genre]\nmin = 30", "min = 30"),
        ("[group.genre]\nleast = 0.3", "other keys"),
        ("[group.mood]\nonly = 'Calm'", "only = 'Calm'"),
        ("[names]\nrock = 1", "not a name"),
        ("[words]\ncalm = 'mellow'", "list of names"),
        ("[group", "not valid TOML"),
        ("scores = 3", "is a table"),
    ],
)
def test_settings_that_make_no_sense_say_where(tmp_path, text, match):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BadValue, match=match) as caught:
        read_settings(tmp_path / "own.toml")
    assert "own.toml" in str(caught.value)


def test_the_default_settings_are_settings_of_ones_own(tmp_path):
    (tmp_path / "own.toml").write_text(default_text())
    assert read_settings(tmp_path / "own.toml") == read_settings()


def test_each_mode_leaves_adds_or_replaces():
    ours = {"genre": ("Jazz", "Pop"), "mood": ()}
    theirs = {"genre": ("jazz", "Rock"), "mood": ("Calm",)}
    nothing = {"genre": (), "mood": ()}
    settings = read_settings()
    assert changed_fields(theirs, ours, mode="fill", settings=settings) == {}
    assert changed_fields(nothing, ours, mode="fill", settings=settings) == {
        "genre": ("Jazz", "Pop")
    }
    assert changed_fields(theirs, ours, mode="merge", settings=settings) == {
        "genre": ("jazz", "Rock", "Pop")
    }
    assert changed_fields(theirs, ours, mode="replace", settings=settings) == {
        "genre": ("Jazz", "Pop")
    }
    assert changed_fields(ours, ours, mode="replace", settings=settings) == {}


THERE = {
    ("jazz; hip-hop; soul",): ("House",),
    ("Hip-Hop/Electronic",): ("House", "R&B"),
    ("Hip Hop",): ("House", "R&B"),
    ("Hip-Hop, Electronic",): ("House", "R&B"),
    ("HipHop", "Rhythm & Blues"): ("House",),
    ("Rap/Hip-Hop",): ("House", "R&B"),
    ("contemporary R&B", "HIPHOP"): ("House",),
    ("Folk, World, & Country",): ("Hip-Hop", "House", "R&B"),
    ("Wonky",): ("Hip-Hop", "House", "R&B"),
}


@pytest.mark.parametrize("there", THERE)
def test_a_genre_that_is_there_by_another_spelling_is_not_added_again(there):
    settings = read_settings()
    ours = {"genre": ("Hip-Hop", "House", "R&B")}
    if "soul" in there[0]:
        ours = {"genre": ("Hip-Hop", "House", "Soul")}
    after = changed_fields({"genre": there}, ours, mode="merge", settings=settings)
    assert after == {"genre": (*there, *THERE[there])}
    assert changed_fields({"genre": there}, ours, mode="fill", settings=settings) == {}
    again = changed_fields(after, ours, mode="merge", settings=settings)
    assert again == {}


def test_values_that_say_nothing_count_as_none_and_that_is_a_setting(tmp_path):
    ours = {"genre": ("Jazz",), "mood": ("Calm",)}
    theirs = {"genre": ("Other", "unknown"), "mood": ("Other",)}
    settings = read_settings()
    assert changed_fields(theirs, ours, mode="fill", settings=settings) == {"genre": ("Jazz",)}
    merged = changed_fields(theirs, ours, mode="merge", settings=settings)
    assert merged == {"genre": ("Jazz",), "mood": ("Other", "Calm")}
    assert changed_fields(theirs, {"genre": ()}, mode="merge", settings=settings) == {}
    (tmp_path / "own.toml").write_text('[group.genre]\nempty = ["Thing"]\n')
    own = read_settings(tmp_path / "own.toml")
    assert changed_fields(theirs, ours, mode="fill", settings=own) == {}
    thing = {"genre": ("thing",)}
    jazz = {"genre": ("Jazz",)}
    assert changed_fields(thing, jazz, mode="fill", settings=own) == jazz


def test_a_tree_of_genres_adds_what_is_broader_and_names_may_be_of_any_language(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[also]\n"Reggae" = ["Jamaican"]\n"Ska" = ["reggae", "Brass"]\n"Jamaican" = ["Reggae"]\n'
        '"Jazz" = ["Improvised"]\n[names]\n"jazz" = "ジャズ"\n'
    )
    settings = read_settings(own)
    assert said(tags(reggae=0.9), settings)["genre"] == ("Reggae", "Jamaican")
    found = said(tags(ska=0.9, soul=0.8), settings)["genre"]
    assert found == ("Ska", "Soul", "reggae", "Brass", "Jamaican")
    assert said(tags(jazz=0.9), settings)["genre"] == ("ジャズ", "Improvised")
    jazz = {"genre": ("Jazz",)}
    after = changed_fields(jazz, {"genre": ("ジャズ",)}, mode="merge", settings=settings)
    assert after == {}


def test_the_words_of_other_vocabularies_are_written_as_people_write_them():
    settings = read_settings()
    assert settings.name("genre---hiphop") == "Hip-Hop"
    assert settings.name("genre---rock") == "Rock"
    assert settings.name("genre---poprock") == ""
    assert settings.name("mood/theme---happy") == "Happy"


def test_a_number_that_stands_for_no_genre_makes_none_up(tmp_path):
    path = write_song(tmp_path / "song.mp3", pitch=440)
    for text, genres in (
        ("(250)Wonky", ("Wonky",)), ("250", ()), ("(17)(RX)", ("Rock", "Remix")), ("17", ("Rock",)),
        ("((Odd)", ("(Odd)",)), ("1984", ("1984",)), ("Jazz; Funk", ("Jazz; Funk",)),
    ):  # fmt: skip
        frames = id3.ID3()
        frames.add(id3.TCON(encoding=3, text=[text]))
        frames.save(path, v2_version=3)
        assert read_fields(path, ["genre"]) == {"genre": genres}, text


# The plan and the writing


def test_a_plan_touches_nothing_and_says_what_would_be(library, song):
    before = inside(song.parent)
    (change,) = planned(library)
    assert isinstance(change, TagChange)
    assert change.before["genre"] == ()
    assert len(change.after["genre"]) == 2
    assert inside(song.parent) == before
    assert journal.runs(library) == []


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_is_written_once_and_comes_back_to_the_byte(library, tagger, tmp_path, name):
    path = write_format(tmp_path, name, music(1)).rename(
        (tmp_path / "music").mkdir() or tmp_path / "music" / name
    )
    scan_once(library, tagger, path.parent)
    before, audio = inside(path.parent), load_audio(path, rate=12_000).samples
    (made,) = written(library)
    if name in ("raw.aac", "aac.mka"):
        assert isinstance(made, UnwritableFile)
        assert made.error.kind == "unwritable_tags"
        assert inside(path.parent) == before
        return
    assert read_fields(path, made.after) == made.after
    assert load_audio(path, rate=12_000).samples.tobytes() == audio.tobytes()
    assert set(inside(path.parent)) == set(before)
    assert planned(library) == []
    assert vars(scan_once(library, tagger, path.parent)[0])["unchanged"] == 1
    assert [each.outcome for each in undone(library)] == [UndoOutcome.restored]
    assert inside(path.parent) == before
    assert len(planned(library)) == 1
    with pytest.raises(NotScanned, match="nothing to undo"):
        last_run(library)


def test_what_a_file_has_stays_unless_asked_for(library, song):
    write_fields(song, {"genre": ("Polka",), "mood": ("Odd",)})
    assert [type(change) for change in planned(library)] == [UnwritableFile]  # it has changed
    library.restat(song, **stat_of(songs(library)["song.flac"]))
    made = written(library)
    assert set(made[0].after) == {"EARMARK_SCORES", "EARMARK_MODEL"}
    assert read_fields(song, ["genre"]) == {"genre": ("Polka",)}
    written(library, mode="merge")
    assert read_fields(song, ["genre"])["genre"][0] == "Polka"
    assert len(read_fields(song, ["genre"])["genre"]) == 3
    written(library, mode="replace")
    assert "Polka" not in read_fields(song, ["genre"])["genre"]
    assert mutagen.File(song)["title"] == ["Song"]
    assert [run for run, _, _ in journal.runs(library)] == [1, 2, 3]
    for _ in range(3):
        assert [each.outcome for each in undone(library)] == [UndoOutcome.restored]
    assert read_fields(song, ["genre", "mood"]) == {"genre": ("Polka",), "mood": ("Odd",)}


def stat_of(song):
    return {"size": song.size, "mtime_ns": song.mtime_ns}


def test_time_rights_and_links_of_a_file_survive(library, tagger, tmp_path):
    real = write_song(tmp_path / "real" / "song.flac", pitch=440)
    real.chmod(0o640)
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "link.flac").symlink_to(real)
    before = real.stat()
    scan_once(library, tagger, tmp_path / "music")
    written(library, keep_mtime=True)
    assert (tmp_path / "music" / "link.flac").is_symlink()
    after = real.stat()
    assert after.st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert read_fields(real, ["genre"])["genre"]
    assert vars(scan_once(library, tagger, tmp_path / "music")[0])["unchanged"] == 1


def test_failed_files_are_in_no_plan_and_stay_as_they_are(library, tagger, tmp_path):
    folder = tmp_path / "music"
    write_song(folder / "song.m4a", pitch=300)
    protected = write_song(folder / "protected.m4a", pitch=300)
    protected.write_bytes(protected.read_bytes().replace(b"mp4a", b"drms"))
    (folder / "empty.mp3").touch()
    scan_once(library, tagger, folder)
    before = inside(folder)
    assert [change.song.path.name for change in written(library)] == ["song.m4a"]
    after = inside(folder)
    assert {path for path in before if before[path] != after[path]} == {folder / "song.m4a"}


def test_a_file_with_broken_tags_is_refused_and_stays_as_it_was(library, tagger, tmp_path):
    path = write_song(tmp_path / "music" / "song.flac", pitch=440, title="Song")
    content = bytearray(path.read_bytes())
    at = content.index(b"title=Song") - 4
    content[at : at + 4] = (10**9).to_bytes(4, "little")  # the length of a comment
    path.write_bytes(content)
    scan_once(library, tagger, path.parent)
    assert songs(library)["song.flac"].title == ""
    (refused,) = written(library)
    assert isinstance(refused, UnwritableFile)
    assert "broken" in str(refused.error)
    assert path.read_bytes() == content


def test_a_file_that_changed_or_went_since_the_scan_is_refused(library, song):
    (change,) = planned(library)
    with song.open("ab") as file:
        file.write(b"\0")
    (refused,) = write_tags(library, [change])
    assert "changed since it was scanned" in str(refused.error)
    song.unlink()
    (refused,) = write_tags(library, [change])
    assert "Scan again" in str(refused.error)
    assert journal.runs(library) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files is set by POSIX")
def test_no_room_for_the_copy_leaves_the_file_as_it_was(library, tagger, tmp_path):
    (tmp_path / "music").mkdir()
    path = write_audio(tmp_path / "music" / "song.wav", music(30), codec="pcm_s16le")
    scan_once(library, tagger, path.parent)
    before = inside(path.parent)
    script = f"""
import resource, sys
from earmark.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size // 2},) * 2)
sys.argv = ["earmark", "library", "write", "--yes", "--library", {str(library.path)!r}, "--json"]
main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60)
    assert done.returncode == 3, done.stderr
    line = json.loads(done.stdout)
    assert line["error"]["kind"] == "unwritable_tags"
    assert "The file is unchanged" in line["error"]["message"]
    assert inside(path.parent) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_file_is_refused(library, song):
    song.chmod(0o444)
    (refused,) = written(library)
    assert "read-only" in str(refused.error)


def test_writing_that_would_change_the_audio_is_refused(library, song, tmp_path, monkeypatch):
    other = write_song(tmp_path / "other.flac", pitch=500)

    def spoil(copy, _):
        shutil.copyfile(other, copy)

    monkeypatch.setattr("earmark.library.writing.write.write_fields", spoil)
    before = inside(song.parent)
    (refused,) = written(library)
    assert "would change its audio" in str(refused.error)
    assert inside(song.parent) == before


def test_a_plan_of_many_files_comes_in_order_from_several_processes(library, tagger, tmp_path):
    folder = tmp_path / "music"
    first = write_song(folder / "000.flac", pitch=300, seconds=0.1)
    for i in range(1, 210):
        shutil.copyfile(first, folder / f"{i:03}.flac")
    shutil.copyfile(first, folder / "000.flac.part.flac")
    scan_once(library, tagger, first)
    scan_once(library, tagger, folder)
    found = list(plan_writing(library, library.model(), settings=BEST_TWO, workers=2))
    names = [change.song.path.name for change in found]
    assert names == sorted(names)
    assert len(names) == 211


# Undo


def test_what_another_program_wrote_since_stays_and_our_fields_go(library, song):
    (made,) = written(library)
    write_fields(song, {"title": ("Theirs",), "mood": ("Theirs",)})
    (each,) = undone(library)
    assert each.outcome is UndoOutcome.fields
    now = read_fields(song, ["title", "genre", "mood", "EARMARK_MODEL"])
    expected = {"title": ("Theirs",), "genre": (), "mood": ("Theirs",), "EARMARK_MODEL": ()}
    assert now == expected
    assert "mood" in made.after


def test_a_file_that_moved_is_found_by_its_audio(library, tagger, song):
    before = song.read_bytes()
    written(library)
    moved = song.rename(song.with_name("moved.flac"))
    (each,) = undone(library)
    assert each.outcome is UndoOutcome.failed
    assert "scan its new folder" in str(each.error)
    scan_once(library, tagger, song.parent)
    (each,) = undone(library)
    assert (each.path, each.outcome) == (moved, UndoOutcome.restored)
    assert moved.read_bytes() == before


def test_a_kill_between_the_journal_and_the_rename_leaves_nothing_to_undo(library, song):
    before = song.read_bytes()
    written(library)
    song.write_bytes(before)  # as it is where the rename never came
    (each,) = undone(library)
    assert each.outcome is UndoOutcome.unwritten
    assert song.read_bytes() == before


def test_a_damaged_journal_leaves_the_file_as_it_is(library, song):
    written(library)
    now = song.read_bytes()
    with library.transaction() as connection:
        connection.execute("UPDATE journal SET before_sha256 = 'another'")
    (each,) = undone(library)
    assert each.outcome is UndoOutcome.failed
    assert song.read_bytes() == now
    with pytest.raises(NotScanned, match="no run 7"):
        list(undo_writing(library, 7))


def test_silence_gets_no_tags_unless_it_is_asked_for(library, tagger, song):
    silence = write_silence(song.with_name("silence.flac"))
    before = silence.read_bytes()
    scan_once(library, tagger, song.parent)
    assert [change.song.path for change in written(library)] == [song]
    assert silence.read_bytes() == before
    assert left_out(library, library.model()) == {"silence": 1}
    assert left_out(library, library.model(), below=song) == {}
    (asked,) = plan_writing(library, library.model(), settings=BEST_TWO, doubted=True)
    assert asked.song.path == silence
    assert asked.after["genre"]


# What a plan is about


def rows(library, tagger, folder, *songs):
    """A library of songs with scores of one's own: (name, album, {tag: score})."""
    names = tagger.card.tags
    for path, album, _ in songs:
        write_song(folder / path, pitch=440, seconds=0.2, album=album)
    scan_once(library, tagger, folder)
    model = library.model()
    for path, album, scores in songs:
        heard = np.array([scores.get(tag, 0.0) for tag in names], dtype=np.float32)
        song, vector = library.song(model, folder / path), library.vector(model, folder / path)
        song = dataclasses.replace(song, scores=heard, album=album)
        library.put(model, song, embedding=vector)


def genres(library, **options):
    plan = plan_writing(library, library.model(), settings=read_settings(), **options)
    return {change.song.path.name: change.after.get("genre") for change in plan}


def test_an_album_gets_the_genre_of_the_mean_of_its_songs(library, tagger, tmp_path):
    rows(
        library, tagger, tmp_path / "music",
        ("a/CD 1/1.flac", "First", {"jazz": 0.9}),
        ("a/cd2/2.flac", "first ", {"jazz": 0.5, "rock": 0.6}),
        ("a/3.flac", "First", {"rock": 0.5, "jazz": 0.1}),
        ("a/4.flac", "", {"rock": 0.9}),
        ("b/5.flac", "First", {"blues": 0.9}),
        ("b/6.flac", "Second", {"metal": 0.9}),
    )  # fmt: skip
    each = {
        "1.flac": ("Jazz",), "2.flac": ("Jazz", "Rock"), "3.flac": ("Rock",), "4.flac": ("Rock",),
        "5.flac": ("Blues",), "6.flac": ("Metal",),
    }  # fmt: skip
    assert genres(library) == each
    first = dict.fromkeys(("1.flac", "2.flac", "3.flac"), ("Jazz",))
    assert genres(library, by_album=True) == each | first
    one = tmp_path / "music" / "a" / "3.flac"
    assert genres(library, by_album=True, only={one}) == {"3.flac": ("Jazz",)}  # of the whole album


def test_only_the_chosen_files_are_planned(library, tagger, tmp_path):
    rows(
        library, tagger, tmp_path / "music",
        *((f"{i}.flac", "", {"jazz": 0.9}) for i in range(4)),
    )  # fmt: skip
    chosen = {tmp_path / "music" / "1.flac", tmp_path / "music" / "3.flac"}
    assert genres(library, only=chosen) == {"1.flac": ("Jazz",), "3.flac": ("Jazz",)}


def test_a_summary_counts_every_file_once_in_ten_lines(library, tagger, tmp_path):
    folder = tmp_path / "music"
    many = ("jazz", "blues", "metal", "soul", "folk", "punk", "funk", "country", "House", "ambient")
    rows(
        library, tagger, folder,
        *((f"{i}.flac", "", {tag: 0.9, "happy": 0.8}) for i, tag in enumerate(many)),
        ("another.flac", "", {"jazz": 0.9}),
        ("unsure.flac", "", {"jazz": 0.3}),
        ("there.flac", "", {"jazz": 0.9}),
        ("gone.flac", "", {"jazz": 0.9}),
    )  # fmt: skip
    write_fields(folder / "there.flac", {"genre": ("Polka",)})
    library.restat(folder / "there.flac", **stat_of(songs(library)["there.flac"]))
    (folder / "gone.flac").unlink()

    def summary(changes):
        counted = PlanSummary()
        for change in changes:
            counted.add(change)
        return counted.lines({"speech": 2}, written=False)

    def plan():
        return plan_writing(library, library.model(), settings=read_settings(), everything=True)

    lines = summary(plan())
    assert lines[0] == "13 files would change, 0 need no change"
    assert lines[1].startswith("genre: in 11 files: Jazz 2, Ambient 1, Blues 1, Country 1, ")
    assert lines[1].endswith(", and 2 others")
    assert lines[2] == "mood: in 10 files: Happy 10"
    assert lines[3] == "scores: in 13 files, as EARMARK_SCORES"
    assert lines[4].startswith("already there: a genre in 1 file; --merge")
    assert lines[5].startswith("too unsure: a mood in 3 files and a genre in 1 file; ")
    assert lines[6] == "not music: 2 files (speech 2), skipped; --doubted writes to them"
    assert lines[7] == (
        f"cannot be written: 1 file, such as {folder / 'gone.flac'}: No such file or directory"
    )
    assert len(lines) == 8
    made = list(write_tags(library, plan()))
    assert len(made) == 14
    assert summary(plan())[0] == "0 files would change, 13 need no change"
